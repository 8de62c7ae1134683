//! What became of an order: the one rule by which GetOrder, WatchOrder and an expired ticket are
//! answered (protocol section 8). It doesn't know how the books and the ledger are asked.

use ids::{Epoch, ItemId, OrderId, SaleId, UserId};
use law::OrderState;

use super::item::Money;

/// An order as the books have it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    /// Its id.
    pub order: OrderId,
    /// Whose it is.
    pub user: UserId,
    /// The sale of its item.
    pub sale: SaleId,
    /// What was bought.
    pub item: ItemId,
    /// Units, 1 or more.
    pub quantity: u32,
    /// As the ticket fixed it.
    pub unit_price: Money,
    /// Where it is in its life.
    pub state: OrderState,
    /// When the row was written, in milliseconds since the Unix epoch.
    pub placed_at_ms: Option<u64>,
    /// Until when it may be paid, likewise.
    pub pay_by_ms: Option<u64>,
}

/// What the ledger knows of an order id of which the books had no row just before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InLedger {
    /// An open hold.
    Open,
    /// The books decided it: they must be asked again.
    Settled,
    /// It was never taken, or in an epoch that doesn't count; and if it was asked so, it was
    /// barred: no attempt that was placed before takes a hold of it any more.
    Nothing,
    /// Its shard is retired, with this last epoch: all that will ever count is in the books, if
    /// they have it open. Others are an older copy.
    Retired(Epoch),
    /// Loading, fenced, outside the epoch lease, or not to be reached.
    CannotTell,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Became {
    /// A hold may exist.
    Processing,
    /// Neither a hold nor a row: the same ticket may be tried again.
    NotPlaced,
    /// The books have it.
    Recorded(Row),
}

/// What to do with the ledger's word.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Next {
    /// This, for now.
    Say(Became),
    /// Nothing new: the attempts so far were not barred, so nobody may be told.
    Nothing,
    /// Without a row there, it is still PROCESSING.
    AskBooksAgain,
    /// Without a row there, see [`Became::without_row`].
    AskBooksOf {
        /// The last epoch of the order's shard.
        last: Epoch,
    },
}

/// Follows the books' "no row", which must have been read before the ledger was asked: a hold that
/// became a row in between is then found settled. For the same reason `is_under_way` (this gateway
/// has a batch with the order) must have been looked at before the ledger was asked. With `bars`
/// the ledger was asked to let nothing come of attempts so far, in whatever gateway they hang:
/// only then NOT_PLACED is true a moment later.
pub fn after_ledger(known: InLedger, is_under_way: bool, bars: bool) -> Next {
    match known {
        InLedger::Open | InLedger::CannotTell => Next::Say(Became::Processing),
        InLedger::Settled => Next::AskBooksAgain,
        // It may become a hold at any moment, or be answered as one that was one.
        InLedger::Nothing | InLedger::Retired(_) if is_under_way => Next::Say(Became::Processing),
        InLedger::Retired(last) => Next::AskBooksOf { last },
        InLedger::Nothing if bars => Next::Say(Became::NotPlaced),
        InLedger::Nothing => Next::Nothing,
    }
}

impl Became {
    /// For an order of a retired shard whose `last` epoch is known, of which the books have no row
    /// and of its shard the epoch `open`, read at one moment.
    pub fn without_row(last: Epoch, open: Option<Epoch>) -> Self {
        if open == Some(last) { Self::NotPlaced } else { Self::Processing }
    }

    /// Whether `next` may be told to someone who was told `self`. Orders only move forward (I-6):
    /// who saw a row is never told that there is none, whatever the books were restored from.
    pub fn may_become(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Recorded(old), Self::Recorded(new)) => {
                law::moves_forward(old.state, new.state).is_ok()
            }
            (Self::Recorded(_), Self::Processing | Self::NotPlaced) => false,
            (Self::Processing | Self::NotPlaced, next) => self != next,
        }
    }

    /// Whether nothing can follow it (I-6).
    pub fn is_final(&self) -> bool {
        match self {
            Self::Processing | Self::NotPlaced => false,
            Self::Recorded(row) => row.state.is_final(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ledger_that_can_tell_says_not_placed() {
        for is_under_way in [false, true] {
            let says = |known| after_ledger(known, is_under_way, true);
            assert_eq!(says(InLedger::Open), Next::Say(Became::Processing));
            assert_eq!(says(InLedger::CannotTell), Next::Say(Became::Processing));
            assert_eq!(says(InLedger::Settled), Next::AskBooksAgain);
        }
        let last = Epoch::new(7).unwrap();
        let retired = |is_under_way| after_ledger(InLedger::Retired(last), is_under_way, true);
        assert_eq!(retired(false), Next::AskBooksOf { last });
        assert_eq!(retired(true), Next::Say(Became::Processing));
        let barred = after_ledger(InLedger::Nothing, false, true);
        assert_eq!(barred, Next::Say(Became::NotPlaced));
        assert_eq!(after_ledger(InLedger::Nothing, false, false), Next::Nothing);
        let under_way = after_ledger(InLedger::Nothing, true, false);
        assert_eq!(under_way, Next::Say(Became::Processing));
    }

    #[test]
    fn only_books_that_have_the_last_epoch_open_say_not_placed() {
        let [last, older] = [7, 5].map(|number| Epoch::new(number).unwrap());
        assert_eq!(Became::without_row(last, Some(last)), Became::NotPlaced);
        for older in [Some(older), None] {
            assert_eq!(Became::without_row(last, older), Became::Processing);
        }
    }

    fn recorded(state: OrderState) -> Became {
        Became::Recorded(Row {
            order: OrderId::mint(ids::ShardNo::new(1).unwrap(), [7; 12]),
            user: UserId::from_bytes([1; 16]),
            sale: SaleId::from_bytes([2; 16]),
            item: ItemId::from_bytes([3; 16]),
            quantity: 1,
            unit_price: Money { currency: "EUR".into(), minor_units: 100 },
            state,
            placed_at_ms: Some(5),
            pay_by_ms: Some(6),
        })
    }

    #[test]
    fn a_watcher_is_never_told_backwards() {
        let placed = || recorded(OrderState::Placed);
        let table = [
            (Became::NotPlaced, Became::Processing, true),
            (Became::Processing, Became::NotPlaced, true),
            (Became::Processing, Became::Processing, false),
            (Became::Processing, placed(), true),
            (placed(), Became::Processing, false),
            (placed(), Became::NotPlaced, false),
            (placed(), placed(), false),
            (placed(), recorded(OrderState::Expired), true),
            (recorded(OrderState::Expired), placed(), false),
        ];
        for (old, new, expected) in table {
            assert_eq!(old.may_become(&new), expected, "{old:?} → {new:?}");
        }
        assert!(!placed().is_final());
        assert!(recorded(OrderState::Rejected).is_final());
    }
}
