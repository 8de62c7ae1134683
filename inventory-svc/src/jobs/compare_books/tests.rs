//! Whom a round asks and when it ends, and which generations are compared.

use super::*;

fn shard(number: u32) -> ShardNo {
    ShardNo::new(number).unwrap()
}

fn epoch(number: i64) -> Epoch {
    Epoch::new(number).unwrap()
}

fn open(number: u32, in_epoch: i64) -> Open {
    (shard(number), epoch(in_epoch), ItemId::from_bytes([1; 16]))
}

#[test]
fn a_round_begins_behind_the_last_shard_and_leaves_none_out() {
    let all = || [3, 1, 2].map(|number| open(number, 7)).to_vec();
    let numbers = |round: Vec<Open>| -> Vec<u32> {
        round.into_iter().map(|(shard, ..)| shard.get()).collect()
    };
    for (last, expected) in
        [(None, [1, 2, 3]), (Some(1), [2, 3, 1]), (Some(3), [1, 2, 3]), (Some(9), [1, 2, 3])]
    {
        let mut seen = Seen { last: last.map(shard), ..Seen::default() };
        assert_eq!(numbers(seen.round(all())), expected, "behind {last:?}");
    }
    assert_eq!(Seen::default().round(Vec::new()), []);
}

#[tokio::test]
async fn one_that_never_answers_ends_the_round_in_time_and_for_nobody_else() {
    let shards: Vec<_> = (1..=20).map(|number| open(number, 7)).collect();
    let answered = Mutex::new(Vec::new());
    let ask = |(asked, ..): Open| {
        let answered = &answered;
        async move {
            if asked == shard(1) {
                std::future::pending::<()>().await;
            }
            answered.lock().unwrap().push(asked.get());
        }
    };
    ask_all(shards, Duration::from_millis(50), ask).await;
    let mut answered = answered.into_inner().unwrap();
    answered.sort_unstable();
    assert_eq!(answered, Vec::from_iter(2..=20));
}

#[test]
fn generations_are_compared_within_an_epoch() {
    let mut seen = Seen::default();
    assert_eq!(seen.raise(shard(1), epoch(7), 5), 5);
    assert_eq!(seen.raise(shard(1), epoch(7), 9), 9);
    assert_eq!(seen.raise(shard(1), epoch(7), 6), 9, "the books have gone back");
    assert_eq!(seen.raise(shard(2), epoch(8), 4), 4);
    // The shard was loaded anew, from that copy.
    assert_eq!(seen.raise(shard(1), epoch(8), 6), 6);
    seen.round(vec![open(2, 8)]);
    assert_eq!(seen.highest.len(), 1, "what isn't open is forgotten");
}
