//! Scripts in text through one `check`, then seeded walks against a model ledger that end in law.

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

/// One step a line: `a` = the next waiter arrives with order `a`, `end` = a batch has ended; after
/// `→` what must come of it. Waiters are numbered from 1 in order of arrival.
fn check(bounds: Bounds, script: &str) {
    let mut coalescer = Coalescer::new(bounds);
    let mut names = BTreeMap::new();
    let mut waiter = 0;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (input, expected) = line.split_once('→').unwrap();
        let got = match input.trim() {
            "end" => coalescer.batch_ended().map_or("-".into(), |batch| shown(batch, &names)),
            name => {
                let name = name.chars().next().unwrap();
                let entry = entry(name as u8);
                names.insert(entry.order, name);
                waiter += 1;
                match coalescer.arrived(entry, waiter) {
                    Arrival::Send(batch) => shown(batch, &names),
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
fn the_next_batch_gathers_while_one_is_in_flight() {
    check(
        SMALL,
        "
        a   → send a1
        b   → gathered
        c   → gathered
        end → send b2 c3
        d   → gathered
        end → send d4
        end → -
        e   → send e5
        ",
    );
}

#[test]
fn two_batches_may_fly_at_once() {
    check(
        Bounds { batches_in_flight_max: 2, ..SMALL },
        "
        a   → send a1
        b   → send b2
        c   → gathered
        end → send c3
        d   → gathered
        end → send d4
        end → -
        end → -
        ",
    );
}

#[test]
fn a_batch_has_a_longest_length_and_order_is_kept() {
    check(
        SMALL,
        "
        a   → send a1
        b   → gathered
        c   → gathered
        d   → gathered
        e   → gathered
        end → send b2 c3 d4
        end → send e5
        ",
    );
}

#[test]
fn one_order_gathers_once_with_all_who_wait_for_it() {
    check(
        SMALL,
        "
        a   → send a1
        a   → gathered
        b   → gathered
        a   → gathered
        end → send a2+4 b3
        a   → gathered
        end → send a5
        ",
    );
}

#[test]
fn beyond_the_bound_nothing_is_done() {
    check(
        SMALL,
        "
        a   → send a1
        b   → gathered
        b   → gathered
        b   → gathered
        c   → gathered
        b   → overloaded
        d   → overloaded
        end → send b2+3+4 c5
        d   → gathered
        end → send d8
        ",
    );
}

#[test]
fn of_two_tickets_for_one_order_the_later_end_counts() {
    let mut coalescer = Coalescer::new(SMALL);
    coalescer.arrived(entry(1), 1);
    for (waiter, ends) in [(2, 1000), (3, 3000), (4, 2000)] {
        coalescer.arrived(Entry { ticket_expires_ms: ends, ..entry(2) }, waiter);
    }
    let batch = coalescer.batch_ended().unwrap();
    assert_eq!(batch.entries[0].ticket_expires_ms, 3000);
}

#[derive(Debug, Clone)]
enum Step {
    Arrive(u8),
    /// Of those in flight, which one ends.
    End(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0u8..12).prop_map(Step::Arrive),
        2 => (0usize..4).prop_map(Step::End),
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
    in_flight: Vec<(Batch<u32>, Vec<EntryAnswer>)>,
    /// Gathered waiters in order of arrival, to compare with what comes out.
    expected: VecDeque<(OrderId, Vec<u32>)>,
    told: BTreeMap<u32, (OrderId, Answer)>,
}

impl Walk {
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
        assert!(self.in_flight.len() <= self.bounds.batches_in_flight_max);
    }

    fn ended(&mut self, which: usize) {
        let (batch, reserved) = self.in_flight.swap_remove(which);
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
                            if let Arrival::Send(batch) = arrival {
                                walk.sent(batch);
                            }
                        }
                    }
                }
                Step::End(which) if !walk.in_flight.is_empty() => {
                    walk.ended(which % walk.in_flight.len());
                    if let Some(batch) = coalescer.batch_ended() {
                        walk.sent(batch);
                    }
                }
                Step::End(_) => {}
            }
            // Nothing waits while there is room to fly.
            let has_room = walk.in_flight.len() < bounds.batches_in_flight_max;
            prop_assert!(walk.expected.is_empty() || !has_room);
        }
        while !walk.in_flight.is_empty() {
            walk.ended(0);
            if let Some(batch) = coalescer.batch_ended() {
                walk.sent(batch);
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
