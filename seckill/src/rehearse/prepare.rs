//! What happens before the doors open: an operator's sale of its own for this rehearsal, shoppers
//! with tokens, and a ticket for each of them, all through the services' public calls.

use std::{sync::atomic::Ordering, time::Duration};

use chassis::Clock;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::{
    gateway::v1::{IssueTicketRequest, gateway_service_client::GatewayServiceClient},
    inventory::v1::{
        CreateSaleRequest, GetSaleRequest, Money, NewItem, Sale, ScheduleSaleRequest, ShardPhase,
        catalog_service_client::CatalogServiceClient,
    },
    user::v1::{GrantRehearsalRequest, operator_service_client::OperatorServiceClient},
};
use tonic::{Code, Request, Status, metadata::MetadataValue, transport::Channel};

use super::{
    fleet::{Done, Lane, Shopper},
    plan::Plan,
};
use crate::{
    failure::Failure,
    target::{Bearer, timestamp},
};

/// Units that one shopper may have; each wants one.
pub(super) const LIMIT_PER_USER: u32 = 1;

const CALL_WITHIN: Duration = Duration::from_secs(10);
/// Tokens of a million shoppers take a while to sign.
const GRANT_WITHIN: Duration = Duration::from_secs(300);
/// Ticket calls that a worker has under way.
const TICKETS_AT_ONCE: usize = 64;
const TICKET_ATTEMPTS: u32 = 20;
/// How long past its opening a sale may take to be loaded.
const LOADED_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The sale of this rehearsal.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) sale_id: String,
    pub(super) item_id: String,
    /// Milliseconds since the Unix epoch.
    pub(super) opens_at_ms: u64,
}

/// Creates and schedules the sale.
pub(super) async fn make_sale(
    catalog: &mut CatalogServiceClient<Channel>,
    operator: &Bearer,
    plan: &Plan,
    clock: &Clock,
) -> Result<Stage, Failure> {
    let created = CreateSaleRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        title: "Rehearsal".into(),
        items: vec![NewItem {
            sku: "REHEARSAL".into(),
            title: "One of the few".into(),
            price: Some(Money { currency: "EUR".into(), minor_units: 4_900 }),
            total_units: plan.units,
            limit_per_user: LIMIT_PER_USER,
            pay_within_seconds: 0,
            lease_ms: 0,
        }],
    };
    let sale = catalog.create_sale(operator.request(created, CALL_WITHIN)).await;
    let sale = sale.map_err(|status| refused("CreateSale", &status))?.into_inner().sale;
    let sale = sale.ok_or_else(|| Failure::Unavailable("CreateSale answered no sale".into()))?;
    let item = sale.items.first();
    let item = item.ok_or_else(|| Failure::Unavailable("CreateSale answered no item".into()))?;
    let opens_at_ms = clock.wall_ms() + millis(plan.lead());
    let scheduled = ScheduleSaleRequest {
        sale_id: sale.sale_id.clone(),
        opens_at: Some(timestamp(opens_at_ms)),
        closes_at: Some(timestamp(opens_at_ms + millis(plan.open_for()))),
        // The shard is loaded and tickets are issued from now on.
        warm_up_seconds: u32::try_from(plan.lead().as_secs() + 60).unwrap_or(3_600).min(3_600),
    };
    let answer = catalog.schedule_sale(operator.request(scheduled, CALL_WITHIN)).await;
    answer.map_err(|status| refused("ScheduleSale", &status))?;
    Ok(Stage { item_id: item.item_id.clone(), sale_id: sale.sale_id, opens_at_ms })
}

/// Asks user-svc for shoppers.
pub(super) async fn hire_shoppers(
    operators: &mut OperatorServiceClient<Channel>,
    operator: &Bearer,
    plan: &Plan,
    done: Done,
) -> Result<Vec<Shopper>, Failure> {
    let wanted = GrantRehearsalRequest {
        shoppers: plan.shoppers,
        lifetime_seconds: plan.token_lifetime_s(),
    };
    let granted = operators.grant_rehearsal(operator.request(wanted, GRANT_WITHIN)).await;
    let mut granted = granted.map_err(|status| refused("GrantRehearsal", &status))?.into_inner();
    let mut shoppers = Vec::with_capacity(plan.shoppers as usize);
    while let Some(batch) =
        granted.message().await.map_err(|status| refused("GrantRehearsal", &status))?
    {
        for (number, shopper) in (0..plan.shoppers).skip(shoppers.len()).zip(&batch.shoppers) {
            let bearer = Bearer::new(&shopper.access_token).ok_or_else(|| {
                Failure::Unavailable("GrantRehearsal answered an unusable token".into())
            })?;
            let (ticket, order_id) = (String::new(), String::new());
            let address = address(number);
            shoppers.push(Shopper { number, bearer, address, ticket, order_id });
        }
        done.store(shoppers.len() as u64, Ordering::Relaxed);
    }
    if shoppers.len() != plan.shoppers as usize {
        let (got, wanted) = (shoppers.len(), plan.shoppers);
        return Err(Failure::Unavailable(format!(
            "GrantRehearsal gave {got} shoppers of {wanted}"
        )));
    }
    Ok(shoppers)
}

/// Gets a ticket for every shopper of the lane.
pub(super) async fn issue_tickets(
    mut lane: Lane,
    item_id: String,
    done: Done,
) -> Result<Lane, Failure> {
    let calls =
        std::mem::take(&mut lane.shoppers).into_iter().enumerate().map(|(place, shopper)| {
            let (client, item_id, done) = (lane.client(place, 0), &item_id, &done);
            async move {
                let shopper = issue_ticket(client, shopper, item_id).await?;
                done.fetch_add(1, Ordering::Relaxed);
                Ok(shopper)
            }
        });
    // In order, so that each shopper keeps its place and with it its connection.
    lane.shoppers = stream::iter(calls).buffered(TICKETS_AT_ONCE).try_collect().await?;
    Ok(lane)
}

async fn issue_ticket(
    mut client: GatewayServiceClient<Channel>,
    mut shopper: Shopper,
    item_id: &str,
) -> Result<Shopper, Failure> {
    let mut attempt = 1;
    loop {
        let wanted = IssueTicketRequest {
            item_id: item_id.to_owned(),
            quantity: 1,
            request_id: "rehearsal".into(),
        };
        match client.issue_ticket(shopper.request(wanted, CALL_WITHIN)).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                shopper.ticket = answer.ticket;
                shopper.order_id = answer.order_id;
                return Ok(shopper);
            }
            // Asking again for a ticket gives the same one.
            Err(status) if may_pass(&status) && attempt < TICKET_ATTEMPTS => attempt += 1,
            Err(status) => return Err(refused("IssueTicket", &status)),
        }
        tokio::time::sleep(Duration::from_millis(50) * attempt).await;
    }
}

/// Waits until every shard of the sale admits buyers.
pub(super) async fn wait_until_loaded(
    catalog: &mut CatalogServiceClient<Channel>,
    stage: &Stage,
    clock: &Clock,
) -> Result<(), Failure> {
    let give_up_ms = stage.opens_at_ms + millis(LOADED_WITHIN);
    loop {
        let mut request = Request::new(GetSaleRequest { sale_id: stage.sale_id.clone() });
        request.set_timeout(CALL_WITHIN);
        let sale = catalog.get_sale(request).await;
        let sale = sale.map_err(|status| refused("GetSale", &status))?.into_inner().sale;
        if sale.is_some_and(|sale| is_loaded(&sale)) {
            return Ok(());
        }
        if clock.wall_ms() > give_up_ms {
            return Err(Failure::Unavailable("the sale's stock was not loaded in time".into()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Shopper {
    /// A call of this shopper.
    pub(super) fn request<T>(&self, message: T, within: Duration) -> Request<T> {
        let mut request = self.bearer.request(message, within);
        request.metadata_mut().insert("x-forwarded-for", self.address.clone());
        request
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn is_loaded(sale: &Sale) -> bool {
    sale.items.iter().flat_map(|item| &item.shards).all(|shard| shard.phase() == ShardPhase::Open)
}

/// `10.0.0.0` and up: private addresses, one for each shopper.
fn address(number: u32) -> MetadataValue<tonic::metadata::Ascii> {
    let [_, b, c, d] = number.to_be_bytes();
    let text = format!("10.{b}.{c}.{d}");
    MetadataValue::try_from(text).expect("digits and dots may stand in a header")
}

fn may_pass(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled
    )
}

fn refused(call: &str, status: &Status) -> Failure {
    Failure::Unavailable(format!("{call} failed: {}: {}", status.code(), status.message()))
}
