//! The cut from the local view: it spares the ledger the crowd, and never refuses who may hold a
//! unit.

use std::time::Duration;

use proto::{gateway::v1::PurchaseState::Accepted, inventory::v1::WatchStockResponse};
use tonic::Code;

use crate::{
    stage::{Buyer, Stage, reason, said},
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

/// First attempts are cut once `news` is heard, and retries go to the ledger, which sells.
async fn is_cut(news: impl Fn(&mut WatchStockResponse), reason: &str) {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    has_heard(&stage, &buyer, 50).await;
    news(lock(&stage.world.stock).as_mut().unwrap());
    let told = async || {
        let names = buyer.ticket(1, &stage.clock.now().as_nanos().to_string()).await;
        buyer.buy(&names, 1).await.is_err_and(|status| said::<()>(Err(status)).1 == reason)
    };
    stage.until("first attempts are told", told).await;
    let asked = stage.world.batches().len();
    let refused = (Code::Unavailable, reason.to_owned(), true);
    assert_eq!(said(buyer.buy(&ticket, 1).await), refused);
    assert_eq!(stage.world.batches().len(), asked, "the ledger isn't asked");
    assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), Accepted);
}

#[tokio::test]
async fn while_paused_first_attempts_are_told_so() {
    // Paused goes before sold out.
    let news = |news: &mut WatchStockResponse| (news.paused, news.left) = (true, 0);
    is_cut(news, "PAUSED").await;
}

#[tokio::test]
async fn while_loading_first_attempts_are_told_so() {
    let fenced = |news: &mut WatchStockResponse| {
        *news = WatchStockResponse { shard_no: news.shard_no, ..Default::default() };
    };
    is_cut(fenced, "LOADING").await;
}

#[tokio::test]
async fn a_first_attempt_is_cut_whoever_sends_it_and_learns_no_more() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    has_heard(&stage, &buyer, 0).await;
    let stranger = Buyer { token: "nonsense".into(), ..stage.buyer().await };
    assert_eq!(reason(stranger.buy(&ticket, 1).await), "SOLD_OUT");
    assert_eq!(reason(stranger.buy(&ticket, 2).await), "UNAUTHENTICATED");
    let mut forged = ticket.text.clone();
    forged.replace_range(forged.len() - 4.., "AAAA");
    assert_eq!(reason(stranger.send(&forged, 1).await), "SOLD_OUT");
    assert_eq!(reason(buyer.send(&forged, 2).await), "TICKET_INVALID");
    assert_eq!(stage.world.batches(), [0; 0]);
}
