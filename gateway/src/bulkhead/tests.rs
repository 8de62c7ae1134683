//! Who gets how many places, beside whom.

use super::*;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn sale(number: u8) -> SaleId {
    SaleId::from_bytes([number; 16])
}

/// How many of `tries` get in.
fn enter(bulkhead: &mut Bulkhead, number: u8, tries: usize, now: Duration) -> usize {
    (0..tries).filter(|_| bulkhead.enter(sale(number), 100, now).is_some()).count()
}

#[test]
fn a_sale_alone_has_every_place() {
    let mut bulkhead = Bulkhead::default();
    assert_eq!(enter(&mut bulkhead, 1, 200, at(0)), 100);
    bulkhead.leave(sale(1));
    assert_eq!(enter(&mut bulkhead, 1, 200, at(1)), 1);
}

#[test]
fn a_rush_leaves_the_other_what_it_wants() {
    let mut bulkhead = Bulkhead::default();
    assert_eq!(enter(&mut bulkhead, 2, 10, at(0)), 10);
    // 10 and half as many again, and two.
    assert_eq!(enter(&mut bulkhead, 1, 500, at(1)), 83);
    assert_eq!(enter(&mut bulkhead, 2, 7, at(2)), 7, "so it is never kept out");
}

#[test]
fn two_rushes_share_by_halves() {
    let mut bulkhead = Bulkhead::default();
    let mut entered = [0, 0];
    for _ in 0..500 {
        entered[0] += enter(&mut bulkhead, 1, 1, at(0));
        entered[1] += enter(&mut bulkhead, 2, 1, at(0));
    }
    assert_eq!(entered, [50, 50]);
}

#[test]
fn who_comes_late_gets_a_place_as_soon_as_one_is_free() {
    let mut bulkhead = Bulkhead::default();
    assert_eq!(enter(&mut bulkhead, 1, 500, at(0)), 100);
    assert_eq!(enter(&mut bulkhead, 2, 5, at(1)), 5, "the fair part is never refused here");
    for _ in 0..50 {
        bulkhead.leave(sale(1));
    }
    // One of them was free already, by what the other asks for now.
    let again = enter(&mut bulkhead, 1, 500, at(2));
    assert!((30..=42).contains(&again), "{again}");
}

#[test]
fn a_few_are_no_rush_however_few_places_there_are() {
    let mut bulkhead = Bulkhead::default();
    let mut enter = |number, places| {
        (0..100).filter(|_| bulkhead.enter(sale(number), places, at(0)).is_some()).count()
    };
    assert_eq!(enter(1, 20), 20);
    assert_eq!(enter(2, 20), 16);
    assert_eq!(enter(3, 4), 4, "but no more than there are");
}

#[test]
fn what_a_rush_took_while_there_were_more_places_is_told_apart() {
    let mut bulkhead = Bulkhead::default();
    assert_eq!(enter(&mut bulkhead, 1, 500, at(0)), 100);
    assert_eq!(bulkhead.enter(sale(2), 20, at(1)), Some(84), "16 of them it would get now");
    assert_eq!(bulkhead.enter(sale(1), 20, at(1)), None);
    (0..90).for_each(|_| bulkhead.leave(sale(1)));
    assert_eq!(bulkhead.enter(sale(2), 20, at(2)), Some(0));
}

#[test]
fn many_sales_always_have_a_place_each() {
    let mut bulkhead = Bulkhead::default();
    for number in 0..=255 {
        assert_eq!(enter(&mut bulkhead, number, 1, at(0)), 1, "sale {number}");
    }
}

#[test]
fn what_a_sale_wanted_is_forgotten() {
    let mut bulkhead = Bulkhead::default();
    assert_eq!(enter(&mut bulkhead, 2, 40, at(0)), 40);
    (0..40).for_each(|_| bulkhead.leave(sale(2)));
    assert_eq!(enter(&mut bulkhead, 1, 500, at(0)), 50);
    let more = enter(&mut bulkhead, 1, 500, at(2_000));
    assert!((30..=35).contains(&more), "a quarter is remembered: {more}");
    assert_eq!(enter(&mut bulkhead, 1, 500, at(10_001)), 50 - more);
    assert_eq!(bulkhead.sales.len(), 1);
}
