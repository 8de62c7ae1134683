//! One suite for everybody who keeps operators' events and revocations.

use futures::future::join_all;
use tempfile::TempDir;
use testbed::Database;
use tokio::runtime::Handle;

use super::*;
use crate::{
    accounts::{MIGRATIONS, SERVER_MIGRATIONS},
    domain::{Deed, OperatorName, Right, Rights, Whose},
};

const NOW_S: u64 = 1_790_000_000;

async fn sqlite(dir: &TempDir) -> SqliteRegistry {
    let url = format!("sqlite:{}", dir.path().join("user.db").display());
    let db = store::sqlite::open(&url, &store::PoolSettings::default()).await.unwrap();
    store::migrate(&db.writer, &MIGRATIONS).await.unwrap();
    SqliteRegistry::new(db)
}

async fn on_server(database: &Database) -> MySqlRegistry {
    let patient = store::PoolSettings { acquire_ms_max: 30_000, ..Default::default() };
    let db = store::mysql::open(database.url(), &patient, &Handle::current()).await.unwrap();
    store::migrate(&db.writer, &SERVER_MIGRATIONS).await.unwrap();
    MySqlRegistry::new(db)
}

fn name(text: &str) -> OperatorName {
    OperatorName::parse(text).unwrap()
}

fn revocation(whose: &str, issued_before_s: u64) -> Revocation {
    let whose = if whose.is_empty() { Whose::Everyone } else { Whose::Operator(name(whose)) };
    Revocation { whose, issued_before_s }
}

fn event(deed: Deed) -> OperatorEvent {
    let by_token = "token of Ann".to_owned();
    OperatorEvent { at_ms: NOW_S * 1_000, by: name("Ann"), by_token, deed }
}

fn issued(to: &str) -> OperatorEvent {
    let rights = Rights::from_iter([Right::Read, Right::MakeOperators]);
    let token = format!("token of {to}");
    event(Deed::Issued { to: name(to), token, rights, expires_at_s: NOW_S + 60 })
}

async fn revoke(registry: &dyn Registry, whose: &str, issued_before_s: u64) -> Revoked {
    let revocation = revocation(whose, issued_before_s);
    let event = event(Deed::Revoked(revocation.clone()));
    registry.revoke(&revocation, &event).await.unwrap()
}

async fn known(registry: &dyn Registry) -> Vec<Revocation> {
    let mut known = registry.revocations().await.unwrap();
    known.sort_by_key(|revocation| revocation.issued_before_s);
    known
}

async fn events_are_kept_and_read_page_by_page(registry: &dyn Registry) {
    assert_eq!(registry.events(None, 10).await.unwrap(), []);
    // Blanks at the end are a part of a name, and so is every letter's case.
    for to in ["Bob", "Bob ", "bob"] {
        registry.note(&issued(to)).await.unwrap();
    }
    assert_eq!(revoke(registry, "Bob ", NOW_S).await, Revoked::Before(NOW_S));
    let first = registry.events(None, 2).await.unwrap();
    let kept: Vec<_> = first.iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(kept, [event(Deed::Revoked(revocation("Bob ", NOW_S))), issued("bob")]);
    let second = registry.events(Some(first[1].0), 10).await.unwrap();
    let kept: Vec<_> = second.into_iter().map(|(_, event)| event).collect();
    assert_eq!(kept, [issued("Bob "), issued("Bob")]);
    assert_eq!(known(registry).await, [revocation("Bob ", NOW_S)]);
}

async fn a_revocation_is_only_ever_raised(registry: &dyn Registry) {
    assert_eq!(revoke(registry, "Cat", NOW_S + 5).await, Revoked::Before(NOW_S + 5));
    assert_eq!(revoke(registry, "Cat", NOW_S + 2).await, Revoked::Before(NOW_S + 5));
    let at_once = (6..=9).map(|later| revoke(registry, "Cat", NOW_S + later));
    join_all(at_once).await;
    assert_eq!(known(registry).await, [revocation("Bob ", NOW_S), revocation("Cat", NOW_S + 9)]);
    // Everyone's takes the place of those that it covers.
    assert_eq!(revoke(registry, "", NOW_S + 3).await, Revoked::Before(NOW_S + 3));
    let both = [revocation("", NOW_S + 3), revocation("Cat", NOW_S + 9)];
    assert_eq!(known(registry).await, both);
    assert_eq!(revoke(registry, "Dan", NOW_S + 1).await, Revoked::Before(NOW_S + 3));
    assert_eq!(known(registry).await, both);
}

async fn what_concerns_no_token_any_more_is_forgotten(registry: &dyn Registry) {
    let later_s = NOW_S + u64::from(OPERATOR_LIFETIME_S_MAX) + 3_600 + 6;
    let revoke_later = async |whose: &str, issued_before_s: u64| {
        let revocation = revocation(whose, issued_before_s);
        let deed = Deed::Revoked(revocation.clone());
        let event = OperatorEvent { at_ms: later_s * 1_000, ..event(deed) };
        registry.revoke(&revocation, &event).await.unwrap()
    };
    assert_eq!(revoke_later("Eve", later_s).await, Revoked::Before(later_s));
    // Later than everyone's, and forgotten at once: it counts from its own moment on.
    assert_eq!(revoke_later("Fay", NOW_S + 5).await, Revoked::Before(NOW_S + 5));
    let whose = known(registry).await.into_iter().map(|revocation| revocation.whose);
    let names = ["Cat", "Eve"].map(|text| Whose::Operator(name(text)));
    assert_eq!(whose.skip_while(|whose| *whose == Whose::Everyone).collect::<Vec<_>>(), names);
}

async fn there_is_a_bound_until_everyones_are_revoked(registry: &dyn Registry) {
    let count = i64::try_from(known(registry).await.len()).unwrap();
    for number in count..NAMES_MAX {
        let revoked = revoke(registry, &format!("n{number}"), NOW_S + 100).await;
        assert_ne!(revoked, Revoked::TooMany, "{number}");
    }
    let events = registry.events(None, 1).await.unwrap();
    assert_eq!(revoke(registry, "one more", NOW_S + 100).await, Revoked::TooMany);
    assert_eq!(registry.events(None, 1).await.unwrap(), events, "nothing was done");
    assert_eq!(revoke(registry, "n999", NOW_S + 200).await, Revoked::Before(NOW_S + 200));
    assert_eq!(revoke(registry, "", NOW_S + 100).await, Revoked::Before(NOW_S + 100));
    assert!(known(registry).await.len() < 4);
}

async fn suite(registry: &dyn Registry) {
    events_are_kept_and_read_page_by_page(registry).await;
    a_revocation_is_only_ever_raised(registry).await;
    what_concerns_no_token_any_more_is_forgotten(registry).await;
    there_is_a_bound_until_everyones_are_revoked(registry).await;
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
