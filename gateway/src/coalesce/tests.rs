//! Scripts in text through one `check`, then seeded walks against a model ledger that end in law.

use std::time::Duration;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ids::{OrderId, ShardNo, UserId};
use proptest::prelude::*;

use super::*;
use crate::domain::purchase::{
    Answer, EntryAnswer, EntryRefusal, Hold, Recorded, Settled, answers,
};

fn order(number: u8) -> OrderId {
    OrderId::mint(ShardNo::new(1).unwrap(), [number; 12])
}

fn entry(number: u8) -> Entry {
    Entry {
        order: order(number),
        user: UserId::from_bytes([number; 16]),
        quantity: 1,
        unit_price: 100,
        ticket_expires_ms: 1000,
        placed_at: Duration::ZERO,
        traceparent: String::new(),
    }
}

fn shown(batch: Batch<u32>, names: &BTreeMap<OrderId, char>) -> String {
    let parts = batch.entries.iter().zip(batch.waiters).map(|(entry, waiters)| {
        let waiters: Vec<_> = waiters.into_iter().map(|waiter| waiter.to_string()).collect();
        format!("{}{}", names[&entry.order], waiters.join("+"))
    });
    format!("send {}", parts.collect::<Vec<_>>().join(" "))
}

/// One step a line: `a` = the next waiter arrives with order `a`, `next` = a carrier is ready for a
/// batch; after `→` what must come of it. Waiters are numbered from 1 in order of arrival.
fn check(bounds: Bounds, script: &str) {
    let mut coalescer = Coalescer::new(bounds);
    let mut names = BTreeMap::new();
    let mut waiter = 0;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (input, expected) = line.split_once('→').unwrap();
        let got = match input.trim() {
            "next" => coalescer.next_batch().map_or("ends".into(), |batch| shown(batch, &names)),
            name => {
                let name = name.chars().next().unwrap();
                let entry = entry(name as u8);
                names.insert(entry.order, name);
                waiter += 1;
                match coalescer.arrived(entry, waiter) {
                    Arrival::WantsCarrier => "wants a carrier".into(),
                    Arrival::Gathered => "gathered".into(),
                    Arrival::Overloaded(back) => {
                        assert_eq!(back, waiter);
                        "overloaded".into()
                    }
                }
            }
        };
        assert_eq!(got, expected.trim(), "at `{line}` in{script}");
    }
}

const SMALL: Bounds = Bounds { batch_len_max: 3, gathering_len_max: 4, batches_in_flight_max: 1 };

#[test]
fn a_carrier_takes_what_gathered_before_it_left_and_while_it_was_away() {
    check(
        SMALL,
        "
        a    → wants a carrier
        b    → gathered
        next → send a1 b2
        c    → gathered
        d    → gathered
        next → send c3 d4
        next → ends
        e    → wants a carrier
        next → send e5
        ",
    );
}

#[test]
fn two_carriers_may_be_away_at_once() {
    check(
        Bounds { batches_in_flight_max: 2, ..SMALL },
        "
        a    → wants a carrier
        next → send a1
        b    → wants a carrier
        c    → gathered
        next → send b2 c3
        d    → gathered
        next → send d4
        next → ends
        e    → wants a carrier
        next → send e5
        next → ends
        next → ends
        ",
    );
}

#[test]
fn a_carrier_whom_another_left_nothing_ends() {
    check(
        Bounds { batches_in_flight_max: 2, ..SMALL },
        "
        a    → wants a carrier
        b    → wants a carrier
        next → send a1 b2
        next → ends
        c    → wants a carrier
        ",
    );
}

#[test]
fn a_batch_has_a_longest_length_and_order_is_kept() {
    check(
        SMALL,
        "
        a    → wants a carrier
        b    → gathered
        c    → gathered
        d    → gathered
        next → send a1 b2 c3
        next → send d4
        ",
    );
}

#[test]
fn one_order_gathers_once_with_all_who_wait_for_it() {
    check(
        SMALL,
        "
        a    → wants a carrier
        next → send a1
        a    → gathered
        b    → gathered
        a    → gathered
        next → send a2+4 b3
        a    → gathered
        next → send a5
        ",
    );
}

#[test]
fn beyond_the_bound_nothing_is_done() {
    check(
        SMALL,
        "
        b    → wants a carrier
        b    → gathered
        b    → gathered
        c    → gathered
        b    → overloaded
        d    → overloaded
        next → send b1+2+3 c4
        d    → gathered
        next → send d7
        ",
    );
}

#[test]
fn of_two_tickets_for_one_order_the_later_end_counts() {
    let mut coalescer = Coalescer::new(SMALL);
    for (waiter, ends) in [(2, 1000), (3, 3000), (4, 2000)] {
        coalescer.arrived(Entry { ticket_expires_ms: ends, ..entry(2) }, waiter);
    }
    let batch = coalescer.next_batch().unwrap();
    assert_eq!(batch.entries[0].ticket_expires_ms, 3000);
}

#[derive(Debug, Clone)]
enum Step {
    Arrive(u8),
    /// A carrier leaves that has started.
    Leave,
    /// Of those that are away, which one is back.
    Return(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0u8..12).prop_map(Step::Arrive),
        1 => Just(Step::Leave),
        2 => (0usize..4).prop_map(Step::Return),
    ];
    proptest::collection::vec(step, 0..400)
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (1usize..5, 1usize..9, 1usize..4).prop_map(|(batch, gathering, flights)| Bounds {
        batch_len_max: batch,
        gathering_len_max: gathering,
        batches_in_flight_max: flights,
    })
}

/// A ledger with the rules that matter here: stored answers, and stock that only it takes.
#[derive(Default)]
struct ModelLedger {
    stock: u64,
    known: BTreeSet<OrderId>,
    rows: BTreeMap<OrderId, u64>,
}

impl ModelLedger {
    fn reserve(&mut self, entries: &[Entry]) -> Vec<EntryAnswer> {
        entries
            .iter()
            .map(|entry| {
                if self.rows.contains_key(&entry.order) {
                    return EntryAnswer::Settled(Settled::Placed);
                }
                if !self.known.contains(&entry.order) {
                    if self.stock == 0 {
                        return EntryAnswer::Refused(EntryRefusal::SoldOut);
                    }
                    self.stock -= 1;
                    self.known.insert(entry.order);
                }
                EntryAnswer::Hold(Hold {
                    order: entry.order,
                    user: entry.user,
                    quantity: 1,
                    unit_price: entry.unit_price,
                    taken_at_ms: 1,
                    traceparent: String::new(),
                })
            })
            .collect()
    }

    /// The books: a duplicate changes nothing.
    fn record(&mut self, answers: &[EntryAnswer]) {
        for answer in answers {
            if let EntryAnswer::Hold(hold) = answer {
                self.rows.entry(hold.order).or_insert(1);
            }
        }
    }
}

struct Walk {
    bounds: Bounds,
    ledger: ModelLedger,
    /// Carriers that have started and not left.
    ready: usize,
    in_flight: Vec<(Batch<u32>, Vec<EntryAnswer>)>,
    /// Gathered waiters in order of arrival, to compare with what comes out.
    expected: VecDeque<(OrderId, Vec<u32>)>,
    told: BTreeMap<u32, (OrderId, Answer)>,
}

impl Walk {
    /// One of those that are ready leaves, or ends.
    fn leave(&mut self, coalescer: &mut Coalescer<u32>) {
        self.ready -= 1;
        match coalescer.next_batch() {
            Some(batch) => self.sent(batch),
            None => assert!(self.expected.is_empty(), "a carrier ends while somebody waits"),
        }
    }

    fn sent(&mut self, batch: Batch<u32>) {
        assert!(batch.entries.len() <= self.bounds.batch_len_max);
        assert_eq!(batch.entries.len(), batch.waiters.len());
        for (entry, waiters) in batch.entries.iter().zip(&batch.waiters) {
            let (order, who) = self.expected.pop_front().expect("something gathered");
            assert_eq!(entry.order, order, "the order of arrival is kept");
            assert_eq!(waiters.clone().into_iter().collect::<Vec<_>>(), who);
        }
        let answers = self.ledger.reserve(&batch.entries);
        self.in_flight.push((batch, answers));
    }

    /// It is ready for the next one.
    fn returned(&mut self, which: usize) {
        let (batch, reserved) = self.in_flight.swap_remove(which);
        self.ready += 1;
        self.ledger.record(&reserved);
        let told = answers(&reserved, false, Recorded::InsideLease);
        for ((entry, waiters), answer) in batch.entries.iter().zip(batch.waiters).zip(told) {
            for waiter in waiters {
                let before = self.told.insert(waiter, (entry.order, answer));
                assert_eq!(before, None, "a waiter is answered once");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn each_waiter_is_answered_once_and_the_law_holds(
        bounds in bounds(), steps in steps(), total in 0u64..8,
    ) {
        let mut coalescer = Coalescer::new(bounds);
        let mut walk = Walk {
            bounds,
            ledger: ModelLedger { stock: total, ..Default::default() },
            ready: 0,
            in_flight: Vec::new(),
            expected: VecDeque::new(),
            told: BTreeMap::new(),
        };
        let mut taken_in = 0;
        for (waiter, step) in (0u32..).zip(steps) {
            match step {
                Step::Arrive(number) => {
                    let order = order(number);
                    let waiting: usize = walk.expected.iter().map(|(_, who)| who.len()).sum();
                    match coalescer.arrived(entry(number), waiter) {
                        Arrival::Overloaded(back) => {
                            prop_assert_eq!(back, waiter);
                            prop_assert_eq!(waiting, bounds.gathering_len_max);
                            continue;
                        }
                        arrival => {
                            prop_assert!(waiting < bounds.gathering_len_max);
                            taken_in += 1;
                            match walk.expected.iter_mut().find(|(known, _)| *known == order) {
                                Some((_, who)) => who.push(waiter),
                                None => walk.expected.push_back((order, vec![waiter])),
                            }
                            walk.ready += usize::from(arrival == Arrival::WantsCarrier);
                        }
                    }
                }
                Step::Leave if walk.ready > 0 => walk.leave(&mut coalescer),
                Step::Return(which) if !walk.in_flight.is_empty() => {
                    walk.returned(which % walk.in_flight.len());
                }
                Step::Leave | Step::Return(_) => {}
            }
            let carriers = walk.ready + walk.in_flight.len();
            prop_assert!(carriers <= bounds.batches_in_flight_max);
            let comes = walk.ready > 0 || carriers == bounds.batches_in_flight_max;
            prop_assert!(walk.expected.is_empty() || comes, "somebody waits, and one could leave");
        }
        while walk.ready + walk.in_flight.len() > 0 {
            if walk.ready > 0 {
                walk.leave(&mut coalescer);
            } else {
                walk.returned(0);
            }
        }
        prop_assert!(coalescer.is_idle());
        prop_assert_eq!(walk.told.len(), taken_in, "nobody is lost");
        let live = walk.ledger.rows.values().sum();
        law::no_oversell(total, live).unwrap();
        let units = law::Units { stock: walk.ledger.stock, live, ..Default::default() };
        law::nothing_leaks(total, units).unwrap();
        for (order, answer) in walk.told.values() {
            let rows = walk.ledger.rows.get(order).copied().unwrap_or(0);
            law::one_row(*order, rows).unwrap();
            if *answer == Answer::Accepted {
                law::promise_kept(*order, rows).unwrap();
            }
        }
    }
}
