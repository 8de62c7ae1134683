//! What is read from where, and every way to get it wrong, with the sentence that says so.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

use serde::Deserialize;

use super::*;
use crate::server::ServerSettings;

const PREFIX: &str = "TOWN_BAKERY";

const DEFAULTS: &str = r#"
name = "corner"
is_open = false
loaves = 3
streets = ["High, and Low"]
[oven]
heat_c = 200
tins = [1, 2]
[server]
max_concurrent_streams = 100
"#;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bakery {
    name: String,
    is_open: bool,
    loaves: u32,
    streets: Vec<String>,
    flour: Option<Flour>,
    oven: Oven,
    server: Server,
}

/// Compares nothing: what is inside is the server's.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Server(ServerSettings);

impl PartialEq for Server {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Oven {
    heat_c: u32,
    tins: Vec<u32>,
    timer_ms: Option<u64>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Flour {
    Rye,
    Wheat,
}

fn read(file: &str, variables: &[(&str, &str)]) -> Result<Bakery, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("bakery.toml");
    std::fs::write(&path, file).expect("a file");
    let variables = variables.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    load_from(DEFAULTS, Some(&path), PREFIX, Some(variables)).map_err(|error| {
        let text = error.to_string();
        text.replace(&path.display().to_string(), "FILE")
    })
}

#[test]
fn lists_come_from_variables_too() {
    let read = |variables: &[(&str, &str)]| read("", variables).expect("all is well");
    let bakery = read(&[("TOWN_BAKERY__STREETS", "High, Low,"), ("TOWN_BAKERY__NAME", "a, b")]);
    assert_eq!((bakery.streets, bakery.name), (vec!["High".into(), "Low".into()], "a, b".into()));
    assert_eq!(read(&[("TOWN_BAKERY__OVEN__TINS", "3")]).oven.tins, [3]);
    assert!(read(&[("TOWN_BAKERY__OVEN__TINS", "")]).oven.tins.is_empty());
}

#[test]
fn variables_win_over_the_file_and_the_file_over_defaults() {
    let bakery = read(
        "loaves = 4\nname = 'file'\nflour = 'rye'",
        &[
            ("TOWN_BAKERY__LOAVES", "5"),
            ("TOWN_BAKERY__IS_OPEN", "true"),
            ("TOWN_BAKERY__OVEN__TIMER_MS", "1500"),
            ("TOWN_BAKERY__FLOUR", "wheat"),
        ],
    )
    .expect("all is well");
    assert_eq!((bakery.name.as_str(), bakery.loaves, bakery.is_open), ("file", 5, true));
    assert_eq!(bakery.flour, Some(Flour::Wheat));
    assert_eq!(bakery.oven, Oven { heat_c: 200, tins: vec![1, 2], timer_ms: Some(1500) });
    assert_eq!(bakery.server.0.max_concurrent_streams, 100);
}

#[test]
fn text_that_looks_like_a_number_stays_text() {
    let bakery = read("", &[("TOWN_BAKERY__NAME", "007")]).expect("a name");
    assert_eq!(bakery.name, "007");
}

#[test]
fn variables_of_other_roles_are_not_read() {
    let others = [
        ("TOWN_BUTCHER__LOAVES", "none"),
        ("TOWN__LOAVES", "none"),
        ("TOWN_BAKERY2__SHOE", "none"),
        ("PATH", "/bin"),
    ];
    assert_eq!(read("", &others).expect("all is well"), read("", &[]).expect("all is well"));
}

#[test]
fn mistakes_are_named_with_their_place() {
    let in_file = |text: &str| read(text, &[]).expect_err(text);
    let in_variable = |key: &str, value: &str| read("", &[(key, value)]).expect_err(key);
    let table = [
        (
            in_file("loavs = 3"),
            "loavs in FILE: there is no such key, expected one of `name`, `is_open`, `loaves`, \
             `streets`, `flour`, `oven`, `server`",
        ),
        (
            in_file("[oven]\nheet_c = 3"),
            "oven.heet_c in FILE: there is no such key, expected one of `heat_c`, \
             `tins`, `timer_ms`",
        ),
        (
            in_file("[oven]\nheat_c = -3"),
            "oven.heat_c in FILE: this is 64-bit integer `-3`, and must be an unsigned 64 bit or \
             less integer",
        ),
        (
            in_file("loaves = 'many'"),
            "loaves in FILE: this is string \"many\", and must be an integer",
        ),
        (
            in_file("flour = 'oat'"),
            "flour in FILE: enum Flour does not have variant constructor oat",
        ),
        (in_file("oven = 3"), "oven in FILE: invalid type: integer `3`, expected struct Oven"),
        (
            in_file("loaves = = 3"),
            "FILE: TOML parse error at line 1, column 10: extra `=`, expected nothing",
        ),
        (
            in_file("[server.tls]\ncertificate = 'a.pem'"),
            "server.tls in FILE: tls is not available yet: remove it, and terminate TLS in front \
             of this role",
        ),
        (
            in_variable("TOWN_BAKERY__OVEN__HEET_C", "3"),
            "oven.heet_c in the variable TOWN_BAKERY__OVEN__HEET_C: there is no such key, \
             expected one of `heat_c`, `tins`, \
             `timer_ms`",
        ),
        (
            in_variable("TOWN_BAKERY__LOAVES", "many"),
            "loaves in the variable TOWN_BAKERY__LOAVES: this is string \"many\", and must be an \
             integer",
        ),
        (
            in_variable("TOWN_BAKERY__IS_OPEN", "perhaps"),
            "is_open in the variable TOWN_BAKERY__IS_OPEN: this is string \"perhaps\", and must \
             be a boolean",
        ),
    ];
    for (said, sentence) in table {
        assert_eq!(said, sentence);
    }
}

#[test]
fn missing_file_and_missing_key_are_refused() {
    let absent = Path::new("/nowhere/bakery.toml");
    let refused = load_from::<Bakery>(DEFAULTS, Some(absent), PREFIX, Some(HashMap::new()));
    let sentence = refused.expect_err("no such file").to_string();
    assert!(sentence.starts_with("the configuration file /nowhere/bakery.toml can't be read: "));

    let refused = load_from::<Bakery>("name = 'a'", None, PREFIX, Some(HashMap::new()));
    assert_eq!(refused.expect_err("no key").to_string(), "the key is_open is missing");
}

#[test]
fn secret_is_read_without_its_line_break_and_never_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("key");
    std::fs::write(&path, "sour dough\r\n").expect("a file");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
    let secret = Secret::read(&path).expect("a secret");
    assert_eq!(secret.expose(), "sour dough");
    assert_eq!(format!("{secret:?}"), "Secret(hidden)");
}
