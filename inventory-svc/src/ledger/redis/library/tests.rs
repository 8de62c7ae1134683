//! The text is pinned to its version: two roles that call the same name must mean the same.

use sha2::{Digest, Sha256};

use super::{LIBRARY, OF_TESTS};

/// The names of all versions that were ever let out, with the digests of their texts.
const LET_OUT: [(&str, &str); 3] = [
    ("seckill_v1", "3a9243818cfbbc281dd01c8c16d1f4bb8053918fef237d311c86c48e30a5c419"),
    ("seckill_v2", "f169ca68dca53c3c9051b4cdc8fb4545c220cbedcd320e4b41ac3d4be30a0a97"),
    ("seckill_v3", "13312ad6ac43297cb93a187465cc5adb7938b5853b5acfd2541cf0dfaca2c8b1"),
];

#[test]
fn a_changed_text_has_a_new_version() {
    let digest = Sha256::digest(LIBRARY.text.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        LET_OUT.last(),
        Some(&(LIBRARY.name, &*digest)),
        "the library has changed: count its version up, and add it here with its digest"
    );
}

#[test]
fn no_version_is_used_twice() {
    let mut names: Vec<_> = LET_OUT.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), LET_OUT.len());
}

#[test]
fn time_is_moved_in_tests_only() {
    assert!(!LIBRARY.text.contains("test"), "the clock of tests is in the library that is used");
    assert!(OF_TESTS.text.contains("test:now"));
}
