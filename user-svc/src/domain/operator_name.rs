//! Whose token it is. The name stands beside each of the operator's actions in the log, so it is
//! one line of visible text. Operators are staff: unlike a buyer's address it may be logged.

use std::fmt;

/// Long enough for a name with its team, short enough for a log line.
const LEN_MAX: usize = 64;

/// 1 to 64 characters, none of them a control character, not only spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperatorName(String);

/// Why a text is no operator's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OperatorNameError {
    #[error("must be 1 to 64 characters, not only spaces")]
    Length,
    #[error("must not contain control characters")]
    ControlCharacter,
}

impl OperatorName {
    pub(crate) fn parse(text: &str) -> Result<Self, OperatorNameError> {
        if text.trim().is_empty() || text.chars().count() > LEN_MAX {
            return Err(OperatorNameError::Length);
        }
        if text.chars().any(char::is_control) {
            return Err(OperatorNameError::ControlCharacter);
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
