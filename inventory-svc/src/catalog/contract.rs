//! The contract of the catalog: one suite for whoever keeps it. Each part gets an empty catalog
//! that spreads shards over 4 partitions.

use std::{collections::BTreeSet, future::Future, pin::Pin};

use super::*;
use crate::domain::sale::{ItemDraft, SaleDraft};

type Part = for<'a> fn(&'a dyn Catalog) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

const NOW_MS: u64 = 1_790_000_000_000;
const LEASE: Duration = Duration::from_millis(2_000);
/// Longer than the suite, on any machine.
const LONG: Duration = Duration::from_secs(3_600);
const LONG_MS: u64 = 3_600_000;

/// Every part of the contract.
pub const PARTS: [Part; 16] = [
    |c| Box::pin(keeps_what_was_created(c)),
    |c| Box::pin(keeps_texts_to_the_byte(c)),
    |c| Box::pin(creates_a_sale_once(c)),
    |c| Box::pin(creates_a_sale_once_for_many(c)),
    |c| Box::pin(numbers_shards_above_what_was_seen(c)),
    |c| Box::pin(numbers_shards_above_what_was_seen_for_many(c)),
    |c| Box::pin(gives_a_window_once(c)),
    |c| Box::pin(lists_the_newest_first(c)),
    |c| Box::pin(finds_items(c)),
    |c| Box::pin(pauses_and_resumes_an_item(c)),
    |c| Box::pin(finds_what_is_due_to_open(c)),
    |c| Box::pin(compares_and_sets(c)),
    |c| Box::pin(finds_what_is_over(c)),
    |c| Box::pin(retires_what_is_loading(c)),
    |c| Box::pin(finds_abandoned_shards(c)),
    |c| Box::pin(lets_one_of_many_claim(c)),
];

fn draft(request_id: &str, skus: &[&str]) -> NewSale {
    let item = |sku: &&str| ItemDraft {
        sku: (*sku).to_owned(),
        title: format!("A {sku}"),
        price: Some(("EUR".to_owned(), 1_250)),
        total_units: 10,
        limit_per_user: 2,
        ..ItemDraft::default()
    };
    let items = skus.iter().map(item).collect();
    let draft = SaleDraft { request_id: request_id.to_owned(), title: "Spring".to_owned(), items };
    draft.check().expect("a good draft")
}

fn window(opens_ms: u64) -> Schedule {
    Schedule { opens_ms, closes_ms: opens_ms + 1_000, warm_up_s: 60 }
}

fn epoch(number: i64) -> Epoch {
    Epoch::new(number).expect("above 0")
}

async fn one_shard(catalog: &dyn Catalog) -> ShardNo {
    let sale = catalog.create_sale(&draft("one", &["mug"]), "ann", NOW_MS, 0).await.unwrap();
    sale.items[0].shards[0].no
}

async fn seen(catalog: &dyn Catalog, shard: ShardNo) -> Seen {
    let row = catalog.shard(shard).await.unwrap().unwrap();
    let (item, _) = catalog.item(ItemKey::Shard(shard)).await.unwrap().unwrap();
    Seen { shard, item: item.id, phase: row.phase, epoch: row.epoch }
}

/// A claim that lasts for longer than the suite.
fn claim(to: i64) -> Claim<'static> {
    claim_for(to, LONG)
}

fn claim_for(to: i64, lasts: Duration) -> Claim<'static> {
    Claim { to: epoch(to), lasts, ledger_address: "memory" }
}

/// The store's own time.
async fn now_ms(catalog: &dyn Catalog) -> u64 {
    catalog.now_ms().await.unwrap()
}

async fn keeps_what_was_created(catalog: &dyn Catalog) {
    let new = draft("r-1", &["mug", "cap"]);
    let sale = catalog.create_sale(&new, "ann", NOW_MS, 0).await.unwrap();
    assert_eq!(catalog.sale(sale.id).await.unwrap().as_ref(), Some(&sale));
    assert_eq!((sale.title.as_str(), sale.state), ("Spring", State::Draft));
    assert_eq!(sale.created_at_ms, NOW_MS);
    let skus: Vec<_> = sale.items.iter().map(|item| item.sku.as_str()).collect();
    assert_eq!(skus, ["mug", "cap"]);
    for item in &sale.items {
        assert_eq!((item.sale, item.unit_price, item.total_units), (sale.id, 1_250, 10));
        assert_eq!((item.limit_per_user, item.pay_within_s), (2, 900));
        assert_eq!(item.currency, "EUR");
        let [shard] = item.shards.as_slice() else { panic!("one shard per item") };
        assert_eq!((shard.total_units, shard.lease), (10, LEASE));
        assert_eq!((shard.phase, shard.epoch, shard.paused), (Phase::New, None, false));
        assert_eq!(shard.partition, shard.no.get() % 4);
        assert_eq!(catalog.shard(shard.no).await.unwrap().as_ref(), Some(shard));
    }
    let numbers: BTreeSet<_> = sale.items.iter().map(|item| item.shards[0].no).collect();
    assert_eq!(numbers.len(), 2, "each shard has a number of its own");
    assert_eq!(catalog.sale(SaleId::random()).await.unwrap(), None);
}

/// Texts that some collation would take for the same, or cut.
async fn keeps_texts_to_the_byte(catalog: &dyn Catalog) {
    let long = "\u{1f337}".repeat(64);
    let skus = ["mug", "Mug", "mug ", "m\u{fc}g", "mu\u{308}g", "\u{1f337}", &long];
    let mut ids = BTreeSet::new();
    for request_id in skus {
        let new = draft(request_id, &skus);
        let sale = catalog.create_sale(&new, "Anne ", NOW_MS, 0).await.unwrap();
        assert!(ids.insert(sale.id), "a request of its own");
        let kept = sale.items.iter().map(|item| (&*item.sku, &*item.title));
        let sent = new.items().iter().map(|item| (&*item.sku, &*item.title));
        assert!(kept.eq(sent));
        assert_eq!(catalog.create_sale(&new, "Anne ", NOW_MS, 0).await.unwrap(), sale);
    }
    for operator in ["anne ", "Anne"] {
        let theirs = catalog.create_sale(&draft("mug", &skus), operator, NOW_MS, 0).await.unwrap();
        assert!(ids.insert(theirs.id), "request ids are each operator's own");
    }
}

async fn creates_a_sale_once(catalog: &dyn Catalog) {
    let first = catalog.create_sale(&draft("r-1", &["mug"]), "ann", NOW_MS, 0).await.unwrap();
    let again = catalog.create_sale(&draft("r-1", &["cap"]), "ann", NOW_MS + 1, 0).await.unwrap();
    assert_eq!(again, first);
    let bobs = catalog.create_sale(&draft("r-1", &["mug"]), "bob", NOW_MS, 0).await.unwrap();
    assert_ne!(bobs.id, first.id, "request ids are each operator's own");
    assert_eq!(catalog.sales(None, 10).await.unwrap().len(), 2);
    let rows = catalog.lease_rows().await.unwrap().rows;
    assert_eq!(rows.len(), 2);
    rows.iter().for_each(|row| assert_eq!(row.partition, row.shard.get() % 4));
}

async fn creates_a_sale_once_for_many(catalog: &dyn Catalog) {
    let new = draft("r-1", &["mug", "cap"]);
    let made = (0..8).map(|_| catalog.create_sale(&new, "ann", NOW_MS, 0));
    let made = futures::future::try_join_all(made).await.unwrap();
    assert!(made.iter().all(|sale| *sale == made[0]));
    assert_eq!(catalog.lease_rows().await.unwrap().rows.len(), 2);
}

async fn numbers_shards_above_what_was_seen(catalog: &dyn Catalog) {
    let numbers = async |request_id: &str, seen| {
        let new = draft(request_id, &["mug", "cap"]);
        let sale = catalog.create_sale(&new, "ann", NOW_MS, seen).await.unwrap();
        let shards = sale.items.iter().map(|item| &item.shards[0]);
        shards.clone().for_each(|shard| assert_eq!(shard.partition, shard.no.get() % 4));
        shards.map(|shard| shard.no.get()).collect::<Vec<_>>()
    };
    assert_eq!(numbers("one", 0).await, [1, 2]);
    assert_eq!(numbers("two", 2).await, [3, 4], "what this catalog gave itself");
    // A copy that has forgotten shards 5 to 300.
    assert_eq!(numbers("three", 300).await, [301, 302]);
    assert_eq!(numbers("four", 300).await, [303, 304]);
    assert_eq!(numbers("three", 400).await, [301, 302], "a repeated request makes nothing");
    assert_eq!(catalog.lease_rows().await.unwrap().highest, 304);
    let none = catalog.create_sale(&draft("five", &["mug"]), "ann", NOW_MS, u32::MAX).await;
    assert!(none.is_err(), "no number is left");
}

/// All of them find the same gap.
async fn numbers_shards_above_what_was_seen_for_many(catalog: &dyn Catalog) {
    let drafts: Vec<_> = (0..8).map(|n| draft(&format!("r-{n}"), &["mug", "cap"])).collect();
    let made = drafts.iter().map(|new| catalog.create_sale(new, "ann", NOW_MS, 300));
    let made = futures::future::try_join_all(made).await.unwrap();
    let items = made.iter().flat_map(|sale| &sale.items);
    let numbers: BTreeSet<_> = items.map(|item| item.shards[0].no.get()).collect();
    assert_eq!(numbers.len(), 16, "each has a number of its own");
    assert!(numbers.iter().all(|number| *number > 300), "{numbers:?}");
}

async fn gives_a_window_once(catalog: &dyn Catalog) {
    let sale = catalog.create_sale(&draft("r-1", &["mug"]), "ann", NOW_MS, 0).await.unwrap();
    let wanted = Sale { state: State::Scheduled(window(NOW_MS)), ..sale.clone() };
    for _ in 0..2 {
        let scheduled = catalog.schedule(sale.id, window(NOW_MS)).await.unwrap();
        assert_eq!(scheduled, Scheduled::Done(wanted.clone()));
    }
    let other = catalog.schedule(sale.id, window(NOW_MS + 1)).await.unwrap();
    assert_eq!(other, Scheduled::OtherWindow(wanted.clone()));
    assert_eq!(catalog.sale(sale.id).await.unwrap(), Some(wanted));
    let unknown = catalog.schedule(SaleId::random(), window(NOW_MS)).await.unwrap();
    assert_eq!(unknown, Scheduled::NotFound);
}

async fn lists_the_newest_first(catalog: &dyn Catalog) {
    let mut made = Vec::new();
    for number in 0..5 {
        let new = draft(&format!("r-{number}"), &["mug"]);
        made.push(catalog.create_sale(&new, "ann", NOW_MS, 0).await.unwrap().id);
    }
    made.reverse();
    let mut listed = Vec::new();
    let mut before = None;
    loop {
        let page = catalog.sales(before, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some((last, _)) = page.last() else { break };
        before = Some(*last);
        assert!(page.iter().all(|(_, sale)| sale.items.is_empty()));
        listed.extend(page.into_iter().map(|(_, sale)| sale.id));
    }
    assert_eq!(listed, made);
}

async fn finds_items(catalog: &dyn Catalog) {
    let sale = catalog.create_sale(&draft("r-1", &["mug", "cap"]), "ann", NOW_MS, 0).await.unwrap();
    catalog.schedule(sale.id, window(NOW_MS)).await.unwrap();
    for item in &sale.items {
        let wanted = Some((item.clone(), State::Scheduled(window(NOW_MS))));
        assert_eq!(catalog.item(ItemKey::Id(item.id)).await.unwrap(), wanted);
        assert_eq!(catalog.item(ItemKey::Shard(item.shards[0].no)).await.unwrap(), wanted);
    }
    assert_eq!(catalog.item(ItemKey::Id(ItemId::random())).await.unwrap(), None);
    let none = ShardNo::new(77).expect("a number");
    assert_eq!(catalog.item(ItemKey::Shard(none)).await.unwrap(), None);
    assert_eq!(catalog.shard(none).await.unwrap(), None);
}

async fn pauses_and_resumes_an_item(catalog: &dyn Catalog) {
    let sale = catalog.create_sale(&draft("r-1", &["mug", "cap"]), "ann", NOW_MS, 0).await.unwrap();
    let (item, shard) = (sale.items[0].id, sale.items[0].shards[0].no);
    let paused = async || {
        let rows = catalog.lease_rows().await.unwrap().rows;
        let paused: Vec<_> = rows.iter().filter(|row| row.paused).map(|row| row.shard).collect();
        paused
    };
    for _ in 0..2 {
        let found = catalog.set_paused(item, true).await.unwrap().unwrap();
        assert!(found.id == item && found.shards.iter().all(|shard| shard.paused));
        assert_eq!(paused().await, [shard], "and no other item");
    }
    let new = seen(catalog, shard).await;
    assert!(catalog.begin_loading(new, claim(7)).await.unwrap());
    assert!(catalog.open(shard, epoch(7)).await.unwrap());
    assert_eq!(paused().await, [shard], "loading doesn't clear it");
    for _ in 0..2 {
        let found = catalog.set_paused(item, false).await.unwrap().unwrap();
        assert!(!found.shards.iter().any(|shard| shard.paused));
        assert_eq!(found.shards[0].phase, Phase::Open, "nor does it change the phase");
        assert_eq!(paused().await, []);
    }
    assert_eq!(catalog.set_paused(ItemId::random(), true).await.unwrap(), None);
}

async fn finds_what_is_due_to_open(catalog: &dyn Catalog) {
    let due = async || catalog.due_to_open(10).await.unwrap();
    let now_ms = now_ms(catalog).await;
    let mut shards = Vec::new();
    // Its warm-up, 60 s long, has yet to begin; has just begun; it is open; it was over before it
    // was ever loaded.
    for opens_ms in [now_ms + LONG_MS, now_ms + 59_000, now_ms - 500, now_ms - LONG_MS] {
        let new = draft(&opens_ms.to_string(), &["mug"]);
        let sale = catalog.create_sale(&new, "ann", NOW_MS, 0).await.unwrap();
        shards.push(sale.items[0].shards[0].no);
        assert!(!due().await.contains(&shards[shards.len() - 1]), "a draft is never due");
        let schedule = Schedule { closes_ms: opens_ms + LONG_MS / 2, ..window(opens_ms) };
        catalog.schedule(sale.id, schedule).await.unwrap();
    }
    assert_eq!(due().await, [shards[2], shards[1]], "the one that opens first comes first");
    assert_eq!(catalog.due_to_open(1).await.unwrap(), [shards[2]]);
    assert_eq!(catalog.due_to_open(0).await.unwrap(), []);
    let seen = seen(catalog, shards[2]).await;
    assert!(catalog.begin_loading(seen, claim(7)).await.unwrap());
    assert_eq!(due().await, [shards[1]], "the other is being loaded");
}

async fn compares_and_sets(catalog: &dyn Catalog) {
    let shard = one_shard(catalog).await;
    let new = seen(catalog, shard).await;
    let row = async || {
        let row = catalog.lease_rows().await.unwrap().rows[0];
        (row.phase, row.epoch.map(Epoch::get))
    };
    assert_eq!(catalog.lease_rows().await.unwrap().highest, shard.get());
    assert_eq!(row().await, (Phase::New, None));
    for (phase, epoch) in [(Phase::Open, None), (Phase::New, Some(epoch(3)))] {
        let wrong = Seen { phase, epoch, ..new };
        assert!(!catalog.begin_loading(wrong, claim(7)).await.unwrap());
    }
    let others = Seen { item: ItemId::random(), ..new };
    assert!(!catalog.begin_loading(others, claim(7)).await.unwrap(), "another's number");
    assert!(!catalog.open(shard, epoch(7)).await.unwrap());

    assert!(catalog.begin_loading(new, claim(7)).await.unwrap());
    assert_eq!(row().await, (Phase::Loading, Some(7)));
    assert!(!catalog.begin_loading(new, claim(8)).await.unwrap());
    for (to, is_it) in [(7, true), (8, false)] {
        assert_eq!(catalog.still_loading(shard, epoch(to)).await.unwrap(), is_it);
        assert_eq!(catalog.renew(shard, epoch(to), LONG).await.unwrap(), is_it);
    }

    let loading = seen(catalog, shard).await;
    assert!(catalog.begin_loading(loading, claim(8)).await.unwrap(), "overtaken");
    assert!(!catalog.open(shard, epoch(7)).await.unwrap(), "the one that was overtaken");
    assert!(catalog.open(shard, epoch(8)).await.unwrap());
    assert_eq!(row().await, (Phase::Open, Some(8)));
    assert!(!catalog.open(shard, epoch(8)).await.unwrap(), "it is open already");
    assert!(!catalog.still_loading(shard, epoch(8)).await.unwrap());
    assert!(!catalog.renew(shard, epoch(8), LONG).await.unwrap());

    let open = seen(catalog, shard).await;
    assert!(catalog.begin_loading(open, claim(9)).await.unwrap(), "loaded anew");
    assert_eq!(row().await, (Phase::Loading, Some(9)));
}

async fn finds_what_is_over(catalog: &dyn Catalog) {
    let over = async || catalog.over(10).await.unwrap();
    let now_ms = now_ms(catalog).await;
    let mut shards = Vec::new();
    // Over for an hour; over for two hours; still open.
    for opens_ms in [now_ms - LONG_MS, now_ms - 2 * LONG_MS, now_ms + LONG_MS] {
        let new = draft(&opens_ms.to_string(), &["mug"]);
        let sale = catalog.create_sale(&new, "ann", NOW_MS, 0).await.unwrap();
        catalog.schedule(sale.id, window(opens_ms)).await.unwrap();
        shards.push(sale.items[0].shards[0].no);
    }
    assert_eq!(over().await, [], "never opened");
    for (to, shard) in (7..).zip(&shards) {
        let seen = seen(catalog, *shard).await;
        assert!(catalog.begin_loading(seen, claim(to)).await.unwrap());
    }
    let wanted = [shards[1], shards[0]];
    assert_eq!(over().await, wanted, "the longest closed first, also while it is loaded");
    for (to, shard) in (7..).zip(&shards) {
        assert!(catalog.open(*shard, epoch(to)).await.unwrap());
    }
    assert_eq!(over().await, wanted);
    assert_eq!(catalog.over(1).await.unwrap(), [shards[1]]);
    let seen = seen(catalog, shards[1]).await;
    assert!(catalog.begin_loading(seen, claim(17)).await.unwrap());
    assert!(catalog.retire(shards[1], epoch(17)).await.unwrap());
    assert_eq!(over().await, [shards[0]], "the other has retired");
}

async fn retires_what_is_loading(catalog: &dyn Catalog) {
    let shard = one_shard(catalog).await;
    assert!(!catalog.retire(shard, epoch(7)).await.unwrap(), "nobody has claimed it");
    let new = seen(catalog, shard).await;
    assert!(catalog.begin_loading(new, claim(7)).await.unwrap());
    assert!(!catalog.retire(shard, epoch(8)).await.unwrap(), "someone else has");
    assert!(catalog.retire(shard, epoch(7)).await.unwrap());
    assert!(!catalog.retire(shard, epoch(7)).await.unwrap(), "it is retired already");
    let row = seen(catalog, shard).await;
    assert_eq!((row.phase, row.epoch), (Phase::Retired, Some(epoch(7))));
    assert!(!catalog.open(shard, epoch(7)).await.unwrap());
    assert!(!catalog.still_loading(shard, epoch(7)).await.unwrap());
    assert!(!catalog.renew(shard, epoch(7), LONG).await.unwrap());
    assert_eq!(catalog.abandoned(LEASE, 10).await.unwrap(), []);
    let leases = catalog.lease_rows().await.unwrap();
    assert_eq!((leases.highest, leases.rows), (shard.get(), vec![]), "it is no longer leased");
}

async fn finds_abandoned_shards(catalog: &dyn Catalog) {
    let shard = one_shard(catalog).await;
    let abandoned = async || catalog.abandoned(2 * LONG, 10).await.unwrap();
    assert_eq!(abandoned().await, [], "nobody loads it");
    let seen = seen(catalog, shard).await;
    // Whoever claims says for how long, and no more: the catalog's clock says until when.
    assert!(catalog.begin_loading(seen, claim_for(7, LONG)).await.unwrap());
    assert_eq!(abandoned().await, []);
    assert!(catalog.renew(shard, epoch(7), Duration::ZERO).await.unwrap());
    assert_eq!(abandoned().await, [shard], "its lease has run out");
    assert!(catalog.renew(shard, epoch(7), 3 * LONG).await.unwrap());
    assert_eq!(abandoned().await, [shard], "longer than any lasts: the clock jumped back");
    assert!(catalog.renew(shard, epoch(7), LONG).await.unwrap());
    assert_eq!(abandoned().await, []);
    assert!(catalog.renew(shard, epoch(7), Duration::ZERO).await.unwrap());
    assert!(catalog.open(shard, epoch(7)).await.unwrap());
    assert_eq!(abandoned().await, [], "it is open");
}

async fn lets_one_of_many_claim(catalog: &dyn Catalog) {
    let shard = one_shard(catalog).await;
    let seen = seen(catalog, shard).await;
    let claims = (1..=8).map(|to| catalog.begin_loading(seen, claim(to)));
    let claimed = futures::future::join_all(claims).await;
    assert_eq!(claimed.into_iter().filter(|claimed| *claimed.as_ref().unwrap()).count(), 1);
    assert!(catalog.ping().await.is_ok());
}
