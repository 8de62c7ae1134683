//! A clean rehearsal passes; one promise lost, one order twice, one unit leaked or one too many
//! doesn't.

use ids::ShardNo;

use super::*;

fn order(number: u8) -> OrderId {
    OrderId::mint(ShardNo::new(1).unwrap(), [number; 12])
}

/// Five shoppers, three units: three accepted, two refused.
struct Story {
    told: Vec<Told>,
    rows: Vec<Row>,
    audited: Audited,
}

fn clean() -> Story {
    let told = (0..5)
        .map(|at| Told {
            order: order(at),
            ending: if at < 3 { Ending::Accepted } else { Ending::Refused("SOLD_OUT".into()) },
        })
        .collect();
    let rows = (0..3u8)
        .map(|at| Row { shopper: at.into(), order: order(at), quantity: 1, is_live: true })
        .collect();
    Story { told, rows, audited: Audited { live_units: 3, leaked_units: 0, verdict: Ok(()) } }
}

fn judged(story: &Story) -> Judgement {
    judge(3, 1, &story.told, &story.rows, &story.audited)
}

#[test]
fn a_clean_rehearsal_passes_with_its_figures() {
    let judged = judged(&clean());
    assert!(judged.is_clean(), "{:?}", judged.violations);
    assert_eq!((judged.sold, judged.oversold, judged.accepted, judged.processing), (3, 0, 3, 0));
    assert_eq!(judged.refused, BTreeMap::from([("SOLD_OUT".into(), 2)]));
    assert_eq!((judged.accepted_without_order, judged.duplicate_orders), (0, 0));
    assert!(judged.audit_ok);
}

#[test]
fn a_promise_without_a_row_is_seen() {
    let mut story = clean();
    story.rows.pop();
    let judged = judged(&story);
    assert_eq!(judged.accepted_without_order, 1);
    assert!(judged.violations.iter().any(|says| says.starts_with("I-2")));
}

#[test]
fn a_promise_whose_row_is_not_live_is_seen() {
    let mut story = clean();
    story.rows[0].is_live = false;
    assert_eq!(judged(&story).accepted_without_order, 1);
    assert!(!judged(&story).is_clean());
}

#[test]
fn an_order_that_is_listed_twice_is_seen() {
    let mut story = clean();
    story.rows.push(story.rows[0]);
    let judged = judged(&story);
    assert_eq!((judged.duplicate_orders, judged.sold, judged.oversold), (1, 4, 1));
    assert!(judged.violations.iter().any(|says| says.starts_with("I-4")));
    assert!(judged.violations.iter().any(|says| says.starts_with("I-1")));
}

#[test]
fn a_second_order_for_one_ticket_is_seen() {
    let mut story = clean();
    story.rows.push(Row { shopper: 0, order: order(9), quantity: 1, is_live: true });
    let judged = judged(&story);
    assert_eq!(judged.duplicate_orders, 1);
    assert!(!judged.is_clean());
}

#[test]
fn a_refused_shopper_with_an_order_is_seen() {
    let mut story = clean();
    story.rows[2] = Row { shopper: 4, order: order(4), quantity: 1, is_live: true };
    story.told[2].ending = Ending::Unknown;
    assert!(judged(&story).violations.iter().any(|says| says.contains("was refused")));
}

#[test]
fn sold_out_with_units_left_is_seen() {
    let mut story = clean();
    story.rows.pop();
    story.told[2].ending = Ending::Refused("SOLD_OUT".into());
    story.audited.live_units = 2;
    assert!(judged(&story).violations.iter().any(|says| says.contains("1 units left")));
}

#[test]
fn what_the_audit_finds_counts() {
    let mut story = clean();
    story.audited.verdict = Err("I-3 is broken".into());
    story.audited.leaked_units = 1;
    let judged = judged(&story);
    assert!(!judged.audit_ok && !judged.is_clean());
    assert_eq!(judged.leaked_units, 1);
}

#[test]
fn books_that_count_other_units_than_the_shoppers_are_seen() {
    let mut story = clean();
    story.audited.live_units = 4;
    assert_eq!(judged(&story).oversold, 1);
    assert!(!judged(&story).is_clean());
}

#[test]
fn an_unknown_answer_is_counted_and_is_no_violation() {
    let mut story = clean();
    story.told[4].ending = Ending::Unknown;
    let judged = judged(&story);
    assert!(judged.is_clean());
    assert_eq!(judged.processing, 1);
}

#[test]
fn sentences_have_a_bound_and_the_rest_is_counted() {
    let mut story = clean();
    story.told = (0..30).map(|at| Told { order: order(at), ending: Ending::Accepted }).collect();
    let judged = judged(&story);
    assert_eq!(judged.violations.len(), SENTENCES_MAX);
    assert_eq!(judged.violations_more, 27 - SENTENCES_MAX as u64);
}
