//! A clean shard passes; each single unit, row or hold that is out of place doesn't.

use super::*;

fn books() -> Books {
    Books {
        open_epoch: 7,
        total: 1_000,
        sold: 600,
        limit_per_user: 2,
        live_orders: 500,
        live_units: 600,
        user_units_max: 2,
        ..Books::default()
    }
}

fn ledger() -> Ledger {
    Ledger {
        epoch: 7,
        stock: 400,
        placed_orders: 500,
        placed_units: 600,
        user_units: 600,
        user_units_max: 2,
        ..Ledger::default()
    }
}

fn shard(books: Books, ledger: Ledger) -> ShardCount {
    ShardCount {
        sale: "a sale".into(),
        item: "an item".into(),
        shard_no: 1,
        planned: 1_000,
        phase: Phase::Open,
        before: Some(books),
        ledger: Ok(ledger),
        after: Some(books),
        terms: terms(),
        compared: Ok(Compared { live: books.live_orders, ..Compared::default() }),
    }
}

fn terms() -> Terms {
    let planned = Planned {
        sale: [1; 16],
        item: [2; 16],
        limit_per_user: 2,
        currency: "EUR".into(),
        unit_price: 999,
    };
    let booked = Booked {
        sale: vec![1; 16],
        item: vec![2; 16],
        limit_per_user: 2,
        currency: "EUR".into(),
        ..Booked::default()
    };
    Terms { planned, booked, ledger_limit: Some(2) }
}

type Damage<T> = (&'static str, fn(&mut T));

#[derive(Debug, PartialEq)]
enum Word {
    Holds,
    Broken,
    Unclear,
}

fn word(count: ShardCount) -> Word {
    match verdict_of_all(&[judge(count)], &[]) {
        Verdict::Holds(_) => Word::Holds,
        Verdict::Broken(_) => Word::Broken,
        Verdict::Unclear(_) => Word::Unclear,
    }
}

#[test]
fn a_clean_shard_holds() {
    let finding = judge(shard(books(), ledger()));
    assert!(finding.is_clear(), "{:?}", finding.checks);
    assert_eq!(finding.units_astray(), 0);
}

#[test]
fn one_thing_damaged_in_the_books_is_seen() {
    let damages: [Damage<Books>; 10] = [
        ("a row deleted", |it| (it.live_orders, it.live_units) = (499, 599)),
        ("a row's quantity raised", |it| it.live_units += 1),
        ("a row of nobody", |it| (it.live_orders, it.live_units) = (501, 601)),
        ("the guard row raised", |it| it.sold += 1),
        ("the guard row lowered", |it| it.sold -= 1),
        ("the total raised", |it| it.total += 1),
        ("an order id twice", |it| it.duplicate_orders = 2),
        ("a user above the limit", |it| it.user_units_max = 3),
        ("a hold that was refused", |it| it.rejected_orders = 1),
        ("a record that can't be read", |it| it.dead_letters = 1),
    ];
    for (name, damage) in damages {
        let mut damaged = books();
        damage(&mut damaged);
        assert_eq!(word(shard(damaged, ledger())), Word::Broken, "{name}");
    }
}

#[test]
fn one_thing_damaged_in_the_ledger_is_seen() {
    let damages: [Damage<Ledger>; 6] = [
        ("a unit lost", |it| it.stock -= 1),
        ("a unit won", |it| it.stock += 1),
        ("a placed hold lost", |it| (it.placed_orders, it.placed_units) = (499, 599)),
        ("a placed hold grown", |it| it.placed_units += 1),
        ("a user's units forgotten", |it| it.user_units -= 1),
        ("a user above the limit", |it| it.user_units_max = 3),
    ];
    for (name, damage) in damages {
        let mut damaged = ledger();
        damage(&mut damaged);
        assert_eq!(word(shard(books(), damaged)), Word::Broken, "{name}");
    }
}

#[test]
fn rows_are_believed_and_the_guard_row_is_not() {
    let lost_a_row = Books { live_orders: 499, live_units: 599, ..books() };
    let finding = judge(shard(lost_a_row, ledger()));
    let i_3 = finding.checks.iter().find(|check| check.name == "I-3").unwrap();
    assert!(matches!(i_3.verdict, Verdict::Broken(_)));
    assert_eq!(finding.units_astray(), 1);
}

#[test]
fn oversell_is_broken_though_all_else_agrees() {
    let oversold = Books { sold: 1_001, live_units: 1_001, live_orders: 1_001, ..books() };
    let ledger = Ledger { stock: 0, placed_units: 1_001, placed_orders: 1_001, ..ledger() };
    let finding = judge(shard(oversold, Ledger { user_units: 1_001, ..ledger }));
    let i_1 = finding.checks.iter().find(|check| check.name == "I-1").unwrap();
    assert!(matches!(i_1.verdict, Verdict::Broken(_)));
    assert_eq!(finding.units_astray(), 1);
}

#[test]
fn a_wrong_sum_while_holds_are_open_is_unclear_and_not_held() {
    let unsettled = Ledger { open_holds: 1, open_units: 1, stock: 400, ..ledger() };
    let unsettled = Ledger { placed_orders: 499, placed_units: 599, ..unsettled };
    assert_eq!(word(shard(books(), unsettled)), Word::Unclear);
}

#[test]
fn a_right_sum_while_holds_are_open_holds() {
    let open = Ledger { stock: 399, open_holds: 1, open_units: 1, user_units: 601, ..ledger() };
    assert_eq!(word(shard(books(), open)), Word::Holds);
}

#[test]
fn books_that_are_being_written_are_unclear() {
    let mut count = shard(books(), Ledger { stock: 399, ..ledger() });
    count.before = Some(Books { live_units: 599, ..books() });
    assert_eq!(word(count), Word::Unclear);
}

#[test]
fn a_ledger_that_is_loading_is_unclear_and_a_retired_one_is_not_missed() {
    let mut count = shard(books(), ledger());
    count.ledger = Err(NoLedger::NotNow("loading".into()));
    assert_eq!(word(count.clone()), Word::Unclear);
    // A ledger that doesn't answer is no sign that it has forgotten the shard.
    count.phase = Phase::Retired;
    assert_eq!(word(count.clone()), Word::Unclear);
    count.ledger = Err(NoLedger::NotThere);
    assert_eq!(word(count.clone()), Word::Holds);
    count.phase = Phase::Open;
    assert_eq!(word(count), Word::Unclear);
}

#[test]
fn an_open_shard_without_a_row_in_the_books_is_broken_and_a_new_one_is_not() {
    let mut count = shard(books(), ledger());
    (count.before, count.after) = (None, None);
    assert_eq!(word(count.clone()), Word::Broken);
    count.phase = Phase::New;
    assert_eq!(word(count), Word::Holds);
}

#[test]
fn each_order_that_is_not_the_same_in_both_stores_is_broken() {
    let live = books().live_orders;
    let sound = || Compared { live, ..Compared::default() };
    let damages: [Compared; 5] = [
        Compared { lost: vec![[7; 16]], ..sound() },
        Compared { contradicted: vec![[7; 16]], ..sound() },
        Compared { altered: vec![[7; 16]], ..sound() },
        Compared { unknown: vec![[7; 16]], ..sound() },
        Compared { live: live - 1, ..sound() },
    ];
    for compared in damages {
        let mut count = shard(books(), ledger());
        count.compared = Ok(compared.clone());
        assert_eq!(word(count), Word::Broken, "{compared:?}");
    }
    let mut count = shard(books(), ledger());
    count.compared = Err("it is being loaded".into());
    assert_eq!(word(count), Word::Unclear);
}

#[test]
fn what_leaves_the_plan_is_broken() {
    let mut count = shard(books(), ledger());
    count.terms.ledger_limit = Some(3);
    assert_eq!(word(count), Word::Broken);
}

#[test]
fn what_the_catalog_does_not_know_is_broken_though_all_else_holds() {
    let orphan = Orphan { what: "shard 9".into(), says: "nobody knows it".into() };
    let verdict = verdict_of_all(&[judge(shard(books(), ledger()))], &[orphan]);
    assert_eq!(verdict, Verdict::Broken("shard 9: nobody knows it".into()));
}
