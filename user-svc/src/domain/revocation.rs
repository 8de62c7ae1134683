//! What was done with operators' tokens, as it is remembered: who made which, who took back whose.

use super::{OperatorName, Rights};

/// Whose tokens are taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Those of this name, and those made with them.
    Operator(OperatorName),
    Everyone,
}

/// Tokens made before a moment are void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) whose: Whose,
    /// Seconds since 1970.
    pub(crate) issued_before_s: u64,
}

/// What an operator did with tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperatorEvent {
    /// Wall time, milliseconds since 1970.
    pub(crate) at_ms: u64,
    pub(crate) by: OperatorName,
    /// Of the token that was shown.
    pub(crate) by_token: String,
    pub(crate) deed: Deed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    Issued { to: OperatorName, token: String, rights: Rights, expires_at_s: u64 },
    Revoked(Revocation),
}
