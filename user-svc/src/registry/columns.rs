//! How events and revocations stand in the rows of every SQL keeper.

use crate::{
    accounts::{AccountsError, Cause},
    domain::{Deed, OperatorEvent, OperatorName, Revocation, Rights, Whose},
};

/// `event_id, at_ms, by_name, by_token, whose, token, rights, expires_at_s, issued_before_s`.
pub(super) type Row = (
    i64,
    i64,
    Vec<u8>,
    Vec<u8>,
    Vec<u8>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
);

/// What an event adds to the table, whose id comes from there.
pub(super) struct New {
    pub(super) at_ms: i64,
    pub(super) by: Vec<u8>,
    pub(super) by_token: Vec<u8>,
    pub(super) whose: Vec<u8>,
    pub(super) token: Option<Vec<u8>>,
    pub(super) rights: Option<Vec<u8>>,
    pub(super) expires_at_s: Option<i64>,
    pub(super) issued_before_s: Option<i64>,
}

/// Times stay far below 2^63; what doesn't is as good as the end of time.
pub(super) fn to_db(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

pub(super) fn of_event(event: &OperatorEvent) -> New {
    let new = New {
        at_ms: to_db(event.at_ms),
        by: event.by.as_str().into(),
        by_token: event.by_token.as_bytes().into(),
        whose: Vec::new(),
        token: None,
        rights: None,
        expires_at_s: None,
        issued_before_s: None,
    };
    match &event.deed {
        Deed::Issued { to, token, rights, expires_at_s } => New {
            whose: to.as_str().into(),
            token: Some(token.as_bytes().into()),
            rights: Some(rights.to_string().into_bytes()),
            expires_at_s: Some(to_db(*expires_at_s)),
            ..new
        },
        Deed::Revoked(Revocation { whose, issued_before_s }) => {
            New { whose: of_whose(whose), issued_before_s: Some(to_db(*issued_before_s)), ..new }
        }
    }
}

/// An event and its id.
pub(super) fn event(row: Row) -> Result<(i64, OperatorEvent), AccountsError> {
    read(row).map_err(AccountsError::Damaged)
}

pub(super) fn of_whose(whose: &Whose) -> Vec<u8> {
    match whose {
        Whose::Operator(name) => name.as_str().into(),
        Whose::Everyone => Vec::new(),
    }
}

/// `whose, issued_before_s`.
pub(super) fn revocation((column, before): (Vec<u8>, i64)) -> Result<Revocation, AccountsError> {
    let read = || -> Result<_, Cause> {
        Ok(Revocation { whose: whose(column)?, issued_before_s: before.try_into()? })
    };
    read().map_err(AccountsError::Damaged)
}

fn read(row: Row) -> Result<(i64, OperatorEvent), Cause> {
    let (id, at_ms, by, by_token, column, token, rights, expires_at_s, before) = row;
    let deed = match (token, rights, expires_at_s, before) {
        (Some(token), Some(rights), Some(expires_at_s), None) => Deed::Issued {
            to: name(column)?,
            token: String::from_utf8(token)?,
            rights: Rights::named(std::str::from_utf8(&rights)?.split_ascii_whitespace()),
            expires_at_s: expires_at_s.try_into()?,
        },
        (None, None, None, Some(before)) => {
            Deed::Revoked(Revocation { whose: whose(column)?, issued_before_s: before.try_into()? })
        }
        _ => return Err("an event is there by half".into()),
    };
    let (at_ms, by, by_token) = (at_ms.try_into()?, name(by)?, String::from_utf8(by_token)?);
    Ok((id, OperatorEvent { at_ms, by, by_token, deed }))
}

fn whose(column: Vec<u8>) -> Result<Whose, Cause> {
    if column.is_empty() { Ok(Whose::Everyone) } else { name(column).map(Whose::Operator) }
}

fn name(column: Vec<u8>) -> Result<OperatorName, Cause> {
    Ok(OperatorName::parse(&String::from_utf8(column)?)?)
}
