//! Whose turn it is after which failures.

use super::*;

fn shards(numbers: &[u32]) -> Vec<ShardNo> {
    numbers.iter().map(|number| ShardNo::new(*number).unwrap()).collect()
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn each_round_begins_elsewhere() {
    let mut turns = Turns::default();
    let all = shards(&[1, 2, 3]);
    for wanted in [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]] {
        assert_eq!(turns.round(at(0), &all), shards(&wanted));
    }
    assert_eq!(turns.round(at(0), &[]), []);
}

#[test]
fn one_that_fails_is_passed_over_and_the_others_go_on() {
    let mut turns = Turns::default();
    let all = shards(&[1, 2, 3]);
    let mut waits = Vec::new();
    let mut now = at(1_000);
    for _ in 0..5 {
        turns.failed(all[0], now, Kind::Books, "down".to_owned());
        let mut waited = 0;
        while !turns.round(now + at(waited), &all).contains(&all[0]) {
            let others = turns.round(now + at(waited), &all);
            assert_eq!(others.len(), 2, "the others have their turns");
            waited += 100;
        }
        waits.push(waited);
        now += at(waited);
    }
    assert_eq!(waits, [500, 1_000, 2_000, 2_000, 2_000]);
    let (count, first, trouble) = turns.troubled(Kind::Books).unwrap();
    assert_eq!((count, first, trouble.failures), (1, all[0], 5));
    assert_eq!(turns.troubled(Kind::Ledger), None);
    turns.went_well(all[0]);
    assert_eq!((turns.failures(all[0]), turns.troubled(Kind::Books)), (0, None));
}

#[test]
fn what_is_retired_is_forgotten() {
    let mut turns = Turns::default();
    let all = shards(&[1, 2]);
    turns.failed(all[0], at(0), Kind::Time, "slow".to_owned());
    assert_eq!(turns.round(at(0), &all[1..]), all[1..]);
    assert_eq!(turns.failures(all[0]), 0);
}
