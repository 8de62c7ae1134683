//! A sale that is over and settled: the ledger forgets its shard, and the books alone answer for
//! it, to whoever bought and to whoever didn't. No hold that was open at the end is lost.

use std::{sync::Arc, time::Duration};

use chassis::{Clock, ClockShift};
use inventory_svc::ledger::{Error, Ledger as _, MemoryLedger, Peek};
use proto::{
    gateway::v1::{OrderState, PurchaseState},
    inventory::v1::{CountShardRequest, GetSaleRequest, ShardPhase},
    order::v1::CountShardRequest as CountBooksRequest,
};
use tonic::Code;

use super::audit::audit;
use crate::house::{Frozen, House, Offer, OpenSale, PATIENCE, eventually, reason};

/// A sale's hour, and more than what it has to be over for.
const LONG_AFTER: Duration = Duration::from_secs(3_600 + 300 + 60);

/// A house whose ledger has a clock of its own.
struct Late {
    house: House,
    ledger: Arc<MemoryLedger>,
    ledger_clock: ClockShift,
}

impl Late {
    async fn open() -> Self {
        let (clock, ledger_clock) = Clock::adjustable();
        let ledger = Arc::new(MemoryLedger::new(clock));
        let house = House::open_with(Arc::clone(&ledger) as _, |_| {}).await;
        Self { house, ledger, ledger_clock }
    }

    /// The sale is long over, for the ledger and for inventory-svc.
    fn pass(&self) {
        self.ledger_clock.jump(LONG_AFTER);
        self.house.clock_of(Frozen::Inventory).jump(LONG_AFTER);
    }

    async fn until_retired(&self, sale: &OpenSale) {
        eventually("the shard retires", PATIENCE, async || {
            let request = GetSaleRequest { sale_id: sale.sale_id.clone() };
            let shown = self.house.catalog().get_sale(request).await.ok()?.into_inner();
            let phase = shown.sale?.items[0].shards[0].phase();
            (phase == ShardPhase::Retired).then_some(())
        })
        .await;
    }

    async fn live_orders(&self, sale: &OpenSale) -> u64 {
        let request = CountBooksRequest { shard_no: sale.shard.get() };
        let counted = self.house.orders().count_shard(request).await;
        counted.expect("the books answer").into_inner().live_orders
    }
}

#[tokio::test]
async fn a_sale_that_is_over_is_forgotten_and_the_books_answer_for_it() {
    let late = Late::open().await;
    let house = &late.house;
    let sale = house.sell(Offer { units: 5, limit_per_user: 2, ..Offer::default() }).await;
    let shopper = house.shopper().await;
    let bought = shopper.ticket(&sale.item_id, 1, "bought").await.expect("a ticket");
    let unused = shopper.ticket(&sale.item_id, 1, "unused").await.expect("a ticket");
    let answer = shopper.purchase(&bought, 1).await;
    assert_eq!(answer.expect("not a refusal"), PurchaseState::Accepted);

    late.pass();
    late.until_retired(&sale).await;

    assert_eq!(late.ledger.peek(&[sale.shard]).await, Ok(vec![Peek::Fenced]));
    assert_eq!(late.ledger.count(sale.shard).await, Err(Error::Fenced), "nothing is left of it");
    // Each service hears of it at its next look.
    eventually("the ledger's service knows nothing of it", PATIENCE, async || {
        let request = CountShardRequest { shard_no: sale.shard.get() };
        let refused = house.inventory().count_shard(request).await.expect_err("it is gone");
        (refused.code() == Code::NotFound).then_some(())
    })
    .await;
    eventually("nothing is measured of it any more", PATIENCE, async || {
        let label = format!("shard=\"{}\"", sale.shard);
        let metrics = house.telemetry.metrics().text();
        let of_inventory = |line: &&str| line.starts_with("seckill_inventory_");
        let mut lines = metrics.lines().filter(of_inventory);
        (!lines.any(|line| line.contains(&label))).then_some(())
    })
    .await;
    let again = shopper.purchase(&bought, 2).await;
    assert_eq!(again.expect("it was promised"), PurchaseState::Accepted);
    let refused = shopper.purchase(&unused, 2).await.expect_err("the sale is over");
    assert_eq!(reason(&refused), "CLOSED");
    assert_eq!(shopper.order(&bought).await.expect("it is there"), OrderState::Placed);
    let state = shopper.order(&unused).await.expect("who has the ticket is told");
    assert_eq!(state, OrderState::NotPlaced);
    assert_eq!(late.live_orders(&sale).await, 1);
    let (code, said) = audit(house, &sale).await;
    assert!(code == Some(0) && said.contains("retired"), "{said}");
    late.house.close().await;
}

#[tokio::test]
async fn a_hold_that_was_open_at_the_end_is_in_the_books_before() {
    let late = Late::open().await;
    let house = &late.house;
    let sale = house.sell(Offer { units: 5, ..Offer::default() }).await;
    let shopper = house.shopper().await;
    let ticket = shopper.ticket(&sale.item_id, 1, "late").await.expect("a ticket");
    let produce = house.gateway_pause.arm("gateway.after_reserve");
    let ending = async {
        produce.hit(1).await;
        late.pass();
        late.until_retired(&sale).await;
        produce.release();
    };
    let (answer, ()) = futures::join!(shopper.purchase(&ticket, 1), ending);
    assert_eq!(answer.expect("not a refusal"), PurchaseState::Processing);
    assert_eq!(shopper.order(&ticket).await.expect("it is there"), OrderState::Placed);
    eventually("who sends the ticket again is told", PATIENCE, async || {
        let again = shopper.purchase(&ticket, 2).await.ok()?;
        (again == PurchaseState::Accepted).then_some(())
    })
    .await;
    let orders = late.live_orders(&sale).await;
    assert_eq!(orders, 1, "the record that came too late counts for nothing");
    late.house.close().await;
}

#[tokio::test]
async fn a_retirement_that_was_cut_off_is_finished_by_whoever_is_there() {
    for point in ["inventory.before_close", "inventory.before_forget", "inventory.before_retire"] {
        let mut late = Late::open().await;
        let sale = late.house.sell(Offer { units: 5, ..Offer::default() }).await;
        let shopper = late.house.shopper().await;
        let ticket = shopper.ticket(&sale.item_id, 1, "cut").await.expect("a ticket");
        let answer = shopper.purchase(&ticket, 1).await;
        assert_eq!(answer.expect("not a refusal"), PurchaseState::Accepted);
        let paused = late.house.inventory_pause.arm(point);
        late.pass();
        paused.hit(1).await;
        late.house.crash_inventory().await;
        paused.release();
        late.house.start_inventory().await;
        // The dead one's lease runs out by the clock of who takes over.
        late.house.clock_of(Frozen::Inventory).jump(Duration::from_secs(10));
        late.until_retired(&sale).await;
        assert_eq!(late.ledger.count(sale.shard).await, Err(Error::Fenced), "{point}");
        assert_eq!(shopper.order(&ticket).await.expect("it is there"), OrderState::Placed);
        late.house.close().await;
    }
}
