//! Shards open by themselves, and open again whatever was lost.

use std::time::Duration;

use ids::{Epoch, ShardNo};
use journal::Command;
use proto::inventory::v1::{Decision, NewItem, SettleRequest, SettledState, ShardPhase};

use crate::{
    books::order,
    house::{House, PARTITIONS, eventually, sale},
};

#[tokio::test]
async fn a_sale_opens_from_the_journal_alone() {
    let house = House::open().await;
    let (shard, epoch) = house.open_shard().await;
    let books = house.books.shard(shard.get()).unwrap();
    assert_eq!(books.open.map(Epoch::get), Some(epoch), "the log elected it");
    assert_eq!(house.hold(shard, &[1, 2]).await.left, 8);
}

#[tokio::test]
async fn a_sale_opens_though_the_log_loses_each_command_once() {
    let house = House::open().await;
    let is = |wanted: fn(&Command) -> bool| move |record: &journal::Record| wanted(&record.command);
    house.broker.lose_next(is(|command| matches!(command, Command::ItemOpened(_))));
    house.broker.lose_next(is(|command| matches!(command, Command::EpochChanged { .. })));
    let (shard, _) = house.open_shard().await;
    assert_eq!(house.broker.losses().happened(), 2);
    assert_eq!(house.hold(shard, &[1]).await.left, 9);
}

#[tokio::test]
async fn nothing_opens_before_its_warm_up_or_without_a_window() {
    let house = House::open().await;
    let draft = house.create("draft").await;
    let (open, _) = house.open_shard().await;
    let draft = ids::ShardNo::new(draft.items[0].shards[0].shard_no).unwrap();
    assert_eq!(house.phase(open).await, ShardPhase::Open);
    assert_eq!(house.phase(draft).await, ShardPhase::New);
    assert!(house.books.shard(draft.get()).is_none());
}

#[tokio::test]
async fn a_lost_keeper_is_noticed_and_loaded_again_without_any_buyer() {
    let house = House::open().await;
    let (shard, before) = house.open_shard().await;
    // One became an order, one was never recorded: the books have one, and so has the new epoch.
    house.hold(shard, &[1]).await;
    crate::rolling::record(&house, shard, before, &[1]).await;
    house.hold(shard, &[2]).await;

    house.ledger.swap_for_empty();
    house.loaded_after(shard, before).await;
    let count = house.count(shard).await;
    assert_eq!((count.stock, count.placed_orders, count.open_holds), (9, 1, 0));
}

/// The books refuse the order of this user, which shows that the ledger is wrong.
async fn refuse(house: &House, shard: ShardNo, epoch: i64, user: u8) {
    let refused = Decision {
        order_id: order(shard, user).0.as_bytes().to_vec().into(),
        state: SettledState::Rejected.into(),
    };
    let (shard_no, decisions) = (shard.get(), vec![refused]);
    let settle = SettleRequest { shard_no, epoch, generation: 1_000, decisions };
    house.inventory().settle(settle).await.unwrap();
}

#[tokio::test]
async fn holds_that_the_ledger_still_knows_outlive_a_load() {
    holds_outlive_a_load(&House::open().await).await;
}

pub(crate) async fn holds_outlive_a_load(house: &House) {
    let (shard, before) = house.open_shard().await;
    // Nobody has recorded them, and the roll-forward doesn't touch them before 5 s.
    house.hold(shard, &[1, 2, 3]).await;
    refuse(house, shard, before, 1).await;
    house.loaded_after(shard, before).await;
    let books = house.books.shard(shard.get()).unwrap();
    let orders: Vec<_> = books.orders.into_keys().collect();
    assert_eq!(orders, [order(shard, 2).0, order(shard, 3).0]);
    let count = house.count(shard).await;
    assert_eq!((count.stock, count.placed_orders, count.open_holds), (8, 2, 0));
}

#[tokio::test]
async fn a_load_publishes_no_hold_where_the_journal_has_no_room() {
    let house = House::open().await;
    let (shard, before) = house.open_shard().await;
    house.hold(shard, &[1, 2]).await;
    crate::rolling::fill(&house, shard).await;
    let partition = shard.get() % PARTITIONS;
    let unread = house.broker.unread(partition).records;

    refuse(&house, shard, before, 1).await;
    let is_loading = async || house.phase(shard).await == ShardPhase::Loading;
    eventually("the loading begins", is_loading).await;
    // The epoch that ends, and then before each time that its holds are to be published.
    let asked = house.books.shards_asked();
    eventually("it tries", async || house.books.shards_asked() > asked + 3).await;
    assert_eq!(house.broker.unread(partition).records, unread);
    house.books.set_committing(partition, true);
    house.loaded_after(shard, before).await;
    let count = house.count(shard).await;
    assert_eq!((count.stock, count.placed_orders, count.open_holds), (9, 1, 0));
}

#[tokio::test]
async fn a_shard_that_is_open_in_another_epoch_than_the_books_is_loaded() {
    let house = House::open().await;
    let (shard, before) = house.open_shard().await;
    house.books.set_open(shard.get(), Some(Epoch::new(77).unwrap()));
    house.loaded_after(shard, before).await;
}

#[tokio::test]
async fn a_shard_whose_books_have_gone_back_is_loaded_though_nobody_settles() {
    let house = House::open().await;
    let (shard, before) = house.open_shard().await;
    house.hold(shard, &[1]).await;
    crate::rolling::record(&house, shard, before, &[1]).await;
    // What the ledger was told is what tells, whoever has told it.
    let decision = Decision {
        order_id: order(shard, 1).0.as_bytes().to_vec().into(),
        state: SettledState::Placed.into(),
    };
    let generation = house.books.shard(shard.get()).unwrap().generation;
    let decisions = vec![decision];
    let settle = SettleRequest { shard_no: shard.get(), epoch: before, generation, decisions };
    house.inventory().settle(settle).await.unwrap();
    house.books.set_generation(shard.get(), generation - 1);
    house.loaded_after(shard, before).await;
}

#[tokio::test]
async fn a_shard_that_the_books_are_silent_about_hides_no_other() {
    let house = House::open().await;
    let (silent, _) = house.open_shard().await;
    let sale = house.create("another").await;
    let other = house.schedule(&sale).await;
    let before = house.opened(other).await;
    house.books.silence(silent.get());
    house.books.set_open(other.get(), Some(Epoch::new(77).unwrap()));
    house.loaded_after(other, before).await;
}

#[tokio::test]
async fn settles_of_an_older_copy_of_the_books_have_the_shard_loaded() {
    let house = House::open().await;
    let (shard, before) = house.open_shard().await;
    let settle = |generation| SettleRequest {
        shard_no: shard.get(),
        epoch: before,
        generation,
        decisions: vec![Decision {
            order_id: order(shard, 1).0.as_bytes().to_vec().into(),
            state: SettledState::Placed.into(),
        }],
    };
    house.inventory().settle(settle(1_000)).await.unwrap();
    house.inventory().settle(settle(999)).await.unwrap();
    house.loaded_after(shard, before).await;
}

/// A sale with so many items, open since a second ago: the shards.
async fn schedule_many(house: &House, items: u32, lease_ms: u32) -> Vec<ShardNo> {
    let mut request = sale("many");
    let mug = NewItem { lease_ms, ..request.items.remove(0) };
    let mugs = (0..items).map(|number| NewItem { sku: format!("mug {number}"), ..mug.clone() });
    request.items = mugs.collect();
    let sale = house.catalog().create_sale(house.operators(request)).await.unwrap().into_inner();
    let sale = sale.sale.unwrap();
    house.schedule(&sale).await;
    let numbers = sale.items.iter().map(|item| item.shards[0].shard_no);
    numbers.map(|number| ShardNo::new(number).unwrap()).collect()
}

#[tokio::test]
async fn shards_that_can_not_be_opened_are_in_nobodys_way() {
    let house = House::open().await;
    house.books.set_reading(1, false);
    let shards = schedule_many(&house, 20, 400).await;
    let (sick, well): (Vec<_>, Vec<_>) =
        shards.into_iter().partition(|shard| shard.get() % PARTITIONS == 1);
    assert!(sick.len() > house.config.loading.snapshots_max, "more than places");
    for shard in well {
        house.opened(shard).await;
    }
    for shard in &sick {
        assert_eq!(house.phase(*shard).await, ShardPhase::New);
    }
    house.books.set_reading(1, true);
    for shard in sick {
        house.opened(shard).await;
    }
}

#[tokio::test]
async fn shards_that_are_lost_together_are_open_again_after_one_wait() {
    let house = House::open().await;
    // As long as three rounds of four would make it three waits.
    let wait = 2 * Duration::from_millis(1_500);
    let shards = schedule_many(&house, 12, 1_500).await;
    let mut before = Vec::new();
    for shard in &shards {
        before.push((*shard, house.opened(*shard).await));
    }

    let lost_at = house.now_ms();
    house.ledger.swap_for_empty();
    for (shard, before) in before {
        house.loaded_after(shard, before).await;
    }
    let took = Duration::from_millis(house.now_ms() - lost_at);
    assert!(took >= wait, "leases of the old epochs may still have run: {took:?}");
    assert!(took < 2 * wait, "some shards waited for others: {took:?}");
}

#[tokio::test]
async fn a_loader_that_died_is_overtaken() {
    let mut house = House::open().await;
    let (shard, before) = house.open_shard().await;
    house.books.set_down(true);
    house.ledger.swap_for_empty();
    let begun = async || house.phase(shard).await == ShardPhase::Loading;
    eventually("the loading begins", begun).await;
    house.crash();
    house.books.set_down(false);
    house.start().await;
    assert_ne!(house.opened(shard).await, before);
}

#[tokio::test]
async fn an_opening_waits_for_books_that_are_down() {
    let house = House::open().await;
    let sale = house.create("waiting").await;
    house.books.set_down(true);
    let asked = house.books.shards_asked();
    let shard = house.schedule(&sale).await;
    eventually("it is tried", async || house.books.shards_asked() > asked + 3).await;
    assert_eq!(house.phase(shard).await, ShardPhase::New, "no row, no load");
    house.books.set_down(false);
    house.opened(shard).await;
}
