//! Stories of one attempt as text, and random ones in a small world with faults.

mod world;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn epoch(number: i64) -> Epoch {
    Epoch::new(number).unwrap()
}

const OURS: ItemId = ItemId::from_bytes([1; 16]);
const ANOTHERS: ItemId = ItemId::from_bytes([2; 16]);

fn plan(is_opening: bool) -> Plan {
    let pace =
        Pace { ask_first: 10 * MS, ask_most: 80 * MS, send_first: 100 * MS, send_most: 400 * MS };
    let (to, lease, give_up_at) = (epoch(9), 200 * MS, 5_000 * MS);
    Plan { to, item: OURS, is_opening, is_over: false, lease, give_up_at, pace }
}

fn of_a_sale_that_is_over() -> Plan {
    Plan { is_over: true, ..plan(false) }
}

/// Tells an attempt a story: a line is an action and what came of it, or `wait` and the time until
/// which it must want to wait, in milliseconds from the start. Answers arrive at once.
#[track_caller]
fn tell(plan: Plan, story: &str) -> Attempt {
    let mut attempt = Attempt::new(plan);
    let mut now = Duration::ZERO;
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let next = attempt.next(now);
        let (action, answer) = line.rsplit_once(": ").expect("action: answer");
        if action == "wait" {
            let until = MS * answer.parse().expect("milliseconds");
            assert_eq!(next, Action::Wait(until), "{line}");
            now = until;
            continue;
        }
        assert_eq!(format!("{next:?}"), action, "{line}");
        assert_eq!(attempt.next(now), next, "asking changed something: {line}");
        attempt.answered(answer_of(answer), now);
    }
    attempt
}

fn answer_of(text: &str) -> Answer {
    match text.split_once(' ') {
        Some(("row", row)) => {
            let (number, item) = match row.strip_suffix(" of another") {
                Some(number) => (number, ANOTHERS),
                None => (row, OURS),
            };
            Answer::Row { item, open: Epoch::from_wire(number.parse().unwrap()).unwrap() }
        }
        Some(("no", "row")) => Answer::NoRow,
        _ => match text {
            "done" => Answer::Done,
            "refused" => Answer::Refused,
            "silent" => Answer::Silent,
            other => panic!("{other}"),
        },
    }
}

#[track_caller]
fn ends(plan: Plan, story: &str, end: End) {
    let attempt = tell(plan, story);
    assert_eq!(attempt.next(Duration::ZERO), Action::End(end));
}

const CLAIMED: &str = "Claim: done
                       ReadBooks: row 5
                       Close: done";
const FROM_5: &str = "Claim: done
                      ReadBooks: row 5
                      Close: done
                      wait: 400
                      CheckClaim: done
                      CheckHolds { from: Epoch(5) }: done
                      PublishChange { from: Some(Epoch(5)) }: done";

fn story(parts: &[&str]) -> String {
    parts.join("\n")
}

#[test]
fn a_new_shard_opens_without_a_wait_for_leases() {
    let story = "ReadBooks: no row
                 PublishItemOpened: done
                 wait: 10
                 ReadBooks: row 0
                 Claim: done
                 ReadBooks: row 0
                 Close: done
                 CheckClaim: done
                 PublishChange { from: None }: done
                 wait: 20
                 ReadBooks: row 9
                 Stage: done
                 Activate: done
                 Open: done";
    ends(plan(true), story, End::Opened);
}

#[test]
fn a_lost_shard_is_loaded_after_twice_its_lease() {
    let rest = "wait: 410
                ReadBooks: row 5
                wait: 430
                ReadBooks: row 9
                Stage: done
                Activate: done
                Open: done";
    ends(plan(false), &story(&[FROM_5, rest]), End::Opened);
}

#[test]
fn a_sale_that_is_over_ends_its_epoch_as_a_load_does_and_is_forgotten() {
    let rest = "wait: 410
                ReadBooks: row 5
                wait: 430
                ReadBooks: row 9
                Forget: silent
                wait: 440
                Forget: done
                Retire: silent
                wait: 450
                Retire: done";
    ends(of_a_sale_that_is_over(), &story(&[FROM_5, rest]), End::Retired);
}

#[test]
fn what_others_have_taken_over_is_neither_forgotten_nor_retired() {
    let elected = story(&[FROM_5, "wait: 410", "ReadBooks: row 9"]);
    for (rest, end) in [
        ("Forget: refused", End::StartOver(Why::ForgetRefused)),
        ("Forget: done\nRetire: refused", End::Overtaken),
    ] {
        ends(of_a_sale_that_is_over(), &story(&[&elected, rest]), end);
    }
    let other = story(&[FROM_5, "wait: 410", "ReadBooks: row 7"]);
    ends(of_a_sale_that_is_over(), &other, End::StartOver(Why::OtherElected));
}

#[test]
fn an_opening_goes_on_when_the_books_know_the_shard_already() {
    let story = "ReadBooks: silent
                 wait: 10
                 ReadBooks: row 0
                 Claim: done";
    tell(plan(true), story);
}

#[test]
fn item_opened_is_sent_again_until_the_books_show_the_row() {
    let story = "ReadBooks: no row
                 PublishItemOpened: done
                 wait: 10
                 ReadBooks: no row
                 wait: 30
                 ReadBooks: no row
                 wait: 70
                 ReadBooks: no row
                 wait: 150
                 ReadBooks: no row
                 PublishItemOpened: silent
                 wait: 160
                 ReadBooks: no row";
    tell(plan(true), story);
}

#[test]
fn books_without_the_row_are_told_of_it_in_a_recovery_too() {
    let story = "Claim: done
                 ReadBooks: no row
                 PublishItemOpened: done
                 wait: 10
                 ReadBooks: row 0
                 Close: done
                 CheckClaim: done";
    tell(plan(false), story);
}

#[test]
fn open_holds_and_the_change_are_both_sent_again_until_the_books_move() {
    let rest = "wait: 410
                ReadBooks: row 5
                wait: 430
                ReadBooks: row 5
                wait: 470
                ReadBooks: silent
                wait: 550
                ReadBooks: row 5
                CheckHolds { from: Epoch(5) }: refused
                ReadBooks: row 5
                PublishHolds { from: Epoch(5) }: done
                wait: 560
                CheckHolds { from: Epoch(5) }: done
                PublishChange { from: Some(Epoch(5)) }: silent
                wait: 570
                ReadBooks: row 9
                Stage: done";
    tell(plan(false), &story(&[FROM_5, rest]));
}

#[test]
fn the_change_waits_until_the_books_know_the_last_hold() {
    let rest = "wait: 400
                CheckClaim: silent
                wait: 410
                CheckClaim: done
                CheckHolds { from: Epoch(5) }: refused
                ReadBooks: row 5
                PublishHolds { from: Epoch(5) }: silent
                wait: 420
                CheckHolds { from: Epoch(5) }: refused
                wait: 440
                CheckHolds { from: Epoch(5) }: silent
                wait: 480
                CheckHolds { from: Epoch(5) }: refused
                wait: 560
                CheckHolds { from: Epoch(5) }: refused
                ReadBooks: row 5
                PublishHolds { from: Epoch(5) }: done
                wait: 570
                CheckHolds { from: Epoch(5) }: done
                PublishChange { from: Some(Epoch(5)) }: done";
    tell(plan(false), &story(&[CLAIMED, rest]));
}

/// The wait is for the leases of what the close has closed, however long after the look at the
/// books that was. An epoch that is found only after the close may have been opened after it.
#[test]
fn the_epoch_that_ends_is_looked_up_before_the_ledger_is_closed() {
    let mut attempt = tell(plan(false), "Claim: done\nReadBooks: row 5");
    let frozen_until = 3_000 * MS;
    assert_eq!(attempt.next(frozen_until), Action::Close);
    attempt.answered(Answer::Done, frozen_until);
    assert_eq!(attempt.next(frozen_until), Action::Wait(frozen_until + 400 * MS));
}

#[test]
fn an_attempt_ends_where_it_was_overtaken() {
    ends(plan(false), "Claim: refused", End::Overtaken);
    let checked = "wait: 400
                   CheckClaim: refused";
    ends(plan(false), &story(&[CLAIMED, checked]), End::Overtaken);
    let opened = "wait: 410
                  ReadBooks: row 9
                  Stage: done
                  Activate: done
                  Open: silent
                  wait: 420
                  Open: refused";
    ends(plan(false), &story(&[FROM_5, opened]), End::Overtaken);
}

#[test]
fn only_a_new_id_goes_on_after_these() {
    let elected = "wait: 410
                   ReadBooks: row 9";
    let check = |parts: &[&str], why| ends(plan(false), &story(parts), End::StartOver(why));
    check(&["Claim: silent"], Why::ClaimUnknown);
    check(&[FROM_5, "wait: 410\nReadBooks: row 6"], Why::OtherElected);
    check(&[FROM_5, "wait: 410\nReadBooks: row 0"], Why::OtherElected);
    check(&[FROM_5, "wait: 410\nReadBooks: no row"], Why::OtherElected);
    let unknown = "wait: 400
                   CheckClaim: done
                   CheckHolds { from: Epoch(5) }: refused";
    check(&[CLAIMED, unknown, "ReadBooks: row 6"], Why::OtherElected);
    check(&[CLAIMED, unknown, "ReadBooks: no row"], Why::OtherElected);
    check(&[FROM_5, elected, "Stage: refused"], Why::StagingRefused);
    check(&[FROM_5, elected, "Stage: done\nActivate: refused"], Why::ActivateRefused);
    check(&[FROM_5, elected, "Stage: done\nActivate: silent"], Why::ActivateUnknown);
    check(&["Claim: done\nReadBooks: row 9"], Why::Confused);
    check(&["Claim: no row"], Why::Confused);
    check(&["Claim: done\nReadBooks: done"], Why::Confused);
}

#[test]
fn a_row_of_another_item_ends_it_wherever_it_is_met() {
    let foreign = End::Foreign(ANOTHERS);
    let opening = |story: &str| ends(plan(true), story, foreign);
    opening("ReadBooks: row 5 of another");
    opening("ReadBooks: no row\nPublishItemOpened: done\nwait: 10\nReadBooks: row 0 of another");
    let check = |of: Plan, parts: &[&str]| ends(of, &story(parts), foreign);
    check(plan(false), &["Claim: done\nReadBooks: row 5 of another"]);
    check(of_a_sale_that_is_over(), &["Claim: done\nReadBooks: row 5 of another"]);
    check(plan(false), &[FROM_5, "wait: 410\nReadBooks: row 9 of another"]);
    let unknown = "wait: 400\nCheckClaim: done\nCheckHolds { from: Epoch(5) }: refused";
    check(plan(false), &[CLAIMED, unknown, "ReadBooks: row 5 of another"]);
}

#[test]
fn staging_may_be_sent_again() {
    let rest = "wait: 410
                ReadBooks: row 9
                Stage: silent
                wait: 420
                Stage: done
                Activate: done";
    tell(plan(false), &story(&[FROM_5, rest]));
}

#[test]
fn patience_ends_where_nothing_answers() {
    let mut attempt = tell(plan(false), CLAIMED);
    let mut now = Duration::ZERO;
    let mut asked = 0;
    let end = loop {
        match attempt.next(now) {
            Action::End(end) => break end,
            Action::Wait(until) => now = until,
            _ => {
                asked += 1;
                attempt.answered(Answer::Silent, now);
            }
        }
    };
    assert_eq!(end, End::OutOfPatience);
    // 5 s in steps that double up to 80 ms.
    assert!((60..70).contains(&asked), "{asked}");
}

#[test]
fn it_is_total() {
    // Any answer to any step: it goes on or ends, and an ended attempt stays so.
    let answers =
        ["done", "refused", "silent", "row 0", "row 5", "row 9", "no row", "row 5 of another"];
    let mut seen = std::collections::HashSet::new();
    let mut open = vec![(Attempt::new(plan(true)), Duration::ZERO)];
    open.push((Attempt::new(plan(false)), Duration::ZERO));
    while let Some((attempt, now)) = open.pop() {
        // Times are left out of the comparison: the steps are what is walked through.
        if !seen.insert(format!("{:?} {}", attempt.step, attempt.sent.times.min(2))) {
            continue;
        }
        if let Action::End(end) = attempt.next(now) {
            let mut after = attempt.clone();
            after.answered(Answer::Done, now);
            assert_eq!(after.next(now), Action::End(end));
            continue;
        }
        let now = match attempt.next(now) {
            Action::Wait(until) => until,
            _ => now,
        };
        for answer in answers {
            let mut next = attempt.clone();
            next.answered(answer_of(answer), now);
            open.push((next, now));
        }
    }
    assert!(seen.len() > 20, "{}", seen.len());
}
