//! Judges a rehearsal: what each shopper was told against the rows that the shop shows of them, and
//! against the audit. Pure; every broken rule is a sentence.

use std::collections::{BTreeMap, HashMap};

use ids::OrderId;
use law::{Invariant, Violation};

use super::pursuit::Ending;

/// More sentences than this help nobody.
const SENTENCES_MAX: usize = 10;

/// What one shopper asked for and was told in the end.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) order: OrderId,
    pub(super) ending: Ending,
}

/// One order that the shop lists for a shopper (an index into the told).
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) shopper: usize,
    pub(super) order: OrderId,
    pub(super) quantity: u32,
    pub(super) is_live: bool,
}

/// What the audit of the sale found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Audited {
    /// Units of live rows in the books.
    pub(super) live_units: u64,
    /// Units that are missing or too many.
    pub(super) leaked_units: u64,
    /// `Err` says what doesn't hold or can't be told.
    pub(super) verdict: Result<(), String>,
}

/// The figures of a rehearsal, and what is wrong with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) sold: u64,
    pub(super) oversold: u64,
    pub(super) accepted: u64,
    pub(super) processing: u64,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) accepted_without_order: u64,
    pub(super) duplicate_orders: u64,
    pub(super) leaked_units: u64,
    pub(super) audit_ok: bool,
    /// Sentences, at most a handful, and how many more there are.
    pub(super) violations: Vec<String>,
    pub(super) violations_more: u64,
}

/// Compares. `units` were for sale, `limit` of them for each user, and each shopper had one ticket.
pub(super) fn judge(
    units: u64,
    limit: u32,
    told: &[Told],
    rows: &[Row],
    audited: &Audited,
) -> Judgement {
    let mut judged = Judgement {
        sold: rows.iter().filter(|row| row.is_live).map(|row| u64::from(row.quantity)).sum(),
        leaked_units: audited.leaked_units,
        audit_ok: audited.verdict.is_ok(),
        ..Judgement::default()
    };
    judged.oversold = judged.sold.max(audited.live_units).saturating_sub(units);
    judged.law(law::no_oversell(units, judged.sold));
    judged.rows_of_shoppers(limit, told, rows);
    judged.answers(told, rows);
    judged.totals(units, audited);
    judged
}

impl Judgement {
    /// Whether every rule was kept.
    pub(super) fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// One ticket, one order; and it is the one that the ticket named.
    fn rows_of_shoppers(&mut self, limit: u32, told: &[Told], rows: &[Row]) {
        let mut rows_of_order = HashMap::<OrderId, u64>::new();
        let mut units_of_shopper = HashMap::<usize, u64>::new();
        for row in rows {
            *rows_of_order.entry(row.order).or_default() += 1;
            if row.is_live {
                *units_of_shopper.entry(row.shopper).or_default() += u64::from(row.quantity);
            }
            if told.get(row.shopper).is_none_or(|told| told.order != row.order) {
                self.duplicate_orders += 1;
                self.law(Err(Violation {
                    invariant: Invariant::Once,
                    says: format!("order {} belongs to no ticket of its shopper", row.order),
                }));
            }
        }
        for (order, rows) in rows_of_order {
            self.duplicate_orders += rows - 1;
            self.law(law::one_row(order, rows));
        }
        for units in units_of_shopper.into_values() {
            self.law(law::within_limit(limit, units));
        }
    }

    fn answers(&mut self, told: &[Told], rows: &[Row]) {
        let mut live_rows = HashMap::<OrderId, u64>::new();
        for row in rows.iter().filter(|row| row.is_live) {
            *live_rows.entry(row.order).or_default() += 1;
        }
        for Told { order, ending } in told {
            let live_rows = live_rows.get(order).copied().unwrap_or(0);
            match ending {
                Ending::Accepted => {
                    self.accepted += 1;
                    self.accepted_without_order += u64::from(live_rows == 0);
                    self.law(law::promise_kept(*order, live_rows));
                }
                Ending::Refused(reason) => {
                    *self.refused.entry(reason.clone()).or_default() += 1;
                    if live_rows > 0 {
                        self.says(format!("order {order} was refused ({reason}) and is live"));
                    }
                }
                Ending::Unknown => self.processing += 1,
            }
        }
    }

    fn totals(&mut self, units: u64, audited: &Audited) {
        if audited.live_units != self.sold {
            let (books, sold) = (audited.live_units, self.sold);
            self.says(format!("the books count {books} units, the shoppers' lists {sold}"));
        }
        let sold_out = self.refused.get("SOLD_OUT").copied().unwrap_or(0);
        if sold_out > 0 && self.processing == 0 && self.sold < units {
            let left = units - self.sold;
            self.says(format!("{sold_out} shoppers were told SOLD_OUT with {left} units left"));
        }
        if let Err(says) = &audited.verdict {
            self.says(says.clone());
        }
    }

    fn law(&mut self, judged: Result<(), Violation>) {
        if let Err(violation) = judged {
            self.says(violation.to_string());
        }
    }

    fn says(&mut self, sentence: String) {
        if self.violations.len() < SENTENCES_MAX {
            self.violations.push(sentence);
        } else {
            self.violations_more += 1;
        }
    }
}

#[cfg(test)]
mod tests;
