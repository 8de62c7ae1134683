//! Every row finds its violation, and nothing is found with the mechanism in place.

use std::time::Duration;

use super::*;
use crate::{Bounds, Found, Protocol, search};

const BOUNDS: Bounds =
    Bounds { states_max: 3_000_000, time_max: Duration::from_secs(600), names_matter: false };

fn found(row: &Row, removed: &'static [Removed]) -> Found {
    let settings = Settings { removed, ..row.settings.clone() };
    search(&Protocol::new(settings), row.finds, BOUNDS)
}

#[track_caller]
fn finds(removed: &'static [Removed]) {
    let rows: Vec<_> = rows().into_iter().filter(|row| row.settings.removed == removed).collect();
    assert!(!rows.is_empty(), "{removed:?} has no row");
    for row in rows {
        let without = found(&row, removed);
        let is_found = match row.finds {
            Judged::All => false,
            Judged::Only(law) => without.violations.iter().any(|(name, _)| *name == law),
            Judged::Ends => without.stuck > 0,
        };
        assert!(is_found, "without {removed:?}, {:?} is not found: {without:?}", row.finds);
        let with = found(&row, &[]);
        assert!(!with.is_truncated, "{with:?}");
        assert!(with.violations.is_empty() && with.stuck == 0, "with {removed:?}: {with:?}");
    }
}

/// The protocol's table, by the words of its first column.
macro_rules! table {
    ($($name:ident: $($removed:ident)+,)+) => {
        $(
            #[test]
            fn $name() {
                finds(&[$(Removed::$removed),+]);
            }
        )+

        #[test]
        fn every_row_is_tried() {
            let tried: &[&[Removed]] = &[$(&[$(Removed::$removed),+]),+];
            for row in rows() {
                assert!(tried.contains(&row.settings.removed), "{:?}", row.settings.removed);
            }
        }
    };
}

table! {
    the_fence: Fence,
    the_fence_and_the_guard: FenceAndGuard,
    an_identity_that_no_process_had_before: IdentityOfItsOwn,
    the_lease_on_saying_accepted: AcceptedLease,
    the_loaders_wait: LoadersWait,
    the_lease_stamped_before_the_catalog_is_asked: LeaseStampedFirst,
    the_change_of_the_epoch_in_the_log: ChangeInTheLog,
    a_fresh_id_for_each_attempt: FreshId,
    an_activate_that_is_sent_once: ActivateOnce,
    the_compare_and_set_on_open: OpenIsConditional,
    the_snapshot_that_itself_shows_the_epoch: SnapshotShowsTo,
    closing_the_reachable_ledger_first: CloseFirst,
    open_holds_published_with_the_change: HoldsWithTheChange,
    open_holds_published_until_they_are_rows: HoldsUntilTheyAreRows,
    the_change_sent_again: ChangeSentAgain,
    a_dead_loader_taken_over: DeadLoaderTakenOver,
    the_roll_forward: RollForward,
    the_roll_forward_in_the_holds_own_epoch: RollForwardInOwnEpoch,
    the_fold_in_log_order: FoldInLogOrder,
    settling_only_what_was_decided: SettleOnlyDecided,
    the_tombstones_of_rejected_orders: RejectedTombstones,
    the_mark: Mark,
    the_look_at_the_books_before_closing: LookBeforeClosing,
    the_looks_at_books_and_catalog: LookBeforeClosing LookAfterTheWait,
    a_load_from_a_stale_epoch: LoadFromStaleEpoch,
    the_fence_in_get_order: FenceInGetOrder,
    the_lease_in_get_order: LeaseInGetOrder,
    the_bar_before_not_placed: NotPlacedBars,
    the_books_after_the_shard_is_retired: BooksAfterRetired,
    the_books_that_have_the_last_epoch_open: BooksOfTheLastEpoch,
    whose_item_the_books_row_is: ItemOfTheGuard,
    whose_item_the_catalogs_row_is: ItemInTheClaim,
    whose_item_the_lease_was_read_for: ItemInReserve,
}
