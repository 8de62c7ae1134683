//! One poll for all who watch, and news when there are some.

use chassis::{Kind, TaskOwner};
use futures::StreamExt as _;

use super::*;
use crate::{
    commands::bench::{Bench, LEASE, entry, epoch, load, shard},
    domain::sale::Phase,
    ledger::Ledger as _,
    loading::Why,
};

/// A poller that runs until the owner is dropped.
struct Polled {
    bench: Bench,
    stock: StockWatch,
    stopper: Stopper,
    _owner: TaskOwner,
}

async fn polled() -> Polled {
    let bench = Bench::open(9).await;
    let stopper = Stopper::new();
    let owner = TaskOwner::new("test", stopper.clone());
    let stock = StockWatch::new(bench.inventory.clone());
    let (poller, stop) = (stock.clone(), stopper.clone());
    owner.tasks().spawn(Kind::Essential, "poll", async move { poller.poll(&stop).await });
    Polled { bench, stock, stopper, _owner: owner }
}

fn open(version: u64, left: u32) -> (ShardNo, Left) {
    (shard(1), Left::Open { epoch: epoch(1), version, left, paused: false })
}

/// The next news that isn't `before`, within a patience that no machine needs.
async fn next_but(
    news: &mut (impl Stream<Item = (ShardNo, Left)> + Unpin),
    before: Option<(ShardNo, Left)>,
) -> Option<(ShardNo, Left)> {
    let changed = async {
        loop {
            let told = news.next().await;
            if told.is_none() || told != before {
                return told;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), changed).await.expect("news in time")
}

#[tokio::test]
async fn a_change_is_told_and_the_same_is_told_again() {
    let Polled { bench, stock, stopper, _owner } = polled().await;
    let watched = stock.watch(vec![shard(1), shard(1)], stopper).unwrap();
    let mut news = Box::pin(watched);
    assert_eq!(next_but(&mut news, None).await, Some(open(1, 9)));
    assert_eq!(next_but(&mut news, None).await, Some(open(1, 9)), "told again");
    bench.ledger.reserve(shard(1), epoch(1), false, vec![entry(1)]).await.unwrap();
    assert_eq!(next_but(&mut news, Some(open(1, 9))).await, Some(open(2, 8)));
}

#[tokio::test]
async fn all_streams_are_told_by_one_poller() {
    let Polled { bench, stock, stopper, _owner } = polled().await;
    let streams = (0..3).map(|_| stock.watch(vec![shard(1)], stopper.clone()).unwrap());
    let mut streams: Vec<_> = streams.map(Box::pin).collect();
    bench.ledger.reserve(shard(1), epoch(1), false, vec![entry(1)]).await.unwrap();
    for news in &mut streams {
        assert_eq!(next_but(news, Some(open(1, 9))).await, Some(open(2, 8)));
    }
}

#[tokio::test]
async fn a_ledger_that_lost_the_shard_is_not_open_and_asks_for_a_load() {
    let Polled { bench, stock, stopper, _owner } = polled().await;
    let mut news = Box::pin(stock.watch(vec![shard(1), shard(3)], stopper).unwrap());
    bench.ledger.swap_for_empty();
    let mut told =
        vec![next_but(&mut news, None).await.unwrap(), next_but(&mut news, None).await.unwrap()];
    told.sort_unstable_by_key(|(shard, _)| *shard);
    assert_eq!(told, [(shard(1), Left::NotOpen), (shard(3), Left::NotOpen)]);
    assert_eq!(bench.loads(), [(shard(1), Why::Fenced(epoch(1)))]);
}

#[tokio::test]
async fn a_shard_is_open_only_where_ledger_and_catalog_agree() {
    let bench = Bench::open(9).await;
    let stock = StockWatch::new(bench.inventory.clone());
    let look = async || {
        stock.0.look(&[shard(1)]).await;
        stock.0.rounds.borrow().left[&shard(1)]
    };
    assert_eq!(look().await, open(1, 9).1);
    bench.show(Phase::Loading, 2);
    assert_eq!(look().await, Left::NotOpen);
    assert_eq!(bench.loads(), [], "a load is under way");
    bench.show(Phase::Open, 2);
    assert_eq!(look().await, Left::NotOpen);
    assert_eq!(bench.loads(), [(shard(1), Why::StaleEpoch(epoch(2)))]);
    load(&*bench.ledger, shard(1), epoch(2), 9, bench.clock.wall_ms()).await;
    assert!(matches!(look().await, Left::Open { .. }));
    bench.ledger.close(shard(1), epoch(3)).await.unwrap();
    assert_eq!(look().await, Left::NotOpen);
    bench.loads();
    bench.shift.jump(LEASE / 2);
    stock.0.look(&[shard(1)]).await;
    assert_eq!(stock.0.rounds.borrow().left.get(&shard(1)), None, "nobody can tell");
    assert_eq!(bench.loads(), [], "a lapsed lease says nothing about the ledger");
}

#[tokio::test]
async fn an_epoch_that_was_loaded_during_the_look_is_not_reported() {
    let bench = Bench::fenced_while(|bench| bench.show(Phase::Open, 2)).await;
    let stock = StockWatch::new(bench.inventory.clone());
    let look = async || {
        stock.0.look(&[shard(1)]).await;
        stock.0.rounds.borrow().left[&shard(1)]
    };
    assert_eq!(look().await, Left::NotOpen);
    assert_eq!(bench.loads(), [], "the ledger was asked before epoch 2 was there");
    assert_eq!(look().await, Left::NotOpen);
    assert_eq!(bench.loads(), [(shard(1), Why::Fenced(epoch(2)))]);
}

#[tokio::test]
async fn a_ledger_that_cannot_be_asked_is_no_news() {
    for error in [Error::Unknown, Error::Unreachable] {
        let bench = Bench::failing(error).await;
        let stock = StockWatch::new(bench.inventory.clone());
        let look = async || {
            stock.0.look(&[shard(1)]).await;
            stock.0.rounds.borrow().left.get(&shard(1)).copied()
        };
        assert_eq!(look().await, None, "{error}");
        assert_eq!(bench.loads(), []);
        // The catalog's word needs no ledger.
        bench.show(Phase::Loading, 2);
        assert_eq!(look().await, Some(Left::NotOpen), "{error}");
    }
}

#[tokio::test]
async fn a_shard_is_told_of_again_once_it_can_be() {
    let Polled { bench, stock, stopper, _owner } = polled().await;
    let mut news = Box::pin(stock.watch(vec![shard(1)], stopper).unwrap());
    assert_eq!(next_but(&mut news, None).await, Some(open(1, 9)));
    bench.shift.jump(LEASE);
    let silent = async {
        // What was looked at before the jump may still be told.
        while tokio::time::timeout(4 * POLL_INTERVAL, news.next()).await.is_ok() {}
    };
    tokio::time::timeout(Duration::from_secs(10), silent).await.expect("it falls silent");
    bench.show(Phase::Open, 1);
    assert_eq!(next_but(&mut news, None).await, Some(open(1, 9)));
}

#[tokio::test]
async fn a_stop_ends_streams_and_poller() {
    let Polled { stock, stopper, _owner, .. } = polled().await;
    let mut news = Box::pin(stock.watch(vec![shard(1)], stopper.clone()).unwrap());
    assert_eq!(next_but(&mut news, None).await, Some(open(1, 9)));
    stopper.stop();
    assert_eq!(next_but(&mut news, Some(open(1, 9))).await, None);
    assert_eq!(_owner.drain(Duration::from_secs(10)).await.left, 0);
}

#[tokio::test]
async fn who_leaves_is_watched_for_no_more() {
    let bench = Bench::open(9).await;
    let stock = StockWatch::new(bench.inventory.clone());
    let stopper = Stopper::new();
    let first = stock.watch(vec![shard(1), shard(2)], stopper.clone()).unwrap();
    let second = stock.watch(vec![shard(2)], stopper).unwrap();
    assert_eq!(stock.0.watched_shards(), [shard(1), shard(2)]);
    drop(first);
    assert_eq!(stock.0.watched_shards(), [shard(2)]);
    drop(second);
    assert_eq!(stock.0.watched_shards(), []);
    assert_eq!(stock.0.watched().streams, 0);
}

#[tokio::test]
async fn streams_are_bounded() {
    let bench = Bench::open(9).await;
    let stock = StockWatch::new(bench.inventory.clone());
    let watch = || stock.watch(vec![shard(1)], Stopper::new());
    let mut streams: Vec<_> = (0..STREAMS_MAX).map(|_| watch().unwrap()).collect();
    assert!(watch().is_err());
    streams.pop();
    assert!(watch().is_ok());
}
