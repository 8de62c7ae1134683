//! Key files as openssl writes them, and those that are refused.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{KeyError, generate, load_public, load_signing};

/// The key pair of RFC 8410, section 10, as openssl writes it.
const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";

fn file(dir: &TempDir, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

/// The sentence without the path.
fn sentence(error: &KeyError, path: &Path) -> String {
    error.to_string().replace(&path.display().to_string(), "FILE")
}

#[test]
fn both_halves_of_a_pair_have_one_name_and_one_public_key() {
    let dir = TempDir::new().unwrap();
    let signing = load_signing(&file(&dir, "private.pem", PRIVATE_PEM, 0o600)).unwrap();
    let public = load_public(&file(&dir, "public.pem", PUBLIC_PEM, 0o644)).unwrap();
    assert_eq!(signing.public, public);
    assert_eq!(public.ed25519[..4], [0x19, 0xbf, 0x44, 0x09]);
    assert_eq!(public.key_id.len(), 16);
    assert!(format!("{signing:?}").contains("[redacted]"));
}

#[test]
fn a_generated_key_loads_and_is_for_its_owner_only() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("signing.pem");
    let public = generate(&path).unwrap();
    assert_eq!(load_signing(&path).unwrap().public, public);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let other = generate(&dir.path().join("other.pem")).unwrap();
    assert_ne!(public.key_id, other.key_id);
}

#[test]
fn a_key_is_never_overwritten() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("signing.pem");
    let public = generate(&path).unwrap();
    assert!(matches!(generate(&path), Err(KeyError::File { .. })));
    assert_eq!(load_signing(&path).unwrap().public, public);
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let dir = TempDir::new().unwrap();
    for mode in [0o604, 0o644, 0o660, 0o777] {
        let path = file(&dir, "private.pem", PRIVATE_PEM, mode);
        let refused = sentence(&load_signing(&path).unwrap_err(), &path);
        let says = format!("the secret file FILE can't be used: it has mode {mode:04o}");
        assert!(refused.starts_with(&says), "{refused}");
    }
    assert!(load_signing(&file(&dir, "private.pem", PRIVATE_PEM, 0o400)).is_ok());
}

#[test]
fn what_is_no_key_is_refused_in_one_sentence() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("missing.pem");
    assert_eq!(
        sentence(&load_signing(&missing).unwrap_err(), &missing),
        "the secret file FILE can't be used: No such file or directory (os error 2)"
    );
    let long = "x".repeat(10_000);
    for text in ["hello", PUBLIC_PEM, &PRIVATE_PEM.replace("MC4C", "MC4D"), &long] {
        let path = file(&dir, "bad.pem", text, 0o600);
        assert_eq!(
            sentence(&load_signing(&path).unwrap_err(), &path),
            "key file FILE is not an Ed25519 private key in PKCS#8 PEM \
             (openssl genpkey -algorithm ed25519)"
        );
    }
    let empty = file(&dir, "bad.pem", "", 0o600);
    assert_eq!(
        sentence(&load_signing(&empty).unwrap_err(), &empty),
        "the secret file FILE can't be used: it is empty"
    );
    for text in ["", PRIVATE_PEM, &PUBLIC_PEM.replace("MCow", "MCox")] {
        let path = file(&dir, "bad.pem", text, 0o600);
        assert!(matches!(load_public(&path), Err(KeyError::NotAKey { .. })), "{text}");
    }
}
