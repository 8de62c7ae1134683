//! Other services, as this one needs them: order-svc's books, and who user-svc says an operator is.
//! Every call has a deadline, and no answer is an answer of its own; what to do about it is decided
//! by the callers.

pub mod books;
pub mod operators;

/// No answer that can be used: unreachable, too late, or not what the contract says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{service} gave no answer: {why}")]
pub struct Silent {
    /// Who was asked.
    pub service: &'static str,
    /// What came instead.
    pub why: String,
}
