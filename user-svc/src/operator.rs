//! The first operator's token, made on the command line by whoever may read the signing key. It
//! needs no running service and no store, so no event is kept of it. Later ones can be made by RPC.

use std::{path::Path, time::Duration};

use chassis::Clock;

use crate::{
    domain::{OperatorGrant, Rights, Violation},
    keys::{self, KeyError},
    tokens::{Holder, Signer, SigningError, Token},
};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Name or lifetime is out of bounds: says which, and the bounds.
    #[error("{0}")]
    Invalid(String),
    /// The signing key can't be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The signature could not be made.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// A token with which `name` (1 to 64 characters) may do what `rights` allow, at least one, for
/// `lifetime` (60 s to 30 days). `issuer` must be the one that user-svc is configured with.
///
/// # Errors
/// The bounds, or the key file; each in one sentence.
pub fn issue(
    signing_key_file: &Path,
    issuer: &str,
    name: &str,
    lifetime: Duration,
    rights: &Rights,
) -> Result<Token, IssueError> {
    let lifetime_s = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    let grant = OperatorGrant::parse(name, lifetime_s, Some(rights.clone())).map_err(invalid)?;
    let key = keys::load_signing(signing_key_file)?;
    let signer = Signer::new(key, issuer.to_owned(), Clock::system());
    let holder = Holder::Operator { name: &grant.name, rights: &grant.rights, makers: &[] };
    Ok(signer.issue(holder, grant.lifetime)?.token)
}

fn invalid(violations: Vec<Violation>) -> IssueError {
    let said: Vec<_> = violations
        .iter()
        .map(|broken| format!("{} {}", broken.field, broken.description))
        .collect();
    IssueError::Invalid(said.join("; "))
}

#[cfg(test)]
mod tests;
