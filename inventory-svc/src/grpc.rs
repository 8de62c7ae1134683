//! How we are asked: gRPC messages become values of the domain, answers become messages, and
//! refusals become statuses (in `status.rs` only). Decides nothing.

pub(crate) mod catalog;
pub(crate) mod inventory;
pub(crate) mod status;

use chassis::reflection::Offered;

/// What reflection tells: both services, and the reasons of refusals.
pub(crate) const OFFERED: Offered<'static> = Offered {
    contract: proto::DESCRIPTORS,
    services: &["seckill.inventory.v1.CatalogService", "seckill.inventory.v1.InventoryService"],
    packages: &["seckill.error.v1"],
};
