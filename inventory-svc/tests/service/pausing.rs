//! An operator pauses an item: nobody new is let in, here at once and elsewhere within the bound,
//! and what was admitted goes on.

use proto::inventory::v1::{
    self as v1, EntryRefusal, PauseItemRequest, ResumeItemRequest, entry_answer::Answer,
    inventory_service_client::InventoryServiceClient, reserve_response,
};
use tonic::{Code, Request, Status, transport::Channel};

use crate::house::{House, eventually, wrong_fields};

impl House {
    async fn pause(&self, item_id: &str) -> Result<v1::Item, Status> {
        let request = self.operators(PauseItemRequest { item_id: item_id.to_owned() });
        let answer = self.catalog().pause_item(request).await?;
        Ok(answer.into_inner().item.unwrap())
    }

    async fn resume(&self, item_id: &str) -> Result<v1::Item, Status> {
        let request = self.operators(ResumeItemRequest { item_id: item_id.to_owned() });
        let answer = self.catalog().resume_item(request).await?;
        Ok(answer.into_inner().item.unwrap())
    }
}

/// The answer to one entry.
async fn one(
    mut at: InventoryServiceClient<Channel>,
    request: v1::ReserveRequest,
) -> Option<Answer> {
    match at.reserve(request).await.unwrap().into_inner().answer.unwrap() {
        reserve_response::Answer::Batch(batch) => batch.answers[0].answer.clone(),
        reserve_response::Answer::Refusal(_) => None,
    }
}

fn is_paused(answer: &Option<Answer>) -> bool {
    *answer == Some(Answer::Refusal(EntryRefusal::Paused.into()))
}

#[tokio::test]
async fn a_paused_item_lets_nobody_new_in_and_a_resumed_one_does() {
    let house = House::open().await;
    let sale = house.create("open").await;
    let item_id = &sale.items[0].item_id;
    let shard = house.schedule(&sale).await;
    house.opened(shard).await;
    let neighbour = house.neighbour().await;
    eventually("the neighbour serves", async || {
        one(neighbour.clone(), house.batch(shard, &[1])).await.is_some()
    })
    .await;

    for _ in 0..2 {
        assert!(house.pause(item_id).await.unwrap().shards.iter().all(|shard| shard.paused));
        // Who answered the operator knows it from then on.
        let answer = one(house.inventory(), house.batch(shard, &[2])).await;
        assert!(is_paused(&answer), "{answer:?}");
    }
    let known = one(house.inventory(), house.batch(shard, &[1])).await;
    assert!(matches!(known, Some(Answer::Open(_))), "it was admitted before: {known:?}");
    // Somebody else each time: who got in before the neighbour heard stays in.
    let mut stranger = 100;
    eventually("the neighbour has heard of the pause", async || {
        stranger += 1;
        is_paused(&one(neighbour.clone(), house.batch(shard, &[stranger])).await)
    })
    .await;

    for _ in 0..2 {
        assert!(!house.resume(item_id).await.unwrap().shards.iter().any(|shard| shard.paused));
    }
    let answer = one(house.inventory(), house.batch(shard, &[2])).await;
    assert!(!is_paused(&answer), "{answer:?}");
    eventually("the neighbour has heard that it is over", async || {
        !is_paused(&one(neighbour.clone(), house.batch(shard, &[3])).await)
    })
    .await;
}

#[tokio::test]
async fn a_pause_outlives_a_load() {
    let house = House::open().await;
    let sale = house.create("open").await;
    let shard = house.schedule(&sale).await;
    let before = house.opened(shard).await;
    house.pause(&sale.items[0].item_id).await.unwrap();
    house.ledger.swap_for_empty();
    house.loaded_after(shard, before).await;
    eventually("buyers are told PAUSED again", async || {
        is_paused(&one(house.inventory(), house.batch(shard, &[1])).await)
    })
    .await;
}

#[tokio::test]
async fn only_operators_pause_and_only_what_there_is() {
    let house = House::open().await;
    let said = |status: &Status| (status.code(), chassis::status::reason_of(status).unwrap());
    let refused = |status: Status, code, reason: &str| {
        assert_eq!(said(&status), (code, reason.to_owned()));
        status
    };
    let item_id = house.create("r-1").await.items[0].item_id.clone();
    let mut by_buyer = Request::new(PauseItemRequest { item_id: item_id.clone() });
    let token = format!("Bearer {}", house.token("seckill"));
    by_buyer.metadata_mut().insert("authorization", token.parse().unwrap());
    let answer = house.catalog().pause_item(by_buyer).await.unwrap_err();
    refused(answer, Code::Unauthenticated, "UNAUTHENTICATED");
    let answer = house.catalog().resume_item(ResumeItemRequest { item_id }).await.unwrap_err();
    refused(answer, Code::Unauthenticated, "UNAUTHENTICATED");

    for status in [house.pause("mug").await.unwrap_err(), house.resume("").await.unwrap_err()] {
        let status = refused(status, Code::InvalidArgument, "INVALID_INPUT");
        assert_eq!(wrong_fields(&status), ["item_id"]);
    }
    let unknown = ids::ItemId::random().to_string();
    refused(house.pause(&unknown).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    refused(house.resume(&unknown).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
}
