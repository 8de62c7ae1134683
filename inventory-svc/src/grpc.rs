//! How we are asked: gRPC messages become values of the domain, answers become messages, and
//! refusals become statuses (in `status.rs` only). Decides nothing.

pub(crate) mod catalog;
pub(crate) mod inventory;
pub(crate) mod status;

use chassis::reflection::{self, BadDescriptors, Offered};
use tonic::service::Routes;

/// Reflection over both services.
pub(crate) fn reflection() -> Result<Routes, BadDescriptors> {
    reflection::reflection(Offered {
        contract: proto::DESCRIPTORS,
        services: &["seckill.inventory.v1.CatalogService", "seckill.inventory.v1.InventoryService"],
        packages: &["seckill.error.v1"],
    })
}
