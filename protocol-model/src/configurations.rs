//! The worlds that are searched. Each allows a few faults together; two faults that lose the same
//! thing twice (the ledger and the log's tail; the books and the log's tail) aren't promised
//! anything, and stand in no world.

use crate::{Budget, Fault, Settings};

/// A ticket through one gateway.
const FIRST: (u8, u8) = (0, 0);
/// The same ticket through another.
const RETRY: (u8, u8) = (0, 1);
const OTHER: (u8, u8) = (1, 1);
/// For the item that gets the number again.
const LATER: (u8, u8) = (2, 1);

const ONE: &[(u8, u8)] = &[FIRST];
const TWO: &[(u8, u8)] = &[FIRST, OTHER];
const ALL: &[(u8, u8)] = &[FIRST, RETRY, OTHER];

/// Those that every run of the tests searches: seconds each.
pub fn small() -> Vec<Settings> {
    use Fault::*;
    vec![
        world("no faults", ALL, &[]),
        Settings { total: 2, ..world("two units", ALL, &[(GatewayDeath, 2)]) },
        opening(pair(world("an opening", ONE, &[(TakeOver, 1), (LoaderDeath, 1)]))),
        world("a fail-over", ALL, &[(FailOver, 1), (GatewayDeath, 1)]),
        world("two fail-overs", TWO, &[(FailOver, 2)]),
        world("an empty ledger", ALL, &[(Empty, 1), (GatewayDeath, 1)]),
        slow(world("a split, everybody slow", ALL, &[(FailOver, 1), (Split, 1)])),
        asked(world("a split, GetOrder", TWO, &[(FailOver, 1), (Split, 1)])),
        slow(world("a fail-over, everybody slow", TWO, &[(FailOver, 1), (GatewayDeath, 1)])),
        world("a late call", TWO, &[(Empty, 1), (LateCall, 1)]),
        world("lost answers", TWO, &[(Reload, 1), (Silence, 2)]),
        pair(world("two loaders", TWO, &[(FailOver, 1)])),
        pair(world("a dead loader", TWO, &[(Empty, 1), (LoaderDeath, 1)])),
        pair(world("a frozen loader", ONE, &[(Reload, 1), (TakeOver, 1)])),
        world("an older catalog", TWO, &[(OldCatalog, 1), (Reload, 1)]),
        world("an older catalog, an empty ledger", TWO, &[(OldCatalog, 1), (Empty, 1)]),
        world("a number given again", &[FIRST, OTHER, LATER], &[(NumberAgain, 1), (Reload, 1)]),
        opening(pair(world("a number given again, an opening", &[LATER], &[(NumberAgain, 1)]))),
        world("older books", TWO, &[(OldBooks, 1), (Reload, 1)]),
        world("older books, a late settle", TWO, &[(OldBooks, 1), (LateSettle, 1)]),
        world("a lost tail", TWO, &[(LostTail, 1), (Reload, 1)]),
        world("a lost tail, a dead gateway", TWO, &[(LostTail, 1), (GatewayDeath, 1)]),
        world("a row that a key refuses", &[FIRST, RETRY], &[(Barred, 1), (GatewayDeath, 1)]),
        over(world("a sale that is over", ALL, &[(GatewayDeath, 1)])),
        over(asked(world("over, GetOrder", TWO, &[(Empty, 1)]))),
        over(world("over, a fail-over", TWO, &[(FailOver, 1), (GatewayDeath, 1)])),
        over(world("over, a late call", ONE, &[(LateCall, 1), (Reload, 1)])),
        over(pair(world("over, a dead loader", ONE, &[(LoaderDeath, 1), (TakeOver, 1)]))),
        over(world("over, an older catalog", ONE, &[(OldCatalog, 1)])),
        over(world("over, a number given again", &[FIRST, LATER], &[(NumberAgain, 1)])),
        over(world("over, a lost tail", ONE, &[(LostTail, 1), (GatewayDeath, 1)])),
    ]
}

/// Those that take minutes.
pub fn large() -> Vec<Settings> {
    [lost_ledgers(), older_copies(), lost_records(), sales_that_are_over()].concat()
}

fn lost_ledgers() -> Vec<Settings> {
    use Fault::*;
    vec![
        opening(pair(world("an opening, a late call", ONE, &[(TakeOver, 1), (LateCall, 1)]))),
        pair(world("a fail-over, two loaders", ALL, &[(FailOver, 1)])),
        pair(world("a fail-over, a frozen loader", TWO, &[(FailOver, 1), (TakeOver, 1)])),
        pair(world("empty, a frozen loader", TWO, &[(Empty, 1), (TakeOver, 1)])),
        pair(world(
            "a late call, a dead loader",
            ONE,
            &[(Reload, 1), (LateCall, 1), (LoaderDeath, 1)],
        )),
        pair(world("a split, a frozen loader", ONE, &[(FailOver, 1), (Split, 1), (TakeOver, 1)])),
        world("a split, a late call", TWO, &[(FailOver, 1), (Split, 1), (LateCall, 1)]),
        slow(world("a split, slow and dead", TWO, &[(FailOver, 1), (Split, 1), (GatewayDeath, 1)])),
        slow(asked(world("a split, slow, GetOrder", TWO, &[(FailOver, 1), (Split, 1)]))),
        world("two fail-overs, a retry", ALL, &[(FailOver, 2)]),
        world("two fail-overs, a late call", TWO, &[(FailOver, 2), (LateCall, 1)]),
        world("a fail-over, then empty", ALL, &[(FailOver, 1), (Empty, 1)]),
        slow(world(
            "empty, slow, a late settle",
            ALL,
            &[(Empty, 1), (GatewayDeath, 1), (LateSettle, 1)],
        )),
        Settings {
            total: 2,
            ..slow(world("a fail-over, two units", ALL, &[(FailOver, 1), (GatewayDeath, 1)]))
        },
    ]
}

fn older_copies() -> Vec<Settings> {
    use Fault::*;
    let frozen = &[(OldCatalog, 1), (Reload, 1), (TakeOver, 1)];
    let again = &[(NumberAgain, 1), (Empty, 1), (GatewayDeath, 1)];
    let again_frozen = &[(NumberAgain, 1), (Reload, 1), (TakeOver, 1), (LoaderDeath, 1)];
    vec![
        world("a number given again, an empty ledger", &[FIRST, OTHER, LATER], again),
        pair(world("a number given again, a frozen loader", &[FIRST, LATER], again_frozen)),
        pair(world("an older catalog, a frozen loader", ONE, frozen)),
        asked(world("an older catalog, GetOrder", TWO, &[(OldCatalog, 1), (Reload, 1)])),
        world("an older catalog, a late call", TWO, &[(OldCatalog, 1), (LateCall, 1), (Empty, 1)]),
        world("an older catalog, a fail-over", ALL, &[(OldCatalog, 1), (FailOver, 1)]),
        world("older books and catalog", TWO, &[(OldBooks, 1), (OldCatalog, 1), (Reload, 1)]),
        world("older books, a late call", TWO, &[(OldBooks, 1), (LateCall, 1), (Reload, 1)]),
        world("older books, an empty ledger", ALL, &[(OldBooks, 1), (Empty, 1)]),
        slow(world("older books, slow", TWO, &[(OldBooks, 1), (LateSettle, 1), (Reload, 1)])),
        asked(world("older books, GetOrder", TWO, &[(OldBooks, 1), (Reload, 1)])),
    ]
}

fn lost_records() -> Vec<Settings> {
    use Fault::*;
    let frozen_opening = &[(LostTail, 1), (TakeOver, 1)];
    let dead_loader = &[(LostTail, 1), (LoaderDeath, 1), (Reload, 1)];
    let dead = &[(LostTail, 1), (GatewayDeath, 1), (LoaderDeath, 1), (Reload, 1)];
    vec![
        pair(world(
            "a lost tail, a frozen loader",
            ONE,
            &[(LostTail, 1), (Reload, 1), (TakeOver, 1)],
        )),
        opening(pair(world("an opening, a lost tail", ONE, frozen_opening))),
        pair(world("a lost tail, a dead loader", ONE, dead_loader)),
        world("a lost tail, the dead", TWO, dead),
        world("a lost tail, a late call", TWO, &[(LostTail, 1), (LateCall, 1), (Reload, 1)]),
        world("a lost tail, an older catalog", TWO, &[(LostTail, 1), (OldCatalog, 1), (Reload, 1)]),
        asked(world("a lost tail, GetOrder", TWO, &[(LostTail, 1), (Reload, 1)])),
    ]
}

fn sales_that_are_over() -> Vec<Settings> {
    use Fault::*;
    let late = &[(LateCall, 1), (LoaderDeath, 1)];
    [
        pair(world("over, a frozen loader", TWO, &[(FailOver, 1), (TakeOver, 1)])),
        pair(world("over, a dead loader, a late call", ONE, late)),
        asked(world("over, a split, GetOrder", TWO, &[(FailOver, 1), (Split, 1)])),
        asked(world("over, an older catalog, GetOrder", TWO, &[(OldCatalog, 1), (Reload, 1)])),
        asked(world("over, older books, GetOrder", TWO, &[(OldBooks, 1)])),
        asked(world("over, a lost tail, GetOrder", TWO, &[(LostTail, 1), (GatewayDeath, 1)])),
        slow(world("over, everybody slow", TWO, &[(GatewayDeath, 1), (LateSettle, 1)])),
    ]
    .map(over)
    .to_vec()
}

/// The shard is not open yet.
fn opening(settings: Settings) -> Settings {
    Settings { is_open: false, ..settings }
}

/// The sale may be over at any moment.
fn over(settings: Settings) -> Settings {
    Settings { is_over: true, ..settings }
}

/// Both inventory-svc load.
fn pair(settings: Settings) -> Settings {
    Settings { loaders: 2, ..settings }
}

/// Leases and roll-forwards can be frozen between question and deed.
fn slow(settings: Settings) -> Settings {
    Settings { has_slow_leases: true, has_slow_rolls: true, ..settings }
}

/// The first ticket's buyer asks what became of it, through the other inventory-svc.
fn asked(settings: Settings) -> Settings {
    Settings { look_up: Some((0, 1)), ..settings }
}

fn world(name: &'static str, purchases: &[(u8, u8)], faults: &[(Fault, u8)]) -> Settings {
    let purchases = purchases.to_vec();
    Settings { purchases, faults: Budget::of(faults), ..Settings::new(name) }
}

#[cfg(test)]
mod tests;
