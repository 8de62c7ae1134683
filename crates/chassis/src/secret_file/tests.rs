//! Modes and owners, judged alone and as real files; and the ways in which they are mounted.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown, symlink},
};

use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::*;

const US: u32 = 1_000;
const SOMEBODY: u32 = 2_000;

/// A mode, and whether it is good for a file of this process's user, of root, of somebody else.
const TABLE: [(u32, [bool; 3]); 17] = [
    (0o600, [true, true, false]),
    (0o400, [true, true, false]),
    (0o700, [true, true, false]),
    (0o4600, [true, true, false]),
    (0o440, [false, true, false]),
    (0o640, [false, true, false]),
    (0o444, [false, false, false]),
    (0o644, [false, false, false]),
    (0o604, [false, false, false]),
    (0o660, [false, false, false]),
    (0o620, [false, false, false]),
    (0o460, [false, false, false]),
    (0o450, [false, false, false]),
    (0o602, [false, false, false]),
    (0o601, [false, false, false]),
    (0o666, [false, false, false]),
    (0o777, [false, false, false]),
];

fn file(dir: &TempDir, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
    path
}

/// The sentence without the path.
fn sentence(path: &Path) -> String {
    let unusable = read(path).expect_err("it is refused").to_string();
    let head = format!("the secret file {} can't be used: ", path.display());
    unusable.strip_prefix(&head).unwrap_or_else(|| panic!("{unusable}")).to_owned()
}

fn too_open(mode: u32) -> String {
    format!(
        "it has mode {mode:04o}: nobody but its owner may have access (chmod 600), and its group \
         may read it only if root owns it (0440)"
    )
}

/// Whether owners can be given here; says so where they can't.
fn is_root() -> bool {
    let is_root = geteuid().as_raw() == ROOT;
    if !is_root {
        #[expect(clippy::print_stderr, reason = "what isn't tested is told")]
        {
            eprintln!("SKIPPED: files of other owners, which root alone can make");
        }
    }
    is_root
}

#[test]
fn mode_and_owner_together_decide() {
    for (mode, [ours, of_root, of_somebody]) in TABLE {
        for (owner, is_good) in [(US, ours), (ROOT, of_root), (SOMEBODY, of_somebody)] {
            assert_eq!(judge(mode, owner, US).is_ok(), is_good, "{mode:04o} of {owner}");
        }
        // For root's process its own file is root's.
        assert_eq!(judge(mode, ROOT, ROOT).is_ok(), of_root, "{mode:04o} of root, for root");
        assert!(judge(mode, US, ROOT).is_err(), "{mode:04o} of a user, for root");
    }
}

#[test]
fn real_files_are_judged_by_the_same_table() {
    let dir = TempDir::new().expect("a directory");
    for (mode, [ours, of_root, _]) in TABLE {
        let is_good = if is_root() { of_root } else { ours };
        let path = file(&dir, &format!("{mode:o}"), "sour dough\n", mode);
        if is_good {
            assert_eq!(read(&path).expect("it is good").expose_secret(), "sour dough");
            check(&path).expect("it is good");
        } else {
            assert_eq!(sentence(&path), too_open(mode));
            check(&path).expect_err("it is refused");
        }
    }
}

#[test]
fn a_group_may_read_what_root_owns_and_nobodys_file_counts() {
    if !is_root() {
        return;
    }
    let dir = TempDir::new().expect("a directory");
    let path = file(&dir, "key", "sour dough", 0o440);
    chown(&path, Some(ROOT), Some(SOMEBODY)).expect("root may");
    assert_eq!(read(&path).expect("as Kubernetes mounts it").expose_secret(), "sour dough");
    chown(&path, Some(SOMEBODY), Some(SOMEBODY)).expect("root may");
    assert_eq!(sentence(&path), too_open(0o440));
    fs::set_permissions(&path, Permissions::from_mode(0o400)).expect("root may");
    assert_eq!(
        sentence(&path),
        "user 2000 owns it: that must be root or the user of this process, 0"
    );
}

/// `..data` is a link to a directory of this version, and each name a link through it.
#[test]
fn links_of_a_projected_volume_are_followed_and_their_target_is_judged() {
    let dir = TempDir::new().expect("a directory");
    let version = dir.path().join("..2026_01_01");
    fs::create_dir(&version).expect("a directory");
    symlink("..2026_01_01", dir.path().join("..data")).expect("a link");
    symlink("..data/key", dir.path().join("key")).expect("a link");
    let target = version.join("key");
    fs::write(&target, "sour dough").expect("a file");
    let path = dir.path().join("key");
    for (mode, is_good) in [(0o400, true), (0o600, true), (0o644, false)] {
        fs::set_permissions(&target, Permissions::from_mode(mode)).expect("it is ours");
        assert_eq!(read(&path).is_ok(), is_good, "{mode:04o}");
    }
}

#[test]
fn what_holds_no_secret_is_refused_in_a_sentence() {
    let dir = TempDir::new().expect("a directory");
    let missing = dir.path().join("missing");
    assert_eq!(sentence(&missing), "No such file or directory (os error 2)");
    assert_eq!(sentence(dir.path()), "it is no regular file");
    assert_eq!(sentence(&file(&dir, "empty", "\r\n", 0o600)), "it is empty");
    let long = "x".repeat(64 * 1024 + 1);
    assert_eq!(sentence(&file(&dir, "long", &long, 0o600)), "it has more than 65536 bytes");
    let path = file(&dir, "bytes", "", 0o600);
    fs::write(&path, [0xff, 0xfe]).expect("a file");
    assert_eq!(sentence(&path), "it is not text");
}

#[test]
fn nobody_waits_for_a_pipe() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).expect("a pipe");
    assert_eq!(sentence(&path), "it is no regular file");
}
