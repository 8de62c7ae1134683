//! A disk of a test's own that is soon full: memory, mounted as a file system of a few MB.
//!
//! It promises that writes fail on it as on any full disk (ENOSPC), and that it is gone with its
//! owner. Mounting needs root; a test that can't have it fails and says so.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What fills it.
const FILLING: &str = "filling";

/// See the module. Whoever writes there has to end before this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    /// An empty one.
    ///
    /// # Panics
    /// If it can't be mounted.
    pub fn of_kib(kib: u32) -> Self {
        let dir = tempfile::tempdir().expect("the temporary directory can be written");
        let size = format!("size={kib}k");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "a small disk can't be mounted: these tests must run as root, with the right to mount"
        );
        Self { dir }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves no room, not even in pages that are written to a bit.
    ///
    /// # Panics
    /// If there is still room.
    pub fn fill(&self) {
        let mut file = File::create(self.filling()).expect("a name needs no room");
        let full = loop {
            if let Err(error) = file.write_all(&[0xff; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{full}");
    }

    /// Makes room again.
    ///
    /// # Panics
    /// If it wasn't filled.
    pub fn free(&self) {
        fs::remove_file(self.filling()).expect("it was filled");
    }

    fn filling(&self) -> PathBuf {
        self.dir.path().join(FILLING)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, or a file that somebody has open would keep it there.
        let _ = Command::new("umount").arg("--lazy").arg(self.dir.path()).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_until_it_is_freed_and_goes_with_its_owner() {
        let disk = SmallDisk::of_kib(256);
        let (path, file) = (disk.path().to_owned(), disk.path().join("flour"));
        disk.fill();
        assert!(fs::write(&file, [1; 10]).is_err());
        disk.free();
        fs::write(&file, [1; 10]).expect("there is room");
        drop(disk);
        assert!(!path.exists());
    }
}
