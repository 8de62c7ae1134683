//! What a URL may look like, and that no text shows its password.

use super::*;
use crate::Config;

fn settings() -> RedisSettings {
    Config::load(None).unwrap().ledger
}

fn refusal(url: &str) -> String {
    match Address::new(url, &settings()) {
        Ok(_) => panic!("{url} is understood"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_forms_of_a_url_are_understood() {
    let nodes = [
        "redis://127.0.0.1",
        "redis://127.0.0.1:6380/2",
        "rediss://redis.internal:6380",
        "redis://role:secret@127.0.0.1",
    ];
    for url in nodes {
        assert!(matches!(Address::new(url, &settings()), Ok(Address::Node(_))), "{url}");
    }
    let sentinels = [
        "redis+sentinel://a:26379/shop",
        "redis+sentinel://a:26379,b:26379,[::1]:26379/shop",
        "rediss+sentinel://a:26379/shop",
    ];
    for url in sentinels {
        assert!(matches!(Address::new(url, &settings()), Ok(Address::Sentinels(_))), "{url}");
    }
}

#[test]
fn what_is_no_address_is_refused_without_its_password() {
    let wrong = [
        "memory",
        "http://secret@127.0.0.1",
        "redis://:secret@127.0.0.1:port",
        "redis+sentinel://a:26379",
        "redis+sentinel://a:26379/",
        "redis+sentinel://a/shop",
        "redis+sentinel://:secret@a:26379/shop",
    ];
    for url in wrong {
        let sentence = refusal(url);
        assert!(sentence.starts_with("ledger_url: must be redis://"), "{url}: {sentence}");
        assert!(!sentence.contains("secret"), "{sentence}");
    }
}

#[test]
fn a_url_is_shown_without_who_signs_in() {
    let table = [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://role:secret@host:1", "redis://host:1"),
        ("rediss://:se@cr/et@host:1/2", "rediss://host:1/2"),
        ("redis+sentinel://a:1,b:2/shop", "redis+sentinel://a:1,b:2/shop"),
        ("memory", "memory"),
        ("secret", "(no address)"),
    ];
    for (url, wanted) in table {
        assert_eq!(shown(url), wanted);
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for spoil in [
        (|settings| settings.password_file = "/nowhere/password".into()) as fn(&mut RedisSettings),
        |settings| settings.ca_file = "/nowhere/ca".into(),
    ] {
        let mut settings = settings();
        spoil(&mut settings);
        let Err(error) = Address::new("rediss://127.0.0.1", &settings) else { panic!("used") };
        assert!(error.to_string().contains("/nowhere/"), "{error}");
    }
}

#[test]
fn a_password_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "secret").unwrap();
    for (mode, is_good) in [(0o600, true), (0o400, true), (0o644, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        for spoil in [
            (|settings, file| settings.password_file = file) as fn(&mut RedisSettings, _),
            |settings, file| settings.sentinel_password_file = file,
        ] {
            let mut settings = settings();
            spoil(&mut settings, file.clone());
            let checked = check_files("redis+sentinel://a:26379/shop", &settings);
            assert_eq!(checked.is_ok(), is_good, "{mode:04o}: {checked:?}");
        }
    }
}
