//! Other writers, and connections that are cut.

use super::*;

async fn bake(transaction: &mut Transaction, id: i64) -> Result<(), Trouble> {
    let bake = sqlx::query("UPDATE loaf SET grams = grams + 1 WHERE id = ?").bind(id);
    bake.execute(&mut **transaction).await.map(drop).map_err(|error| trouble(&error))
}

async fn two_loaves(db: &MySql) {
    let two = "INSERT INTO loaf (id) VALUES (1), (2)";
    write(&db.writer, two).await.expect("written");
}

async fn grams(db: &MySql) -> i64 {
    number(&db.reader, "SELECT CAST(SUM(grams) AS SIGNED) FROM loaf").await
}

/// A wait for a lock that takes too long rolls back its statement alone: whoever went on to commit
/// would have written half.
#[tokio::test]
async fn a_lock_that_takes_too_long_is_busy_and_what_was_begun_is_undone() {
    for Bakery { url, db, .. } in bakeries().await {
        two_loaves(&db).await;
        let other = PoolSettings { lock_wait_s_max: 1, ..patient() };
        let other = open_with(&url, &other).await;
        let mut holder = db.writer.begin().await.expect("begun");
        bake(&mut holder, 2).await.expect("nobody is before us");

        let mut late = other.writer.begin().await.expect("begun");
        bake(&mut late, 1).await.expect("this one is free");
        assert_eq!(bake(&mut late, 2).await, Err(Trouble::Busy));
        late.abandon().await;
        holder.commit().await.expect("committed");
        assert_eq!(grams(&db).await, 1001);

        // The rows are free, also the one that the late one had.
        let mut again = other.writer.begin().await.expect("begun");
        for id in [1, 2] {
            bake(&mut again, id).await.expect("nobody is before us");
        }
        again.commit().await.expect("committed");
        assert_eq!(grams(&db).await, 1003);
    }
}

#[tokio::test]
async fn one_of_two_in_each_others_way_is_busy_and_can_try_again() {
    for Bakery { db, .. } in bakeries().await {
        two_loaves(&db).await;
        let crosswise = async |first: i64, then: i64| {
            let mut transaction = db.writer.begin().await.expect("begun");
            bake(&mut transaction, first).await.expect("nobody is before us");
            (transaction, then)
        };
        let (mut one, then_one) = crosswise(1, 2).await;
        let (mut two, then_two) = crosswise(2, 1).await;
        let both = futures::join!(bake(&mut one, then_one), bake(&mut two, then_two));
        let (winner, loser) = match both {
            (Ok(()), Err(trouble)) => ((one, trouble), two),
            (Err(trouble), Ok(())) => ((two, trouble), one),
            both => panic!("one of them has to give way: {both:?}"),
        };
        assert_eq!(winner.1, Trouble::Busy);
        loser.abandon().await;
        winner.0.commit().await.expect("committed");
        assert_eq!(grams(&db).await, 1002);
    }
}

#[tokio::test]
async fn a_transaction_that_is_dropped_lets_go_of_its_locks() {
    for Bakery { db, .. } in bakeries().await {
        two_loaves(&db).await;
        for _ in 0..5 {
            let mut dropped = db.writer.begin().await.expect("begun");
            bake(&mut dropped, 1).await.expect("nobody is before us");
            drop(dropped);
            let mut next = db.writer.begin().await.expect("begun");
            bake(&mut next, 1).await.expect("the server hears of it well within the lock wait");
            next.roll_back().await.expect("rolled back");
        }
        assert_eq!(grams(&db).await, 1000);
    }
}

#[tokio::test]
async fn a_connection_that_was_cut_is_lost_and_the_next_one_is_new() {
    for Bakery { db, .. } in bakeries().await {
        let mut lent = db.writer.lend().await.expect("lent");
        let id = sqlx::query_scalar("SELECT CAST(CONNECTION_ID() AS SIGNED)")
            .fetch_one(&mut *lent)
            .await;
        let id: i64 = id.expect("an id");
        let kill = AssertSqlSafe(format!("KILL {id}"));
        let killed = db.reader.ask(async |it| sqlx::raw_sql(kill).execute(it).await);
        killed.await.expect("killed");
        let insert = sqlx::query("INSERT INTO loaf () VALUES ()").execute(&mut *lent).await;
        assert_eq!(trouble(&insert.expect_err("it is cut")), Trouble::Lost);
        drop(lent);
        assert_eq!(write(&db.writer, "INSERT INTO loaf () VALUES ()").await, Ok(1));
    }
}

/// A server kills connections while nobody uses them: at its end, or when they idle.
#[tokio::test]
async fn a_connection_that_died_unused_is_not_lent() {
    for Bakery { url, db, .. } in bakeries().await {
        let single = open_with(&url, &PoolSettings { readers_max: 1, ..patient() }).await;
        let id = number(&single.reader, "SELECT CAST(CONNECTION_ID() AS SIGNED)").await;
        let kill = AssertSqlSafe(format!("KILL {id}"));
        let killed = db.writer.ask(async |it| sqlx::raw_sql(kill).execute(it).await);
        killed.await.expect("killed");
        assert_ne!(number(&single.reader, "SELECT CAST(CONNECTION_ID() AS SIGNED)").await, id);
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_a_call_may_take() {
    for Bakery { url, .. } in bakeries().await {
        let hasty = PoolSettings { call_ms_max: 500, acquire_ms_max: 2_000, ..patient() };
        let hasty = open_with(&url, &PoolSettings { writers_max: 1, ..hasty }).await;
        assert_eq!(write(&hasty.writer, "DO SLEEP(10)").await, Err(Trouble::Lost));
        let taken = hasty.writer.lend().await.expect("what was too slow is closed");
        let waiting = hasty.writer.begin().await.expect_err("there is one alone");
        assert_eq!(trouble(&waiting), Trouble::Busy, "{waiting}");
        taken.give_back();
        hasty.writer.begin().await.expect("begun").roll_back().await.expect("rolled back");
    }
}
