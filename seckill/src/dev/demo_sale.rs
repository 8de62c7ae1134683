//! The sale that a visitor finds open: made by an operator through the public call, like any other.
//! A shop that is started again on the same data finds the sale of that day and makes no second
//! one.

use std::time::Duration;

use chassis::Clock;
use proto::inventory::v1::{
    CreateSaleRequest, Money, NewItem, Sale, SaleState, ScheduleSaleRequest,
    catalog_service_client::CatalogServiceClient,
};
use tonic::{Status, transport::Channel};

use crate::{
    failure::Failure,
    target::{Bearer, timestamp},
};

pub(super) const UNITS: u32 = 500;
pub(super) const LIMIT_PER_USER: u32 = 2;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const CALL_WITHIN: Duration = Duration::from_secs(10);

/// Creates and schedules the demo sale of today, open for 24 hours from now.
pub(super) async fn open_demo_sale(
    channel: Channel,
    operator: &Bearer,
    lease_ms: u32,
    clock: &Clock,
) -> Result<Sale, Failure> {
    let mut catalog = CatalogServiceClient::new(channel);
    let now_ms = clock.wall_ms();
    let created = CreateSaleRequest {
        request_id: format!("demo-{}", now_ms / DAY_MS),
        title: "Demo sale".into(),
        items: vec![
            item("LAMP", "A desk lamp of the last series", 4_900, lease_ms),
            item("RADIO", "A radio that was never made again", 12_900, lease_ms),
        ],
    };
    let answer = catalog.create_sale(operator.request(created, CALL_WITHIN)).await;
    let sale = made(answer.map_err(|status| failed(&status))?.into_inner().sale)?;
    match sale.state() {
        SaleState::Scheduled => Ok(sale),
        SaleState::Draft | SaleState::Unspecified => {
            let scheduled = ScheduleSaleRequest {
                sale_id: sale.sale_id.clone(),
                opens_at: Some(timestamp(now_ms)),
                closes_at: Some(timestamp(now_ms + DAY_MS)),
                warm_up_seconds: 0,
            };
            let answer = catalog.schedule_sale(operator.request(scheduled, CALL_WITHIN)).await;
            made(answer.map_err(|status| failed(&status))?.into_inner().sale)
        }
    }
}

fn item(sku: &str, title: &str, minor_units: i64, lease_ms: u32) -> NewItem {
    NewItem {
        sku: sku.into(),
        title: title.into(),
        price: Some(Money { currency: "EUR".into(), minor_units }),
        total_units: UNITS,
        limit_per_user: LIMIT_PER_USER,
        pay_within_seconds: 0,
        lease_ms,
    }
}

fn made(sale: Option<Sale>) -> Result<Sale, Failure> {
    sale.ok_or_else(|| Failure::Machine("the demo sale could not be made: no answer".into()))
}

fn failed(status: &Status) -> Failure {
    Failure::Machine(format!(
        "the demo sale could not be made: {}: {}",
        status.code(),
        status.message()
    ))
}
