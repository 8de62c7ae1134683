//! How a session stands in the rows of every SQL keeper.

use ids::UserId;

use crate::{
    accounts::{AccountsError, Cause},
    domain::{SecretHash, Session, SessionId, Spent, Wrapped},
};

/// `user_id, present_hash, spent_hash, wrapped_present, opened_at_ms, used_at_ms, expires_at_ms`.
pub(super) type Columns = (Vec<u8>, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, i64, i64, i64);

pub(super) fn session(id: SessionId, columns: Columns) -> Result<Session, AccountsError> {
    read(id, columns).map_err(AccountsError::Damaged)
}

/// Times stay far below 2^63 ms; what doesn't is as good as the end of time.
pub(super) fn to_db(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn read(id: SessionId, columns: Columns) -> Result<Session, Cause> {
    let (user, present, spent, wrapped, opened_at_ms, used_at_ms, expires_at_ms) = columns;
    let spent = match (spent, wrapped) {
        (Some(hash), Some(wrapped)) => Some(Spent {
            hash: SecretHash(bytes(&hash)?),
            wrapped_present: Wrapped(bytes(&wrapped)?),
        }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err("a spent token is there by half".into()),
    };
    Ok(Session {
        id,
        user: UserId::try_from(user.as_slice())?,
        present: SecretHash(bytes(&present)?),
        spent,
        opened_at_ms: opened_at_ms.try_into()?,
        used_at_ms: used_at_ms.try_into()?,
        expires_at_ms: expires_at_ms.try_into()?,
    })
}

fn bytes(column: &[u8]) -> Result<[u8; 32], Cause> {
    Ok(column.try_into()?)
}
