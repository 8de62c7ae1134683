//! Gateways and order-svc whose clocks are half a minute off, one ahead and one behind each:
//! nothing is sold early or late, nobody is told so who isn't, and nothing is lost.

use std::{collections::BTreeSet, time::Duration};

use proto::gateway::v1::PurchaseState;
use tokio::time::interval;

use crate::{
    house::{Offer, Shopper, reason},
    shop::{Layout, PATIENCE, Shop},
};

const APART_S: i64 = 30;
/// By then a gateway that is behind takes the tokens that buyers got before: see "Clocks" in
/// ARCHITECTURE.
const OPENS_IN: Duration = Duration::from_secs(35);
const CLOSES_IN: Duration = Duration::from_secs(47);
/// One buyer after the other.
const EVERY: Duration = Duration::from_millis(20);
/// More than are asked for a ticket in that time.
const BUYERS: u32 = 4_000;

/// One buyer's way through one gateway: what was told, and when it was asked and answered.
struct Seen {
    said: String,
    asked_ms: u64,
    answered_ms: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_half_a_minute_off_sell_nothing_early_or_late_and_lose_nothing() {
    let mut shop = Shop::open(Layout::default()).await;
    let mut buyers = shop.shoppers(BUYERS, 0).await.into_iter();
    let roles = shop.gateways.iter_mut().zip(&mut shop.orders);
    for ((gateway, order), ahead_s) in roles.zip([APART_S, -APART_S]) {
        for (role, ahead_s) in [(gateway, ahead_s), (order, -ahead_s)] {
            role.stop().await;
            role.set_calendar(ahead_s).await;
            role.start().await;
        }
    }
    let began_ms = shop.clock.wall_ms();
    let offer =
        Offer { units: 5_000, opens_in: OPENS_IN, closes_in: CLOSES_IN, ..Offer::default() };
    let sale = shop.sell(offer).await;
    let made_ms = shop.clock.wall_ms();

    let doors: Vec<_> = shop.gateways.iter().map(|gateway| gateway.channel()).collect();
    let (mut seen, mut closed) = (Vec::new(), BTreeSet::new());
    let mut ticks = interval(EVERY);
    for turn in 0.. {
        ticks.tick().await;
        let gateway = turn % 2;
        let buyer = buyers.next().expect("there are enough buyers");
        let buyer = Shopper { channel: doors[gateway].clone(), ..buyer };
        let asked_ms = shop.clock.wall_ms();
        let said = match buyer.ticket(&sale.item_id, 1, "mine").await {
            Err(status) => reason(&status),
            Ok(ticket) => match buyer.purchase(&ticket, 1).await {
                Ok(PurchaseState::Accepted) => "ACCEPTED".to_owned(),
                Ok(state) => state.as_str_name().to_owned(),
                Err(status) => reason(&status),
            },
        };
        let answered_ms = shop.clock.wall_ms();
        if said == "CLOSED" {
            closed.insert(gateway);
        }
        seen.push(Seen { said, asked_ms, answered_ms });
        assert!(answered_ms < made_ms + millis(CLOSES_IN + PATIENCE), "the sale never closes");
        if closed.len() == 2 {
            break;
        }
    }
    let accepted = judge(&seen, began_ms, made_ms);

    let ledger = shop.at_rest(sale.shard, PATIENCE).await;
    let rows = shop.rows(sale.shard).await;
    assert_eq!(rows.rejected_orders, 0);
    assert!(rows.live_orders >= accepted, "{accepted} were promised, {} are", rows.live_orders);
    assert_eq!(ledger.stock, u64::from(offer.units) - rows.live_units);
}

/// The window was set between `began_ms` and `made_ms`. Answers how many bought.
fn judge(seen: &[Seen], began_ms: u64, made_ms: u64) -> u64 {
    let (opens, closes) = (millis(OPENS_IN), millis(CLOSES_IN));
    let mut accepted = 0;
    for Seen { said, asked_ms, answered_ms } in seen {
        match said.as_str() {
            "ACCEPTED" => {
                accepted += 1;
                assert!(*answered_ms >= began_ms + opens, "sold early");
                assert!(*asked_ms < made_ms + closes, "sold late");
            }
            "NOT_OPEN" => assert!(*asked_ms < made_ms + opens, "told NOT_OPEN in an open sale"),
            "CLOSED" => assert!(*answered_ms >= began_ms + closes, "told CLOSED in an open sale"),
            "UNAUTHENTICATED" => assert!(*asked_ms < made_ms + opens, "let nobody in"),
            "PURCHASE_STATE_PROCESSING" | "LOADING" => {}
            other => panic!("told {other}"),
        }
    }
    assert!(accepted > 20, "only {accepted} bought anything in a sale of twelve seconds");
    #[expect(clippy::print_stdout, reason = "how many were tried is what makes it a proof")]
    {
        println!("{} asked, {accepted} bought", seen.len());
    }
    accepted
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("not that long")
}
