//! One price for everybody.

use std::{num::NonZeroUsize, time::Duration};

use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version};
use tokio::runtime::Handle;

use super::{Cost, PasswordError, Passwords, StoredHash};
use crate::{
    domain::Password,
    workroom::{Bounds, Workroom},
};

/// The cheapest that argon2 allows.
const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

fn passwords(cost: Cost) -> Result<Passwords, PasswordError> {
    let bounds = Bounds {
        parallel_max: NonZeroUsize::MIN,
        queue_len_max: 8,
        wait_max: Duration::from_secs(20),
    };
    Passwords::new(cost, Workroom::new(bounds, Handle::current()))
}

fn password(text: &str) -> Password {
    Password::parse(text.to_owned()).unwrap()
}

#[tokio::test]
async fn only_the_password_itself_fits_its_hash() {
    let passwords = passwords(CHEAP).unwrap();
    let stored = passwords.hash(password("correct horse")).await.unwrap();
    let again = passwords.hash(password("correct horse")).await.unwrap();
    assert_ne!(stored, again, "each hash has a salt of its own");
    assert!(
        passwords
            .check(
                passwords.place().unwrap(),
                password("correct horse"),
                Some(stored.clone()),
                |it| it
            )
            .await
            .unwrap()
    );
    assert!(
        passwords
            .check(passwords.place().unwrap(), password("correct horse"), Some(again), |it| it)
            .await
            .unwrap()
    );
    assert!(
        !passwords
            .check(passwords.place().unwrap(), password("Correct horse"), Some(stored), |it| it)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn nobody_costs_the_same_one_check_and_never_fits() {
    let passwords = passwords(CHEAP).unwrap();
    let stored = passwords.hash(password("correct horse")).await.unwrap();
    assert_eq!(passwords.checks(), 0);
    assert!(
        !passwords
            .check(
                passwords.place().unwrap(),
                password("battery staple"),
                Some(stored.clone()),
                |it| it
            )
            .await
            .unwrap()
    );
    assert_eq!(passwords.checks(), 1);
    assert!(
        !passwords
            .check(passwords.place().unwrap(), password("battery staple"), None, |it| it)
            .await
            .unwrap()
    );
    assert_eq!(passwords.checks(), 2);
    let cost = |hash: &StoredHash| hash.as_text().split('$').nth(3).unwrap().to_owned();
    assert_eq!(cost(&passwords.nobody), cost(&stored));
    assert_eq!(cost(&stored), "m=8,t=1,p=1");
    assert!(stored.as_text().starts_with("$argon2id$v=19$"), "{}", stored.as_text());
}

#[tokio::test]
async fn memory_is_used_again_whatever_a_hash_costs() {
    let passwords = passwords(CHEAP).unwrap();
    // Of another implementation: 16 KiB, where new ones have 8.
    let foreign = argon2::PasswordHasher::hash_password(
        &Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(16, 2, 1, None).unwrap()),
        b"correct horse",
    );
    let foreign = StoredHash::from_text(foreign.unwrap().to_string());
    for _ in 0..3 {
        let stored = passwords.hash(password("correct horse")).await.unwrap();
        for stored in [stored, foreign.clone()] {
            let again = Some(stored.clone());
            assert!(
                passwords
                    .check(
                        passwords.place().unwrap(),
                        password("correct horse"),
                        Some(stored),
                        |it| it
                    )
                    .await
                    .unwrap()
            );
            assert!(
                !passwords
                    .check(passwords.place().unwrap(), password("Correct horse"), again, |it| it)
                    .await
                    .unwrap()
            );
        }
    }
    assert_eq!(passwords.memory.pieces(), 1, "one at a time needs one piece");
}

#[tokio::test]
async fn what_is_made_here_others_can_read() {
    let passwords = passwords(CHEAP).unwrap();
    let stored = passwords.hash(password("correct horse")).await.unwrap();
    let verifies = |password: &[u8]| {
        PasswordVerifier::<str>::verify_password(&Argon2::default(), password, stored.as_text())
    };
    assert!(verifies(b"correct horse").is_ok());
    assert!(verifies(b"Correct horse").is_err());
}

#[tokio::test]
async fn a_damaged_hash_is_an_error_and_not_a_wrong_password() {
    let passwords = passwords(CHEAP).unwrap();
    let damaged = Some(StoredHash::from_text("$argon2id$v=19$oh".to_owned()));
    let answer = passwords
        .check(passwords.place().unwrap(), password("correct horse"), damaged, |it| it)
        .await;
    assert!(matches!(answer, Err(PasswordError::Hash(_))), "{answer:?}");
}

#[tokio::test]
async fn an_impossible_cost_shows_at_the_start() {
    assert!(matches!(passwords(Cost { memory_kib: 7, ..CHEAP }), Err(PasswordError::Hash(_))));
    assert!(matches!(passwords(Cost { passes: 0, ..CHEAP }), Err(PasswordError::Hash(_))));
}
