//! The sold-out cut: it spares the ledger the crowd, and never refuses who may hold a unit.

use std::time::Duration;

use proto::gateway::v1::PurchaseState::Accepted;

use crate::{
    stage::{Buyer, Stage, reason},
    stubs::lock,
};

/// The gateway listens only for items that someone asked for, and then needs a moment.
async fn has_heard(stage: &Stage, buyer: &Buyer, units: u32) {
    stage.tell_stock(units);
    let heard = async || {
        let message = proto::gateway::v1::GetSaleRequest { sale_id: stage.sale.to_string() };
        let sale = buyer.client.clone().get_sale(message).await.unwrap().into_inner().sale;
        let item = &sale.unwrap().items[0];
        let expected = match units {
            0 => proto::gateway::v1::Availability::SoldOut,
            _ => proto::gateway::v1::Availability::Available,
        };
        (item.availability(), item.units_left) == (expected, units)
    };
    stage.until("the gateway has heard of the stock", heard).await;
}

#[tokio::test]
async fn first_attempts_are_cut_and_retries_go_to_the_ledger() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let tickets = [buyer.ticket(1, "a").await, buyer.ticket(1, "b").await];
    has_heard(&stage, &buyer, 0).await;
    assert_eq!(reason(buyer.buy(&tickets[0], 1).await), "SOLD_OUT");
    assert_eq!(stage.world.batches(), [0; 0], "the ledger isn't asked");
    // The ledger has units after all: only the flag says otherwise.
    assert_eq!(buyer.buy(&tickets[0], 2).await.unwrap(), Accepted);
    assert_eq!(buyer.buy(&tickets[1], 0).await.unwrap(), Accepted, "unset counts as a retry");
    assert_eq!(buyer.buy(&tickets[0], 1).await.unwrap(), Accepted, "it was sent on before");
}

#[tokio::test]
async fn the_flag_compares_with_what_is_wanted() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let (one, two) = (buyer.ticket(1, "one").await, buyer.ticket(2, "two").await);
    has_heard(&stage, &buyer, 1).await;
    assert_eq!(reason(buyer.buy(&two, 1).await), "SOLD_OUT");
    assert_eq!(buyer.buy(&one, 1).await.unwrap(), Accepted);
}

#[tokio::test]
async fn the_flag_dies_of_silence() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    has_heard(&stage, &buyer, 0).await;
    *lock(&stage.world.stock) = None;
    // What was on its way arrives, and then nothing does.
    let dead = async || {
        stage.shift.jump(Duration::from_millis(501));
        buyer.buy(&ticket, 1).await.is_ok()
    };
    stage.until("the ledger is asked again", dead).await;
}

#[tokio::test]
async fn while_paused_the_ledger_answers() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    has_heard(&stage, &buyer, 0).await;
    if let Some(news) = &mut *lock(&stage.world.stock) {
        news.paused = true;
    }
    let asked = async || buyer.buy(&ticket, 1).await.is_ok();
    stage.until("paused goes before sold out", asked).await;
}
