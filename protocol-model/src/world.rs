//! The whole small world in one value, and what may happen in it next. Whatever isn't stopped by a
//! store, a lease or an order of steps may happen: a process is frozen simply by not being chosen.

use std::hash::{Hash, Hasher};

use ids::OrderId;
use inventory_svc::loading::Cause;

use crate::{
    books::Books,
    buyers::Purchase,
    catalog::Catalog,
    inventory::{LookUp, Rolled, Service},
    keeper::Redis,
    loader::Late,
    log::Log,
    names,
    settings::Budget,
};

/// Everything that there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) redis: Redis,
    pub(crate) log: Log,
    pub(crate) books: Books,
    pub(crate) catalog: Catalog,
    pub(crate) services: [Service; 2],
    pub(crate) purchases: [Purchase; 3],
    pub(crate) look_up: LookUp,
    /// What a roll-forward has seen and not done yet.
    pub(crate) rolled: Option<Rolled>,
    /// A call that nobody waits for any more.
    pub(crate) late: Option<Late>,
    pub(crate) requests: Requests,
    pub(crate) told: Told,
    pub(crate) epochs: Epochs,
    pub(crate) faults: Budget,
}

/// How many epochs were thought of. Only that the next one is fresh matters, so worlds are not
/// told apart by it, unless attempts are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Epochs {
    pub(crate) count: u8,
    pub(crate) is_counted: bool,
}

impl Hash for Epochs {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { count, is_counted } = *self;
        is_counted.then_some(count).hash(state);
    }
}

/// What inventory-svc was told that asks for a load, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Requests {
    pub(crate) rejected: Option<ids::Epoch>,
    pub(crate) older_books: Option<ids::Epoch>,
}

/// What buyers and operators were told; one bit for each ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Told {
    accepted: u8,
    /// NOT_PLACED, and no attempt that was placed later has taken a hold.
    not_placed: u8,
    /// Books that refused a hold of the open epoch without an excuse.
    pub(crate) is_alarmed: bool,
}

impl Told {
    pub(crate) fn accept(&mut self, ticket: u8) {
        self.accepted |= 1 << ticket;
    }

    pub(crate) fn deny(&mut self, ticket: u8) {
        self.not_placed |= 1 << ticket;
    }

    /// By an attempt that was placed then. One from before a NOT_PLACED belies that.
    pub(crate) fn hold_taken(&mut self, ticket: u8, placed_us: u64) {
        if placed_us > names::LOOK_US {
            self.not_placed &= !(1 << ticket);
        }
    }

    pub(crate) fn accepted(self) -> impl Iterator<Item = u8> {
        (0..names::TICKETS).filter(move |ticket| self.accepted & (1 << ticket) != 0)
    }

    pub(crate) fn denied(self) -> impl Iterator<Item = u8> {
        (0..names::TICKETS).filter(move |ticket| self.not_placed & (1 << ticket) != 0)
    }

    pub(crate) fn is_accepted(self, order: OrderId) -> bool {
        self.accepted().any(|ticket| names::order(ticket) == order)
    }
}

/// What becomes of a settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Settling {
    /// It arrives at once, through one inventory-svc.
    Through(usize),
    /// It never arrives; the roll-forward does its work.
    Lost,
    /// It arrives later.
    Late(usize),
}

/// What becomes of a loader's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Twin {
    /// It is done and answered.
    Answered,
    /// It is done, and the answer is lost.
    Silent,
    /// It is given up, and done later.
    Late,
}

/// One step of one process, or a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// An inventory-svc asks the catalog's primary, which answers.
    AskCatalog(usize),
    /// The answer arrives.
    HearCatalog(usize),
    /// An inventory-svc's connection to the process before the split ends.
    Reconnect(usize),
    /// A purchase's Reserve call arrives: the epoch lease is looked at.
    CheckLease(usize),
    /// The ledger is asked.
    Reserve(usize),
    /// The gateway appends the record, and answers.
    Record(usize),
    /// The gateway has died before that.
    GatewayDies(usize),
    /// GetOrder has asked the books.
    AskBooks,
    /// GetOrder has asked the ledger, and answers.
    AskLedger,
    /// A roll-forward asks the ledger, then the books.
    Roll(usize),
    /// A roll-forward does what follows.
    PerformRoll,
    /// order-svc reads on.
    Consume(Settling),
    /// An inventory-svc starts to load.
    Begin(usize, Cause),
    /// A load goes on with a new attempt, or sees that nothing is left to do.
    Again(usize),
    /// A loader takes its next step.
    Load(usize, Twin),
    /// A loader has waited for the leases.
    WaitOver(usize),
    /// A loader dies.
    LoaderDies(usize),
    /// A late call is done.
    LateArrives,
    /// The replica falls behind.
    Lag,
    /// The replica is no longer behind.
    CatchUp,
    /// The replica takes over; whether the old process lives on.
    FailOver(bool),
    /// Redis comes back with nothing.
    ComeBackEmpty,
    /// The old process ends.
    OldEnds,
    /// Kafka loses its records from an offset on.
    LoseTail(u64),
    /// The catalog becomes what it was once.
    RestoreCatalog(usize),
    /// The catalog has forgotten the item, and gives its number to another one.
    GiveAgain,
    /// The books become what they were once.
    RestoreBooks(usize),
    /// order-svc reads on, and a unique key refuses the row.
    ConsumeBarred(Settling),
}

impl World {
    /// Before anything was ever loaded.
    pub(crate) fn new(faults: Budget) -> Self {
        Self {
            redis: Redis::new(),
            log: Log::default(),
            books: Books::new(),
            catalog: Catalog::new(),
            services: Default::default(),
            purchases: Default::default(),
            look_up: LookUp::Idle,
            rolled: None,
            late: None,
            requests: Requests::default(),
            told: Told::default(),
            epochs: Epochs::default(),
            faults,
        }
    }
}
