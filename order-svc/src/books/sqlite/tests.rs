//! What only this keeper has: its file, its constraints, and rows that were damaged by hand.

use std::sync::Arc;

use chassis::PausePoints;
use law::OrderState;
use sqlx::Connection as _;
use store::PoolSettings;

use super::*;
use crate::{
    books::contract::{Fixture, entries, epoch, holds, opened, order, shard, user},
    domain::Refusal,
};

const IDENTITY: &str = "a-journal";

fn url(folder: &std::path::Path) -> String {
    format!("sqlite:{}", folder.join("order.db").display())
}

async fn open(folder: &std::path::Path) -> store::sqlite::Sqlite {
    store::sqlite::open(&url(folder), &PoolSettings::default()).await.unwrap()
}

pub(in crate::books) async fn fixture(identity: &str) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store::migrate(&store.writer, &MIGRATIONS).await.unwrap();
    let pause = PausePoints::armed();
    let others = open(folder.path()).await;
    Fixture {
        books: Arc::new(SqliteBooks::new(store, identity, pause.clone())),
        others: Arc::new(SqliteBooks::new(others, identity, PausePoints::default())),
        pause,
        url: url(folder.path()),
        _store: Box::new(folder),
    }
}

/// What somebody does past the books, in several statements.
pub(in crate::books) async fn by_hand(url: &str, sql: &'static str) {
    let mut hand = SqliteConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut hand).await.unwrap();
}

/// Books whose shard 1 sells up to 9 units, one to a user, in epoch 7.
async fn single_unit_books(folder: &std::path::Path) -> SqliteBooks {
    let store = open(folder).await;
    store::migrate(&store.writer, &MIGRATIONS).await.unwrap();
    let books = SqliteBooks::new(store, IDENTITY, PausePoints::default());
    let change = journal::Command::EpochChanged { from: None, to: epoch(7) };
    let log = entries(0, vec![Some((shard(1), opened(9, 1))), Some((shard(1), change))]);
    apply(&books, &log).await;
    books
}

async fn apply(books: &SqliteBooks, batch: &[Entry]) -> crate::fold::Outcome {
    let position = books.position(0).await.unwrap();
    match books.apply(0, &position, batch, 1).await.unwrap() {
        Applied::Committed { outcome, .. } => outcome,
        Applied::PositionMoved => panic!("nobody else writes"),
    }
}

async fn damage(books: &SqliteBooks, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(sql).execute(&books.store.writer).await.map(drop)
}

#[tokio::test]
async fn positions_are_kept_for_each_journal() {
    let folder = tempfile::tempdir().unwrap();
    let books = single_unit_books(folder.path()).await;
    assert_eq!(books.position(0).await.unwrap().next_offset, 2);
    let store = open(folder.path()).await;
    let other = SqliteBooks::new(store, "another-journal", PausePoints::default());
    assert_eq!(other.position(0).await.unwrap().next_offset, 0);
    let [ours, theirs] = [&books, &other].map(|books| books.guard(shard(1)));
    assert_eq!(ours.await.unwrap().unwrap().generation, 1);
    assert_eq!(theirs.await.unwrap().unwrap().generation, 0);
}

/// Rows as the first version wrote them: shard 1 sold two units.
async fn fill_older(store: &store::sqlite::Sqlite) {
    let all = "INSERT INTO journal_position VALUES ('a-journal', 0, 3, 2, NULL); \
         INSERT INTO shard VALUES (1, 0, zeroblob(16), x'02020202020202020202020202020202', 9, 1, \
         'EUR', 900, 2, 7);";
    sqlx::raw_sql(all).execute(&store.writer).await.unwrap();
    for number in [1, 2] {
        let insert = "INSERT INTO orders (order_id, user_id, sale_id, item_id, shard_no, quantity, \
             unit_price, currency, state, held_at_ms, placed_at_ms, pay_by_ms, live_slot) VALUES \
             (?, ?, zeroblob(16), x'02020202020202020202020202020202', 1, 1, \
             5, 'EUR', 1, 1, 2, 3, 1)";
        sqlx::query(insert)
            .bind(order(shard(1), number).as_bytes().as_slice())
            .bind(user(number).as_bytes().as_slice())
            .execute(&store.writer)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn orders_of_an_older_schema_are_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let older = MIGRATIONS.iter().filter(|one| one.version < 3).cloned().collect();
    let store = open(folder.path()).await;
    store::migrate(&store.writer, &Migrator::with_migrations(older)).await.unwrap();
    fill_older(&store).await;

    store::migrate(&store.writer, &MIGRATIONS).await.unwrap();
    let books = SqliteBooks::new(store, IDENTITY, PausePoints::default());
    for number in [1, 2] {
        let theirs = books.orders_of(user(number), None, 9).await.unwrap();
        let [row] = &theirs[..] else { panic!("one order each: {theirs:?}") };
        assert_eq!((row.id, row.unit_price, row.refusal), (order(shard(1), number), 5, None));
    }
    // Its price isn't known, so none is refused.
    assert_eq!(books.guard(shard(1)).await.unwrap().unwrap().guard.unit_price, None);
    let again = [(1, 1, 1), (3, 3, 1)];
    let outcome = apply(&books, &entries(3, vec![holds(shard(1), 7, again)])).await;
    assert_eq!(outcome.orders.len(), 1, "what was known is a duplicate");
    assert_eq!(books.count(shard(1)).await.unwrap().unwrap().live_orders, 3);
}

#[tokio::test]
async fn a_users_orders_are_found_by_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let books = single_unit_books(folder.path()).await;
    let mut plan = sqlx::QueryBuilder::<Sqlite>::new("EXPLAIN QUERY PLAN ");
    plan.push(reads::ITEMS).push(
        "SELECT order_id FROM orders \
         WHERE item_id IN (SELECT item_id FROM items) AND user_id = x'00'",
    );
    let rows = plan.build().fetch_all(&books.store.reader).await.unwrap();
    let steps: Vec<String> = rows.iter().map(|row| sqlx::Row::get(row, 3)).collect();
    let way =
        "SEARCH orders USING COVERING INDEX orders_of_item_and_user (item_id=? AND user_id=?)";
    let plain = way.replace("COVERING ", "");
    assert!(steps.iter().any(|step| *step == way || *step == plain), "{steps:?}");
    // Items too, and no table is read row by row.
    assert!(!steps.iter().any(|step| step.starts_with("SCAN orders")), "{steps:?}");
}

#[tokio::test]
async fn the_file_itself_refuses_to_oversell() {
    let folder = tempfile::tempdir().unwrap();
    let books = single_unit_books(folder.path()).await;
    let refused = damage(&books, "UPDATE shard SET sold = total + 1").await;
    assert!(refused.unwrap_err().to_string().contains("CHECK"));
}

#[tokio::test]
async fn the_file_itself_gives_a_user_one_slot_of_a_single_unit_item() {
    let folder = tempfile::tempdir().unwrap();
    let books = single_unit_books(folder.path()).await;
    apply(&books, &entries(2, vec![holds(shard(1), 7, [(1, 1, 1)])])).await;
    let refused = damage(
        &books,
        "INSERT INTO orders SELECT zeroblob(16), user_id, sale_id, item_id, shard_no, quantity, \
         unit_price, currency, state, held_at_ms, placed_at_ms, pay_by_ms, live_slot, refusal \
         FROM orders",
    );
    let error = refused.await.unwrap_err();
    assert!(matches!(store::trouble(&error), store::Trouble::Duplicate), "{error}");
}

#[tokio::test]
async fn a_damaged_row_costs_its_own_orders_and_blocks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let books = single_unit_books(folder.path()).await;
    apply(&books, &entries(2, vec![holds(shard(1), 7, [(1, 1, 1), (2, 2, 1)])])).await;
    // Both are cancelled by a hand that forgot their slots.
    damage(&books, "UPDATE orders SET state = 3").await.unwrap();
    let all = [(3, 1, 1), (4, 3, 1), (5, 2, 1), (6, 4, 1)];
    let outcome = apply(&books, &entries(3, vec![holds(shard(1), 7, all)])).await;
    let refused: Vec<_> = outcome.alarms.iter().map(|a| (a.order, a.refusal)).collect();
    let [first, second] = [3, 5].map(|id| (order(shard(1), id), Refusal::Key));
    assert_eq!(refused, [first, second]);
    let state = async |id| books.order(order(shard(1), id)).await.unwrap().unwrap().state;
    assert_eq!(state(3).await, OrderState::Rejected);
    assert_eq!(state(4).await, OrderState::Placed);
    assert_eq!(state(6).await, OrderState::Placed);
    assert_eq!(books.guard(shard(1)).await.unwrap().unwrap().guard.sold, 4);
}

#[tokio::test]
async fn a_unit_damaged_by_hand_shows_in_the_count() {
    let folder = tempfile::tempdir().unwrap();
    let books = single_unit_books(folder.path()).await;
    apply(&books, &entries(2, vec![holds(shard(1), 7, [(1, 1, 1), (2, 2, 1)])])).await;
    damage(&books, "UPDATE orders SET quantity = 2 WHERE user_id < x'00000002'").await.unwrap();
    let count = books.count(shard(1)).await.unwrap().unwrap();
    assert_eq!((count.live_units, count.guard.sold, count.user_units_max), (3, 2, 2));
    damage(&books, "DELETE FROM orders WHERE quantity = 2").await.unwrap();
    assert_eq!(books.count(shard(1)).await.unwrap().unwrap().live_units, 1);
    assert_eq!(books.orders_of(user(1), None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_back_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let books = single_unit_books(folder.path()).await;
    damage(&books, "UPDATE shard SET shard_no = 4294967296").await.unwrap();
    damage(&books, "UPDATE shard SET limit_per_user = -1, shard_no = 1").await.unwrap();
    assert!(matches!(books.guard(shard(1)).await, Err(Error::Damaged(_))));
}
