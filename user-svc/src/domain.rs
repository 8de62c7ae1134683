//! What an account, a session, an operator and a rehearsal may look like. Pure: texts and numbers
//! come in, values that hold their rules come out, or every rule that was broken, all at once.
//! Knows nothing of tokens, tables or messages.

mod email;
mod neighbourhood;
mod operator_name;
mod password;
mod revocation;
mod rights;
mod session;
mod tally;

pub(crate) use email::Email;
pub(crate) use neighbourhood::Neighbourhood;
pub(crate) use operator_name::OperatorName;
pub(crate) use password::Password;
pub(crate) use revocation::{Deed, OperatorEvent, Revocation, Whose};
pub use rights::{Right, Rights};
pub(crate) use session::{SecretHash, Session, SessionId, SessionRules, Shown, Spent, Wrapped};
pub(crate) use tally::{Patience, Tally};

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

/// The longest life of an operator's token, in seconds: 30 days. A revocation that is older
/// concerns no token.
pub(crate) const OPERATOR_LIFETIME_S_MAX: u32 = 2_592_000;
/// How long an operator's token may live.
const OPERATOR_LIFETIME_S: RangeInclusive<u32> = 60..=OPERATOR_LIFETIME_S_MAX;
const NO_RIGHTS: &str =
    "must name at least one of READ, RUN_SALES, MAKE_OPERATORS, and nothing else";
/// How long a rehearsal shopper's token may live, in seconds: one rehearsal.
const REHEARSAL_LIFETIME_S: RangeInclusive<u32> = 60..=3_600;
/// How many shoppers one rehearsal may have.
const SHOPPERS: RangeInclusive<u32> = 1..=1_000_000;

/// One broken rule of one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The field's name in the contract.
    pub(crate) field: &'static str,
    /// What it must be like; never repeats what was sent.
    pub(crate) description: String,
}

/// What one registers and signs in with.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) email: Email,
    pub(crate) password: Password,
}

impl Credentials {
    pub(crate) fn parse(email: &str, password: String) -> Result<Self, Vec<Violation>> {
        let email = field("email", Email::parse(email));
        let password = field("password", Password::parse(password));
        both(email, password).map(|(email, password)| Self { email, password })
    }
}

/// A token wanted for an operator.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OperatorGrant {
    pub(crate) name: OperatorName,
    pub(crate) lifetime: Duration,
    pub(crate) rights: Rights,
}

impl OperatorGrant {
    /// `rights` is none if one was named that there isn't.
    pub(crate) fn parse(
        name: &str,
        lifetime_s: u32,
        rights: Option<Rights>,
    ) -> Result<Self, Vec<Violation>> {
        let name = field("name", OperatorName::parse(name));
        let lifetime = field("lifetime_seconds", within(lifetime_s, &OPERATOR_LIFETIME_S));
        let rights = rights.filter(|rights| !rights.is_empty()).ok_or(NO_RIGHTS);
        let rights = both(lifetime, field("rights", rights));
        match (name, rights) {
            (Ok(name), Ok((seconds, rights))) => {
                Ok(Self { name, lifetime: in_seconds(seconds), rights })
            }
            (name, rights) => {
                Err(name.err().into_iter().chain(rights.err().unwrap_or_default()).collect())
            }
        }
    }
}

/// Tokens wanted for the shoppers of a rehearsal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RehearsalGrant {
    pub(crate) shoppers: u32,
    pub(crate) lifetime: Duration,
}

impl RehearsalGrant {
    pub(crate) fn parse(shoppers: u32, lifetime_s: u32) -> Result<Self, Vec<Violation>> {
        let shoppers = field("shoppers", within(shoppers, &SHOPPERS));
        let lifetime = field("lifetime_seconds", within(lifetime_s, &REHEARSAL_LIFETIME_S));
        both(shoppers, lifetime)
            .map(|(shoppers, seconds)| Self { shoppers, lifetime: in_seconds(seconds) })
    }
}

/// Both values, or all violations: a client learns in one answer all that it has to correct.
pub(crate) fn both<A, B>(
    one: Result<A, Violation>,
    other: Result<B, Violation>,
) -> Result<(A, B), Vec<Violation>> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (one, other) => Err([one.err(), other.err()].into_iter().flatten().collect()),
    }
}

fn field<T>(field: &'static str, parsed: Result<T, impl Display>) -> Result<T, Violation> {
    parsed.map_err(|broken| Violation { field, description: broken.to_string() })
}

fn within(number: u32, allowed: &RangeInclusive<u32>) -> Result<u32, String> {
    if allowed.contains(&number) {
        return Ok(number);
    }
    Err(format!("must be {} to {}", allowed.start(), allowed.end()))
}

fn in_seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

#[cfg(test)]
mod tests;
