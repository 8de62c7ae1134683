//! One suite for everybody who keeps accounts.

use futures::future::join_all;
use ids::UserId;
use tempfile::TempDir;

use testbed::Database;
use tokio::runtime::Handle;

use super::{
    Accounts, AccountsError, Added, Login, MIGRATIONS, NewAccount, SqliteAccounts,
    mysql::{self, MySqlAccounts},
};
use crate::{domain::Email, passwords::StoredHash};

async fn sqlite(dir: &TempDir) -> SqliteAccounts {
    let url = format!("sqlite:{}", dir.path().join("user.db").display());
    let db = store::sqlite::open(&url, &store::PoolSettings::default()).await.unwrap();
    store::migrate(&db.writer, &MIGRATIONS).await.unwrap();
    SqliteAccounts::new(db)
}

async fn on_server(database: &Database) -> MySqlAccounts {
    let patient = store::PoolSettings { acquire_ms_max: 30_000, ..Default::default() };
    let db = store::mysql::open(database.url(), &patient, &Handle::current()).await.unwrap();
    store::migrate(&db.writer, &mysql::MIGRATIONS).await.unwrap();
    MySqlAccounts::new(db)
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn account(email_text: &str) -> NewAccount {
    NewAccount {
        user: UserId::random(),
        email: email(email_text),
        password_hash: StoredHash::from_text(format!("hash of {email_text}")),
        created_at_ms: 1_790_000_000_000,
    }
}

fn login(account: &NewAccount) -> Login {
    Login { user: account.user, password_hash: account.password_hash.clone() }
}

async fn keeps_what_was_added(accounts: &dyn Accounts) {
    let (ann, bob) = (account("ann@example.org"), account("bob@example.org"));
    assert_eq!(accounts.find(&ann.email).await.unwrap(), None);
    assert_eq!(accounts.add(&ann).await.unwrap(), Added::Yes);
    assert_eq!(accounts.add(&bob).await.unwrap(), Added::Yes);
    assert_eq!(accounts.find(&ann.email).await.unwrap(), Some(login(&ann)));
    assert_eq!(accounts.find(&email("BOB@Example.org")).await.unwrap(), Some(login(&bob)));
    accounts.ping().await.unwrap();
}

async fn an_address_has_one_account(accounts: &dyn Accounts) {
    let (first, second) = (account("cat@example.org"), account("Cat@Example.ORG"));
    assert_eq!(accounts.add(&first).await.unwrap(), Added::Yes);
    assert_eq!(accounts.add(&second).await.unwrap(), Added::EmailTaken);
    assert_eq!(accounts.find(&second.email).await.unwrap(), Some(login(&first)));
}

async fn of_many_at_once_one_gets_the_address(accounts: &dyn Accounts) {
    let rivals: Vec<_> = (0..20).map(|_| account("dan@example.org")).collect();
    let answers = join_all(rivals.iter().map(|rival| accounts.add(rival))).await;
    let winners: Vec<_> = rivals
        .iter()
        .zip(answers)
        .filter(|(_, answer)| matches!(answer, Ok(Added::Yes)))
        .map(|(rival, _)| login(rival))
        .collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(accounts.find(&email("dan@example.org")).await.unwrap(), winners.first().cloned());
}

async fn text_is_data_and_never_sql(accounts: &dyn Accounts) {
    let injected = account("x');DROP/**/TABLE/**/account;--@example.org");
    assert_eq!(accounts.add(&injected).await.unwrap(), Added::Yes);
    assert_eq!(accounts.find(&injected.email).await.unwrap(), Some(login(&injected)));
}

/// A collation would take some of these for the same; none of them is.
async fn other_addresses_are_other_accounts(accounts: &dyn Accounts) {
    let (ascii, accent) = ("eve@example.org", "\u{e9}ve@example.org");
    let (apart, flower) = ("e\u{301}ve@example.org", "\u{1f337}@example.org");
    let longest = format!("{}@example.org", "e".repeat(242));
    let all = [ascii, accent, apart, flower, &longest].map(account);
    for one in &all {
        assert_eq!(accounts.add(one).await.unwrap(), Added::Yes);
    }
    for one in &all {
        assert_eq!(accounts.find(&one.email).await.unwrap(), Some(login(one)));
    }
}

async fn suite(accounts: &dyn Accounts) {
    keeps_what_was_added(accounts).await;
    an_address_has_one_account(accounts).await;
    of_many_at_once_one_gets_the_address(accounts).await;
    text_is_data_and_never_sql(accounts).await;
    other_addresses_are_other_accounts(accounts).await;
}

#[tokio::test]
async fn sqlite_keeps_the_promise() {
    let dir = TempDir::new().unwrap();
    suite(&sqlite(&dir).await).await;
}

#[tokio::test]
async fn sqlite_still_has_an_account_when_opened_again() {
    let dir = TempDir::new().unwrap();
    let ann = account("ann@example.org");
    sqlite(&dir).await.add(&ann).await.unwrap();
    assert_eq!(sqlite(&dir).await.find(&ann.email).await.unwrap(), Some(login(&ann)));
}

#[tokio::test]
async fn sqlite_without_its_table_fails_and_says_so() {
    let dir = TempDir::new().unwrap();
    let url = format!("sqlite:{}", dir.path().join("empty.db").display());
    let db = store::sqlite::open(&url, &store::PoolSettings::default()).await.unwrap();
    let accounts = SqliteAccounts::new(db);
    assert!(matches!(accounts.ping().await, Err(AccountsError::Failed(_))));
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

#[tokio::test]
async fn a_server_without_its_table_fails_and_says_so() {
    let database = Database::create(&testbed::running::mariadb()).await;
    let here = Handle::current();
    let db = store::mysql::open(database.url(), &Default::default(), &here).await.unwrap();
    let accounts = MySqlAccounts::new(db);
    assert!(matches!(accounts.ping().await, Err(AccountsError::Failed(_))));
}
