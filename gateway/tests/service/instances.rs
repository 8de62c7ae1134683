//! Two inventory-svc, one of which is cut off: nobody is sent away for its sake, nothing is asked
//! twice that may have been done, and news come from who has some.

use std::sync::{Arc, Mutex};

use chassis::{Cores, Stopper, TaskOwner};
use proto::{
    gateway::v1::PurchaseState::{Accepted, Processing},
    inventory::v1::{
        EntryAnswer, ReserveResponse, ShardRefusal, WatchStockResponse, entry_answer,
        reserve_response::Answer,
    },
};
use tonic::{Response, Status};

use crate::{
    stage::{Buyer, Plan, Stage, serve_stubs},
    stubs::{World, batch, held, lock},
};

/// A gateway in front of two instances.
struct Two {
    stage: Stage,
    /// Behind the second.
    other: Arc<World>,
    _owner: TaskOwner,
    _cores: Cores,
}

impl Two {
    async fn open() -> Self {
        let cores = Cores::start(1).unwrap();
        let owner = TaskOwner::new("other stubs", Stopper::new());
        let other = Arc::new(World::default());
        let url = format!("http://{}", serve_stubs(&owner, &cores, &other));
        let config = Box::new(move |config: &mut gateway::Config| {
            config.upstream.inventory = format!("{},{url}", config.upstream.inventory);
        });
        let stage = Stage::with(Plan { config, ..Plan::default() }).await;
        lock(&other.ledger).stock = 100;
        lock(&other.sales).clone_from(&lock(&stage.world.sales));
        Self { stage, other, _owner: owner, _cores: cores }
    }

    fn asked(&self) -> (usize, usize) {
        (self.stage.world.batches().len(), self.other.batches().len())
    }
}

#[tokio::test]
async fn who_could_do_nothing_sends_no_buyer_away() {
    let two = Two::open().await;
    two.other.refuse_shard_with(ShardRefusal::Unreachable);
    let buyer = two.stage.buyer().await;
    for wish in 0..5 {
        let ticket = buyer.ticket(1, &format!("wish {wish}")).await;
        assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Accepted, "wish {wish}");
    }
    let buyers = (0..50).map(|_| async {
        let buyer = two.stage.buyer().await;
        let ticket = buyer.ticket(1, "one").await;
        assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Accepted);
    });
    futures::future::join_all(buyers).await;
    let (well, cut_off) = two.asked();
    assert!(cut_off < well, "it keeps its turn: {cut_off} batches, and {well} elsewhere");
}

#[tokio::test]
async fn whoever_is_asked_second_hears_when_the_attempt_was_placed() {
    let two = Two::open().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    for (world, is_able) in [(&two.stage.world, true), (&two.other, false)] {
        let asked = Arc::clone(&asked);
        world.reserve_with(move |request| {
            let [entry] = &request.entries[..] else { panic!("one buyer, one batch") };
            lock(&asked).push((entry.order_id.clone(), entry.placed_at, is_able));
            let held = entry_answer::Answer::Held(held(entry));
            Ok(match is_able {
                true => batch(vec![EntryAnswer { answer: Some(held) }]),
                false => {
                    let refusal = ShardRefusal::Unreachable.into();
                    ReserveResponse { answer: Some(Answer::Refusal(refusal)) }
                }
            })
        });
    }
    let buyer = two.stage.buyer().await;
    let twice = async || {
        let ticket = buyer.ticket(1, &format!("wish {}", lock(&asked).len())).await;
        assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Accepted);
        matches!(&lock(&asked)[..], [.., (_, _, false), (_, _, true)])
    };
    two.stage.until("both are asked of one attempt", twice).await;
    let asked = lock(&asked);
    let [.., (order, placed_at, _), second] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((order, placed_at), (&second.0, &second.1));
    assert_eq!(placed_at.unwrap().epoch, 7, "the ledger's time is known");
}

#[tokio::test]
async fn when_nobody_can_do_anything_buyers_come_back() {
    let two = Two::open().await;
    two.other.refuse_shard_with(ShardRefusal::Unreachable);
    two.stage.world.refuse_shard_with(ShardRefusal::Unreachable);
    let buyer = two.stage.buyer().await;
    for wish in 0..10 {
        let ticket = buyer.ticket(1, &format!("wish {wish}")).await;
        assert_eq!(crate::stage::reason(buyer.buy(&ticket, 1).await), "LOADING");
    }
    let (here, there) = two.asked();
    assert!(here + there <= 20, "each batch was asked of two at most: {here} and {there}");
}

#[tokio::test]
async fn nothing_is_asked_again_that_may_have_been_done() {
    let two = Two::open().await;
    for world in [&two.stage.world, &two.other] {
        world.reserve_with(|_| Err(Status::unavailable("nobody knows")));
    }
    let buyer = two.stage.buyer().await;
    for wish in 0..6 {
        let ticket = buyer.ticket(1, &format!("wish {wish}")).await;
        assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Processing);
        let (here, there) = two.asked();
        assert_eq!(here + there, wish + 1);
    }
}

#[tokio::test]
async fn a_stream_that_has_no_news_is_left_for_one_that_has() {
    let two = Two::open().await;
    let buyer = two.stage.buyer().await;
    // Whichever it listens to at first falls silent at some time.
    for (left, units) in [(true, 11), (false, 12), (true, 13)] {
        let news = WatchStockResponse {
            shard_no: crate::stage::SHARD,
            is_open: true,
            epoch: 7,
            version: units.into(),
            left: units,
            paused: false,
        };
        *lock(&two.stage.world.stock) = left.then_some(news);
        *lock(&two.other.stock) = (!left).then_some(news);
        let heard = async || has_heard(&two.stage, &buyer, units).await;
        two.stage.until("it hears of the stock", heard).await;
    }
}

async fn has_heard(stage: &Stage, buyer: &Buyer, units: u32) -> bool {
    let message = proto::gateway::v1::GetSaleRequest { sale_id: stage.sale.to_string() };
    let sale = buyer.client.clone().get_sale(message).await.unwrap().into_inner().sale;
    sale.unwrap().items[0].units_left == units
}

/// As inventory-svc answers: in the head stands that another instance may be able to.
pub(crate) fn with_head(answer: ReserveResponse) -> Response<ReserveResponse> {
    let unreachable = Answer::Refusal(ShardRefusal::Unreachable.into());
    let is_unable = answer.answer.as_ref() == Some(&unreachable);
    let mut answer = Response::new(answer);
    if is_unable {
        chassis::channel::unable(answer.metadata_mut());
    }
    answer
}
