//! gRPC reflection, v1 and v1alpha: generic clients list and describe what a server offers.

use tonic::service::Routes;
use tonic_reflection::server::Builder;

/// Descriptors that can't be decoded: a fault of the build.
#[derive(Debug, thiserror::Error)]
#[error("the descriptor sets for reflection can't be used: {0}")]
pub struct BadDescriptors(#[from] tonic_reflection::server::Error);

/// Routes with both reflection services over the encoded `descriptor_sets`. Add a service's own
/// routes to a clone of them for each core.
///
/// # Errors
/// If a set can't be decoded.
pub fn reflection(descriptor_sets: &[&[u8]]) -> Result<Routes, BadDescriptors> {
    Ok(Routes::new(builder(descriptor_sets).build_v1()?)
        .add_service(builder(descriptor_sets).build_v1alpha()?))
}

fn builder<'a>(descriptor_sets: &[&'a [u8]]) -> Builder<'a> {
    descriptor_sets.iter().fold(Builder::configure(), |builder, set| {
        builder.register_encoded_file_descriptor_set(set)
    })
}
