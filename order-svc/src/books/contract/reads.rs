//! Promises about what is read from the books.

use super::*;

pub(super) async fn what_is_not_there_is_none(fixture: Fixture) {
    let books = &fixture.books;
    books.ping().await.unwrap();
    assert_eq!(books.order(order(shard(1), 1)).await.unwrap(), None);
    assert_eq!(books.guard(shard(1)).await.unwrap(), None);
    assert_eq!(books.count(shard(1)).await.unwrap(), None);
    assert_eq!(books.orders_of(user(1), None, 9).await.unwrap(), []);
    let found = books.find(&[order(shard(1), 1)]).await.unwrap();
    assert!(found.orders.is_empty() && found.shards.is_empty());
    let snapshot = books.snapshot(shard(1), epoch(7)).await.unwrap();
    assert!(matches!(snapshot, Snapshot::UnknownShard));
}

pub(super) async fn the_highest_number_is_that_of_a_row_or_of_an_order(fixture: Fixture) {
    let highest = async || fixture.books.highest_shard().await.unwrap();
    assert_eq!(highest().await, 0);
    fixture.open(shard(7), 9, 9).await;
    fixture.open(shard(300), 9, 9).await;
    fixture.open(shard(8), 9, 9).await;
    assert_eq!(highest().await, 300, "a shard that sold nothing counts");
    fixture.apply(vec![holds(shard(300), 7, [(1, 1, 1)]), holds(shard(8), 7, [(2, 2, 1)])]).await;
    assert_eq!(highest().await, 300);
    assert_eq!(fixture.others.highest_shard().await.unwrap(), 300);
}

pub(super) async fn positions_are_shown_all_at_once(fixture: Fixture) {
    assert_eq!(fixture.books.positions().await.unwrap(), []);
    fixture.open(shard(1), 9, 9).await;
    let there = fixture.books.position(5).await.unwrap();
    let mut shown = fixture.others.positions().await.unwrap();
    shown.sort_by_key(|(partition, _)| *partition);
    let here = fixture.books.position(PARTITION).await.unwrap();
    assert_eq!(shown, [(PARTITION, here.clone()), (5, there.clone())]);
    fixture.by_hand(super::KEEP_A_COPY).await;
    fixture.apply(vec![holds(shard(1), 7, [(1, 1, 1)])]).await;
    assert!(!fixture.others.positions().await.unwrap().contains(&(PARTITION, here.clone())));
    fixture.by_hand(super::PUT_BACK).await;
    assert!(fixture.others.positions().await.unwrap().contains(&(PARTITION, here)));
}

pub(super) async fn ids_are_found_with_their_shard(fixture: Fixture) {
    fixture.open(shard(1), 9, 9).await;
    fixture.apply(vec![holds(shard(1), 7, [(1, 1, 1), (2, 2, 1)])]).await;
    let ids = [order(shard(1), 2), order(shard(1), 3), order(shard(2), 1)];
    let found = fixture.books.find(&ids).await.unwrap();
    let known: Vec<_> = found.orders.iter().map(|order| order.id).collect();
    assert_eq!(known, [ids[0]]);
    let [known] = found.shards.as_slice() else { panic!("one shard is known: {found:?}") };
    assert_eq!((known.guard.shard, known.generation), (shard(1), 2));
    assert_eq!(known.guard.open_epoch, Some(epoch(7)));
}

pub(super) async fn pages_of_a_user_begin_with_the_newest_and_miss_nothing(fixture: Fixture) {
    // Two shards of one item, and one of another.
    fixture.open(shard(1), 99, 99).await;
    fixture.open(shard(2), 99, 99).await;
    fixture.open_item(shard(3), ItemId::from_bytes([3; 16]), 99, 99).await;
    // Three moments, several orders in each, and others' orders between them.
    for (n, now_ms) in [(0, NOW_MS), (1, NOW_MS + 10), (2, NOW_MS + 20)] {
        let position = fixture.books.position(PARTITION).await.unwrap();
        let all = |shard_no| (0..8).map(move |m| (n * 10 + m, m % (1 + shard_no), 1));
        let of_shard = |shard_no| holds(shard(shard_no), 7, all(shard_no));
        let batch = entries(position.next_offset, [1, 2, 3].map(of_shard).into());
        committed(fixture.books.apply(PARTITION, &position, &batch, now_ms).await.unwrap());
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = fixture.books.orders_of(user(1), after, 5).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(PageEnd { placed_at_ms: last.placed_at_ms, order: last.id });
        seen.extend(page.into_iter().map(|order| (order.placed_at_ms, order.id, order.user)));
    }
    assert_eq!(seen.len(), 3 * (4 + 3 + 2));
    assert!(seen.iter().all(|(_, _, theirs)| *theirs == user(1)));
    assert!(seen.is_sorted_by(|a, b| (a.0, a.1) > (b.0, b.1)), "the newest first, each once");
}

pub(super) async fn an_order_of_an_item_without_a_shard_is_listed_too(fixture: Fixture) {
    fixture.open(shard(1), 9, 9).await;
    let stranger = ItemId::from_bytes([9; 16]);
    let mut refused = holds(shard(1), 7, [(2, 1, 1), (3, 2, 1)]);
    if let Some((_, Command::HoldsPlaced { item, .. })) = &mut refused {
        *item = Some(stranger);
    }
    fixture.apply(vec![holds(shard(1), 7, [(1, 1, 1)]), refused]).await;
    let ours = fixture.books.guard(shard(1)).await.unwrap().unwrap().guard.item;
    let theirs = fixture.books.orders_of(user(1), None, 9).await.unwrap();
    let theirs: Vec<_> = theirs.iter().map(|row| (row.id, row.item, row.state)).collect();
    let refused = (order(shard(1), 2), stranger, OrderState::Rejected);
    assert_eq!(theirs, [refused, (order(shard(1), 1), ours, OrderState::Placed)]);
}

pub(super) async fn a_snapshot_shows_one_moment_of_the_open_epoch(fixture: Fixture) {
    fixture.open(shard(1), 5_000, 9).await;
    // Others' rows on both sides of the shard's.
    fixture.open(shard(2), 9, 9).await;
    fixture.apply(vec![holds(shard(2), 7, [(1, 1, 1)])]).await;
    for from in (0..5_000).step_by(1000) {
        fixture.apply(vec![holds(shard(1), 7, (from..from + 1000).map(|id| (id, id, 1)))]).await;
    }
    fixture.apply(vec![holds(shard(1), 7, [(5_000, 1, 1)])]).await;

    let other = fixture.books.snapshot(shard(1), epoch(8)).await.unwrap();
    assert!(matches!(other, Snapshot::OtherEpoch(Some(open)) if open == epoch(7)));
    let snapshot = fixture.books.snapshot(shard(1), epoch(7)).await.unwrap();
    let Snapshot::Open { guarded, movement_watermark, orders, pages } = snapshot else {
        panic!("7 is open")
    };
    // What comes after its first read doesn't show.
    let change = Command::EpochChanged { from: Some(epoch(7)), to: epoch(9) };
    fixture.apply(vec![Some((shard(1), change)), holds(shard(1), 9, [(6_000, 2, 1)])]).await;

    let pages: Vec<_> = pages.try_collect().await.unwrap();
    let lengths: Vec<_> = pages.iter().map(Vec::len).collect();
    assert_eq!(lengths, [4_096, 905]);
    let rows = pages.concat();
    let ids: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
    assert_eq!((orders, ids.len()), (5_001, 5_001));
    assert!(ids.iter().all(|id| id.shard() == shard(1)));
    let live = rows.iter().filter(|row| row.state.is_live()).map(|row| u64::from(row.quantity));
    assert_eq!((guarded.guard.sold, live.sum()), (5_000, 5_000));
    assert_eq!((movement_watermark, guarded.generation), (0, 9));
    let later = fixture.books.snapshot(shard(1), epoch(7)).await.unwrap();
    assert!(matches!(later, Snapshot::OtherEpoch(Some(open)) if open == epoch(9)));
}

pub(super) async fn rows_are_counted_by_state_and_user(fixture: Fixture) {
    fixture.open(shard(1), 5, 3).await;
    fixture.apply(vec![holds(shard(1), 7, [(1, 1, 2), (2, 1, 1), (3, 2, 2), (4, 3, 1)])]).await;
    let count = fixture.books.count(shard(1)).await.unwrap().unwrap();
    assert_eq!((count.live_orders, count.live_units, count.rejected_orders), (3, 5, 1));
    assert_eq!((count.user_units_max, count.guard.limit_per_user), (3, 3));
    assert_eq!((count.duplicate_orders, count.dead_letters, count.movement_watermark), (0, 0, 0));
    let again = fixture.books.count(shard(1)).await.unwrap();
    assert_eq!(again, Some(count), "and as often as one likes");
}

pub(super) async fn shards_are_listed_by_number_and_what_rows_say_is_told(fixture: Fixture) {
    for number in [5, 2, 9] {
        fixture.open(shard(number), 5, 3).await;
    }
    fixture.apply(vec![holds(shard(2), 7, [(1, 1, 2), (2, 2, 1)])]).await;
    let numbers = async |after, len_max| {
        let guards = fixture.books.guards_after(after, len_max).await.unwrap();
        guards.iter().map(|guard| guard.shard.get()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(None, 2).await, [2, 5]);
    assert_eq!(numbers(Some(shard(5)), 2).await, [9]);
    assert_eq!(fixture.books.orders_without_shard().await.unwrap(), 0);

    let terms = fixture.books.count(shard(2)).await.unwrap().unwrap().terms;
    assert_eq!((terms.foreign_orders, terms.quantity_max), (0, Some(2)));
    assert!(terms.unit_prices.is_some_and(|(least, highest)| least == highest));
    let unsold = fixture.books.count(shard(5)).await.unwrap().unwrap().terms;
    assert_eq!((unsold.unit_prices, unsold.quantity_max), (None, None));
}
