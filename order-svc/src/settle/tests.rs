//! The queue's bound, and what is put together into one call.

use ids::OrderId;
use law::OrderState;

use super::*;

fn settle(shard: u32, epoch: i64, generation: u64, count: usize) -> Settle {
    let shard = ShardNo::new(shard).unwrap();
    let decision = Decision { order: OrderId::mint(shard, [1; 12]), state: OrderState::Placed };
    Settle {
        shard,
        epoch: Epoch::new(epoch).unwrap(),
        generation,
        decisions: vec![decision; count],
    }
}

fn shape(settles: &[Settle]) -> Vec<(u32, i64, u64, usize)> {
    let shape = |s: &Settle| (s.shard.get(), s.epoch.get(), s.generation, s.decisions.len());
    settles.iter().map(shape).collect()
}

#[test]
fn a_full_queue_leaves_over_and_does_not_wait() {
    let left_over = LeftOver::new(
        Clock::system(),
        Duration::from_secs(60),
        chassis::metrics::Counter::default(),
    );
    let (settles, mut entries) = Settles::new(1, left_over.clone());
    settles.offer(settle(1, 7, 1, 3));
    settles.offer(settle(1, 7, 2, 5));
    assert_eq!(left_over.holds(), 5);
    assert_eq!(entries.try_recv().unwrap().generation, 1);
    assert!(entries.try_recv().is_err());
}

#[test]
fn a_shard_is_logged_once_an_interval() {
    let (clock, shift) = Clock::adjustable();
    let left_over =
        LeftOver::new(clock, Duration::from_secs(60), chassis::metrics::Counter::default());
    let [one, two] = [1, 2].map(|number| ShardNo::new(number).unwrap());
    assert!(left_over.is_to_be_logged(one));
    assert!(!left_over.is_to_be_logged(one));
    assert!(left_over.is_to_be_logged(two));
    shift.jump(Duration::from_secs(61));
    assert!(left_over.is_to_be_logged(one));
}

#[test]
fn one_call_for_each_shard_and_epoch() {
    let merged = merge(vec![settle(1, 7, 1, 3), settle(2, 8, 1, 1), settle(1, 7, 2, 4)]);
    assert_eq!(shape(&merged), [(1, 7, 2, 7), (2, 8, 1, 1)]);
}

#[test]
fn generations_of_a_shard_never_go_down() {
    let merged = merge(vec![settle(1, 7, 1, 1), settle(1, 8, 2, 1), settle(1, 7, 3, 1)]);
    assert_eq!(shape(&merged), [(1, 7, 3, 2), (1, 8, 3, 1)]);
}

#[test]
fn a_call_never_has_more_than_the_ledger_takes() {
    let merged = merge(vec![settle(1, 7, 1, 4000), settle(1, 7, 2, 5000), settle(1, 7, 3, 1)]);
    assert_eq!(shape(&merged), [(1, 7, 3, 4096), (1, 7, 3, 4096), (1, 7, 3, 809)]);
}
