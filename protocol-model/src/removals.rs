//! What each mechanism is good for: a row takes one away, and names the smallest world and faults
//! in which a search then finds what the protocol's table says. The same search without the
//! removal must find nothing, or the row would prove nothing.

use crate::{
    Budget, Fault, Judged, NO_OVERSELL, NOT_PLACED_IS_TRUE, NOT_REFUSED, NOTHING_LEAKS,
    OF_ITS_TICKET, PROMISE_KEPT, Removed, Settings,
};

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// The world, its faults, and what is taken away.
    pub settings: Settings,
    /// What is found without it.
    pub finds: Judged,
}

const FIRST: (u8, u8) = (0, 0);
/// The first one's ticket again, through another gateway.
const RETRY: (u8, u8) = (0, 1);
const OTHER: (u8, u8) = (1, 1);
/// For the item that gets the number again.
const LATER: (u8, u8) = (2, 1);

const REFUSED: Judged = Judged::Only(NOT_REFUSED);
const LOST: Judged = Judged::Only(PROMISE_KEPT);
const LEAK: Judged = Judged::Only(NOTHING_LEAKS);

/// All rows that concern admission and loading.
pub fn rows() -> Vec<Row> {
    [of_admission(), of_the_log(), of_attempts(), of_numbers()].concat()
}

fn of_admission() -> Vec<Row> {
    use Fault::*;
    let not_placed = Judged::Only(NOT_PLACED_IS_TRUE);
    let split = &[(FailOver, 1), (Split, 1)];
    let barred = &[(Barred, 1), (GatewayDeath, 1)];
    vec![
        row(&[Removed::Fence], &[(FailOver, 1)], REFUSED, no_loader),
        row(&[Removed::FenceAndGuard], &[(FailOver, 1)], Judged::Only(NO_OVERSELL), no_loader),
        row(&[Removed::IdentityOfItsOwn], &[(FailOver, 2)], REFUSED, no_loader),
        row(&[Removed::AcceptedLease], &[(Empty, 1)], LOST, one_buyer),
        row(&[Removed::LoadersWait], &[(Empty, 1)], LOST, one_buyer),
        row(&[Removed::LeaseStampedFirst], split, LOST, |base| Settings {
            has_slow_leases: true,
            purchases: vec![RETRY],
            ..base
        }),
        row(&[Removed::RejectedTombstones], barred, REFUSED, first_and_retry),
        row(&[Removed::FenceInGetOrder], &[(FailOver, 1)], not_placed, |base| Settings {
            look_up: Some(FIRST),
            ..one_buyer(base)
        }),
        row(&[Removed::NotPlacedBars], &[], not_placed, |base| Settings {
            look_up: Some(RETRY),
            ..one_buyer(base)
        }),
        row(&[Removed::BooksAfterRetired], &[], not_placed, |base| Settings {
            look_up: Some(FIRST),
            is_over: true,
            ..one_buyer(base)
        }),
        row(&[Removed::BooksOfTheLastEpoch], &[(OldBooks, 1)], not_placed, |base| Settings {
            look_up: Some(FIRST),
            is_over: true,
            ..one_buyer(base)
        }),
        row(&[Removed::LeaseInGetOrder], split, not_placed, |base| Settings {
            look_up: Some(RETRY),
            ..one_buyer(base)
        }),
    ]
}

fn of_the_log() -> Vec<Row> {
    use Fault::*;
    let lost_tail = &[(LostTail, 1), (Reload, 1)];
    let lost_hold = &[(Empty, 1), (GatewayDeath, 1)];
    vec![
        row(&[Removed::ChangeInTheLog], &[(Empty, 1)], LOST, one_buyer),
        row(&[Removed::FoldInLogOrder], &[(Empty, 1)], LOST, one_buyer),
        row(&[Removed::ChangeSentAgain], &[(LostTail, 1)], Judged::Ends, opening),
        row(&[Removed::HoldsWithTheChange], lost_tail, LOST, one_buyer),
        row(&[Removed::HoldsUntilTheyAreRows], lost_tail, LOST, one_buyer),
        row(&[Removed::RollForward], &[(GatewayDeath, 1)], Judged::Ends, one_buyer),
        row(&[Removed::RollForwardInOwnEpoch], lost_hold, REFUSED, slow_roll),
        row(&[Removed::RollForwardInOwnEpoch], lost_hold, LEAK, slow_roll),
        row(&[Removed::SettleOnlyDecided], lost_hold, LEAK, first_and_retry),
    ]
}

fn of_attempts() -> Vec<Row> {
    use Fault::*;
    let frozen = &[(OldCatalog, 1), (TakeOver, 1)];
    let split = &[(FailOver, 1), (Split, 1), (TakeOver, 1)];
    let old_catalog = &[(OldCatalog, 1), (Reload, 1)];
    let late = &[(LateCall, 1), (Reload, 1)];
    let looks = &[Removed::LookBeforeClosing, Removed::LookAfterTheWait];
    vec![
        row(&[Removed::FreshId], &[(Empty, 1)], REFUSED, two_buyers),
        row(&[Removed::FreshId], &[(Empty, 1)], LEAK, two_buyers),
        row(&[Removed::ActivateOnce], late, REFUSED, two_buyers),
        row(&[Removed::ActivateOnce], late, LEAK, two_buyers),
        row(&[Removed::OpenIsConditional], split, LOST, two_attempts),
        row(&[Removed::SnapshotShowsTo], &[(Empty, 1)], REFUSED, two_buyers),
        row(&[Removed::CloseFirst], old_catalog, LOST, one_buyer),
        row(&[Removed::Mark], frozen, LOST, two_attempts),
        row(&[Removed::LookBeforeClosing], frozen, LOST, three_attempts),
        row(looks, &[(TakeOver, 1)], LOST, three_attempts),
        row(&[Removed::DeadLoaderTakenOver], &[(LoaderDeath, 1)], Judged::Ends, opening),
        row(&[Removed::LoadFromStaleEpoch], old_catalog, Judged::Ends, one_buyer),
    ]
}

fn of_numbers() -> Vec<Row> {
    let again = &[(Fault::NumberAgain, 1)];
    let mixed = Judged::Only(OF_ITS_TICKET);
    vec![
        row(&[Removed::ItemOfTheGuard], again, mixed, |base| Settings {
            total: 2,
            purchases: vec![FIRST, LATER],
            ..base
        }),
        // The first item's opening is frozen before its claim.
        row(&[Removed::ItemInTheClaim], again, mixed, |base| Settings {
            is_open: false,
            purchases: vec![LATER],
            ..base
        }),
        // A lease of the first item outlives the catalog that showed it.
        row(&[Removed::ItemInReserve], again, REFUSED, |base| Settings {
            purchases: vec![LATER],
            ..base
        }),
    ]
}

fn row(
    removed: &'static [Removed],
    faults: &[(Fault, u8)],
    finds: Judged,
    world: fn(Settings) -> Settings,
) -> Row {
    let base = Settings { faults: Budget::of(faults), ..Settings::new("removal") };
    Row { settings: Settings { removed, ..world(base) }, finds }
}

fn one_buyer(base: Settings) -> Settings {
    Settings { purchases: vec![FIRST], ..base }
}

fn two_buyers(base: Settings) -> Settings {
    Settings { purchases: vec![FIRST, OTHER], ..base }
}

fn first_and_retry(base: Settings) -> Settings {
    Settings { purchases: vec![FIRST, RETRY], ..base }
}

fn no_loader(base: Settings) -> Settings {
    Settings { loaders: 0, ..two_buyers(base) }
}

fn opening(base: Settings) -> Settings {
    Settings { is_open: false, ..one_buyer(base) }
}

fn two_attempts(base: Settings) -> Settings {
    Settings { loaders: 2, attempts_max: Some(2), ..opening(base) }
}

fn three_attempts(base: Settings) -> Settings {
    Settings { attempts_max: Some(3), ..two_attempts(base) }
}

fn slow_roll(base: Settings) -> Settings {
    Settings { has_slow_rolls: true, ..two_buyers(base) }
}

#[cfg(test)]
mod tests;
