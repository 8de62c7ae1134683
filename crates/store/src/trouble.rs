//! What a database error means to who has to go on.
//!
//! The kinds are those that callers treat differently; the codes of each database are known here
//! and nowhere else.

use sqlx::error::DatabaseError;

/// What an error means to who has to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A primary or unique key has the value already. The statement did nothing.
    Duplicate,
    /// Another writer, or no free connection: nothing was done, try again from the start of the
    /// transaction.
    Busy,
    /// The store can't be reached: the connection or the disk is gone or full. What was in flight
    /// may have been done, a commit too.
    Lost,
    /// Anything else: a defect, or a damaged store.
    Other,
}

/// Sorts an error.
pub fn trouble(error: &sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => Trouble::Duplicate,
        sqlx::Error::Database(error) => of_sqlite(error.as_ref()),
        sqlx::Error::PoolTimedOut => Trouble::Busy,
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Trouble::Lost,
        _ => Trouble::Other,
    }
}

/// By SQLite's primary result code, which is the low byte of the extended one.
fn of_sqlite(error: &dyn DatabaseError) -> Trouble {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const IOERR: u32 = 10;
    const FULL: u32 = 13;
    const CANTOPEN: u32 = 14;
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    match code.map(|code| code & 0xff) {
        Some(BUSY | LOCKED) => Trouble::Busy,
        Some(IOERR | FULL | CANTOPEN) => Trouble::Lost,
        _ => Trouble::Other,
    }
}
