//! The data directory of `seckill dev`: databases, keys, and what other commands need to find the
//! shop. What is secret can be read by its owner only, and one process uses a directory at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    failure::Failure,
    keys::{self, unusable},
    target::{ADDRESSES_FILE, Addresses, OPERATOR_TOKEN_FILE},
};

/// An open data directory. Held until the shop is closed.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    /// Gone with its directory when dropped, if nobody named one.
    temporary: Option<tempfile::TempDir>,
    /// The lock is the system's: it ends with the process, however that ends.
    _lock: File,
}

impl DataDir {
    /// Opens `given`, which is made if it isn't there, or a fresh temporary directory.
    pub(super) fn open(given: Option<&Path>) -> Result<Self, Failure> {
        let temporary = match given {
            Some(path) => {
                let mut dir = DirBuilder::new();
                let made = dir.recursive(true).mode(0o700).create(path);
                made.map_err(|error| unusable(path, &error))?;
                None
            }
            None => {
                let dir = tempfile::Builder::new().prefix("seckill-dev-").tempdir();
                Some(dir.map_err(|error| unusable(Path::new("a temporary directory"), &error))?)
            }
        };
        let path = temporary.as_ref().map(tempfile::TempDir::path).or(given);
        let path = path.expect("one of the two is there").to_owned();
        // Addresses are absolute, so that what is printed works from any directory.
        let path = path.canonicalize().map_err(|error| unusable(&path, &error))?;
        let lock = lock(&path)?;
        let dir = Self { path, temporary, _lock: lock };
        dir.forget_addresses();
        Ok(dir)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the directory goes when the process ends.
    pub(super) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// For an end at once, which drops nothing.
    pub(super) fn remove_if_temporary(&self) {
        if self.is_temporary() {
            // Left behind in the system's temporary directory otherwise, and nothing depends on it.
            let _ = fs::remove_dir_all(&self.path);
        }
    }

    /// `sqlite:` URL of a database in the directory.
    pub(super) fn sqlite_url(&self, name: &str) -> String {
        format!("sqlite:{}", self.path.join(name).display())
    }

    /// The file of the signing key, which is made if it isn't there.
    pub(super) fn signing_key(&self) -> Result<PathBuf, Failure> {
        keys::signing(&self.path)
    }

    /// The file of a random key, which is made if it isn't there.
    pub(super) fn random_key(&self, name: &str) -> Result<PathBuf, Failure> {
        keys::random(&self.path, name)
    }

    /// Tells other commands where the shop is and how an operator speaks to it.
    pub(super) fn publish(
        &self,
        addresses: &Addresses,
        operator_token: &str,
    ) -> Result<(), Failure> {
        keys::write_private(&self.path, OPERATOR_TOKEN_FILE, operator_token)?;
        let text = serde_json::to_string_pretty(addresses)
            .map_err(|error| Failure::Machine(format!("can't write the addresses: {error}")))?;
        keys::write_private(&self.path, ADDRESSES_FILE, &text)
    }

    /// Takes back what [`Self::publish`] wrote: nobody is there any more.
    pub(super) fn forget_addresses(&self) {
        for name in [ADDRESSES_FILE, OPERATOR_TOKEN_FILE] {
            // What isn't there needn't be taken back.
            let _ = fs::remove_file(self.path.join(name));
        }
    }
}

fn lock(dir: &Path) -> Result<File, Failure> {
    let path = dir.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| unusable(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::Usage(format!(
            "another `seckill dev` uses the data directory {}",
            dir.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unusable(&path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn addresses() -> Addresses {
        let url = || "http://127.0.0.1:1".to_owned();
        Addresses { gateway: url(), inventory: url(), order: url(), user: url() }
    }

    #[test]
    fn a_directory_is_used_by_one_process_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let first = DataDir::open(Some(home.path())).unwrap();
        let refused = DataDir::open(Some(home.path())).unwrap_err();
        assert!(matches!(refused, Failure::Usage(says) if says.contains("another")));
        drop(first);
        DataDir::open(Some(home.path())).unwrap();
    }

    #[test]
    fn secrets_are_for_their_owner_only_and_keys_stay() {
        let home = tempfile::tempdir().unwrap();
        let dir = DataDir::open(Some(home.path())).unwrap();
        dir.publish(&addresses(), "token").unwrap();
        let key = dir.random_key("ticket.key").unwrap();
        let text = fs::read_to_string(&key).unwrap();
        for name in [OPERATOR_TOKEN_FILE, ADDRESSES_FILE, "ticket.key"] {
            let mode = fs::metadata(home.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert_eq!(text.trim().len(), 64);
        assert_eq!(fs::read_to_string(dir.random_key("ticket.key").unwrap()).unwrap(), text);
    }

    #[test]
    fn old_addresses_are_forgotten_when_a_directory_is_opened() {
        let home = tempfile::tempdir().unwrap();
        DataDir::open(Some(home.path())).unwrap().publish(&addresses(), "token").unwrap();
        DataDir::open(Some(home.path())).unwrap();
        assert!(!home.path().join(ADDRESSES_FILE).exists());
    }

    #[test]
    fn a_temporary_directory_goes_when_it_is_dropped() {
        let dir = DataDir::open(None).unwrap();
        let path = dir.path().to_owned();
        assert!(dir.is_temporary() && path.exists());
        drop(dir);
        assert!(!path.exists());
    }
}
