//! From what an operator sent to what may be stored. A `New…` value proves that every field was
//! checked; what is wrong is told field by field, all of it at once.

use std::{collections::HashSet, time::Duration};

use super::Schedule;

const REQUEST_ID_CHARS: usize = 64;
const TITLE_CHARS: usize = 200;
const SKU_CHARS: usize = 64;
const ITEMS: usize = 100;
const TOTAL_UNITS: u32 = 10_000_000;
const LIMIT_PER_USER: u32 = 1_000;
/// So that the price of as many units as one user may have never overflows.
const UNIT_PRICE: i64 = 1_000_000_000_000;
const PAY_WITHIN_S: u32 = 604_800;
const PAY_WITHIN_DEFAULT_S: u32 = 900;
const LEASE_MS: std::ops::RangeInclusive<u32> = 50..=60_000;
const LEASE_DEFAULT_MS: u32 = 2_000;
const WINDOW_MS: u64 = 30 * 24 * 3_600 * 1_000;
const WARM_UP_S: u32 = 3_600;
const WARM_UP_DEFAULT_S: u32 = 60;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field: `items[2].price.currency`.
    pub field: String,
    /// What it must be, without repeating what was sent.
    pub says: String,
}

/// A sale as it was asked for.
#[derive(Debug, Clone, Default)]
pub struct SaleDraft {
    /// Makes a repeated call harmless.
    pub request_id: String,
    /// For people.
    pub title: String,
    /// What is offered.
    pub items: Vec<ItemDraft>,
}

/// An item as it was asked for; 0 stands for a default where the contract says so.
#[derive(Debug, Clone, Default)]
pub struct ItemDraft {
    /// The shop's own name for it.
    pub sku: String,
    /// For people.
    pub title: String,
    /// Currency and minor units.
    pub price: Option<(String, i64)>,
    /// Planned units.
    pub total_units: u32,
    /// How many live units one user may have.
    pub limit_per_user: u32,
    /// Seconds, or 0.
    pub pay_within_s: u32,
    /// L of the protocol in milliseconds, or 0.
    pub lease_ms: u32,
}

/// A sale that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSale {
    request_id: String,
    title: String,
    items: Vec<NewItem>,
}

/// An item that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewItem {
    /// Unique within the sale.
    pub sku: String,
    /// For people.
    pub title: String,
    /// ISO 4217.
    pub currency: String,
    /// Per unit, in the currency's smallest unit.
    pub unit_price: i64,
    /// Planned units.
    pub total_units: u32,
    /// How many live units one user may have.
    pub limit_per_user: u32,
    /// How long a placed order may stay unpaid, in seconds.
    pub pay_within_s: u32,
    /// L of the protocol.
    pub lease: Duration,
}

impl NewSale {
    /// Chosen by the caller.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// For people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// At least one.
    pub fn items(&self) -> &[NewItem] {
        &self.items
    }
}

impl SaleDraft {
    /// Checks everything.
    ///
    /// # Errors
    /// All that is wrong, in the order of the fields.
    pub fn check(self) -> Result<NewSale, Vec<Violation>> {
        let mut wrong = Violations::default();
        let Self { request_id, title, items } = self;
        wrong.text("request_id", &request_id, REQUEST_ID_CHARS);
        wrong.text("title", &title, TITLE_CHARS);
        // A flood of items isn't looked at one by one.
        if items.is_empty() || items.len() > ITEMS {
            wrong.add("items", format!("must be 1 to {ITEMS} items"));
            return Err(wrong.0);
        }
        let mut skus = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            item.check(index, &mut wrong);
            if !skus.insert(item.sku.as_str()) {
                wrong.add(format!("items[{index}].sku"), "must be unique within the sale");
            }
        }
        if !wrong.0.is_empty() {
            return Err(wrong.0);
        }
        let items = items.into_iter().map(ItemDraft::into_checked).collect();
        Ok(NewSale { request_id, title, items })
    }
}

impl ItemDraft {
    fn check(&self, index: usize, wrong: &mut Violations) {
        let field = |name: &str| format!("items[{index}].{name}");
        wrong.text(field("sku"), &self.sku, SKU_CHARS);
        wrong.text(field("title"), &self.title, TITLE_CHARS);
        match &self.price {
            None => wrong.add(field("price"), "is required"),
            Some((currency, minor_units)) => {
                if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
                    wrong.add(field("price.currency"), "must be three capital letters (ISO 4217)");
                }
                if !(0..=UNIT_PRICE).contains(minor_units) {
                    wrong.add(field("price.minor_units"), format!("must be 0 to {UNIT_PRICE}"));
                }
            }
        }
        if !(1..=TOTAL_UNITS).contains(&self.total_units) {
            wrong.add(field("total_units"), format!("must be 1 to {TOTAL_UNITS}"));
        }
        if !(1..=LIMIT_PER_USER).contains(&self.limit_per_user) {
            wrong.add(field("limit_per_user"), format!("must be 1 to {LIMIT_PER_USER}"));
        }
        if self.pay_within_s > PAY_WITHIN_S {
            wrong.add(field("pay_within_seconds"), format!("must be at most {PAY_WITHIN_S}"));
        }
        if self.lease_ms != 0 && !LEASE_MS.contains(&self.lease_ms) {
            let (least, most) = LEASE_MS.into_inner();
            wrong.add(field("lease_ms"), format!("must be 0 or {least} to {most}"));
        }
    }

    fn into_checked(self) -> NewItem {
        let (currency, unit_price) = self.price.unwrap_or_default();
        NewItem {
            sku: self.sku,
            title: self.title,
            currency,
            unit_price,
            total_units: self.total_units,
            limit_per_user: self.limit_per_user,
            pay_within_s: or_default(self.pay_within_s, PAY_WITHIN_DEFAULT_S),
            lease: Duration::from_millis(or_default(self.lease_ms, LEASE_DEFAULT_MS).into()),
        }
    }
}

/// A window as it was asked for, in milliseconds since the Unix epoch; none where the field was
/// unset or isn't a time that we can count.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScheduleDraft {
    /// The first millisecond.
    pub opens_ms: Option<u64>,
    /// The first millisecond after it.
    pub closes_ms: Option<u64>,
    /// Seconds, or 0.
    pub warm_up_s: u32,
}

impl ScheduleDraft {
    /// Checks everything.
    ///
    /// # Errors
    /// All that is wrong, in the order of the fields.
    pub fn check(self) -> Result<Schedule, Vec<Violation>> {
        let mut wrong = Violations::default();
        let is_a_time = "must be a time after 1970-01-01T00:00:00Z";
        if self.opens_ms.is_none() {
            wrong.add("opens_at", is_a_time);
        }
        if self.closes_ms.is_none() {
            wrong.add("closes_at", is_a_time);
        }
        if let (Some(opens_ms), Some(closes_ms)) = (self.opens_ms, self.closes_ms) {
            if closes_ms <= opens_ms {
                wrong.add("closes_at", "must be after opens_at");
            } else if closes_ms - opens_ms > WINDOW_MS {
                wrong.add("closes_at", "must be at most 30 days after opens_at");
            }
        }
        if self.warm_up_s > WARM_UP_S {
            wrong.add("warm_up_seconds", format!("must be at most {WARM_UP_S}"));
        }
        match (self.opens_ms, self.closes_ms) {
            (Some(opens_ms), Some(closes_ms)) if wrong.0.is_empty() => {
                let warm_up_s = or_default(self.warm_up_s, WARM_UP_DEFAULT_S);
                Ok(Schedule { opens_ms, closes_ms, warm_up_s })
            }
            _ => Err(wrong.0),
        }
    }
}

fn or_default(given: u32, default: u32) -> u32 {
    if given == 0 { default } else { given }
}

#[derive(Default)]
struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, field: impl Into<String>, says: impl Into<String>) {
        self.0.push(Violation { field: field.into(), says: says.into() });
    }

    fn text(&mut self, field: impl Into<String>, value: &str, chars_max: usize) {
        let is_long_enough = !value.trim().is_empty() && value.chars().count() <= chars_max;
        if !is_long_enough || value.chars().any(char::is_control) {
            let says = format!("must be 1 to {chars_max} characters, none of them a control one");
            self.add(field, says);
        }
    }
}
