//! One suite for everybody who keeps sessions.

use futures::future::join_all;
use tempfile::TempDir;
use testbed::Database;
use tokio::runtime::Handle;

use super::*;
use crate::{
    accounts::{MIGRATIONS, SERVER_MIGRATIONS},
    domain::Wrapped,
};

async fn sqlite(dir: &TempDir) -> SqliteSessions {
    let url = format!("sqlite:{}", dir.path().join("user.db").display());
    let db = store::sqlite::open(&url, &store::PoolSettings::default()).await.unwrap();
    store::migrate(&db.writer, &MIGRATIONS).await.unwrap();
    SqliteSessions::new(db)
}

async fn on_server(database: &Database) -> MySqlSessions {
    let patient = store::PoolSettings { acquire_ms_max: 30_000, ..Default::default() };
    let db = store::mysql::open(database.url(), &patient, &Handle::current()).await.unwrap();
    store::migrate(&db.writer, &SERVER_MIGRATIONS).await.unwrap();
    MySqlSessions::new(db)
}

fn session(user: UserId, used_at_ms: u64) -> Session {
    Session {
        id: SessionId(rand::random()),
        user,
        present: SecretHash(rand::random()),
        spent: None,
        opened_at_ms: used_at_ms,
        used_at_ms,
        expires_at_ms: used_at_ms + 1_000,
    }
}

fn turn(of: &Session) -> Turn {
    Turn {
        session: of.id,
        spent: Spent { hash: of.present, wrapped_present: Wrapped(rand::random()) },
        present: SecretHash(rand::random()),
        used_at_ms: of.used_at_ms + 5,
        expires_at_ms: of.expires_at_ms + 5,
    }
}

async fn a_session_is_found_until_it_ends(sessions: &dyn Sessions) {
    let (ours, other) = (session(UserId::random(), 1_000), session(UserId::random(), 1_000));
    assert_eq!(sessions.find(ours.id).await.unwrap(), None);
    sessions.open(&ours).await.unwrap();
    sessions.open(&other).await.unwrap();
    assert_eq!(sessions.find(ours.id).await.unwrap(), Some(ours));
    sessions.end(ours.id).await.unwrap();
    sessions.end(ours.id).await.unwrap();
    assert_eq!(sessions.find(ours.id).await.unwrap(), None);
    assert_eq!(sessions.find(other.id).await.unwrap(), Some(other));
}

async fn a_token_is_spent_once(sessions: &dyn Sessions) {
    let before = session(UserId::random(), 1_000);
    sessions.open(&before).await.unwrap();
    let first = turn(&before);
    assert!(sessions.turn(&first).await.unwrap());
    let after = Session {
        present: first.present,
        spent: Some(first.spent),
        used_at_ms: first.used_at_ms,
        expires_at_ms: first.expires_at_ms,
        ..before
    };
    assert_eq!(sessions.find(before.id).await.unwrap(), Some(after));
    assert!(!sessions.turn(&turn(&before)).await.unwrap(), "spent");
    assert_eq!(sessions.find(before.id).await.unwrap(), Some(after), "nothing was changed");
    assert!(sessions.turn(&turn(&after)).await.unwrap());
    sessions.end(before.id).await.unwrap();
    assert!(!sessions.turn(&turn(&after)).await.unwrap(), "over");
}

async fn of_many_who_spend_one_token_at_once_one_wins(sessions: &dyn Sessions) {
    let contested = session(UserId::random(), 1_000);
    sessions.open(&contested).await.unwrap();
    let turns: Vec<_> = (0..20).map(|_| turn(&contested)).collect();
    let answers = join_all(turns.iter().map(|turn| sessions.turn(turn))).await;
    let won = turns.iter().zip(answers).filter(|(_, answer)| matches!(answer, Ok(true)));
    let won: Vec<_> = won.map(|(turn, _)| turn.present).collect();
    let found = sessions.find(contested.id).await.unwrap().unwrap();
    assert_eq!(won, [found.present]);
}

async fn a_user_keeps_the_sessions_that_were_used_last(sessions: &dyn Sessions) {
    let (ann, bob) = (UserId::random(), UserId::random());
    let of_ann: Vec<_> = (1..=6).map(|used| session(ann, used * 1_000)).collect();
    let of_bob = session(bob, 1);
    for session in of_ann.iter().rev().chain([&of_bob]) {
        sessions.open(session).await.unwrap();
    }
    sessions.end_surplus(ann, 6).await.unwrap();
    // The oldest is used again, so another one has to go.
    let used = Turn { used_at_ms: 9_000, ..turn(&of_ann[0]) };
    assert!(sessions.turn(&used).await.unwrap());
    sessions.end_surplus(ann, 5).await.unwrap();
    let is_there = join_all(of_ann.iter().map(|session| sessions.find(session.id))).await;
    let is_there: Vec<_> = is_there.into_iter().map(|found| found.unwrap().is_some()).collect();
    assert_eq!(is_there, [true, false, true, true, true, true]);
    assert!(sessions.find(of_bob.id).await.unwrap().is_some(), "somebody else's");
}

async fn the_expired_are_removed_in_batches(sessions: &dyn Sessions) {
    let user = UserId::random();
    // Below the times of the other tests.
    let all: Vec<_> = [10, 20, 30, 40].map(|used| session(user, used)).into();
    for session in &all {
        let short = Session { expires_at_ms: session.used_at_ms, ..*session };
        sessions.open(&short).await.unwrap();
    }
    assert_eq!(sessions.remove_expired(30, 2).await.unwrap(), 2);
    assert_eq!(sessions.remove_expired(30, 2).await.unwrap(), 1);
    assert_eq!(sessions.remove_expired(30, 2).await.unwrap(), 0);
    assert!(sessions.find(all[2].id).await.unwrap().is_none());
    assert!(sessions.find(all[3].id).await.unwrap().is_some(), "not yet");
}

async fn suite(sessions: &dyn Sessions) {
    a_session_is_found_until_it_ends(sessions).await;
    a_token_is_spent_once(sessions).await;
    of_many_who_spend_one_token_at_once_one_wins(sessions).await;
    a_user_keeps_the_sessions_that_were_used_last(sessions).await;
    the_expired_are_removed_in_batches(sessions).await;
}

#[tokio::test]
async fn sqlite_keeps_the_promise() {
    let dir = TempDir::new().unwrap();
    suite(&sqlite(&dir).await).await;
}

#[tokio::test]
async fn mariadb_keeps_the_promise() {
    let database = Database::create(&testbed::running::mariadb()).await;
    suite(&on_server(&database).await).await;
}

#[tokio::test]
async fn mysql_keeps_the_promise() {
    // The one store that may be missing.
    let Some(server) = testbed::running::mysql() else { return };
    let database = Database::create(&server).await;
    suite(&on_server(&database).await).await;
}
