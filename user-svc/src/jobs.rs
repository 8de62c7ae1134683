//! What is done unasked.

mod remove_expired_sessions;

pub(crate) use remove_expired_sessions::remove_expired_sessions;
