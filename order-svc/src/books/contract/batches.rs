//! Promises about [`Books::apply`](crate::books::Books::apply): one transaction, one writer, once.

use super::*;
use crate::Refusal;

pub(super) async fn a_batch_is_in_the_books_with_its_position(fixture: Fixture) {
    let start = fixture.books.position(PARTITION).await.unwrap();
    assert_eq!(start, Position { next_offset: 0, generation: 0, last_digest: None });
    fixture.open(shard(1), 3, 2).await;
    let outcome = fixture.apply(vec![holds(shard(1), 7, [(1, 1, 2), (2, 2, 2), (3, 3, 1)])]).await;
    let states: Vec<_> = outcome.orders.iter().map(|order| order.state).collect();
    assert_eq!(states, [OrderState::Placed, OrderState::Rejected, OrderState::Placed]);

    let position = fixture.books.position(PARTITION).await.unwrap();
    assert_eq!((position.next_offset, position.generation), (3, 2));
    assert_eq!(position.last_digest.map(|digest| digest[7]), Some(2));
    for written in &outcome.orders {
        let row = fixture.books.order(written.id).await.unwrap();
        assert_eq!(row.as_ref(), Some(written));
    }
    let guarded = fixture.books.guard(shard(1)).await.unwrap().unwrap();
    assert_eq!((guarded.guard.sold, guarded.generation), (3, 2));
    assert_eq!(guarded.guard.open_epoch, Some(epoch(7)));
}

pub(super) async fn what_was_committed_is_seen_by_the_next_batch(fixture: Fixture) {
    fixture.open(shard(1), 9, 2).await;
    fixture.apply(vec![holds(shard(1), 7, [(1, 1, 1)])]).await;
    let outcome = fixture.apply(vec![holds(shard(1), 7, [(1, 1, 1), (2, 1, 2), (3, 1, 1)])]).await;
    let decisions = outcome.settles.values().flatten();
    let states: Vec<_> = decisions.map(|decision| decision.state).collect();
    assert_eq!(states, [OrderState::Placed, OrderState::Rejected, OrderState::Placed]);
    assert_eq!(outcome.orders.len(), 2, "the first is a duplicate");
}

/// No key knows of a limit above 1.
pub(super) async fn units_from_before_count_in_a_batch_that_is_all_new(fixture: Fixture) {
    fixture.open(shard(1), 9, 2).await;
    fixture.apply(vec![holds(shard(1), 7, [(1, 1, 1)])]).await;
    let outcome = fixture.apply(vec![holds(shard(1), 7, [(2, 1, 2), (3, 1, 1), (4, 2, 2)])]).await;
    let states: Vec<_> = outcome.orders.iter().map(|order| order.state).collect();
    assert_eq!(states, [OrderState::Rejected, OrderState::Placed, OrderState::Placed]);
    let refused: Vec<_> = outcome.alarms.iter().map(|a| (a.order, a.refusal)).collect();
    assert_eq!(refused, [(order(shard(1), 2), Refusal::OverLimit)]);
}

pub(super) async fn a_batch_that_is_not_all_new_is_decided_by_what_is_there(fixture: Fixture) {
    fixture.open(shard(1), 9, 1).await;
    fixture.apply(vec![holds(shard(1), 7, [(1, 1, 1)])]).await;
    let one_known = |known| holds(shard(1), 7, [(2, 2, 1), known, (4, 4, 1)]);
    // Another order of a user who has one, which only the key of users' slots knows.
    let outcome = fixture.apply(vec![one_known((3, 1, 1))]).await;
    let refused: Vec<_> = outcome.alarms.iter().map(|a| (a.order, a.refusal)).collect();
    assert_eq!(refused, [(order(shard(1), 3), Refusal::OverLimit)]);
    assert_eq!(outcome.orders.len(), 3);
    // The same again, with one that is new: only that one is written.
    let again = [one_known((3, 1, 1)), holds(shard(1), 7, [(5, 5, 1)])];
    let outcome = fixture.apply(again.to_vec()).await;
    let written: Vec<_> = outcome.orders.iter().map(|order| order.id).collect();
    assert_eq!(written, [order(shard(1), 5)]);
    assert_eq!(outcome.settles.values().flatten().count(), 4, "duplicates are settled too");
    let count = fixture.books.count(shard(1)).await.unwrap().unwrap();
    assert_eq!((count.live_orders, count.rejected_orders, count.guard.sold), (4, 1, 4));
}

pub(super) async fn a_hold_that_contradicts_its_guard_row_is_kept_with_the_reason(
    fixture: Fixture,
) {
    fixture.open(shard(1), 9, 2).await;
    let guard = fixture.books.guard(shard(1)).await.unwrap().unwrap().guard;
    assert_eq!(guard.unit_price, Some(990));
    let other = |id, item, price| {
        let mut record = holds(shard(1), 7, [(id, id, 1)]);
        if let Some((_, Command::HoldsPlaced { item: of, holds, .. })) = &mut record {
            (*of, holds[0].unit_price) = (item, price);
        }
        record
    };
    let stranger = Some(ItemId::from_bytes([9; 16]));
    let batch = vec![
        other(1, None, 0),
        other(2, stranger, 990),
        holds(shard(1), 7, [(3, 3, 3)]),
        other(4, Some(guard.item), 990),
    ];
    fixture.apply(batch).await;
    let row = async |id| fixture.books.order(order(shard(1), id)).await.unwrap().unwrap();
    let refused = [Refusal::OtherPrice, Refusal::OtherItem, Refusal::OverLimit];
    for (id, refusal) in (1..).zip(refused) {
        let row = row(id).await;
        assert_eq!((row.state, row.refusal), (OrderState::Rejected, Some(refusal)));
    }
    assert_eq!((row(4).await.state, row(4).await.refusal), (OrderState::Placed, None));
    let count = fixture.books.count(shard(1)).await.unwrap().unwrap();
    assert_eq!((count.live_units, count.rejected_orders, count.guard.sold), (1, 3, 1));
}

pub(super) async fn large_batches_are_written_whole(fixture: Fixture) {
    fixture.open(shard(1), 5_000, 1).await;
    let record = |from: u32| holds(shard(1), 7, (from..from + 1000).map(|id| (id, id, 1)));
    let outcome = fixture.apply((0..3).map(|n| record(n * 1000)).collect()).await;
    assert_eq!(outcome.orders.len(), 3_000);
    let again = fixture.apply((0..3).map(|n| record(n * 1000)).collect()).await;
    assert_eq!((again.orders.len(), again.alarms.len()), (0, 0));
    let count = fixture.books.count(shard(1)).await.unwrap().unwrap();
    assert_eq!((count.live_orders, count.live_units, count.guard.sold), (3_000, 3_000, 3_000));
    assert_eq!((count.duplicate_orders, count.user_units_max), (0, 1));
}

pub(super) async fn a_batch_for_another_position_changes_nothing(fixture: Fixture) {
    let stale = fixture.books.position(PARTITION).await.unwrap();
    fixture.open(shard(1), 9, 2).await;
    let entries = entries(0, vec![holds(shard(1), 7, [(1, 1, 1)])]);
    let applied = fixture.books.apply(PARTITION, &stale, &entries, NOW_MS).await.unwrap();
    assert_eq!(applied, Applied::PositionMoved);
    assert_eq!(fixture.books.order(order(shard(1), 1)).await.unwrap(), None);
    // A position that was rewound to the same offset is another one: its generation has grown.
    let now = fixture.books.position(PARTITION).await.unwrap();
    let rewound = fixture.books.rewind(PARTITION, &now, 0).await.unwrap().unwrap();
    assert_eq!(rewound, Position { next_offset: 0, generation: 2, last_digest: None });
    let applied = fixture.books.apply(PARTITION, &stale, &entries, NOW_MS).await.unwrap();
    assert_eq!(applied, Applied::PositionMoved);
    assert_eq!(fixture.books.rewind(PARTITION, &now, 0).await.unwrap(), None);
}

/// A log of `records` records after the shard's opening, with one hold each.
fn log(records: u32) -> Vec<Entry> {
    let change = Command::EpochChanged { from: None, to: epoch(7) };
    let mut contents = vec![Some((shard(1), opened(10_000, 9))), Some((shard(1), change))];
    contents.extend((0..records).map(|id| holds(shard(1), 7, [(id, id, 1)])));
    entries(0, contents)
}

pub(super) async fn two_writers_of_one_partition_write_nothing_twice_and_lose_nothing(
    fixture: Fixture,
) {
    let log = log(300);
    let ends = [(&fixture.books, 3), (&fixture.others, 5)];
    let mut rounds = 0;
    loop {
        // Both look before either writes, so they meet in every round.
        let looks = ends.map(|(books, _)| books.position(PARTITION));
        let positions = futures::future::try_join_all(looks).await.unwrap();
        let at = usize::try_from(positions[0].next_offset).unwrap();
        if at == log.len() {
            break;
        }
        let writes = ends.iter().zip(&positions).map(|((books, len), position)| {
            books.apply(PARTITION, position, &log[at..log.len().min(at + len)], NOW_MS)
        });
        let applied = futures::future::try_join_all(writes).await.unwrap();
        let moved = applied.iter().filter(|applied| **applied == Applied::PositionMoved);
        assert_eq!(moved.count(), 1, "one of them was too late");
        rounds += 1;
    }
    assert!(rounds >= 60);
    let count = fixture.books.count(shard(1)).await.unwrap().unwrap();
    assert_eq!((count.live_orders, count.guard.sold, count.rejected_orders), (300, 300, 0));
}

pub(super) async fn a_crash_before_the_commit_leaves_nothing_and_blocks_nobody(fixture: Fixture) {
    fixture.open(shard(1), 9, 9).await;
    let held = fixture.pause.arm("order.before_commit");
    {
        let crashing = fixture.apply(vec![holds(shard(1), 7, [(1, 1, 1)])]);
        tokio::select! {
            _ = crashing => panic!("it is held before its commit"),
            () = held.hit(1) => {}
        }
    }
    assert_eq!(held.count(), 1);
    assert_eq!(fixture.others.order(order(shard(1), 1)).await.unwrap(), None);
    let position = fixture.others.position(PARTITION).await.unwrap();
    assert_eq!(position.next_offset, 2);
    let entries = entries(2, vec![holds(shard(1), 7, [(1, 1, 1)])]);
    let applied = fixture.others.apply(PARTITION, &position, &entries, NOW_MS).await.unwrap();
    assert_eq!(committed(applied).1.orders.len(), 1);
}

pub(super) async fn a_batch_dropped_anywhere_is_done_whole_or_not_at_all(fixture: Fixture) {
    fixture.open(shard(1), 1_000, 9).await;
    for n in 0..60_u32 {
        let before = fixture.books.position(PARTITION).await.unwrap();
        let id = |m| n * 10 + m;
        let record = holds(shard(1), 7, (0..5).map(|m| (id(m), n, 1)));
        let mut applying = fixture.apply(vec![record]).boxed();
        // Each round gets one poll more before it is dropped.
        for _ in 0..n {
            if futures::poll!(&mut applying).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(applying);
        // A commit may still be on its way. Whoever wants to move the position, even from where it
        // never was, waits until it has come to its end.
        let never = Position { generation: 1 << 40, ..before.clone() };
        assert_eq!(fixture.others.rewind(PARTITION, &never, 0).await.unwrap(), None);
        let after = fixture.others.position(PARTITION).await.unwrap();
        let rows = futures::future::join_all((0..5).map(|m| {
            fixture.others.order(order(shard(1), id(m))).map(|row| row.unwrap().is_some())
        }));
        let is_moved = after.next_offset > before.next_offset;
        assert_eq!(rows.await, [is_moved; 5], "round {n}");
    }
    let count = fixture.books.count(shard(1)).await.unwrap().unwrap();
    assert_eq!(count.live_units, count.guard.sold);
}

pub(super) async fn dead_letters_are_kept_once_and_block_nobody(fixture: Fixture) {
    fixture.open(shard(1), 9, 9).await;
    let batch = vec![None, holds(shard(1), 7, [(1, 1, 1)]), None];
    let outcome = fixture.apply(batch.clone()).await;
    assert_eq!((outcome.dead_letters.len(), outcome.orders.len()), (2, 1));
    let position = fixture.books.position(PARTITION).await.unwrap();
    let rewound = fixture.books.rewind(PARTITION, &position, 2).await.unwrap();
    assert!(rewound.is_some());
    fixture.apply(batch).await;
    assert_eq!(fixture.books.count(shard(1)).await.unwrap().unwrap().dead_letters, 2);
}

pub(super) async fn partitions_do_not_stand_in_each_others_way(fixture: Fixture) {
    fixture.open(shard(1), 9, 9).await;
    let there = fixture.books.position(5).await.unwrap();
    assert_eq!(there.next_offset, 0);
    let change = Command::EpochChanged { from: None, to: epoch(8) };
    let log = entries(0, vec![Some((shard(2), opened(3, 3))), Some((shard(2), change))]);
    committed(fixture.books.apply(5, &there, &log, NOW_MS).await.unwrap());
    assert_eq!(fixture.books.position(PARTITION).await.unwrap().next_offset, 2);
    assert_eq!(fixture.books.guard(shard(2)).await.unwrap().unwrap().guard.partition, 5);
}
