//! From what the ledger answered to a batch, to what each buyer is told. The rule that makes
//! ACCEPTED a promise (I-2) is [`answers`], in one place: acknowledged by the journal, inside the
//! lease, under an epoch that its keeper could still vouch for. Everything else that may have taken
//! a hold is PROCESSING.

use std::time::Duration;

use ids::{Epoch, OrderId, UserId};

/// One wish to buy, as it goes to the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) order: OrderId,
    pub(crate) user: UserId,
    pub(crate) quantity: u32,
    /// Per unit, as the ticket fixed it.
    pub(crate) unit_price: i64,
    pub(crate) ticket_expires_ms: u64,
    /// When this attempt was placed, by our clock that never goes back.
    pub(crate) placed_at: Duration,
    /// W3C; may be empty.
    pub(crate) traceparent: String,
}

/// Units taken for one order, as the ledger stored it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hold {
    /// The order that this becomes.
    pub order: OrderId,
    /// Who buys.
    pub user: UserId,
    /// Units, 1 or more.
    pub quantity: u32,
    /// Per unit, in the smallest unit of the item's currency.
    pub unit_price: i64,
    /// By the ledger's clock, in milliseconds since the Unix epoch.
    pub taken_at_ms: u64,
    /// W3C; may be empty.
    pub traceparent: String,
}

/// Why the ledger took nothing for one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryRefusal {
    /// The window has not opened yet.
    NotOpen,
    /// The window is over.
    Closed,
    /// The ticket's end has passed.
    TicketExpired,
    /// An operator has paused the sale.
    Paused,
    /// The user would have more units than the limit.
    LimitReached,
    /// Fewer units are left.
    SoldOut,
    /// The attempt was under way for too long, or nobody could say since when: another may go well.
    TooLate,
}

/// What the ledger remembers of an order that the books decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Settled {
    /// Live in the books.
    Placed,
    /// Refused by the books.
    Rejected,
    /// Cancelled or expired.
    Released,
}

/// The ledger's answer to one entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EntryAnswer {
    /// Taken by this call, or before and not settled yet. Either is published by this batch: a
    /// retry stands in for a gateway that died before it could.
    Hold(Hold),
    /// The books have decided it.
    Settled(Settled),
    /// Nothing was taken.
    Refused(EntryRefusal),
}

/// The ledger's answer to a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reserved {
    pub(crate) epoch: Epoch,
    /// Holds may be taken, but the keeper can't vouch that its epoch is still the open one.
    pub(crate) lease_lapsed: bool,
    /// One for each entry, in their order.
    pub(crate) answers: Vec<EntryAnswer>,
    /// By the ledger's clock, in microseconds since the Unix epoch; 0 if it doesn't say.
    pub(crate) now_us: u64,
}

impl Reserved {
    /// Whether attempts were refused only for what was known of the time.
    pub(crate) fn has_too_late(&self) -> bool {
        self.answers.contains(&EntryAnswer::Refused(EntryRefusal::TooLate))
    }
}

/// What came of a Reserve call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReserveOutcome {
    Answered(Reserved),
    /// Nothing was taken; the shard is being loaded.
    Loading,
    /// Nothing was taken, since nothing was asked of the ledger: whoever was called can't reach it.
    Unable,
    /// The shard is retired: the books alone answer.
    Retired,
    /// Nothing was taken: the call itself was refused, which is a fault of ours.
    Malformed,
    /// Holds may have been taken.
    Unknown,
}

/// Whether the record of the batch's holds may be promised on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recorded {
    /// Acknowledged, and the lease L still ran when that was known.
    InsideLease,
    /// Too late, refused by the journal, or not known.
    Unsure,
}

/// What a buyer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// A promise.
    Accepted,
    /// Unknown yet.
    Processing,
    /// The ledger took nothing.
    Refused(EntryRefusal),
    /// The books refused the order or gave its units back; final.
    Rejected,
    /// The shard is being loaded or can't be asked, or the attempt came too late; nothing was taken
    /// that counts.
    Loading,
    /// The books alone answer.
    Retired,
    /// Nothing was done.
    Overloaded,
}

/// One answer for each of the ledger's, in their order.
pub fn answers(reserved: &[EntryAnswer], lease_lapsed: bool, recorded: Recorded) -> Vec<Answer> {
    reserved.iter().map(|answer| tell(answer, lease_lapsed, recorded)).collect()
}

fn tell(answer: &EntryAnswer, lease_lapsed: bool, recorded: Recorded) -> Answer {
    // A ledger of an epoch that may be over is no witness at all, not even for a refusal: the
    // order may count in the epoch that follows.
    if lease_lapsed {
        return Answer::Processing;
    }
    match answer {
        EntryAnswer::Hold(_) => match recorded {
            Recorded::InsideLease => Answer::Accepted,
            Recorded::Unsure => Answer::Processing,
        },
        // The row is there already: no lease is needed to say so.
        EntryAnswer::Settled(Settled::Placed) => Answer::Accepted,
        EntryAnswer::Settled(Settled::Rejected | Settled::Released) => Answer::Rejected,
        // Somebody may have been told that nothing was placed: this attempt's hold would belie
        // that.
        EntryAnswer::Refused(EntryRefusal::TooLate) => Answer::Loading,
        EntryAnswer::Refused(why) => Answer::Refused(*why),
    }
}

#[cfg(test)]
mod tests {
    use ids::ShardNo;

    use super::*;

    fn hold() -> EntryAnswer {
        EntryAnswer::Hold(Hold {
            order: OrderId::mint(ShardNo::new(1).unwrap(), [7; 12]),
            user: UserId::from_bytes([1; 16]),
            quantity: 1,
            unit_price: 100,
            taken_at_ms: 5,
            traceparent: String::new(),
        })
    }

    #[test]
    fn accepted_needs_the_record_and_the_lease() {
        use Recorded::{InsideLease, Unsure};
        let placed = EntryAnswer::Settled(Settled::Placed);
        let sold_out = EntryAnswer::Refused(EntryRefusal::SoldOut);
        let table = [
            (hold(), false, InsideLease, Answer::Accepted),
            (hold(), false, Unsure, Answer::Processing),
            (hold(), true, InsideLease, Answer::Processing),
            (placed.clone(), false, Unsure, Answer::Accepted),
            (placed, true, InsideLease, Answer::Processing),
            (EntryAnswer::Settled(Settled::Rejected), false, InsideLease, Answer::Rejected),
            (EntryAnswer::Settled(Settled::Released), false, InsideLease, Answer::Rejected),
            (EntryAnswer::Refused(EntryRefusal::TooLate), false, Unsure, Answer::Loading),
            (sold_out.clone(), false, Unsure, Answer::Refused(EntryRefusal::SoldOut)),
            (sold_out, true, InsideLease, Answer::Processing),
        ];
        for (answer, lapsed, recorded, expected) in table {
            let told = answers(std::slice::from_ref(&answer), lapsed, recorded);
            assert_eq!(told, [expected], "{answer:?} {lapsed} {recorded:?}");
        }
    }
}
