//! Stories as text, one record a line, with what must come of it:
//!
//! ```text
//! s1 open 3 limit 2    -> opened           s1 epoch 0 7   -> 7
//! s1 holds 7 a:u:2     -> placed           poison         -> dead
//! ```
//!
//! Holds are `order:user:quantity`, with `:price` behind it if that isn't the item's, and `of I`
//! before them says of which item they are. Their outcome is a word each: the new state, or
//! `again-` and the stored one; a record that doesn't count is `ignored`.

use super::rows::{Rows, entry, epoch, hold, opened, order, shard, user};
use crate::{
    Refusal,
    fold::{Entry, GuardChange, Outcome},
};
use ids::{Epoch, ItemId, ShardNo};
use journal::record::{Command, PlacedHold, Record};

/// Runs the table line by line, then the whole of it as one batch: the rows must be the same.
fn check(table: &str) {
    let mut one_by_one = Rows::default();
    let mut entries = Vec::new();
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    for (offset, line) in lines.enumerate() {
        let (record, expected) = line.split_once("->").expect("`record -> outcome`");
        let entry = parse(offset as u64, record.trim());
        let outcome = one_by_one.apply(std::slice::from_ref(&entry));
        assert_eq!(told(&outcome), expected.trim(), "line {}: {line}", offset + 1);
        entries.push(entry);
    }
    let mut at_once = Rows::default();
    at_once.apply(&entries);
    assert_eq!(at_once, one_by_one, "the borders of batches don't matter");
}

fn parse(offset: u64, record: &str) -> Entry {
    let words: Vec<_> = record.split_whitespace().collect();
    let content = match words.as_slice() {
        ["poison"] => None,
        [of, "open", total, "limit", limit] => {
            Some((shard_named(of), opened(total.parse().unwrap(), limit.parse().unwrap())))
        }
        [of, "epoch", from, to] => {
            let to = epoch_named(to).unwrap();
            Some((shard_named(of), Command::EpochChanged { from: epoch_named(from), to }))
        }
        [of, "holds", of_epoch, "of", item, holds @ ..] => {
            let item = ItemId::from_bytes([item.parse().unwrap(); 16]);
            Some(holds_named(of, of_epoch, Some(item), holds))
        }
        [of, "holds", of_epoch, holds @ ..] => Some(holds_named(of, of_epoch, None, holds)),
        other => panic!("unknown record {other:?}"),
    };
    entry(offset, content)
}

fn holds_named(of: &str, epoch: &str, item: Option<ItemId>, holds: &[&str]) -> (ShardNo, Command) {
    let of = shard_named(of);
    let holds = holds.iter().map(|text| {
        let (id, who, quantity, price) = match text.split(':').collect::<Vec<_>>()[..] {
            [id, who, quantity] => (id, who, quantity, None),
            [id, who, quantity, price] => (id, who, quantity, Some(price)),
            _ => panic!("`order:user:quantity`, not {text}"),
        };
        let id = order(of, id.as_bytes()[0]);
        let hold = hold(id, user(who.as_bytes()[0]), quantity.parse().unwrap());
        let unit_price = price.map_or(hold.unit_price, |price| price.parse().unwrap());
        PlacedHold { unit_price, ..hold }
    });
    let epoch = epoch_named(epoch).unwrap();
    (of, Command::HoldsPlaced { epoch, item, holds: holds.collect() })
}

fn shard_named(name: &str) -> ShardNo {
    shard(name.strip_prefix('s').expect("s1, s2, …").parse().unwrap())
}

fn epoch_named(name: &str) -> Option<Epoch> {
    epoch(name.parse().unwrap())
}

fn told(outcome: &Outcome) -> String {
    if outcome.ignored > 0 {
        assert!(outcome.settles.is_empty(), "what is ignored isn't settled");
        return "ignored".to_owned();
    }
    if !outcome.dead_letters.is_empty() {
        return "dead".to_owned();
    }
    let settled = outcome.settles.values().flatten().map(|decision| {
        let is_new = outcome.orders.iter().any(|order| order.id == decision.order);
        let again = if is_new { "" } else { "again-" };
        let alarm = outcome.alarms.iter().find(|alarm| alarm.order == decision.order);
        let why = alarm.map(|alarm| format!("({:?})", alarm.refusal)).unwrap_or_default();
        format!("{again}{}{why}", decision.state.to_string().to_lowercase())
    });
    let settled: Vec<_> = settled.collect();
    if !settled.is_empty() {
        return settled.join(" ");
    }
    match outcome.guards.as_slice() {
        [GuardChange::Opened(_)] => "opened".to_owned(),
        [GuardChange::Moved { open_epoch, .. }] => Epoch::to_wire(*open_epoch).to_string(),
        other => panic!("one record changed {other:?}"),
    }
}

#[test]
fn a_shard_opens_and_sells_out_exactly() {
    check(
        "s1 open 3 limit 2           -> opened
         s1 epoch 0 7                -> 7
         s1 holds 7 a:u:2            -> placed
         s1 holds 7 b:v:1            -> placed
         s1 holds 7 c:w:1            -> rejected(Oversold)",
    );
}

#[test]
fn what_is_left_over_is_sold_to_whoever_fits() {
    check(
        "s1 open 3 limit 3           -> opened
         s1 epoch 0 7                -> 7
         s1 holds 7 a:u:2 b:v:2 c:w:1 -> placed rejected(Oversold) placed",
    );
}

#[test]
fn nothing_happens_before_the_item_was_opened() {
    check(
        "s1 epoch 0 7                -> ignored
         s1 holds 7 a:u:1            -> ignored
         s1 open 3 limit 2           -> opened
         s1 holds 7 a:u:1            -> ignored
         s1 epoch 0 8                -> 8
         s1 holds 8 a:u:1            -> placed",
    );
}

#[test]
fn a_second_opening_changes_nothing() {
    check(
        "s1 open 1 limit 1           -> opened
         s1 epoch 0 7                -> 7
         s1 holds 7 a:u:1            -> placed
         s1 open 9 limit 9           -> ignored
         s1 holds 7 b:v:1            -> rejected(Oversold)",
    );
}

#[test]
fn the_log_elects_the_epoch() {
    check(
        "s1 open 9 limit 9           -> opened
         s1 epoch 0 7                -> 7
         s1 epoch 0 8                -> ignored
         s1 epoch 8 9                -> ignored
         s1 epoch 7 9                -> 9
         s1 epoch 7 9                -> ignored
         s1 epoch 7 8                -> ignored
         s1 holds 7 a:u:1            -> ignored
         s1 holds 9 a:u:1            -> placed",
    );
}

#[test]
fn what_a_dead_epoch_wrote_late_is_not_settled() {
    check(
        "s1 open 9 limit 9           -> opened
         s1 epoch 0 7                -> 7
         s1 holds 7 a:u:1            -> placed
         s1 epoch 7 8                -> 8
         s1 holds 7 a:u:1 b:v:1      -> ignored
         s1 holds 8 b:v:1 a:u:1      -> placed again-placed",
    );
}

#[test]
fn an_order_id_counts_once_and_is_settled_each_time() {
    check(
        "s1 open 1 limit 1           -> opened
         s1 epoch 0 7                -> 7
         s1 holds 7 a:u:1            -> placed
         s1 holds 7 a:u:1            -> again-placed
         s1 holds 7 b:v:1            -> rejected(Oversold)
         s1 holds 7 b:v:1            -> again-rejected",
    );
}

#[test]
fn a_duplicate_inside_one_record_counts_once() {
    let mut rows = Rows::default();
    let text = ["s1 open 9 limit 9", "s1 epoch 0 7", "s1 holds 7 a:u:1 a:u:1"];
    let entries: Vec<_> = (0..).zip(text).map(|(offset, line)| parse(offset, line)).collect();
    let outcome = rows.apply(&entries);
    assert_eq!(rows.guards[&shard(1)].sold, 1);
    assert_eq!(outcome.settles.values().flatten().count(), 2);
}

#[test]
fn the_limit_counts_live_units_of_the_item() {
    check(
        "s1 open 9 limit 2           -> opened
         s2 open 9 limit 2           -> opened
         s1 epoch 0 7                -> 7
         s2 epoch 0 8                -> 8
         s1 holds 7 a:u:1 b:u:2      -> placed rejected(OverLimit)
         s2 holds 8 a:u:1            -> placed
         s2 holds 8 b:u:1            -> rejected(OverLimit)
         s2 holds 8 c:v:2            -> placed",
    );
}

#[test]
fn the_limit_holds_for_a_shard_that_opens_in_the_same_batch() {
    let batch = |from: u64, text: [&str; 3]| {
        let lines = (from..).zip(text);
        lines.map(|(offset, line)| parse(offset, line)).collect::<Vec<_>>()
    };
    let mut rows = Rows::default();
    rows.apply(&batch(0, ["s1 open 9 limit 2", "s1 epoch 0 7", "s1 holds 7 a:u:2"]));
    let outcome = rows.apply(&batch(3, ["s2 open 9 limit 2", "s2 epoch 0 8", "s2 holds 8 a:u:1"]));
    assert_eq!(told(&outcome), "rejected(OverLimit)");
}

#[test]
fn the_guard_is_named_before_the_limit() {
    check(
        "s1 open 1 limit 1           -> opened
         s1 epoch 0 7                -> 7
         s1 holds 7 a:u:4294967295   -> rejected(Oversold)
         s1 holds 7 b:u:1            -> placed",
    );
}

#[test]
fn a_hold_that_contradicts_its_item_takes_no_unit_and_is_known_from_then_on() {
    check(
        "s1 open 3 limit 2           -> opened
         s1 epoch 0 7                -> 7
         s1 holds 7 a:u:1:0 b:u:1    -> rejected(OtherPrice) placed
         s1 holds 7 c:v:1:991        -> rejected(OtherPrice)
         s1 holds 7 of 3 d:w:1       -> rejected(OtherItem)
         s1 holds 7 of 3 e:w:9:0     -> rejected(OtherItem)
         s1 holds 7 of 2 f:w:1       -> placed
         s1 holds 7 of 2 g:x:3       -> rejected(Oversold)
         s1 holds 7 a:u:1            -> again-rejected
         s1 holds 7 of 2 h:y:1       -> placed",
    );
}

#[test]
fn a_row_says_why_it_was_refused_and_what_was_asked_for() {
    let mut rows = Rows::default();
    let text = ["s1 open 9 limit 1", "s1 epoch 0 7", "s1 holds 7 of 3 a:u:1", "s1 holds 7 b:u:1:5"];
    let entries: Vec<_> = (0..).zip(text).map(|(offset, line)| parse(offset, line)).collect();
    rows.apply(&entries);
    let row = |name| &rows.orders[&order(shard(1), name)];
    assert_eq!(row(b'a').refusal, Some(Refusal::OtherItem));
    assert_eq!(row(b'a').item, ItemId::from_bytes([3; 16]));
    assert_eq!(row(b'b').refusal, Some(Refusal::OtherPrice));
    assert_eq!((row(b'b').item, row(b'b').unit_price), (ItemId::from_bytes([2; 16]), 5));
}

/// In the row of a version that didn't keep it.
#[test]
fn a_price_that_is_not_known_refuses_nobody() {
    let mut rows = Rows::default();
    rows.apply(&[parse(0, "s1 open 9 limit 1"), parse(1, "s1 epoch 0 7")]);
    rows.guards.get_mut(&shard(1)).unwrap().unit_price = None;
    assert_eq!(told(&rows.apply(&[parse(2, "s1 holds 7 a:u:1:5")])), "placed");
}

#[test]
fn poison_blocks_nobody() {
    check(
        "poison                      -> dead
         s1 open 9 limit 9           -> opened
         s1 epoch 0 7                -> 7
         poison                      -> dead
         s1 holds 7 a:u:1            -> placed",
    );
}

#[test]
fn a_time_that_no_answer_could_name_is_poison() {
    let mut rows = Rows::default();
    rows.apply(&[parse(0, "s1 open 9 limit 9"), parse(1, "s1 epoch 0 7")]);
    let mut late = parse(2, "s1 holds 7 a:u:1");
    if let Ok(Record { command: Command::HoldsPlaced { holds, .. }, .. }) = &mut late.decoded {
        holds[0].taken_at_ms = u64::MAX;
    }
    assert_eq!(told(&rows.apply(&[late])), "dead");
}

#[test]
fn a_shard_of_another_partition_is_not_written() {
    let mut rows = Rows::default();
    rows.apply(&[parse(0, "s1 open 9 limit 9")]);
    rows.guards.get_mut(&shard(1)).unwrap().partition += 1;
    let outcome = rows.apply(&[parse(1, "s1 epoch 0 7")]);
    assert_eq!(told(&outcome), "dead");
    assert_eq!(rows.guards[&shard(1)].open_epoch, None);
}

#[test]
fn an_order_that_a_key_refuses_takes_no_unit() {
    let mut rows = Rows::default();
    let entries = [parse(0, "s1 open 1 limit 1"), parse(1, "s1 epoch 0 7")];
    rows.apply(&entries);
    let view = crate::fold::View {
        guards: rows.guards.clone(),
        barred: [order(shard(1), b'a')].into(),
        ..Default::default()
    };
    let holds = parse(2, "s1 holds 7 a:u:1 b:u:1");
    let outcome = crate::fold::fold(view, super::rows::PARTITION, &[holds], 0);
    assert_eq!(told(&outcome), "rejected(Key) placed");
}
