//! What is set up before a round, through the public calls: shoppers with tokens, a sale that is
//! open, a ticket in every hand; and what is counted after it, row by row.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chassis::Clock;
use prost::Message as _;
use proto::{
    gateway::v1::{IssueTicketRequest, IssueTicketResponse, PurchaseRequest},
    inventory::v1::{
        self as inventory, CreateSaleRequest, GetSaleRequest, Money, NewItem, ScheduleSaleRequest,
        ShardPhase,
    },
    order::v1::CountShardRequest,
    user::v1::GrantRehearsalRequest,
};

use crate::{
    failure::{Failure, refused},
    load::{Answer, Call, Caller, Fleet, Target, framed},
    shop::Shop,
};

pub(crate) const PURCHASE: &str = "/seckill.gateway.v1.GatewayService/Purchase";
const ISSUE_TICKET: &str = "/seckill.gateway.v1.GatewayService/IssueTicket";

/// As good as for ever.
pub(crate) const OPEN_FOR: Duration = Duration::from_secs(24 * 60 * 60);
const TOKEN_LIFETIME_S: u32 = 3_600;
/// For a shard to be loaded, or for the books to catch up.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const TICKETS_AT_ONCE: usize = 128;
const TICKET_ROUNDS: usize = 50;
const CONNECTIONS: usize = 8;

/// Buyers with tokens that the gateway has just begun to know.
#[derive(Debug)]
pub(crate) struct Crowd {
    callers: Vec<Caller>,
}

/// An item that is open.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) sale_id: String,
    pub(crate) item_id: String,
    pub(crate) shard_no: u32,
}

/// What an item is sold by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SaleTerms {
    pub(crate) units: u32,
    pub(crate) limit_per_user: u32,
    pub(crate) open_for: Duration,
}

/// What a shard has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Rows of live orders.
    pub(crate) rows: u64,
    /// Holds that the books have not decided.
    pub(crate) open_holds: u64,
}

impl Crowd {
    /// Asks user-svc for so many.
    pub(crate) async fn hire(shop: &mut Shop, count: u32) -> Result<Self, Failure> {
        let wanted = GrantRehearsalRequest { shoppers: count, lifetime_seconds: TOKEN_LIFETIME_S };
        let wanted = shop.operators(wanted);
        let granted = shop.operators.grant_rehearsal(wanted).await;
        let mut granted = granted.map_err(refused("GrantRehearsal"))?.into_inner();
        let mut callers = Vec::with_capacity(count as usize);
        while let Some(batch) = granted.message().await.map_err(refused("GrantRehearsal"))? {
            for (number, shopper) in (0..count).skip(callers.len()).zip(&batch.shoppers) {
                callers.push(Caller::new(&shopper.access_token, number)?);
            }
        }
        Ok(Self { callers })
    }

    /// One of them, in turn.
    pub(crate) fn caller(&self, at: usize) -> Caller {
        self.callers[at % self.callers.len()].clone()
    }

    /// A first attempt to buy for each of them, with a ticket of its own for `offer`.
    pub(crate) async fn purchases(
        &self,
        fleet: &Fleet,
        shop: &Shop,
        offer: &Offer,
    ) -> Result<Arc<[Call]>, Failure> {
        let wish = IssueTicketRequest {
            item_id: offer.item_id.clone(),
            quantity: 1,
            request_id: "bench".into(),
        };
        let body = framed(&wish);
        let tickets: Arc<Mutex<Vec<Option<String>>>> =
            Arc::new(Mutex::new(vec![None; self.callers.len()]));
        let target = Target {
            address: shop.gateway,
            method: ISSUE_TICKET,
            in_flight: TICKETS_AT_ONCE,
            connections: CONNECTIONS,
        };
        let mut why = String::new();
        for _ in 0..TICKET_ROUNDS {
            let missing: Vec<usize> = {
                let tickets = tickets.lock().unwrap_or_else(PoisonError::into_inner);
                (0..tickets.len()).filter(|&at| tickets[at].is_none()).collect()
            };
            if missing.is_empty() {
                break;
            }
            let call =
                |&at: &usize| Call { caller: Some(self.callers[at].clone()), body: body.clone() };
            let calls: Arc<[Call]> = missing.iter().map(call).collect();
            let keep = Arc::clone(&tickets);
            let read = move |number: usize, answer: &Answer| match ticket(answer) {
                Ok(ticket) => {
                    let mut tickets = keep.lock().unwrap_or_else(PoisonError::into_inner);
                    tickets[missing[number]] = Some(ticket);
                    Cow::Borrowed("issued")
                }
                Err(why) => Cow::Owned(why),
            };
            let round = fleet.round(target, calls, Arc::new(read)).await?;
            why = format!("{:?}", round.counts);
        }
        let mut tickets = tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = self.callers.iter().zip(tickets.iter_mut()).map(|(caller, ticket)| {
            let ticket = ticket.take().ok_or_else(|| Failure(format!("IssueTicket: {why}")))?;
            let body = framed(&PurchaseRequest { ticket, attempt: 1 });
            Ok(Call { caller: Some(caller.clone()), body })
        });
        calls.collect()
    }
}

fn ticket(answer: &Answer) -> Result<String, String> {
    match answer {
        Answer::Message(message) => IssueTicketResponse::decode(Bytes::clone(message))
            .map(|issued| issued.ticket)
            .map_err(|error| error.to_string()),
        Answer::Refused(why) | Answer::Lost(why) => Err(why.clone()),
    }
}

impl Shop {
    /// A sale of its own of one item, open from now on, loaded and admitting.
    pub(crate) async fn open(&mut self, terms: SaleTerms) -> Result<Offer, Failure> {
        let created = CreateSaleRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            title: "Bench".into(),
            items: vec![NewItem {
                sku: "BENCH".into(),
                title: "One of many".into(),
                price: Some(Money { currency: "EUR".into(), minor_units: 4_900 }),
                total_units: terms.units,
                limit_per_user: terms.limit_per_user,
                pay_within_seconds: 0,
                lease_ms: 0,
            }],
        };
        let request = self.operators(created);
        let sale = self.catalog.create_sale(request).await.map_err(refused("CreateSale"))?;
        let sale = sale.into_inner().sale.unwrap_or_default();
        let item = sale.items.into_iter().next();
        let item = item.ok_or_else(|| Failure("CreateSale answered no item".into()))?;
        let shard_no = item.shards.first().map_or(0, |shard| shard.shard_no);
        let now_ms = Clock::system().wall_ms();
        let open_for_ms = u64::try_from(terms.open_for.as_millis()).unwrap_or(u64::MAX);
        let scheduled = ScheduleSaleRequest {
            sale_id: sale.sale_id.clone(),
            opens_at: Some(timestamp(now_ms)),
            closes_at: Some(timestamp(now_ms + open_for_ms)),
            warm_up_seconds: 0,
        };
        let request = self.operators(scheduled);
        self.catalog.schedule_sale(request).await.map_err(refused("ScheduleSale"))?;
        let offer = Offer { sale_id: sale.sale_id, item_id: item.item_id, shard_no };
        self.await_loaded(&offer).await?;
        Ok(offer)
    }

    async fn await_loaded(&mut self, offer: &Offer) -> Result<(), Failure> {
        let clock = Clock::system();
        let give_up = clock.now() + PATIENCE;
        loop {
            let request = GetSaleRequest { sale_id: offer.sale_id.clone() };
            let sale = self.catalog.get_sale(request).await.map_err(refused("GetSale"))?;
            let sale = sale.into_inner().sale.unwrap_or_default();
            let mut shards = sale.items.iter().flat_map(|item| &item.shards);
            if shards.all(|shard| shard.phase() == ShardPhase::Open) {
                return Ok(());
            }
            if clock.now() > give_up {
                return Err(Failure("a sale was not loaded in time".into()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Counts the rows of an item.
    pub(crate) async fn count(&mut self, offer: &Offer) -> Result<Counted, Failure> {
        let shard_no = offer.shard_no;
        let ledger = self.ledger.count_shard(inventory::CountShardRequest { shard_no }).await;
        let ledger = ledger.map_err(refused("CountShard of the ledger"))?.into_inner();
        let books = self.books.count_shard(CountShardRequest { shard_no }).await;
        let books = books.map_err(refused("CountShard of the books"))?.into_inner();
        Ok(Counted { rows: books.live_orders, open_holds: ledger.open_holds })
    }

    /// Waits until no hold of an item is open, and counts its rows.
    pub(crate) async fn rows_at_rest(&mut self, offer: &Offer) -> Result<u64, Failure> {
        let clock = Clock::system();
        let give_up = clock.now() + PATIENCE;
        loop {
            let counted = self.count(offer).await?;
            if counted.open_holds == 0 {
                return Ok(counted.rows);
            }
            if clock.now() > give_up {
                return Err(Failure(format!("the books did not catch up: {counted:?}")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn timestamp(ms: u64) -> prost_types::Timestamp {
    let nanos = i32::try_from(ms % 1_000).unwrap_or(0) * 1_000_000;
    prost_types::Timestamp { seconds: i64::try_from(ms / 1_000).unwrap_or(i64::MAX), nanos }
}
