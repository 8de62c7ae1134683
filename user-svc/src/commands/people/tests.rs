//! What can't be seen from outside: how many hashes an answer costs.

use std::{num::NonZeroUsize, time::Duration};

use store::sqlite::Sqlite;
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::*;
use crate::{
    Config,
    accounts::{AccountsError, Login, MIGRATIONS, SqliteAccounts},
    domain::{Email, SessionRules},
    keys,
    passwords::Cost,
    sessions::SqliteSessions,
    tokens::Signer,
    workroom::{Bounds, Workroom},
};

fn people(dir: &TempDir, accounts: Arc<dyn Accounts>, db: Sqlite) -> People {
    let key_file = dir.path().join("signing.pem");
    keys::generate(&key_file).unwrap();
    let key = keys::load_signing(&key_file).unwrap();
    let clock = Clock::system();
    let bounds = Bounds {
        parallel_max: NonZeroUsize::MIN,
        queue_len_max: 8,
        wait_max: Duration::from_secs(20),
    };
    let cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };
    People {
        accounts,
        passwords: Passwords::new(cost, Workroom::new(bounds, Handle::current())).unwrap(),
        lockout: Lockout::new(Config::load(None).unwrap().lockout.rules(), clock.clone()),
        desk: SessionDesk {
            sessions: Arc::new(SqliteSessions::new(db)),
            signer: Arc::new(Signer::new(key, "seckill".to_owned(), clock.clone())),
            clock: clock.clone(),
            rules: SessionRules {
                idle_max: Duration::from_secs(60),
                life_max: Duration::from_secs(60),
                lost_answer: Duration::ZERO,
                per_user_max: 1,
            },
            token_lifetime: Duration::from_secs(60),
        },
        clock,
    }
}

async fn with_sqlite(dir: &TempDir) -> People {
    let url = format!("sqlite:{}", dir.path().join("user.db").display());
    let db = store::sqlite::open(&url, &store::PoolSettings::default()).await.unwrap();
    store::migrate(&db.writer, &MIGRATIONS).await.unwrap();
    people(dir, Arc::new(SqliteAccounts::new(db.clone())), db)
}

fn credentials(email: &str, password: &str) -> Credentials {
    Credentials::parse(email, password.to_owned()).unwrap()
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, NotDone>) -> Refusal {
    match answer {
        Err(NotDone::Refused(refusal)) => refusal,
        other => panic!("not a refusal: {other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_address_costs_what_a_wrong_password_costs() {
    let dir = TempDir::new().unwrap();
    let people = with_sqlite(&dir).await;
    people.register(credentials("ann@example.org", "correct horse")).await.unwrap();
    assert_eq!(people.passwords.checks(), 0);

    let wrong = people.sign_in(credentials("ann@example.org", "battery staple"), None).await;
    assert_eq!(people.passwords.checks(), 1);
    let unknown = people.sign_in(credentials("bob@example.org", "battery staple"), None).await;
    assert_eq!(people.passwords.checks(), 2);
    assert_eq!(refusal(wrong), Refusal::BadCredentials);
    assert_eq!(refusal(unknown), Refusal::BadCredentials);

    people.sign_in(credentials("ann@example.org", "correct horse"), None).await.unwrap();
    assert_eq!(people.passwords.checks(), 3);
}

#[tokio::test]
async fn a_guesser_who_leaves_before_the_answer_has_guessed_all_the_same() {
    let dir = TempDir::new().unwrap();
    let mut people = with_sqlite(&dir).await;
    // Long enough to leave meanwhile.
    let cost = Cost { memory_kib: 19_456, passes: 4, lanes: 1 };
    let bounds = Bounds {
        parallel_max: NonZeroUsize::MIN,
        queue_len_max: 8,
        wait_max: Duration::from_secs(20),
    };
    people.passwords = Passwords::new(cost, Workroom::new(bounds, Handle::current())).unwrap();
    let guess = || people.sign_in(credentials("ann@example.org", "battery staple"), None);
    let free = Config::load(None).unwrap().lockout.rules().pair.failures_max;
    for number in 1..=u64::from(free) {
        let begun = async {
            while people.passwords.checks() < number {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = guess() => {}
            () = begun => {}
        }
    }
    // The last of them may still be on its way.
    let waits = async {
        loop {
            if matches!(guess().await, Err(NotDone::Refused(Refusal::TooManyFailures { .. }))) {
                return people.passwords.checks();
            }
        }
    };
    let checks = tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap();
    assert!(checks <= u64::from(free) + 1, "{checks} guesses were checked");
}

/// Shows every address as free, as to one who asked a moment before a rival registered.
struct Blind(SqliteAccounts);

#[async_trait::async_trait]
impl Accounts for Blind {
    async fn add(&self, account: &NewAccount) -> Result<Added, AccountsError> {
        self.0.add(account).await
    }
    async fn find(&self, _: &Email) -> Result<Option<Login>, AccountsError> {
        Ok(None)
    }
    async fn ping(&self) -> Result<(), AccountsError> {
        self.0.ping().await
    }
}

#[tokio::test]
async fn the_store_decides_between_rivals_for_an_address() {
    let dir = TempDir::new().unwrap();
    let url = format!("sqlite:{}", dir.path().join("user.db").display());
    let db = store::sqlite::open(&url, &store::PoolSettings::default()).await.unwrap();
    store::migrate(&db.writer, &MIGRATIONS).await.unwrap();
    let people = people(&dir, Arc::new(Blind(SqliteAccounts::new(db.clone()))), db);
    people.register(credentials("ann@example.org", "correct horse")).await.unwrap();
    let second = people.register(credentials("ann@example.org", "battery staple")).await;
    assert_eq!(refusal(second), Refusal::EmailTaken);
}

#[tokio::test]
async fn who_has_failed_too_often_costs_no_hash_whether_there_is_an_account_or_not() {
    let dir = TempDir::new().unwrap();
    let people = with_sqlite(&dir).await;
    people.register(credentials("ann@example.org", "correct horse")).await.unwrap();
    let free = u64::from(Config::load(None).unwrap().lockout.pair_failures_max);
    for email in ["ann@example.org", "bob@example.org"] {
        let before = people.passwords.checks();
        for _ in 0..free {
            let wrong = people.sign_in(credentials(email, "battery staple"), None).await;
            assert_eq!(refusal(wrong), Refusal::BadCredentials);
        }
        // Even the right password isn't looked at.
        let waits = people.sign_in(credentials(email, "correct horse"), None).await;
        assert!(matches!(refusal(waits), Refusal::TooManyFailures(_)));
        assert_eq!(people.passwords.checks() - before, free);
    }
}
