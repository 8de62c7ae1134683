//! What was sold, for how much and how many to one user: the plan, the guard row, the rows and the
//! ledger say it each by itself, and must say the same. Pure.

/// What the catalog planned for a shard's item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) sale: [u8; 16],
    pub(crate) item: [u8; 16],
    pub(crate) limit_per_user: u32,
    pub(crate) currency: String,
    pub(crate) unit_price: i64,
}

/// What the books say: their guard row, and their rows but rejected ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Booked {
    pub(crate) sale: Vec<u8>,
    pub(crate) item: Vec<u8>,
    pub(crate) limit_per_user: u32,
    pub(crate) currency: String,
    /// Rows of another sale, item or currency than the guard row.
    pub(crate) foreign_orders: u64,
    /// The least and the highest; none without rows.
    pub(crate) unit_prices: Option<(i64, i64)>,
    pub(crate) quantity_max: u32,
}

/// The first thing in which the books or the ledger (whose limit is given, if it was asked) leave
/// the plan.
pub(crate) fn contradiction(
    planned: &Planned,
    booked: &Booked,
    ledger_limit: Option<u32>,
) -> Option<String> {
    let Planned { limit_per_user: limit, unit_price: price, currency, .. } = planned;
    if booked.item != planned.item {
        return Some("the books have another item under this number than the catalog".into());
    }
    if booked.sale != planned.sale {
        return Some("the books have another sale under this number than the catalog".into());
    }
    if booked.currency != *currency {
        let says = &booked.currency;
        return Some(format!("the books sell in {says}, but the catalog in {currency}"));
    }
    if booked.foreign_orders > 0 {
        let rows = booked.foreign_orders;
        return Some(format!("{rows} rows name another sale, item or currency than their shard"));
    }
    if let Some((least, highest)) = booked.unit_prices
        && (least, highest) != (*price, *price)
    {
        return Some(format!("rows have prices from {least} to {highest}, but planned is {price}"));
    }
    if booked.limit_per_user != *limit {
        let says = booked.limit_per_user;
        return Some(format!("the books' limit per user is {says}, but planned is {limit}"));
    }
    if booked.quantity_max > *limit {
        let most = booked.quantity_max;
        return Some(format!("a row has {most} units, but a user may have {limit}"));
    }
    let says = ledger_limit.filter(|says| says != limit)?;
    Some(format!("the ledger's limit per user is {says}, but planned is {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned() -> Planned {
        Planned {
            sale: [1; 16],
            item: [2; 16],
            limit_per_user: 2,
            currency: "EUR".into(),
            unit_price: 999,
        }
    }

    fn booked() -> Booked {
        Booked {
            sale: vec![1; 16],
            item: vec![2; 16],
            limit_per_user: 2,
            currency: "EUR".into(),
            foreign_orders: 0,
            unit_prices: Some((999, 999)),
            quantity_max: 2,
        }
    }

    #[test]
    fn books_and_ledger_that_keep_to_the_plan_hold() {
        assert_eq!(contradiction(&planned(), &booked(), Some(2)), None);
        let unsold = Booked { unit_prices: None, quantity_max: 0, ..booked() };
        assert_eq!(contradiction(&planned(), &unsold, None), None);
    }

    #[test]
    fn each_contradiction_is_named() {
        type Damage = fn(&mut Booked);
        let table: [(Damage, &str); 8] = [
            (|it| it.item = vec![9; 16], "another item"),
            (|it| it.sale = vec![9; 16], "another sale"),
            (|it| it.currency = "USD".into(), "USD"),
            (|it| it.foreign_orders = 1, "1 rows name"),
            (|it| it.unit_prices = Some((0, 999)), "prices from 0 to 999"),
            (|it| it.unit_prices = Some((999, 1_000)), "prices from 999 to 1000"),
            (|it| it.limit_per_user = 3, "limit per user is 3"),
            (|it| it.quantity_max = 3, "3 units"),
        ];
        for (damage, says) in table {
            let mut damaged = booked();
            damage(&mut damaged);
            let told = contradiction(&planned(), &damaged, Some(2)).unwrap_or_default();
            assert!(told.contains(says), "{told:?} doesn't say {says:?}");
        }
        let told = contradiction(&planned(), &booked(), Some(5)).unwrap_or_default();
        assert!(told.contains("the ledger's limit per user is 5"), "{told}");
    }
}
