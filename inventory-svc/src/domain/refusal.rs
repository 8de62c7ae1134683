//! Why the ledger takes no units for one request. A refusal is an answer, not an error: precise, in
//! a fixed order of precedence, and final until something else changes. What a buyer is told about
//! it is decided at the rims.

/// The refusals of the ledger for one request, in their order of precedence: the first one that
/// applies is the answer (protocol, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The window has not opened yet, by the ledger's clock.
    NotOpen,
    /// The window is over, by the ledger's clock.
    Closed,
    /// The ticket's end has passed, by the ledger's clock.
    TicketExpired,
    /// An operator has paused the sale.
    Paused,
    /// The user's live units and these together exceed the limit.
    LimitReached,
    /// Fewer units are left than asked for.
    SoldOut,
    /// This attempt is under way for too long, or somebody was told since it was placed that there
    /// is nothing of its order. Another attempt may go well.
    TooLate,
}
