//! What the counts of one shard say: pure functions over plain numbers. "Can't be told now" is a
//! verdict of its own; it never passes for "holds".

use law::{Invariant, Units, Violation};

use super::{
    compare::{Compared, Id},
    terms::{Booked, Planned, contradiction},
};

/// What the books' rows of a shard come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Books {
    pub(crate) open_epoch: i64,
    pub(crate) total: u64,
    /// What the guard row says.
    pub(crate) sold: u64,
    pub(crate) limit_per_user: u32,
    pub(crate) live_orders: u64,
    pub(crate) live_units: u64,
    pub(crate) rejected_orders: u64,
    pub(crate) duplicate_orders: u64,
    pub(crate) user_units_max: u32,
    pub(crate) movement_watermark: u64,
    pub(crate) dead_letters: u64,
}

/// What the ledger's holds of a shard come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ledger {
    pub(crate) epoch: i64,
    pub(crate) stock: u64,
    pub(crate) open_holds: u64,
    pub(crate) open_units: u64,
    pub(crate) oldest_open_ms: u64,
    pub(crate) placed_orders: u64,
    pub(crate) placed_units: u64,
    pub(crate) user_units: u64,
    pub(crate) user_units_max: u32,
    pub(crate) movement_watermark: u64,
}

/// How far the catalog says that a shard has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Never loaded: nothing can have been sold.
    New,
    Loading,
    Open,
    /// Over; its ledger is gone, lawfully.
    Retired,
}

/// One shard, as it was counted. The books are counted before and after the ledger: if both agree,
/// nothing was written in between.
#[derive(Debug, Clone)]
pub(crate) struct ShardCount {
    pub(crate) sale: String,
    pub(crate) item: String,
    pub(crate) shard_no: u32,
    /// What the catalog planned.
    pub(crate) planned: u64,
    pub(crate) phase: Phase,
    /// `None`: the books have no such shard yet.
    pub(crate) before: Option<Books>,
    pub(crate) ledger: Result<Ledger, NoLedger>,
    pub(crate) after: Option<Books>,
    pub(crate) terms: Terms,
    /// Order by order; `Err` says why that can't be told now. Means nothing without a ledger.
    pub(crate) compared: Result<Compared, String>,
}

/// What was sold for how much, as each says it.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) planned: Planned,
    /// Means nothing if the books have no such shard.
    pub(crate) booked: Booked,
    pub(crate) ledger_limit: Option<u32>,
}

/// Why the ledger could not be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoLedger {
    /// It has no such shard, which is lawful once that is retired.
    NotThere,
    /// Not now, for this reason.
    NotNow(String),
}

/// A shard, or orders, that the catalog knows nothing of. It is always broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Orphan {
    /// `shard 7`, or whatever it is.
    pub(crate) what: String,
    pub(crate) says: String,
}

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Says by which figures.
    Holds(String),
    /// Says what is wrong.
    Broken(String),
    /// Says why it can't be told.
    Unclear(String),
}

impl Verdict {
    fn broken(&self) -> Option<&str> {
        match self {
            Self::Broken(says) => Some(says),
            Self::Holds(_) | Self::Unclear(_) => None,
        }
    }

    fn unclear(&self) -> Option<&str> {
        match self {
            Self::Unclear(says) => Some(says),
            Self::Holds(_) | Self::Broken(_) => None,
        }
    }
}

/// One check of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// `I-1`, or what is compared.
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
}

/// A shard with its checks; none for a shard that was never loaded.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) count: ShardCount,
    pub(crate) checks: Vec<Check>,
}

impl Finding {
    /// Whether counting again could not change the verdict for the better.
    pub(crate) fn is_clear(&self) -> bool {
        self.checks.iter().all(|check| matches!(check.verdict, Verdict::Holds(_)))
    }

    /// How many units are missing or too many, whichever way; 0 where that can't be told.
    pub(crate) fn units_astray(&self) -> u64 {
        match (&self.count.after, &self.count.ledger) {
            (Some(books), Ok(ledger)) => {
                let sum = units(books, ledger).sum();
                u64::try_from(sum.abs_diff(u128::from(books.total))).unwrap_or(u64::MAX)
            }
            _ => 0,
        }
    }
}

/// Judges one shard.
pub(crate) fn judge(count: ShardCount) -> Finding {
    let checks = match (count.phase, &count.after) {
        (Phase::New, None) => Vec::new(),
        (Phase::Loading, None) => {
            vec![check("books", Verdict::Unclear("the books have no row of the shard yet".into()))]
        }
        (Phase::Open | Phase::Retired, None) => {
            vec![check("books", Verdict::Broken("the books have no row of an open shard".into()))]
        }
        (_, Some(books)) => {
            let mut checks = of_books(count.planned, books);
            match (&count.ledger, count.phase) {
                (Ok(ledger), _) => {
                    let is_still = count.before == count.after;
                    checks.extend(of_both(is_still, books, ledger));
                    checks.push(check("ids", by_id(is_still, books, &count.compared)));
                }
                (Err(NoLedger::NotThere), Phase::Retired) => {}
                (Err(NoLedger::NotThere), Phase::New | Phase::Loading | Phase::Open) => {
                    let says = "inventory-svc doesn't know the shard yet, or any more";
                    checks.push(check("I-3", Verdict::Unclear(says.into())));
                }
                (Err(NoLedger::NotNow(says)), _) => {
                    checks.push(check("I-3", Verdict::Unclear(format!("no ledger: {says}"))));
                }
            }
            checks.push(check("terms", of_terms(&count.terms)));
            checks.push(check("log", of_log(books)));
            checks
        }
    };
    Finding { count, checks }
}

/// The worst of all, said in one sentence.
pub(crate) fn verdict_of_all(findings: &[Finding], orphans: &[Orphan]) -> Verdict {
    let orphans: Vec<_> =
        orphans.iter().map(|orphan| format!("{}: {}", orphan.what, orphan.says)).collect();
    let said = |pick: fn(&Verdict) -> Option<&str>| {
        let all: Vec<String> = findings
            .iter()
            .flat_map(|finding| finding.checks.iter().map(|check| (finding.count.shard_no, check)))
            .filter_map(|(shard, check)| Some((shard, check.name, pick(&check.verdict)?)))
            .map(|(shard, name, says)| format!("shard {shard}, {name}: {says}"))
            .collect();
        (!all.is_empty()).then(|| all.join("; "))
    };
    let broken = said(Verdict::broken).into_iter().chain(orphans).collect::<Vec<_>>();
    if !broken.is_empty() {
        Verdict::Broken(broken.join("; "))
    } else if let Some(says) = said(Verdict::unclear) {
        Verdict::Unclear(says)
    } else {
        Verdict::Holds(format!("{} shards", findings.len()))
    }
}

fn of_books(planned: u64, books: &Books) -> Vec<Check> {
    let Books { total, sold, live_orders, live_units, limit_per_user, user_units_max, .. } = *books;
    vec![
        by_law("I-1", law::no_oversell(total, live_units), format!("{live_units} of {total} sold")),
        by_law(
            "I-4",
            once(books).and_then(|()| law::within_limit(limit_per_user, user_units_max.into())),
            format!("no order twice, no user above {user_units_max} of {limit_per_user}"),
        ),
        same(
            "guard",
            &[("guard row sold", sold), ("units counted in live rows", live_units)],
            format!("{sold} sold, and so say {live_orders} rows"),
        ),
        same("plan", &[("planned", planned), ("total", total)], format!("{total} as planned")),
    ]
}

/// What the two stores say together. A hold is settled a moment after its row is written, and then
/// counts on both sides: a sum that is wrong while holds are open, or while rows are being written,
/// says nothing yet.
fn of_both(is_still: bool, books: &Books, ledger: &Ledger) -> Vec<Check> {
    let unrest = unrest(is_still, books, ledger);
    let or_unclear = |name, verdict: Verdict| match (&verdict, &unrest) {
        (Verdict::Broken(_), Some(why)) => check(name, Verdict::Unclear(why.clone())),
        _ => check(name, verdict),
    };
    let Units { stock, open, live, unapplied } = units(books, ledger);
    let sums = format!(
        "{} = stock {stock} + open holds {open} + live {live} + movements not applied {unapplied}",
        books.total
    );
    let i_3 = by_law("I-3", law::nothing_leaks(books.total, units(books, ledger)), sums).verdict;
    let limit = law::within_limit(books.limit_per_user, ledger.user_units_max.into());
    let placed = same(
        "ledger",
        &[("units placed in the ledger", ledger.placed_units), ("live units", books.live_units)],
        format!("{} units placed in both stores", ledger.placed_units),
    );
    let orders = same(
        "orders",
        &[("orders placed in the ledger", ledger.placed_orders), ("live rows", books.live_orders)],
        format!("{} orders in both stores", ledger.placed_orders),
    );
    let counted = ledger.open_units + ledger.placed_units;
    let users = same(
        "users",
        &[("units that users' limits count", ledger.user_units), ("open and placed", counted)],
        format!("{counted} units counted user by user"),
    );
    vec![
        or_unclear("I-3", i_3),
        by_law("I-4", limit, format!("the ledger gave no user more than {}", books.limit_per_user)),
        or_unclear(placed.name, placed.verdict),
        or_unclear(orders.name, orders.verdict),
        users,
    ]
}

/// What the two stores say order by order.
fn by_id(is_still: bool, books: &Books, compared: &Result<Compared, String>) -> Verdict {
    let compared = match compared {
        Ok(compared) => compared,
        Err(why) => return Verdict::Unclear(why.clone()),
    };
    let Compared { lost, contradicted, altered, unknown, live } = compared;
    let wrong = [
        (lost, "the ledger has as decided are in no row"),
        (contradicted, "are live in one store and dead in the other"),
        (altered, "have another user or quantity in the ledger than in the books"),
        (unknown, "are rows of which the ledger knows nothing"),
    ];
    let wrong = wrong.into_iter().filter_map(|(ids, says)| {
        let first = uuid(ids.first()?);
        Some(format!("{} orders {says}, such as {first}", ids.len()))
    });
    let wrong: Vec<_> = wrong.collect();
    if !wrong.is_empty() {
        return Verdict::Broken(wrong.join("; "));
    }
    if *live != books.live_orders && is_still {
        let rows = books.live_orders;
        return Verdict::Broken(format!("{rows} live rows name the shard, and {live} ids do"));
    }
    Verdict::Holds(format!("{live} live orders, the same ones in both stores"))
}

fn uuid(id: &Id) -> String {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn of_terms(terms: &Terms) -> Verdict {
    match contradiction(&terms.planned, &terms.booked, terms.ledger_limit) {
        Some(says) => Verdict::Broken(says),
        None => Verdict::Holds("item, price and limit are those of the plan".into()),
    }
}

/// In an open epoch no hold can be refused unless the ledger was wrong or somebody else wrote it,
/// and no record is unreadable unless somebody else wrote that.
fn of_log(books: &Books) -> Verdict {
    let refused = (books.rejected_orders > 0)
        .then(|| format!("the books refused {} holds", books.rejected_orders));
    let unread = (books.dead_letters > 0)
        .then(|| format!("{} records of its partition can't be read", books.dead_letters));
    let wrong: Vec<_> = refused.into_iter().chain(unread).collect();
    if wrong.is_empty() {
        Verdict::Holds("every record was read, and no hold refused".into())
    } else {
        Verdict::Broken(wrong.join("; "))
    }
}

/// Why the two stores can't be compared now, if they can't.
fn unrest(is_still: bool, books: &Books, ledger: &Ledger) -> Option<String> {
    if !is_still {
        Some("the books were being written while they were counted".into())
    } else if ledger.open_holds > 0 {
        let seconds = ledger.oldest_open_ms as f64 / 1e3;
        Some(format!("{} open holds, the oldest of {seconds:.1} s", ledger.open_holds))
    } else if ledger.epoch != books.open_epoch {
        Some("the shard is being loaded".into())
    } else if ledger.movement_watermark < books.movement_watermark {
        Some("movements are on their way to the ledger".into())
    } else {
        None
    }
}

fn units(books: &Books, ledger: &Ledger) -> Units {
    // No movement is made before orders can be cancelled; until then none can be unapplied.
    Units { stock: ledger.stock, open: ledger.open_units, live: books.live_units, unapplied: 0 }
}

fn once(books: &Books) -> Result<(), Violation> {
    match books.duplicate_orders {
        0 => Ok(()),
        rows => Err(Violation {
            invariant: Invariant::Once,
            says: format!("{rows} rows share an order id with another"),
        }),
    }
}

fn check(name: &'static str, verdict: Verdict) -> Check {
    Check { name, verdict }
}

fn by_law(name: &'static str, judged: Result<(), Violation>, says: String) -> Check {
    let verdict = match judged {
        Ok(()) => Verdict::Holds(says),
        Err(violation) => Verdict::Broken(violation.says),
    };
    check(name, verdict)
}

fn same(name: &'static str, sides: &[(&str, u64); 2], says: String) -> Check {
    let [(left, left_is), (right, right_is)] = sides;
    let verdict = if left_is == right_is {
        Verdict::Holds(says)
    } else {
        Verdict::Broken(format!("{left}: {left_is}, but {right}: {right_is}"))
    };
    check(name, verdict)
}

#[cfg(test)]
mod tests;
