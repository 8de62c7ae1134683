//! Files that hold a secret: one rule for every key, password and token, so that the same file is
//! good for each role or for none.
//!
//! A file counts if nobody can read it but its owner, who is the user of this process or root; and
//! if root owns it, its group may read it as well: so Kubernetes mounts a Secret (0440, root and
//! the pod's group). Links are followed, and what is judged is the file that was opened. What a
//! secret is for, and who puts it there, isn't known here.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{fs::OFlags, process::geteuid};
use secrecy::{SecretString, zeroize::Zeroize as _};

/// A secret of more is no secret but a wrong file.
pub const BYTES_MAX: u64 = 64 * 1024;

/// What others than the owner may do, and what they may do where root owns the file: read, as its
/// group.
const OTHERS: u32 = 0o077;
const OTHERS_OF_ROOT: u32 = 0o037;
const ROOT: u32 = 0;

/// Why a secret file can't be used: one sentence, which holds nothing of what is in it.
#[derive(Debug, thiserror::Error)]
#[error("the secret file {} can't be used: {why}", path.display())]
pub struct Unusable {
    path: PathBuf,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    System(#[from] io::Error),
    #[error("it is no regular file")]
    NoFile,
    #[error(
        "it has mode {mode:04o}: nobody but its owner may have access (chmod 600), and its group \
         may read it only if root owns it (0440)"
    )]
    TooOpen { mode: u32 },
    #[error("user {owner} owns it: that must be root or the user of this process, {user}")]
    OthersOwn { owner: u32, user: u32 },
    #[error("it has more than {BYTES_MAX} bytes")]
    TooLong,
    #[error("it is not text")]
    NoText,
    #[error("it is empty")]
    Empty,
}

/// The secret in a text file, without the line break at its end.
///
/// # Errors
/// [`Unusable`] if it can't be read, others may read it, or it is empty, too long, or no text.
pub fn read(path: &Path) -> Result<SecretString, Unusable> {
    open(path).and_then(contents).map_err(|why| Unusable { path: path.to_owned(), why })
}

/// Whether a file may hold a secret, for those that a library reads by itself.
///
/// # Errors
/// [`Unusable`] if it can't be opened, or others may read it.
pub fn check(path: &Path) -> Result<(), Unusable> {
    open(path).map(drop).map_err(|why| Unusable { path: path.to_owned(), why })
}

fn open(path: &Path) -> Result<File, Why> {
    // Who opens a pipe would otherwise wait until somebody writes.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // Asked of the open file: the name could lead elsewhere a moment later.
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(Why::NoFile);
    }
    judge(found.mode() & 0o7777, found.uid(), geteuid().as_raw())?;
    if found.len() > BYTES_MAX {
        return Err(Why::TooLong);
    }
    Ok(file)
}

fn judge(mode: u32, owner: u32, user: u32) -> Result<(), Why> {
    let others = if owner == ROOT { OTHERS_OF_ROOT } else { OTHERS };
    if mode & others != 0 {
        return Err(Why::TooOpen { mode });
    }
    // Whoever owns a file can put another secret into it.
    if owner == ROOT || owner == user { Ok(()) } else { Err(Why::OthersOwn { owner, user }) }
}

fn contents(file: File) -> Result<SecretString, Why> {
    let mut text = String::new();
    let read = file.take(BYTES_MAX).read_to_string(&mut text);
    let read = read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Why::NoText,
        _ => error.into(),
    });
    if let Err(why) = read {
        text.zeroize();
        return Err(why);
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    if text.is_empty() { Err(Why::Empty) } else { Ok(SecretString::from(text)) }
}

#[cfg(test)]
mod tests;
