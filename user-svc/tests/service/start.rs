//! What keeps it from starting, in one clear sentence; and how it stops.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;
use testbed::Database;
use tokio::time::timeout;

use crate::house::{House, PATIENCE, config, refusal_to_start};

#[tokio::test]
async fn without_its_key_it_does_not_start() {
    let dir = TempDir::new().unwrap();
    let config = config(&dir);
    let path = config.signing_key_file.display().to_string();

    let mut unset = config.clone();
    unset.signing_key_file = "".into();
    assert_eq!(
        refusal_to_start(unset).await,
        "signing_key_file is not set: it must name an Ed25519 private key in PEM"
    );
    assert_eq!(
        refusal_to_start(config.clone()).await,
        format!("the secret file {path} can't be used: No such file or directory (os error 2)")
    );
    user_svc::keys::generate(&config.signing_key_file).unwrap();
    let readable = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&config.signing_key_file, readable).unwrap();
    let refused = refusal_to_start(config.clone()).await;
    let says = format!("the secret file {path} can't be used: it has mode 0644: ");
    assert!(refused.starts_with(&says), "{refused}");
    assert_eq!(config.check_files().unwrap_err().to_string(), refused);
}

#[tokio::test]
async fn on_an_old_schema_it_does_not_start_until_migrated() {
    let database = Database::create(&testbed::running::mariadb()).await;
    for server in [None, Some(database.url())] {
        let dir = TempDir::new().unwrap();
        let mut config = config(&dir);
        if let Some(url) = server {
            config.accounts_url = url.to_owned();
        }
        config.migrate_on_start = false;
        user_svc::keys::generate(&config.signing_key_file).unwrap();
        let sentence = refusal_to_start(config.clone()).await;
        assert!(sentence.starts_with("accounts: the schema lacks migration 1"), "{sentence}");

        user_svc::migrate(&config).await.unwrap();
        user_svc::migrate(&config).await.unwrap();
        config.hashing.memory_kib = 1;
        let sentence = refusal_to_start(config).await;
        assert!(sentence.starts_with("hashing: "), "{sentence}");
    }
}

#[tokio::test]
async fn accounts_on_a_server_serve_as_those_in_a_file() {
    let database = Database::create(&testbed::running::mariadb()).await;
    let url = database.url().to_owned();
    let house = House::open_with(|config| config.accounts_url = url).await;
    house.register("ann@example.org", "correct horse").await.unwrap();
    assert!(house.register("Ann@example.org", "battery staple").await.is_err());
    house.sign_in("ann@example.org", "correct horse").await.unwrap();
    assert!(house.sign_in("ann@example.org", "battery staple").await.is_err());
}

#[tokio::test]
async fn asked_to_stop_it_ends_well() {
    let house = House::open().await;
    house.register("ann@example.org", "correct horse").await.unwrap();
    house.stopper.stop();
    assert_eq!(timeout(PATIENCE, house.ended).await.unwrap().unwrap(), Ok(()));
}
