//! What an operator does before the doors open: a sale is made, shoppers are hired.

use std::time::Duration;

use chassis::Clock;
use ids::ShardNo;
use proto::{
    inventory::v1::{
        CreateSaleRequest, Money, NewItem, ScheduleSaleRequest,
        catalog_service_client::CatalogServiceClient,
    },
    user::v1::{GrantRehearsalRequest, operator_service_client::OperatorServiceClient},
};
use tonic::{Code, Request, transport::Channel};

use super::{PATIENCE, Shopper, eventually};

/// What is sold, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) units: u32,
    pub(crate) limit_per_user: u32,
    /// Of one, in cents.
    pub(crate) price: i64,
    pub(crate) lease: Duration,
    /// From when it is made.
    pub(crate) opens_in: Duration,
    /// See `opens_in`.
    pub(crate) closes_in: Duration,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            units: 10,
            limit_per_user: 1,
            price: 4_900,
            lease: Duration::from_secs(2),
            opens_in: Duration::ZERO,
            closes_in: Duration::from_secs(3_600),
        }
    }
}

/// A sale of one item, loaded, and open if it is to be open at once.
#[derive(Debug, Clone)]
pub(crate) struct OpenSale {
    pub(crate) sale_id: String,
    pub(crate) item_id: String,
    pub(crate) shard: ShardNo,
    pub(crate) lease: Duration,
}

/// With an operator's token in its head.
pub(crate) fn as_operator<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("tokens are ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

/// What asks for a sale of one item.
pub(crate) fn draft_of(offer: Offer) -> CreateSaleRequest {
    let price = Money { currency: "EUR".to_owned(), minor_units: offer.price };
    let item = NewItem {
        sku: "LAMP".to_owned(),
        title: "A lamp".to_owned(),
        price: Some(price),
        total_units: offer.units,
        limit_per_user: offer.limit_per_user,
        pay_within_seconds: 0,
        lease_ms: u32::try_from(offer.lease.as_millis()).expect("a lease is short"),
    };
    CreateSaleRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        title: "A sale".to_owned(),
        items: vec![item],
    }
}

/// Makes a sale of one item. Its shard has yet to be loaded.
pub(crate) async fn make_sale(
    mut catalog: CatalogServiceClient<Channel>,
    operator: &str,
    offer: Offer,
) -> OpenSale {
    let created = draft_of(offer);
    // The books may have to read up first; the request id makes asking again harmless.
    let created = eventually("the sale is made", PATIENCE, async || {
        match catalog.create_sale(as_operator(operator, created.clone())).await {
            Err(status) if status.code() == Code::Unavailable => None,
            answer => Some(answer.expect("it is good").into_inner()),
        }
    })
    .await;
    let sale_id = created.sale.expect("an answer has a sale").sale_id;
    let now_ms = Clock::system().wall_ms();
    let later_ms = |by: Duration| now_ms + u64::try_from(by.as_millis()).expect("not that long");
    let scheduled = ScheduleSaleRequest {
        sale_id: sale_id.clone(),
        opens_at: Some(timestamp(later_ms(offer.opens_in))),
        closes_at: Some(timestamp(later_ms(offer.closes_in))),
        warm_up_seconds: 0,
    };
    let scheduled = catalog.schedule_sale(as_operator(operator, scheduled)).await;
    let scheduled = scheduled.expect("it is good").into_inner();
    let item = scheduled.sale.expect("an answer has a sale").items.remove(0);
    let shard = ShardNo::new(item.shards[0].shard_no).expect("the catalog numbers from 1");
    OpenSale { sale_id, item_id: item.item_id, shard, lease: offer.lease }
}

/// Buyers that share one connection to a gateway.
pub(crate) async fn hire(
    mut operators: OperatorServiceClient<Channel>,
    operator: &str,
    count: u32,
    gateway: &Channel,
) -> Vec<Shopper> {
    let grant = GrantRehearsalRequest { shoppers: count, lifetime_seconds: 600 };
    let grant = operators.grant_rehearsal(as_operator(operator, grant)).await.expect("allowed");
    let mut stream = grant.into_inner();
    let mut shoppers = Vec::new();
    while let Some(part) = stream.message().await.expect("the grant doesn't break") {
        let hired = part.shoppers.into_iter();
        shoppers.extend(
            hired.map(|shopper| Shopper { token: shopper.access_token, channel: gateway.clone() }),
        );
    }
    assert_eq!(shoppers.len(), count as usize);
    shoppers
}

fn timestamp(ms: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(ms / 1_000).expect("before the end of time"),
        nanos: i32::try_from(ms % 1_000).expect("below a second") * 1_000_000,
    }
}
