//! What a database error means to who has to go on.
//!
//! The kinds are those that callers treat differently; the codes of each database are known here
//! and nowhere else.

use sqlx::{error::DatabaseError, mysql::MySqlDatabaseError};

/// What an error means to who has to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A primary or unique key has the value already. The statement did nothing.
    Duplicate,
    /// Another writer, or no free connection: nothing was done, try again from the start of the
    /// transaction. That must be rolled back first: the statement alone may have been.
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
        sqlx::Error::Database(error) => match error.try_downcast_ref::<MySqlDatabaseError>() {
            Some(error) => of_mysql(error.number()),
            None => of_sqlite(error.as_ref()),
        },
        sqlx::Error::PoolTimedOut => Trouble::Busy,
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Trouble::Lost,
        _ => Trouble::Other,
    }
}

const CANTOPEN: u32 = 14;

/// Whether SQLite could not open its file.
pub(crate) fn is_no_file(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| {
        let is_of_server = error.try_downcast_ref::<MySqlDatabaseError>().is_some();
        !is_of_server && primary_code(error) == Some(CANTOPEN)
    })
}

/// SQLite's primary result code, which is the low byte of the extended one.
fn primary_code(error: &dyn DatabaseError) -> Option<u32> {
    error.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff)
}

fn of_sqlite(error: &dyn DatabaseError) -> Trouble {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const IOERR: u32 = 10;
    const FULL: u32 = 13;
    match primary_code(error) {
        Some(BUSY | LOCKED) => Trouble::Busy,
        Some(IOERR | FULL | CANTOPEN) => Trouble::Lost,
        _ => Trouble::Other,
    }
}

/// By the error number of MySQL and MariaDB. Those of clients (2006, 2013) never come from a
/// server: sqlx has I/O errors in their place.
fn of_mysql(number: u16) -> Trouble {
    match number {
        // Too many connections, in all or of this user; a row that changed since it was read; a
        // wait for a lock that took too long; a deadlock; a statement that was cancelled or took
        // too long (MariaDB, MySQL); a group's certification that failed.
        1040 | 1203 | 1020 | 1205 | 1213 | 1317 | 1969 | 3024 | 3101 => Trouble::Busy,
        // The server shuts down, has cut the connection (MariaDB, MySQL; unused for too long), or
        // has left its cluster.
        1053 | 1077..=1079 | 1152 | 1158..=1161 | 1927 | 3169 | 4031 | 1047 => Trouble::Lost,
        // It may not be written any more: another one is the primary now.
        1290 | 1792 | 1836 => Trouble::Lost,
        // Its disk is full, or doesn't work.
        3 | 1021 | 1026 | 1030 | 1114 => Trouble::Lost,
        _ => Trouble::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_servers_are_sorted() {
        for (number, expected) in [
            (1205, Trouble::Busy),
            (1213, Trouble::Busy),
            (1040, Trouble::Busy),
            (1053, Trouble::Lost),
            (1927, Trouble::Lost),
            (4031, Trouble::Lost),
            (1290, Trouble::Lost),
            (1114, Trouble::Lost),
            // A value that doesn't fit, a CHECK, a missing table, a bad password.
            (1264, Trouble::Other),
            (3819, Trouble::Other),
            (1146, Trouble::Other),
            (1045, Trouble::Other),
        ] {
            assert_eq!(of_mysql(number), expected, "{number}");
        }
    }
}
