//! What a search is about: how large the world is, which faults may happen how often, and which
//! mechanism of the protocol is taken away, if any. Faults are counted, not timed: each may happen
//! at any moment.

use std::fmt;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Redis fails over to an earlier state of itself.
    FailOver,
    /// Redis comes back with nothing.
    Empty,
    /// In a fail-over the old process lives on, and connections to it stay.
    Split,
    /// Kafka loses acknowledged records from its end.
    LostTail,
    /// The catalog is restored from an older copy.
    OldCatalog,
    /// The books are restored from an older copy.
    OldBooks,
    /// A loader's call is done, and its answer is lost.
    Silence,
    /// A loader's call is done much later than the loader gives it up.
    LateCall,
    /// A settle arrives much later.
    LateSettle,
    /// A gateway dies between its Reserve call and its record.
    GatewayDeath,
    /// A loader dies.
    LoaderDeath,
    /// A loader is taken for dead that is only frozen.
    TakeOver,
    /// An operator has a healthy shard loaded anew.
    Reload,
    /// A unique key of the books refuses a row though nothing above shows why.
    Barred,
    /// The catalog is restored from a copy that is older than the item, and gives the number of its
    /// shard to another one.
    NumberAgain,
}

const FAULTS: usize = Fault::NumberAgain as usize + 1;

/// How often each fault may still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Budget([u8; FAULTS]);

impl Budget {
    /// These, and no others.
    pub fn of(faults: &[(Fault, u8)]) -> Self {
        let mut budget = Self::default();
        for (fault, times) in faults {
            budget.0[*fault as usize] = *times;
        }
        budget
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.0[fault as usize] > 0
    }

    pub(crate) fn spend(&mut self, fault: Fault) {
        let left = &mut self.0[fault as usize];
        *left = left.checked_sub(1).expect("a fault happens only while there is one left");
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget{:?}", self.0)
    }
}

/// A mechanism that is taken away, to see what it was good for. There is no such switch in the
/// code: the model goes around the code's own core at the place that is named here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Removed {
    /// A keeper has one identity for ever, whatever happens to its process.
    Fence,
    /// That, and the books' guard never refuses.
    FenceAndGuard,
    /// A process that was master before has the identity again that it had then.
    IdentityOfItsOwn,
    /// The gateway says ACCEPTED however long ago its Reserve call was.
    AcceptedLease,
    /// The loader doesn't wait for the leases of the epoch that it ends.
    LoadersWait,
    /// An epoch lease counts from the catalog's answer, not from before the question.
    LeaseStampedFirst,
    /// The epoch is changed in the books directly.
    ChangeInTheLog,
    /// A load uses the id of the epoch that it replaces.
    FreshId,
    /// An activate is sent again when it isn't answered, and done as often as it arrives.
    ActivateOnce,
    /// OPEN is written whatever the catalog shows.
    OpenIsConditional,
    /// The snapshot is taken whichever epoch the books have open.
    SnapshotShowsTo,
    /// The loader closes the ledger only when it is about to stage.
    CloseFirst,
    /// The change is published without the open holds.
    HoldsWithTheChange,
    /// The open holds are published once, and believed to be safe then.
    HoldsUntilTheyAreRows,
    /// The change is published once.
    ChangeSentAgain,
    /// Nobody goes on where a loader died.
    DeadLoaderTakenOver,
    /// Holds that nobody published are left alone.
    RollForward,
    /// Old holds are published in the epoch that is open now.
    RollForwardInOwnEpoch,
    /// A batch of records is folded as sets: changes of the epoch first.
    FoldInLogOrder,
    /// What doesn't count is settled all the same, in the epoch that is open.
    SettleOnlyDecided,
    /// Staging and activating don't look at the mark.
    Mark,
    /// The loader doesn't look at the catalog after its wait.
    LookAfterTheWait,
    /// The loader looks for the epoch that ends only after it has closed the ledger.
    LookBeforeClosing,
    /// Nobody loads a shard whose ledger has another epoch than the catalog shows.
    LoadFromStaleEpoch,
    /// GetOrder asks a ledger without the fence.
    FenceInGetOrder,
    /// GetOrder asks a ledger outside of the epoch lease.
    LeaseInGetOrder,
    /// GetOrder leaves attempts alone that are under way through another gateway.
    NotPlacedBars,
    /// GetOrder of a retired shard says NOT_PLACED without a second look at the books.
    BooksAfterRetired,
    /// It doesn't look whether these books have the shard's last epoch open.
    BooksOfTheLastEpoch,
    /// Rejected orders aren't staged.
    RejectedTombstones,
    /// A load doesn't look whose item the books' row of the shard is.
    ItemOfTheGuard,
    /// A claim doesn't look whose item the catalog's row of the shard is.
    ItemInTheClaim,
    /// Reserve doesn't look whose item the row is that its lease was read from.
    ItemInReserve,
}

/// A search.
#[derive(Debug, Clone)]
pub struct Settings {
    /// In one word or a few, with hyphens.
    pub name: &'static str,
    /// Units of the shard.
    pub total: u32,
    /// Each purchase: which ticket it shows (0 or 1; 2 is for the item that gets the number again),
    /// through which inventory-svc (0 or 1). Three at most; two that share a ticket come through
    /// two gateways.
    pub purchases: Vec<(u8, u8)>,
    /// GetOrder for which ticket, through which inventory-svc.
    pub look_up: Option<(u8, u8)>,
    /// Whether the shard has been opened already.
    pub is_open: bool,
    /// Whether the sale may be over at any moment. Who retires the shard then may be overtaken by
    /// who thinks that it isn't over yet, and the other way round.
    pub is_over: bool,
    /// How many of the two inventory-svc load.
    pub loaders: u8,
    /// How many attempts to load there are, for searches that look for one thing: they see nothing
    /// beyond.
    pub attempts_max: Option<u8>,
    /// Whether the answer about an epoch lease can be on its way for a while.
    pub has_slow_leases: bool,
    /// Whether the roll-forward can be frozen between its questions and its deeds.
    pub has_slow_rolls: bool,
    /// What may go wrong.
    pub faults: Budget,
    /// What is taken away.
    pub removed: &'static [Removed],
}

impl Settings {
    /// Two purchases of one ticket through two gateways, and one of another ticket, of an open
    /// shard with one unit. One loader, no faults.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            total: 1,
            purchases: vec![(0, 0), (0, 1), (1, 1)],
            look_up: None,
            is_open: true,
            is_over: false,
            loaders: 1,
            attempts_max: None,
            has_slow_leases: false,
            has_slow_rolls: false,
            faults: Budget::default(),
            removed: &[],
        }
    }

    pub(crate) fn has_barring(&self) -> bool {
        self.faults.has(Fault::Barred)
    }

    pub(crate) fn is_removed(&self, mechanism: Removed) -> bool {
        self.removed.contains(&mechanism)
    }
}
