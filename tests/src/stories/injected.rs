//! Holds that contradict what the books know of their item: at no price, of another item, above the
//! limit. Whoever brings them in, and however far inside, none becomes a live row, each is known
//! with the reason, and no unit is lost to it.

use std::{collections::BTreeSet, time::Duration};

use ids::{CommandId, Epoch, ItemId, OrderId, UserId};
use inventory_svc::{
    domain::PLACED_NOBODY_SAYS,
    ledger::{EntryAnswer, Ledger as _, ReserveEntry},
};
use journal::{Command, PlacedHold, Record};
use proto::{
    inventory::v1::{
        EntryRefusal, GetItemRequest, ReserveEntry as Entry, ReserveRequest, ReserveResponse,
        entry_answer, get_item_request, reserve_response,
    },
    order::v1::{FindOrdersRequest, OrderRefusal, OrderState},
};
use tonic::{Code, Response, Status};

use crate::{
    house::{House, Offer, OpenSale, PATIENCE, eventually, reason},
    stories::audit::audit,
};

/// What `house.sell` offers costs this.
const PRICE: i64 = 4_900;

/// An order that no ticket was ever made for.
fn invented(sale: &OpenSale, name: u8) -> OrderId {
    OrderId::mint(sale.shard, [name; 12])
}

fn bytes(id: &[u8; 16]) -> prost::bytes::Bytes {
    id.to_vec().into()
}

/// Calls Reserve past every gateway.
async fn reserve(
    house: &House,
    sale: &OpenSale,
    (name, quantity, unit_price): (u8, u32, i64),
    item: Option<ItemId>,
) -> Result<Response<ReserveResponse>, Status> {
    let entry = Entry {
        order_id: bytes(invented(sale, name).as_bytes()),
        user_id: bytes(&[name; 16]),
        quantity,
        unit_price,
        ticket_expires_ms: u64::MAX,
        traceparent: String::new(),
        placed_at: None,
    };
    let item_id = item.map(|item| bytes(item.as_bytes())).unwrap_or_default();
    let request = ReserveRequest { shard_no: sale.shard.get(), entries: vec![entry], item_id };
    house.inventory().reserve(request).await
}

/// Writes a hold straight into the journal, in the epoch that is open.
async fn record(
    house: &House,
    sale: &OpenSale,
    (name, quantity, unit_price): (u8, u32, i64),
    item: Option<ItemId>,
) {
    let by = get_item_request::By::ShardNo(sale.shard.get());
    let found = house.catalog().get_item(GetItemRequest { by: Some(by) }).await;
    let shards = found.expect("the catalog answers").into_inner().item.expect("an item").shards;
    let epoch = Epoch::new(house.ledger_count(sale).await.epoch).expect("it is loaded");
    let hold = PlacedHold {
        order: invented(sale, name),
        user: UserId::from_bytes([name; 16]),
        quantity,
        unit_price,
        taken_at_ms: 1_700_000_000_000,
        traceparent: String::new(),
    };
    let command = Command::HoldsPlaced { epoch, item, holds: vec![hold] };
    let record = Record { command_id: CommandId::random(), shard: sale.shard, command };
    house.journal().append(shards[0].partition, &record).await.expect("there is room");
}

/// What the books say of an invented order, once they know it.
async fn decided(house: &House, sale: &OpenSale, name: u8) -> (OrderState, OrderRefusal) {
    eventually("the books know the order", PATIENCE, async || {
        let order_ids = vec![bytes(invented(sale, name).as_bytes())];
        let found = house.orders().find_orders(FindOrdersRequest { order_ids }).await.ok()?;
        let row = found.into_inner().orders.pop()?;
        Some((row.state(), row.refusal()))
    })
    .await
}

#[tokio::test]
async fn a_hold_that_contradicts_its_item_is_never_a_live_row() {
    let house = House::open().await;
    let offer = Offer { units: 5, lease: Duration::from_millis(200), ..Offer::default() };
    let sale = house.sell(offer).await;
    let item: ItemId = sale.item_id.parse().expect("an item's id");
    let stranger = Some(ItemId::from_bytes([9; 16]));

    // At inventory-svc, which takes nothing.
    for (hold, of) in [((1, 1, 0), None), ((2, 1, 0), Some(item)), ((3, 1, PRICE), stranger)] {
        let refused = reserve(&house, &sale, hold, of).await.expect_err("it is refused");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::InvalidArgument, "INVALID_INPUT")
        );
    }
    let above = reserve(&house, &sale, (4, 2, PRICE), Some(item)).await.expect("an answer");
    let Some(reserve_response::Answer::Batch(batch)) = above.into_inner().answer else {
        panic!("the shard is open")
    };
    let limit = entry_answer::Answer::Refusal(EntryRefusal::LimitReached.into());
    assert_eq!(batch.answers[0].answer, Some(limit));
    assert_eq!(house.ledger_count(&sale).await.stock, 5);

    // Straight into the journal, where the books are the only line.
    record(&house, &sale, (11, 1, 0), None).await;
    record(&house, &sale, (12, 1, PRICE), stranger).await;
    record(&house, &sale, (13, 2, PRICE), Some(item)).await;
    for (name, refusal) in [
        (11, OrderRefusal::OtherPrice),
        (12, OrderRefusal::OtherItem),
        (13, OrderRefusal::OverLimit),
    ] {
        assert_eq!(decided(&house, &sale, name).await, (OrderState::Rejected, refusal));
    }

    // Into the ledger itself, past inventory-svc: the roll-forward brings it to the books, and its
    // unit comes back with a load.
    let epoch = Epoch::new(house.ledger_count(&sale).await.epoch).expect("it is loaded");
    let free = ReserveEntry {
        order: invented(&sale, 21),
        user: UserId::from_bytes([21; 16]),
        quantity: 1,
        unit_price: 0,
        ticket_expires_ms: u64::MAX,
        placed_us: PLACED_NOBODY_SAYS,
        traceparent: String::new(),
    };
    let taken = house.ledger.reserve(sale.shard, epoch, false, vec![free]).await.expect("open");
    assert!(matches!(taken.answers[..], [EntryAnswer::Held(_)]));
    let decided = decided(&house, &sale, 21).await;
    assert_eq!(decided, (OrderState::Rejected, OrderRefusal::OtherPrice));
    eventually("the unit is for sale again", PATIENCE, async || {
        let ledger = house.counts(&sale).await.ok()?.ledger;
        (ledger.epoch != epoch.get() && ledger.stock == 5).then_some(())
    })
    .await;

    let counts = house.judge(&sale, &BTreeSet::new(), PATIENCE).await;
    assert_eq!((counts.books.live_orders, counts.books.rejected_orders), (0, 4));
    let (code, said) = audit(&house, &sale).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the books refused 4 holds"), "{said}");
    house.close().await;
}
