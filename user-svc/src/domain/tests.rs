//! Tables of what is let in, and of what is said about the rest.

use super::{
    Credentials, Email, NO_RIGHTS, OperatorGrant, OperatorName, Password, RehearsalGrant, Right,
    Rights, Violation,
};

/// `Ok` with the key, or the sentence that the client reads.
fn email(text: &str) -> Result<String, String> {
    Email::parse(text).map(|email| email.key().to_owned()).map_err(|broken| broken.to_string())
}

#[test]
fn addresses_are_compared_in_lower_case() {
    for (text, key) in [
        ("a@b", "a@b"),
        ("Ann.Lee+sale@Example.ORG", "ann.lee+sale@example.org"),
        ("JÜRGEN@exämple.de", "jürgen@exämple.de"),
    ] {
        assert_eq!(email(text), Ok(key.to_owned()), "{text}");
    }
}

#[test]
fn what_is_no_address_is_refused_with_its_rule() {
    let longest = format!("{}@b", "a".repeat(252));
    assert_eq!(email(&longest), Ok(longest.clone()));
    // Two bytes each as sent, three each in lower case.
    let grows = format!("{}@b", "İ".repeat(100));
    for (text, rule) in [
        ("", "must not be empty"),
        (&format!("a{longest}"), "must be at most 254 bytes"),
        (&grows, "must be at most 254 bytes"),
        ("a b@c", "must not contain spaces or control characters"),
        (" a@c", "must not contain spaces or control characters"),
        ("a\u{a0}@c", "must not contain spaces or control characters"),
        ("a@c\r\n", "must not contain spaces or control characters"),
        ("a\0@c", "must not contain spaces or control characters"),
        ("abc", "must have exactly one @, with something on both sides"),
        ("a@b@c", "must have exactly one @, with something on both sides"),
        ("@b", "must have exactly one @, with something on both sides"),
        ("a@", "must have exactly one @, with something on both sides"),
        ("@", "must have exactly one @, with something on both sides"),
    ] {
        assert_eq!(email(text), Err(rule.to_owned()), "{text:?}");
    }
}

#[test]
fn a_password_has_8_to_128_characters_of_any_kind() {
    for (text, is_good) in [
        (String::new(), false),
        ("1234567".to_owned(), false),
        ("12345678".to_owned(), true),
        ("ÄÖÜ€äöüß".to_owned(), true),
        (" ".repeat(8), true),
        ("🦀".repeat(128), true),
        ("x".repeat(129), false),
    ] {
        assert_eq!(Password::parse(text.clone()).is_ok(), is_good, "{text:?}");
    }
}

#[test]
fn an_operator_has_a_name_of_one_visible_line() {
    for (text, is_good) in [
        ("", false),
        ("   ", false),
        ("Ann of ops", true),
        (&"ö".repeat(64), true),
        (&"ö".repeat(65), false),
        ("Ann\nlevel=error", false),
    ] {
        assert_eq!(OperatorName::parse(text).is_ok(), is_good, "{text:?}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let broken = Credentials::parse("nobody", "short".to_owned()).unwrap_err();
    assert_eq!(
        broken,
        [
            violation("email", "must have exactly one @, with something on both sides"),
            violation("password", "must be 8 to 128 characters"),
        ]
    );
    assert_eq!(
        OperatorGrant::parse("", 59, None).unwrap_err(),
        [
            violation("name", "must be 1 to 64 characters, not only spaces"),
            violation("lifetime_seconds", "must be 60 to 2592000"),
            violation("rights", NO_RIGHTS),
        ]
    );
    assert_eq!(
        RehearsalGrant::parse(1_000_001, 3_601).unwrap_err(),
        [
            violation("shoppers", "must be 1 to 1000000"),
            violation("lifetime_seconds", "must be 60 to 3600"),
        ]
    );
}

#[test]
fn the_borders_of_the_grants_are_inside() {
    for lifetime_s in [60, 2_592_000] {
        assert!(
            OperatorGrant::parse("Ann", lifetime_s, Some(Rights::all())).is_ok(),
            "{lifetime_s}"
        );
    }
    assert!(OperatorGrant::parse("Ann", 60, Some(Rights::default())).is_err(), "no right");
    for (shoppers, lifetime_s) in [(1, 60), (1_000_000, 3_600)] {
        assert!(RehearsalGrant::parse(shoppers, lifetime_s).is_ok(), "{shoppers} {lifetime_s}");
    }
    assert!(RehearsalGrant::parse(0, 60).is_err());
}

#[test]
fn rights_are_a_set_that_is_named_by_words() {
    let named = |text: &str| Rights::named(text.split(' '));
    assert_eq!(named("MAKE_OPERATORS READ READ").to_string(), "READ MAKE_OPERATORS");
    assert_eq!(
        named("RUN_SALES read ROOT").to_string(),
        "RUN_SALES",
        "unknown words allow nothing"
    );
    assert!(named("").is_empty());
    for (wanted, of, lacks) in [
        ("READ", "READ RUN_SALES", None),
        ("", "", None),
        ("READ RUN_SALES", "READ", Some(Right::RunSales)),
        ("MAKE_OPERATORS", "READ RUN_SALES", Some(Right::MakeOperators)),
    ] {
        assert_eq!(named(wanted).beyond(&named(of)), lacks, "{wanted} of {of}");
    }
}

#[test]
fn neither_address_nor_password_shows_itself() {
    let credentials = Credentials::parse("canary@example.org", "canary-password".to_owned());
    let shown = format!("{credentials:?}");
    assert!(shown.contains("Credentials") && !shown.contains("canary"), "{shown}");
}

fn violation(field: &'static str, description: &str) -> Violation {
    Violation { field, description: description.to_owned() }
}
