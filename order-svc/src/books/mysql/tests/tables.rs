//! The tables' own constraints, what is too long for a column, and damage.

use super::*;

#[tokio::test]
async fn positions_are_kept_for_each_journal() {
    for place in Place::each().await {
        place.open_shard(9, 1).await;
        assert_eq!(place.books.position(PARTITION).await.unwrap().next_offset, 2);
        let store = open(&place.url, &patient()).await;
        let other = MySqlBooks::new(store, None, "another-journal", PausePoints::default());
        assert_eq!(other.position(PARTITION).await.unwrap().next_offset, 0);
        assert_eq!(place.books.guard(shard(1)).await.unwrap().unwrap().generation, 1);
        assert_eq!(other.guard(shard(1)).await.unwrap().unwrap().generation, 0);
    }
}

#[tokio::test]
async fn a_change_of_tables_that_was_done_and_not_noted_is_done_again() {
    for place in Place::each().await {
        for forget in [
            "UPDATE _sqlx_migrations SET success = FALSE WHERE version = 2",
            "UPDATE _sqlx_migrations SET success = FALSE WHERE version = 3",
        ] {
            assert_eq!(place.by_hand(forget).await.unwrap(), 1);
            store::migrate(&place.books.store.writer, &MIGRATIONS).await.unwrap();
            store::check(&place.books.store.writer, &MIGRATIONS).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_table_itself_refuses_to_oversell() {
    for place in Place::each().await {
        place.open_shard(9, 1).await;
        let refused = place.by_hand("UPDATE shard SET sold = total + 1").await.unwrap_err();
        assert!(refused.to_string().contains("shard_sold_within_total"), "{refused}");
    }
}

#[tokio::test]
async fn the_table_itself_gives_a_user_one_slot_of_a_single_unit_item() {
    for place in Place::each().await {
        place.open_shard(9, 1).await;
        place.apply(&entries(2, vec![holds(shard(1), 7, [(1, 1, 1)])])).await;
        let refused = place.by_hand(
            "INSERT INTO orders SELECT REPEAT(x'01', 16), user_id, sale_id, item_id, shard_no, \
             quantity, unit_price, currency, state, held_at_ms, placed_at_ms, pay_by_ms, \
             live_slot, refusal FROM orders",
        );
        let error = refused.await.unwrap_err();
        assert_eq!(store::trouble(&error), store::Trouble::Duplicate, "{error}");
    }
}

#[tokio::test]
async fn a_damaged_row_costs_its_own_orders_and_blocks_nobody() {
    for place in Place::each().await {
        place.open_shard(9, 1).await;
        place.apply(&entries(2, vec![holds(shard(1), 7, [(1, 1, 1), (2, 2, 1)])])).await;
        // Both are cancelled by a hand that forgot their slots.
        place.by_hand("UPDATE orders SET state = 3").await.unwrap();
        let all = [(3, 1, 1), (4, 3, 1), (5, 2, 1), (6, 4, 1)];
        let outcome = place.apply(&entries(3, vec![holds(shard(1), 7, all)])).await;
        let refused: Vec<_> = outcome.alarms.iter().map(|a| (a.order, a.refusal)).collect();
        let [first, second] = [3, 5].map(|id| (order(shard(1), id), crate::Refusal::Key));
        assert_eq!(refused, [first, second]);
        let state = async |id| place.books.order(order(shard(1), id)).await.unwrap().unwrap().state;
        assert_eq!(state(3).await, OrderState::Rejected);
        assert_eq!(state(4).await, OrderState::Placed);
        assert_eq!(state(6).await, OrderState::Placed);
        assert_eq!(place.sold().await, 4);
    }
}

/// A row that doesn't fit would be refused for ever, and with it its partition.
#[tokio::test]
async fn whatever_a_record_may_say_fits() {
    const LAST_MS: u64 = 253_402_300_799_999;
    for place in Place::each().await {
        let mut item = opened(u32::MAX, u32::MAX);
        if let journal::Command::ItemOpened(item) = &mut item {
            (item.unit_price, item.pay_within_s) = (i64::MAX, u32::MAX);
        }
        let change = journal::Command::EpochChanged { from: None, to: epoch(i64::MAX) };
        let last = shard(u32::MAX);
        let mut sold = holds(last, i64::MAX, [(1, 1, u32::MAX), (2, 2, u32::MAX)]);
        if let Some((_, journal::Command::HoldsPlaced { holds, .. })) = &mut sold {
            holds.iter_mut().for_each(|hold| hold.unit_price = i64::MAX);
            holds[0].taken_at_ms = LAST_MS;
        }
        let mut log = entries(0, vec![Some((last, item)), Some((last, change)), sold, None]);
        log[3].decoded = Err("x".repeat(200_000));
        log[3].bytes = vec![0xff; 1_000_000].into();
        let outcome = place.apply(&log).await;
        let states: Vec<_> = outcome.orders.iter().map(|order| order.state).collect();
        assert_eq!(states, [OrderState::Placed, OrderState::Rejected]);
        for written in outcome.orders {
            assert_eq!(place.books.order(written.id).await.unwrap(), Some(written));
        }
        let count = place.books.count(last).await.unwrap().unwrap();
        assert_eq!((count.live_units, count.dead_letters), (u64::from(u32::MAX), 1));
    }
}

#[tokio::test]
async fn a_unit_damaged_by_hand_shows_in_the_count() {
    for place in Place::each().await {
        place.open_shard(9, 1).await;
        place.apply(&entries(2, vec![holds(shard(1), 7, [(1, 1, 1), (2, 2, 1)])])).await;
        let sql = "UPDATE orders SET quantity = 2 WHERE user_id < x'00000002'";
        place.by_hand(sql).await.unwrap();
        let count = place.books.count(shard(1)).await.unwrap().unwrap();
        assert_eq!((count.live_units, count.guard.sold, count.user_units_max), (3, 2, 2));
        place.by_hand("DELETE FROM orders WHERE quantity = 2").await.unwrap();
        assert_eq!(place.books.count(shard(1)).await.unwrap().unwrap().live_units, 1);
        assert_eq!(place.books.orders_of(user(1), None, 9).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_back_is_damage() {
    for place in Place::each().await {
        place.open_shard(9, 1).await;
        place.by_hand("UPDATE shard SET limit_per_user = -1").await.unwrap();
        assert!(matches!(place.books.guard(shard(1)).await, Err(Error::Damaged(_))));
    }
}
