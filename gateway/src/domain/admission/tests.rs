//! What the door says by itself, case by case.

use std::time::Duration;

use ids::{ShardNo, UserId};

use super::*;

/// `now(-|ms of the ledger) attempt(first|retry) heard(-|loading|paused|units) wanted → verdict`,
/// for the window [1000, 9000), a ticket that ends at 5000 (at 9000 if the case begins with
/// `late`), and a slack of 100.
fn check(case: &str) {
    let (input, expected) = case.split_once('→').unwrap();
    let (input, ticket_expires_ms) = match input.strip_prefix("late ") {
        Some(rest) => (rest, 9000),
        None => (input, 5000),
    };
    let words: Vec<_> = input.split_whitespace().collect();
    let [now, attempt, heard, wanted] = words[..] else { panic!("{case}") };
    let entry = Entry {
        order: OrderId::mint(ShardNo::new(1).unwrap(), [7; 12]),
        user: UserId::from_bytes([1; 16]),
        quantity: wanted.parse().unwrap(),
        unit_price: 100,
        ticket_expires_ms,
        placed_at: Duration::ZERO,
        traceparent: String::new(),
    };
    let open = |units_left, is_paused| Some(Heard::Open(Level { units_left, is_paused }));
    let view = View {
        ledger_ms: (now != "-").then(|| now.parse().unwrap()),
        window: Window { tickets_from_ms: 0, opens_ms: 1000, closes_ms: 9000 },
        clock_slack_ms: 100,
        is_first_attempt: attempt == "first",
        heard: match heard {
            "-" => None,
            "loading" => Some(Heard::Loading),
            "paused" => open(0, true),
            units => open(units.parse().unwrap(), false),
        },
    };
    let verdict = match look(entry, &view) {
        Verdict::Admit(_) => "admit",
        Verdict::Expired(_) => "expired",
        Verdict::Refuse(Refusal::SoldOut) => "sold out",
        Verdict::Refuse(Refusal::Paused) => "paused",
        Verdict::Refuse(Refusal::Loading) => "loading",
        Verdict::Refuse(Refusal::Closed) => "closed",
        Verdict::Refuse(Refusal::NotOpen { opens_ms: 1000 }) => "not open",
        Verdict::Refuse(other) => panic!("{case}: {other:?}"),
    };
    assert_eq!(verdict, expected.trim(), "{case}");
}

#[test]
fn the_door_refuses_only_what_it_knows() {
    for case in [
        "899  first - 1 → not open",
        "0    first - 1 → not open",
        "0    first loading 1 → not open",
        // The ledger may know its hold, so its clock answers.
        "899  retry - 1 → admit",
        "0    retry 0 1 → admit",
        // The ledger's clock may already be there, so ours doesn't refuse.
        "900  first - 1 → admit",
        "999  first 0 1 → admit",
        "999  first paused 1 → admit",
        "999  first loading 1 → loading",
        "1000 first 0 1 → sold out",
        "1000 first 1 1 → admit",
        "1000 first 1 2 → sold out",
        "1000 first - 1 → admit",
        "1000 first paused 1 → paused",
        "1000 first loading 1 → loading",
        // It may be the buyer who holds the last unit.
        "1000 retry 0 1 → admit",
        "1000 retry paused 1 → admit",
        "1000 retry loading 1 → admit",
        "4999 first 0 1 → sold out",
        // What came of an expired ticket is looked up, whatever is heard of the stock.
        "5000 first 0 1 → expired",
        "5000 first paused 1 → expired",
        "5000 retry 9 1 → expired",
        "late 8999 first 0 1 → sold out",
        // What we know is never ahead of the ledger's clock.
        "late 9000 first 0 1 → closed",
        "late 9000 retry 0 1 → expired",
        // Whoever doesn't know the ledger's time says nothing of it.
        "- first - 1 → admit",
        "- first 0 1 → sold out",
        "- first paused 1 → paused",
        "- first loading 1 → loading",
        "- first 1 1 → admit",
        "- retry 0 1 → admit",
    ] {
        check(case);
    }
}
