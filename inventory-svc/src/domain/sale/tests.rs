//! One good sale, and what is said when one thing about it is wrong.

use super::*;

fn item() -> ItemDraft {
    ItemDraft {
        sku: "mug".to_owned(),
        title: "A mug".to_owned(),
        price: Some(("EUR".to_owned(), 1250)),
        total_units: 10,
        limit_per_user: 2,
        ..ItemDraft::default()
    }
}

fn sale() -> SaleDraft {
    SaleDraft { request_id: "r-1".to_owned(), title: "Spring".to_owned(), items: vec![item()] }
}

fn fields(wrong: &[Violation]) -> Vec<&str> {
    wrong.iter().map(|violation| violation.field.as_str()).collect()
}

#[test]
fn zero_means_the_default() {
    let sale = sale().check().unwrap();
    assert_eq!((sale.request_id(), sale.title()), ("r-1", "Spring"));
    let item = &sale.items()[0];
    assert_eq!((item.pay_within_s, item.lease), (900, Duration::from_millis(2000)));
    assert_eq!((item.currency.as_str(), item.unit_price), ("EUR", 1250));
}

#[test]
fn one_wrong_field_is_named() {
    let check = |field: &str, spoil: &dyn Fn(&mut SaleDraft)| {
        let mut sale = sale();
        spoil(&mut sale);
        let wrong = sale.check().expect_err(field);
        assert_eq!(fields(&wrong), [field]);
        assert!(!wrong[0].says.is_empty());
    };
    let item = |spoil: fn(&mut ItemDraft)| move |sale: &mut SaleDraft| spoil(&mut sale.items[0]);
    check("request_id", &|sale| sale.request_id.clear());
    check("request_id", &|sale| sale.request_id = "x".repeat(65));
    check("request_id", &|sale| sale.request_id = "a\nb".to_owned());
    check("title", &|sale| sale.title = "  ".to_owned());
    check("title", &|sale| sale.title = "ä".repeat(201));
    check("items", &|sale| sale.items.clear());
    check("items", &|sale| sale.items = vec![ItemDraft::default(); 101]);
    check("items[1].sku", &|sale| sale.items.push(sale.items[0].clone()));
    check("items[0].sku", &item(|item| item.sku = "s".repeat(65)));
    check("items[0].title", &item(|item| item.title.clear()));
    check("items[0].price", &item(|item| item.price = None));
    check("items[0].price.currency", &item(|item| item.price = Some(("eur".to_owned(), 1))));
    check("items[0].price.currency", &item(|item| item.price = Some(("EURO".to_owned(), 1))));
    check("items[0].price.minor_units", &item(|item| item.price = Some(("EUR".to_owned(), -1))));
    check("items[0].total_units", &item(|item| item.total_units = 0));
    check("items[0].total_units", &item(|item| item.total_units = 10_000_001));
    check("items[0].limit_per_user", &item(|item| item.limit_per_user = 0));
    check("items[0].limit_per_user", &item(|item| item.limit_per_user = 1001));
    check("items[0].pay_within_seconds", &item(|item| item.pay_within_s = 604_801));
    check("items[0].lease_ms", &item(|item| item.lease_ms = 49));
    check("items[0].lease_ms", &item(|item| item.lease_ms = 60_001));
}

#[test]
fn the_borders_are_inside() {
    let mut sale = sale();
    sale.title = "ä".repeat(200);
    sale.items[0].total_units = 10_000_000;
    sale.items[0].limit_per_user = 1_000;
    sale.items[0].pay_within_s = 604_800;
    sale.items[0].lease_ms = 50;
    assert!(sale.check().is_ok());
}

#[test]
fn everything_wrong_is_told_at_once() {
    let draft = SaleDraft { items: vec![ItemDraft::default()], ..SaleDraft::default() };
    let wrong = draft.check().unwrap_err();
    let wanted = [
        "request_id",
        "title",
        "items[0].sku",
        "items[0].title",
        "items[0].price",
        "items[0].total_units",
        "items[0].limit_per_user",
    ];
    assert_eq!(fields(&wrong), wanted);
}

#[test]
fn a_window_is_checked() {
    const DAY_MS: u64 = 24 * 3_600 * 1_000;
    let check = |opens_ms, closes_ms, warm_up_s, wanted: &[&str]| {
        let draft = ScheduleDraft { opens_ms, closes_ms, warm_up_s };
        let wrong = draft.check().err().unwrap_or_default();
        assert_eq!(fields(&wrong), wanted, "{draft:?}");
    };
    check(Some(5), Some(6), 0, &[]);
    check(Some(5), Some(5 + 30 * DAY_MS), 3_600, &[]);
    check(None, Some(6), 0, &["opens_at"]);
    check(None, None, 3_601, &["opens_at", "closes_at", "warm_up_seconds"]);
    check(Some(5), Some(5), 0, &["closes_at"]);
    check(Some(6), Some(5), 0, &["closes_at"]);
    check(Some(5), Some(6 + 30 * DAY_MS), 0, &["closes_at"]);
    let schedule = ScheduleDraft { opens_ms: Some(70_000), closes_ms: Some(80_000), warm_up_s: 0 };
    assert_eq!(schedule.check().unwrap().warm_up_at_ms(), 10_000);
}

#[test]
fn a_window_is_given_once() {
    let one = Schedule { opens_ms: 1, closes_ms: 2, warm_up_s: 60 };
    let other = Schedule { closes_ms: 3, ..one };
    assert_eq!(State::Draft.schedule(&one), Scheduling::Fresh);
    assert_eq!(State::Scheduled(one).schedule(&one), Scheduling::Already);
    assert_eq!(State::Scheduled(one).schedule(&other), Scheduling::OtherWindow);
}
