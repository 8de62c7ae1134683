//! inventory-svc: what is sold, what is left, and the call that takes units. Reserve is the one
//! call that isn't a read: whatever goes wrong after it was sent is [`ReserveOutcome::Unknown`].
//! It goes to a second instance only if the first says that it could do nothing at all.

use std::time::Duration;

use bytes::Bytes;
use chassis::{Clock, channel::Balanced, logs::Lasting};
use futures::{Stream, StreamExt as _};
use ids::{Epoch, ItemId, OrderId, SaleId, ShardNo, UserId};
use proto::inventory::v1 as wire;
use tonic::Code;

use super::{ReadError, Until, call, millis, nonsense, read_error};
use crate::{
    domain::{
        admission::Level,
        item::{Item, Money, Shard, Window},
        order::InLedger,
        purchase::{Entry, EntryAnswer, EntryRefusal, Hold, ReserveOutcome, Reserved, Settled},
    },
    ledger_time::Reading,
    stock::News,
};

/// The most order ids that one question to the ledger may name.
pub(crate) const FIND_LEN_MAX: usize = 1024;

/// The most shards that one stream may watch.
pub(crate) const WATCH_LEN_MAX: usize = 1024;

const SERVICE: &str = "inventory-svc";

/// A sale that has a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sale {
    pub(crate) id: SaleId,
    pub(crate) title: String,
    pub(crate) window: Window,
    /// Empty in a list of sales.
    pub(crate) items: Vec<Item>,
}

/// What the ledger knows of orders.
#[derive(Debug)]
pub(crate) struct Look {
    /// One for each order, in their order.
    pub(crate) known: Vec<InLedger>,
    /// The epoch, and the ledger's clock in microseconds since the Unix epoch.
    pub(crate) time: Option<(Epoch, u64)>,
}

/// A client of inventory-svc.
#[derive(Debug, Clone)]
pub(crate) struct Inventory {
    ledger: wire::inventory_service_client::InventoryServiceClient<Balanced>,
    catalog: wire::catalog_service_client::CatalogServiceClient<Balanced>,
    channel: Balanced,
    clock: Clock,
    unanswered: Lasting,
}

impl Inventory {
    /// Over a channel that connects when it is first used.
    pub(crate) fn new(channel: Balanced, clock: Clock) -> Self {
        Self {
            ledger: wire::inventory_service_client::InventoryServiceClient::new(channel.clone()),
            catalog: wire::catalog_service_client::CatalogServiceClient::new(channel.clone()),
            channel,
            clock,
            unanswered: Lasting::default(),
        }
    }

    /// Takes units for a batch of one shard, which is part of `item`. `time` is what was last heard
    /// of the ledger's: without it, the batch takes nothing and learns that. An instance that is
    /// cut off from its stores has taken nothing, so another is asked, once, for the same attempts;
    /// never after [`ReserveOutcome::Unknown`].
    pub(crate) async fn reserve(
        &self,
        shard: ShardNo,
        item: ItemId,
        entries: &[Entry],
        time: Option<Reading>,
        until: Until,
    ) -> ReserveOutcome {
        let left = until.left(&self.clock);
        let outcome = self.reserve_once(shard, item, entries, time, left).await;
        let left = until.left(&self.clock);
        if outcome == ReserveOutcome::Unable && !left.is_zero() && self.channel.has_an_able_one() {
            self.reserve_once(shard, item, entries, time, left).await
        } else {
            outcome
        }
    }

    async fn reserve_once(
        &self,
        shard: ShardNo,
        item: ItemId,
        entries: &[Entry],
        time: Option<Reading>,
        limit: Duration,
    ) -> ReserveOutcome {
        let mut client = self.ledger.clone();
        let request = wire::ReserveRequest {
            shard_no: shard.get(),
            entries: entries.iter().map(|entry| reserve_entry(entry, time)).collect(),
            item_id: id_bytes(item.as_bytes()),
        };
        match call(limit, request, |request| async move { client.reserve(request).await }).await {
            Ok(answer) => reserve_outcome(shard, entries, answer),
            Err(status) if status.code() == Code::InvalidArgument => {
                let says = status.message();
                tracing::error!(%shard, says, "a Reserve call was refused as malformed");
                ReserveOutcome::Malformed
            }
            Err(status) => {
                if let Some(unsaid) = self.unanswered.again() {
                    let code = status.code();
                    tracing::warn!(
                        %shard, ?code, unsaid,
                        "a Reserve call has no answer: its buyers are told PROCESSING"
                    );
                }
                ReserveOutcome::Unknown
            }
        }
    }

    /// What the ledger knows of orders of one shard, in their order. At most [`FIND_LEN_MAX`]. With
    /// `bars` nothing comes any more of attempts so far, at those of which it knows nothing.
    pub(crate) async fn find(
        &self,
        shard: ShardNo,
        orders: &[OrderId],
        bars: bool,
        until: Until,
    ) -> Look {
        let mut client = self.ledger.clone();
        let request = wire::FindRequest {
            shard_no: shard.get(),
            order_ids: orders.iter().map(|order| id_bytes(order.as_bytes())).collect(),
            bars,
        };
        let limit = until.left(&self.clock);
        let answer = call(limit, request, |request| async move { client.find(request).await });
        let answer = match answer.await {
            Ok(answer) if answer.states.len() == orders.len() => answer,
            Ok(_) => {
                nonsense(SERVICE, "Find");
                wire::FindResponse::default()
            }
            Err(status) => {
                read_error(SERVICE, &status);
                wire::FindResponse::default()
            }
        };
        let last = Epoch::from_wire(answer.retired_epoch).ok().flatten();
        // One that doesn't tell the time is of the version before, and bars nothing.
        let time = Epoch::from_wire(answer.epoch).ok().flatten().map(|in_| (in_, answer.now_us));
        let time = time.filter(|(_, now_us)| *now_us > 0);
        let state = |place| answer.states.get(place);
        let known = |place| state(place).map_or(InLedger::CannotTell, |state| found(*state, last));
        let known = |place| match known(place) {
            InLedger::Nothing if time.is_none() => InLedger::CannotTell,
            known => known,
        };
        Look { known: (0..orders.len()).map(known).collect(), time }
    }

    /// News of the stock of shards, until the stream breaks.
    pub(crate) async fn watch_stock(
        &self,
        shards: &[ShardNo],
        connect_limit: Duration,
    ) -> Result<impl Stream<Item = Option<News>> + Send + Unpin + use<>, ReadError> {
        let mut client = self.ledger.clone();
        let shard_nos = shards.iter().map(|shard| shard.get()).collect();
        let request = wire::WatchStockRequest { shard_nos };
        // Only the beginning has a limit: the stream itself has none.
        let stream = tokio::time::timeout(connect_limit, client.watch_stock(request)).await;
        let stream = stream.map_err(|_elapsed| ReadError::Unavailable)?;
        let stream = stream.map_err(|status| read_error(SERVICE, &status))?.into_inner();
        Ok(stream.map(|news| news.ok().and_then(|news| stock_news(&news))))
    }

    /// An item of a scheduled sale.
    pub(crate) async fn item(&self, item: ItemId, limit: Duration) -> Result<Item, ReadError> {
        let mut client = self.catalog.clone();
        let by = wire::get_item_request::By::ItemId(item.to_string());
        let request = wire::GetItemRequest { by: Some(by) };
        let answer = call(limit, request, |request| async move { client.get_item(request).await });
        let answer = answer.await.map_err(|status| read_error(SERVICE, &status))?;
        if answer.sale_state() != wire::SaleState::Scheduled {
            return Err(ReadError::NotFound);
        }
        let window = window(answer.opens_at, answer.closes_at, answer.warm_up_seconds);
        let known = answer.item.zip(window).and_then(|(item, window)| item_facts(item, window));
        known.filter(|known| known.id == item).ok_or_else(|| nonsense(SERVICE, "GetItem"))
    }

    /// A scheduled sale with its items.
    pub(crate) async fn sale(&self, sale: SaleId, limit: Duration) -> Result<Sale, ReadError> {
        let mut client = self.catalog.clone();
        let request = wire::GetSaleRequest { sale_id: sale.to_string() };
        let answer = call(limit, request, |request| async move { client.get_sale(request).await });
        let answer = answer.await.map_err(|status| read_error(SERVICE, &status))?;
        let answer = answer.sale.ok_or_else(|| nonsense(SERVICE, "GetSale"))?;
        if answer.state() != wire::SaleState::Scheduled {
            return Err(ReadError::NotFound);
        }
        sale_facts(answer).ok_or_else(|| nonsense(SERVICE, "GetSale"))
    }

    /// A page of the scheduled sales, without their items, and the token of the next one. Pages
    /// may be shorter than asked for, since drafts are left out.
    pub(crate) async fn sales(
        &self,
        page_size: u32,
        page_token: String,
        limit: Duration,
    ) -> Result<(Vec<Sale>, String), ReadError> {
        let mut client = self.catalog.clone();
        let request = wire::ListSalesRequest { page_size, page_token };
        let answer =
            call(limit, request, |request| async move { client.list_sales(request).await });
        let answer = answer.await.map_err(|status| read_error(SERVICE, &status))?;
        let scheduled = |sale: &wire::Sale| sale.state() == wire::SaleState::Scheduled;
        let sales = answer.sales.into_iter().filter(scheduled).map(sale_facts);
        let sales = sales.collect::<Option<Vec<_>>>();
        Ok((sales.ok_or_else(|| nonsense(SERVICE, "ListSales"))?, answer.next_page_token))
    }
}

fn id_bytes(id: &[u8; 16]) -> Bytes {
    Bytes::copy_from_slice(id)
}

fn reserve_entry(entry: &Entry, time: Option<Reading>) -> wire::ReserveEntry {
    let placed_at = time.map_or(wire::PlacedAt { epoch: 0, us: 0 }, |time| wire::PlacedAt {
        epoch: time.epoch.get(),
        us: time.us_at(entry.placed_at),
    });
    wire::ReserveEntry {
        order_id: id_bytes(entry.order.as_bytes()),
        user_id: id_bytes(entry.user.as_bytes()),
        quantity: entry.quantity,
        unit_price: entry.unit_price,
        ticket_expires_ms: entry.ticket_expires_ms,
        traceparent: entry.traceparent.clone(),
        placed_at: Some(placed_at),
    }
}

/// An answer that doesn't fit the question proves nothing: holds may exist.
fn reserve_outcome(
    shard: ShardNo,
    entries: &[Entry],
    answer: wire::ReserveResponse,
) -> ReserveOutcome {
    use wire::reserve_response::Answer;
    match answer.answer {
        Some(Answer::Batch(batch)) => match reserved(entries, batch) {
            Ok(reserved) => ReserveOutcome::Answered(reserved),
            Err(what) => {
                tracing::error!(%shard, what, "a Reserve answer makes no sense");
                ReserveOutcome::Unknown
            }
        },
        Some(Answer::Refusal(refusal)) => match wire::ShardRefusal::try_from(refusal) {
            Ok(wire::ShardRefusal::Loading) => ReserveOutcome::Loading,
            Ok(wire::ShardRefusal::Unreachable) => ReserveOutcome::Unable,
            Ok(wire::ShardRefusal::Retired) => ReserveOutcome::Retired,
            Ok(wire::ShardRefusal::UnknownShard) => {
                // The ticket is ours, so the shard exists: that catalog is behind.
                tracing::error!(%shard, "inventory-svc doesn't know a shard that was sold from");
                ReserveOutcome::Loading
            }
            Ok(wire::ShardRefusal::Unspecified) | Err(_) => {
                tracing::error!(%shard, refusal, "a Reserve refusal makes no sense");
                ReserveOutcome::Unknown
            }
        },
        None => {
            tracing::error!(%shard, "a Reserve answer is empty");
            ReserveOutcome::Unknown
        }
    }
}

fn reserved(entries: &[Entry], batch: wire::ReservedBatch) -> Result<Reserved, &'static str> {
    let epoch = Epoch::new(batch.epoch).map_err(|_| "its epoch")?;
    if batch.answers.len() != entries.len() {
        return Err("the number of its answers");
    }
    let answers = entries.iter().zip(batch.answers);
    let answers = answers.map(|(entry, answer)| entry_answer(entry, answer));
    Ok(Reserved {
        epoch,
        lease_lapsed: batch.lease_lapsed,
        answers: answers.collect::<Result<_, _>>()?,
        now_us: batch.now_us,
    })
}

fn entry_answer(entry: &Entry, answer: wire::EntryAnswer) -> Result<EntryAnswer, &'static str> {
    use wire::entry_answer::Answer;
    match answer.answer {
        Some(Answer::Held(stored) | Answer::Open(stored)) => {
            let stored = hold(stored).ok_or("a hold")?;
            if stored.order != entry.order {
                return Err("a hold of another order");
            }
            Ok(EntryAnswer::Hold(stored))
        }
        Some(Answer::Settled(state)) => match wire::SettledState::try_from(state) {
            Ok(wire::SettledState::Placed) => Ok(EntryAnswer::Settled(Settled::Placed)),
            Ok(wire::SettledState::Rejected) => Ok(EntryAnswer::Settled(Settled::Rejected)),
            Ok(wire::SettledState::Released) => Ok(EntryAnswer::Settled(Settled::Released)),
            Ok(wire::SettledState::Unspecified) | Err(_) => Err("a settled state"),
        },
        Some(Answer::Refusal(why)) => {
            let why = wire::EntryRefusal::try_from(why).ok().and_then(refusal);
            why.map(EntryAnswer::Refused).ok_or("a refusal")
        }
        None => Err("an empty answer"),
    }
}

fn refusal(why: wire::EntryRefusal) -> Option<EntryRefusal> {
    match why {
        wire::EntryRefusal::Unspecified => None,
        wire::EntryRefusal::NotOpen => Some(EntryRefusal::NotOpen),
        wire::EntryRefusal::Closed => Some(EntryRefusal::Closed),
        wire::EntryRefusal::TicketExpired => Some(EntryRefusal::TicketExpired),
        wire::EntryRefusal::Paused => Some(EntryRefusal::Paused),
        wire::EntryRefusal::LimitReached => Some(EntryRefusal::LimitReached),
        wire::EntryRefusal::SoldOut => Some(EntryRefusal::SoldOut),
        wire::EntryRefusal::TooLate => Some(EntryRefusal::TooLate),
    }
}

fn hold(stored: wire::Hold) -> Option<Hold> {
    Some(Hold {
        order: OrderId::try_from(stored.order_id.as_ref()).ok()?,
        user: UserId::try_from(stored.user_id.as_ref()).ok()?,
        quantity: stored.quantity,
        unit_price: stored.unit_price,
        taken_at_ms: stored.taken_at_ms,
        traceparent: stored.traceparent,
    })
}

/// `last` is the epoch of a retired shard.
fn found(state: i32, last: Option<Epoch>) -> InLedger {
    match wire::FoundState::try_from(state) {
        Ok(wire::FoundState::Open) => InLedger::Open,
        Ok(wire::FoundState::Settled) => InLedger::Settled,
        Ok(wire::FoundState::Nothing) => InLedger::Nothing,
        Ok(wire::FoundState::Retired) => last.map_or(InLedger::CannotTell, InLedger::Retired),
        Ok(wire::FoundState::Unknown | wire::FoundState::Unspecified) | Err(_) => {
            InLedger::CannotTell
        }
    }
}

fn stock_news(news: &wire::WatchStockResponse) -> Option<News> {
    let shard = ShardNo::new(news.shard_no).ok()?;
    let level = news.is_open.then_some(Level { units_left: news.left, is_paused: news.paused });
    Some(News { shard, epoch: news.epoch, version: news.version, level })
}

fn window(
    opens_at: Option<prost_types::Timestamp>,
    closes_at: Option<prost_types::Timestamp>,
    warm_up_seconds: u32,
) -> Option<Window> {
    let opens_ms = opens_at.as_ref().and_then(millis)?;
    let closes_ms = closes_at.as_ref().and_then(millis)?;
    let tickets_from_ms = opens_ms.saturating_sub(u64::from(warm_up_seconds) * 1000);
    (opens_ms < closes_ms).then_some(Window { tickets_from_ms, opens_ms, closes_ms })
}

fn sale_facts(sale: wire::Sale) -> Option<Sale> {
    let window = window(sale.opens_at, sale.closes_at, sale.warm_up_seconds)?;
    Some(Sale {
        id: sale.sale_id.parse().ok()?,
        title: sale.title,
        window,
        items: sale
            .items
            .into_iter()
            .map(|item| item_facts(item, window))
            .collect::<Option<_>>()?,
    })
}

fn item_facts(item: wire::Item, window: Window) -> Option<Item> {
    let id = item.item_id.parse().ok()?;
    let shards = item.shards.into_iter().map(|shard| shard_facts(id, shard));
    let shards: Vec<_> = shards.collect::<Option<_>>()?;
    let price = item.price?;
    let is_sane = !shards.is_empty() && price.minor_units >= 0;
    is_sane.then_some(Item {
        id,
        sale: item.sale_id.parse().ok()?,
        sku: item.sku,
        title: item.title,
        price: Money { currency: price.currency, minor_units: price.minor_units },
        total_units: item.total_units,
        limit_per_user: item.limit_per_user,
        window,
        shards,
    })
}

fn shard_facts(item: ItemId, shard: wire::Shard) -> Option<Shard> {
    let no = ShardNo::new(shard.shard_no).ok()?;
    let lease = Duration::from_millis(shard.lease_ms.into());
    (!lease.is_zero()).then_some(Shard { no, item, partition: shard.partition, lease })
}
