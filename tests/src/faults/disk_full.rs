//! The disk is full, and then it isn't: what was accepted is kept, the role says meanwhile that it
//! isn't ready, and goes on by itself.

use std::{path::Path, time::Duration};

use proto::gateway::v1::{OrderState, PurchaseState};
use testbed::SmallDisk;

use crate::{
    house::{Offer, OpenSale, Shopper, Ticket, eventually},
    shop::{Dev, PATIENCE, outcome},
};

mod servers;

/// Room for the databases of an empty shop, and for the logs of some hundred orders.
const DISK_KIB: u32 = 12 * 1024;
/// So soon all is well again once there is room.
const GOES_ON_WITHIN: Duration = Duration::from_secs(10);
/// More than a page of the books.
const ORDERS: u32 = 20;

/// `seckill dev` with its data on a small disk.
struct OnSmallDisk {
    dev: Dev,
    disk: SmallDisk,
    /// For its log.
    _beside: tempfile::TempDir,
}

impl OnSmallDisk {
    fn new() -> Self {
        let disk = SmallDisk::of_kib(DISK_KIB);
        let beside = tempfile::tempdir().expect("the temporary directory can be written");
        let mut dev = Dev::new(disk.path(), beside.path().join("dev.log"), &[]);
        // Who watches what becomes of an order asks far more often than a buyer would.
        for knob in ["PER_S", "BURST"] {
            dev.process.set_env(&format!("SECKILL_GATEWAY__RATES__USER__{knob}"), "1000");
        }
        Self { dev, disk, _beside: beside }
    }

    async fn start(&mut self) {
        self.dev.start().await;
        self.until_ready(true, PATIENCE).await;
    }

    async fn sell(&self) -> OpenSale {
        self.dev.sell(Offer { units: 1_000, limit_per_user: 1_000, ..Offer::default() }).await
    }

    async fn shopper(&self) -> Shopper {
        self.dev.hire(1).await.remove(0)
    }

    async fn until_ready(&self, is_ready: bool, within: Duration) {
        eventually(&format!("it is ready: {is_ready}"), within, async || {
            (self.dev.is_ready().await == is_ready).then_some(())
        })
        .await;
    }
}

/// Buys one unit after the other; the tickets of those that were accepted.
async fn buy(shopper: &Shopper, sale: &OpenSale, wish: &str) -> Vec<Ticket> {
    let mut accepted = Vec::new();
    for number in 0..ORDERS {
        let ticket = shopper.ticket(&sale.item_id, 1, &format!("{wish} {number}")).await;
        let ticket = ticket.expect("the sale is open");
        if let Ok(PurchaseState::Accepted) = shopper.purchase(&ticket, 1).await {
            accepted.push(ticket);
        }
    }
    accepted
}

/// Waits until each of them is an order in the books.
async fn are_rows(shopper: &Shopper, tickets: &[Ticket], within: Duration) {
    for ticket in tickets {
        eventually("what was accepted is in the books", within, async || {
            let state = shopper.order(ticket).await.ok()?;
            (state == OrderState::Placed).then_some(())
        })
        .await;
    }
}

async fn audit(data: &Path) {
    let data = data.to_str().expect("temporary directories have plain names");
    let (code, said) = outcome(&["audit", "--settle-within-s", "10", "--data", data]).await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_shop_outlives_a_full_disk() {
    let mut shop = OnSmallDisk::new();
    shop.start().await;
    let (sale, shopper) = (shop.sell().await, shop.shopper().await);
    let before = buy(&shopper, &sale, "before").await;
    assert_eq!(before.len(), usize::try_from(ORDERS).expect("a few"));
    are_rows(&shopper, &before, PATIENCE).await;

    shop.disk.fill();
    let meanwhile = buy(&shopper, &sale, "meanwhile").await;
    assert!(!meanwhile.is_empty(), "the journal has room");
    shop.until_ready(false, GOES_ON_WITHIN).await;
    let state = shopper.order(&meanwhile[0]).await.expect("who asks is answered");
    assert_eq!(state, OrderState::Processing, "{}", shop.dev.log());

    shop.disk.free();
    are_rows(&shopper, &meanwhile, GOES_ON_WITHIN).await;
    shop.until_ready(true, GOES_ON_WITHIN).await;
    let after = buy(&shopper, &sale, "after").await;
    are_rows(&shopper, &after, PATIENCE).await;
    audit(shop.disk.path()).await;

    // The catalog and the accounts as well: an idle shop notices, and goes on.
    shop.disk.fill();
    shop.until_ready(false, PATIENCE).await;
    shop.disk.free();
    shop.until_ready(true, GOES_ON_WITHIN).await;
    shop.sell().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_shop_that_is_stopped_waits_for_room() {
    let mut shop = OnSmallDisk::new();
    shop.start().await;
    let (sale, shopper) = (shop.sell().await, shop.shopper().await);
    shop.disk.fill();
    let accepted = buy(&shopper, &sale, "meanwhile").await;
    assert!(!accepted.is_empty(), "the journal has room");
    shop.dev.process.ask_to_end();
    eventually("it says what would be lost", PATIENCE, async || {
        shop.dev.log().contains("can't be written into the books").then_some(())
    })
    .await;
    shop.disk.free();
    shop.dev.process.ends(PATIENCE).await;
    assert!(!shop.dev.log().contains("are lost to the books"), "{}", shop.dev.log());

    // Another process: what there is comes from the file.
    shop.start().await;
    let shopper = Shopper { channel: shop.dev.channel("gateway"), ..shopper };
    are_rows(&shopper, &accepted, PATIENCE).await;
}
