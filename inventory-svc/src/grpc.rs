//! How we are asked: gRPC messages become values of the domain, answers become messages, and
//! refusals become statuses (in `status.rs` only). Decides nothing.

pub(crate) mod catalog;
pub(crate) mod inventory;
pub(crate) mod status;

use chassis::reflection::BadDescriptors;
use tonic::service::Routes;

/// Reflection over everything that the suite offers.
pub(crate) fn reflection() -> Result<Routes, BadDescriptors> {
    let descriptors = [proto::DESCRIPTORS, tonic_types::pb::FILE_DESCRIPTOR_SET];
    chassis::reflection::reflection(&descriptors)
}
