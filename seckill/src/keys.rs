//! `seckill keys`: the keys that the roles need, each in a file that only its owner may read. A key
//! that is there stays as it is. `dev` makes its own in the same way.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::{failure::Failure, screen::say};

/// Signs access tokens: user-svc's alone.
const SIGNING: &str = "signing.pem";
/// Signs tickets: the same on all gateways.
pub(crate) const TICKET: &str = "ticket.key";
/// Makes order ids: the same on all gateways, and for as long as a sale lasts.
pub(crate) const ORDER_ID: &str = "order-id.key";

/// Make the keys that the roles need
///
/// signing.pem for user-svc; ticket.key and order-id.key, the same on all gateways. What is there
/// already is kept.
#[derive(Debug, clap::Args)]
pub(crate) struct KeysArgs {
    /// Where the files go; made if it isn't there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &KeysArgs) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&args.dir);
    made.map_err(|error| unusable(&args.dir, &error))?;
    for path in [signing(&args.dir)?, random(&args.dir, TICKET)?, random(&args.dir, ORDER_ID)?] {
        say(path.display().to_string());
    }
    Ok(())
}

/// The file of an Ed25519 signing key in `dir`, which is made if it isn't there.
pub(crate) fn signing(dir: &Path) -> Result<PathBuf, Failure> {
    let path = dir.join(SIGNING);
    if !path.exists() {
        user_svc::keys::generate(&path).map_err(|error| Failure::Machine(error.to_string()))?;
    }
    Ok(path)
}

/// The file of a random key of 32 bytes in hexadecimal, which is made if it isn't there.
pub(crate) fn random(dir: &Path, name: &str) -> Result<PathBuf, Failure> {
    let path = dir.join(name);
    if !path.exists() {
        let key: [u8; 32] = rand::random();
        let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        write_private(dir, name, &text)?;
    }
    Ok(path)
}

/// Written beside its place and then moved there: a reader sees all of it or nothing.
pub(crate) fn write_private(dir: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = dir.join(name);
    let beside = dir.join(format!("{name}.new"));
    let write = || -> io::Result<()> {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let options = OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
        let mut file = options.open(&beside)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    };
    write().map_err(|error| unusable(&path, &error))
}

/// A file or directory that the machine doesn't let us have.
pub(crate) fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("can't use {}: {error}", path.display()))
}
