//! Other transactions in the way, and connections that are cut: a batch is done whole or not at
//! all, the position tells which, and the next try goes on from there.

use std::time::Duration;

use testbed::Proxy;

use super::*;

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

fn one_hold(offset: u64, id: u32) -> Vec<Entry> {
    entries(offset, vec![holds(shard(1), 7, [(id, id, 1)])])
}

/// A wait for a lock that took too long rolls back its statement alone. What the transaction had
/// written before, the position among it, must not stay.
#[tokio::test]
async fn a_guard_row_that_is_held_too_long_is_busy_and_nothing_was_done() {
    for place in Place::each().await {
        place.open_shard(9, 9).await;
        let hasty = PoolSettings { lock_wait_s_max: 1, writers_max: 1, ..patient() };
        let books = Place::books_at(&place.url, &hasty, PausePoints::default()).await;
        let before = books.position(PARTITION).await.unwrap();

        let mut holder = place.books.store.writer.begin().await.unwrap();
        sqlx::query("UPDATE shard SET sold = sold").execute(&mut *holder).await.unwrap();
        let refused = books.apply(PARTITION, &before, &one_hold(2, 1), 1).await;
        assert!(matches!(refused, Err(Error::Busy(_))), "{refused:?}");
        assert_eq!(books.position(PARTITION).await.unwrap(), before);
        assert_eq!(books.order(order(shard(1), 1)).await.unwrap(), None);
        holder.roll_back().await.unwrap();

        let applied = books.apply(PARTITION, &before, &one_hold(2, 1), 1).await.unwrap();
        assert_eq!(committed(applied).0.next_offset, 3);
        assert_eq!(place.sold().await, 1);
    }
}

#[tokio::test]
async fn the_guard_row_refuses_what_the_fold_should_not_have_allowed() {
    for place in Place::each().await {
        place.open_shard(9, 9).await;
        let before = place.books.position(PARTITION).await.unwrap();
        // Between what the fold reads and what its update meets, all units vanish.
        let vanish = "CREATE TRIGGER vanish BEFORE INSERT ON orders FOR EACH ROW \
             UPDATE shard SET total = 0";
        place.by_hand(vanish).await.unwrap();
        let refused = place.books.apply(PARTITION, &before, &one_hold(2, 1), 1).await;
        assert!(matches!(refused, Err(Error::Damaged(_))), "{refused:?}");
        assert_eq!(place.books.position(PARTITION).await.unwrap(), before);
        assert_eq!(place.books.order(order(shard(1), 1)).await.unwrap(), None);
        place.by_hand("DROP TRIGGER vanish").await.unwrap();
        place.apply(&one_hold(2, 1)).await;
        assert_eq!(place.sold().await, 1);
    }
}

#[tokio::test]
async fn a_commit_that_never_arrived_was_not_done() {
    for place in Place::each().await {
        place.open_shard(9, 9).await;
        let (proxy, books, pause) = behind_a_proxy(&place).await;
        let before = books.position(PARTITION).await.unwrap();
        let held = pause.arm("order.before_commit");
        let batch = one_hold(2, 1);
        let cutting = async {
            held.hit(1).await;
            proxy.cut();
            held.release();
        };
        let applying = books.apply(PARTITION, &before, &batch, 1);
        let both = tokio::time::timeout(PATIENCE, futures::future::join(applying, cutting));
        let (lost, ()) = both.await.unwrap();
        assert!(matches!(lost, Err(Error::Lost(_))), "{lost:?}");
        proxy.heal();
        assert_eq!(books.position(PARTITION).await.unwrap(), before);
        committed(books.apply(PARTITION, &before, &batch, 1).await.unwrap());
        assert_eq!(place.sold().await, 1);
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_by_the_position() {
    for place in Place::each().await {
        place.open_shard(9, 9).await;
        let (proxy, books, pause) = behind_a_proxy(&place).await;
        let before = books.position(PARTITION).await.unwrap();
        let held = pause.arm("order.before_commit");
        let batch = one_hold(2, 1);
        let losing = async {
            held.hit(1).await;
            proxy.drop_replies();
            held.release();
        };
        let applying = books.apply(PARTITION, &before, &batch, 1);
        let both = tokio::time::timeout(PATIENCE, futures::future::join(applying, losing));
        let (lost, ()) = both.await.unwrap();
        assert!(matches!(lost, Err(Error::Lost(_))), "{lost:?}");
        proxy.heal();
        // Who doesn't look and tries again is told.
        let again = books.apply(PARTITION, &before, &batch, 1).await.unwrap();
        assert_eq!(again, Applied::PositionMoved);
        let after = books.position(PARTITION).await.unwrap();
        assert_eq!((after.next_offset, after.generation), (3, before.generation + 1));
        assert_eq!(place.sold().await, 1);
    }
}

/// Books whose calls give up after a second.
async fn behind_a_proxy(place: &Place) -> (Proxy, MySqlBooks, PausePoints) {
    let address = place.url.split(['@', '/']).nth(3).unwrap();
    let proxy = Proxy::to(address).await;
    let url = place.url.replace(address, &proxy.addr());
    let settings = PoolSettings { call_ms_max: 1_000, ..patient() };
    let pause = PausePoints::armed();
    (proxy, Place::books_at(&url, &settings, pause.clone()).await, pause)
}

#[tokio::test]
async fn a_connection_that_was_killed_in_a_batch_has_done_nothing() {
    for place in Place::each().await {
        place.open_shard(9, 9).await;
        let single = PoolSettings { writers_max: 1, ..patient() };
        let books = Place::books_at(&place.url, &single, place.pause.clone()).await;
        let who = async |it: &mut MySqlConnection| {
            let id = sqlx::query_scalar("SELECT CAST(CONNECTION_ID() AS SIGNED)").fetch_one(it);
            Ok::<i64, Error>(id.await?)
        };
        let id = books.store.writer.ask(who).await.unwrap();
        let before = books.position(PARTITION).await.unwrap();
        let held = place.pause.arm("order.before_commit");
        let batch = one_hold(2, 1);
        let killing = async {
            held.hit(1).await;
            place.by_hand(&format!("KILL {id}")).await.unwrap();
            held.release();
        };
        let applying = books.apply(PARTITION, &before, &batch, 1);
        let both = tokio::time::timeout(PATIENCE, futures::future::join(applying, killing));
        let (lost, ()) = both.await.unwrap();
        assert!(matches!(lost, Err(Error::Lost(_))), "{lost:?}");
        assert_eq!(books.position(PARTITION).await.unwrap(), before);
        place.apply(&batch).await;
        assert_eq!(place.sold().await, 1);
    }
}

/// Two processes that both believe to be the writer, with deadlocks thrown in by a third who locks
/// the same rows the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn writers_in_each_others_way_write_nothing_twice_and_lose_nothing() {
    const RECORDS: u32 = 60;
    for place in Place::each().await {
        place.open_shard(5_000, 1).await;
        let twenty = |n: u32| holds(shard(1), 7, (n * 20..n * 20 + 20).map(|id| (id, id, 1)));
        let log: Arc<[Entry]> = entries(2, (0..RECORDS).map(twenty).collect()).into();
        let settings = PoolSettings { lock_wait_s_max: 1, ..patient() };
        let mut writers = tokio::task::JoinSet::new();
        for batch_len in [3, 4] {
            let books = Place::books_at(&place.url, &settings, PausePoints::default()).await;
            writers.spawn(write_all(books, Arc::clone(&log), batch_len));
        }
        let troublemaker = open(&place.url, &settings).await;
        let making_trouble = async {
            let (mut made, mut commits) = (0, 0);
            while !writers.is_empty() {
                made += u32::from(trouble_in_the_middle(&troublemaker).await);
                while let Some(ended) = writers.try_join_next() {
                    commits += ended.unwrap();
                }
            }
            (made, commits)
        };
        let (made, commits) = tokio::time::timeout(PATIENCE, making_trouble).await.unwrap();
        assert!(made > 0, "nobody was ever in anybody's way");
        let count = place.books.count(shard(1)).await.unwrap().unwrap();
        let all = u64::from(RECORDS) * 20;
        assert_eq!((count.live_orders, count.guard.sold, count.rejected_orders), (all, all, 0));
        let end = place.books.position(PARTITION).await.unwrap();
        assert_eq!(end.next_offset, 2 + u64::from(RECORDS));
        assert_eq!(end.generation, 1 + commits, "no two began at one place");
    }
}

/// Reads the position and applies the next batch until the end, as a consumer does. Returns how
/// often it has committed.
async fn write_all(books: MySqlBooks, log: Arc<[Entry]>, batch_len: usize) -> u64 {
    let mut commits = 0;
    loop {
        let Ok(position) = books.position(PARTITION).await else { continue };
        let at = usize::try_from(position.next_offset - log[0].offset).unwrap();
        let batch = &log[at..log.len().min(at + batch_len)];
        if batch.is_empty() {
            return commits;
        }
        match books.apply(PARTITION, &position, batch, 1).await {
            Ok(Applied::Committed { .. }) => commits += 1,
            Ok(Applied::PositionMoved) | Err(Error::Busy(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Locks the guard row and then the position. Whether it was a victim, or made one.
async fn trouble_in_the_middle(store: &MySql) -> bool {
    let mut tx = store.writer.begin().await.unwrap();
    for sql in ["UPDATE shard SET sold = sold", "UPDATE journal_position SET last_digest = NULL"] {
        if sqlx::query(sql).execute(&mut *tx).await.is_err() {
            tx.abandon().await;
            return true;
        }
    }
    tx.roll_back().await.unwrap();
    false
}
