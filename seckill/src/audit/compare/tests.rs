//! Each single order that one store has otherwise than the other is found, and nothing else is.

use super::*;

const A: Id = [1; 16];
const B: Id = [2; 16];
const C: Id = [3; 16];

fn units(user: u8, quantity: u32) -> Units {
    Units { user: [user; 16], quantity }
}

fn row(user: u8, quantity: u32, is_live: bool) -> InBooks {
    InBooks { units: units(user, quantity), is_live }
}

fn ledger() -> HashMap<Id, InLedger> {
    HashMap::from([
        (A, InLedger::Placed(units(1, 2))),
        (B, InLedger::Open(units(2, 1))),
        (C, InLedger::Tombstone),
    ])
}

fn books() -> HashMap<Id, InBooks> {
    HashMap::from([(A, row(1, 2, true)), (C, row(3, 1, false))])
}

type Damage = fn(&mut HashMap<Id, InLedger>, &mut HashMap<Id, InBooks>);

/// What is done to both stores, and what is told of it.
fn table() -> [(&'static str, Damage, Compared); 10] {
    [
        ("nothing is wrong", |_, _| {}, Compared { live: 1, ..Compared::default() }),
        (
            "an open hold became a row meanwhile",
            |_, books| {
                books.insert(B, row(2, 1, true));
            },
            Compared { live: 2, ..Compared::default() },
        ),
        (
            "a row is lost",
            |_, books| {
                books.remove(&A);
            },
            Compared { lost: vec![A], ..Compared::default() },
        ),
        (
            "a tombstone is lost",
            |_, books| {
                books.remove(&C);
            },
            Compared { lost: vec![C], live: 1, ..Compared::default() },
        ),
        (
            "a row is nobody's",
            |_, books| {
                books.insert([9; 16], row(1, 2, true));
            },
            Compared { unknown: vec![[9; 16]], live: 2, ..Compared::default() },
        ),
        (
            "one is lost and one is nobody's, and all sums agree",
            |_, books| {
                books.remove(&A);
                books.insert([9; 16], row(1, 2, true));
            },
            Compared { lost: vec![A], unknown: vec![[9; 16]], live: 1, ..Compared::default() },
        ),
        (
            "a row has another user",
            |_, books| {
                books.insert(A, row(7, 2, true));
            },
            Compared { altered: vec![A], live: 1, ..Compared::default() },
        ),
        (
            "a row has another quantity",
            |_, books| {
                books.insert(A, row(1, 3, true));
            },
            Compared { altered: vec![A], live: 1, ..Compared::default() },
        ),
        (
            "a placed order is dead in the books",
            |_, books| {
                books.insert(A, row(1, 2, false));
            },
            Compared { contradicted: vec![A], ..Compared::default() },
        ),
        (
            "a tombstone is live in the books",
            |_, books| {
                books.insert(C, row(3, 1, true));
            },
            Compared { contradicted: vec![C], live: 2, ..Compared::default() },
        ),
    ]
}

#[test]
fn what_is_told() {
    for (name, damage, expected) in table() {
        let (mut ledger, mut books) = (ledger(), books());
        damage(&mut ledger, &mut books);
        assert_eq!(compare(&ledger, &books), expected, "{name}");
    }
}
