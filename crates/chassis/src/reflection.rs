//! gRPC reflection, v1 and v1alpha: generic clients list and describe what a server offers.
//!
//! It tells of what is served at this door and nothing else: a contract may describe services of
//! other servers, and one that isn't here must not be listed here.

use std::collections::HashSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::service::Routes;
use tonic_reflection::server::Builder;

/// Descriptors that don't describe what is offered: a fault of the build.
#[derive(Debug, thiserror::Error)]
pub enum BadDescriptors {
    /// They can't be read.
    #[error("the descriptor sets for reflection can't be used: {0}")]
    Unusable(#[from] tonic_reflection::server::Error),
    /// They lack a service that is offered.
    #[error("the contract has no service {0}")]
    NoService(String),
}

/// What of a contract a server offers.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    /// Encoded descriptors of the whole contract.
    pub contract: &'a [u8],
    /// Full names of the services that are served.
    pub services: &'a [&'a str],
    /// Packages that clients look up though no service names them: the reasons of errors, say.
    pub packages: &'a [&'a str],
}

/// Routes with both reflection services over what is `offered`, what it imports, health and the
/// details of errors. Add a service's own routes to a clone of them for each core.
///
/// # Errors
/// If the contract can't be decoded, or lacks a service that is offered.
pub fn reflection(offered: Offered<'_>) -> Result<Routes, BadDescriptors> {
    let files = files(offered)?;
    Ok(Routes::new(builder(&files).build_v1()?).add_service(builder(&files).build_v1alpha()?))
}

fn builder(files: &FileDescriptorSet) -> Builder<'static> {
    Builder::configure()
        .register_file_descriptor_set(files.clone())
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

/// The contract without what isn't offered.
fn files(offered: Offered<'_>) -> Result<FileDescriptorSet, BadDescriptors> {
    let Offered { contract, services, packages } = offered;
    let mut files =
        FileDescriptorSet::decode(contract).map_err(tonic_reflection::server::Error::from)?;
    let mut missing: HashSet<_> = services.iter().copied().collect();
    let mut wanted = Vec::new();
    for file in &mut files.file {
        let package = file.package().to_owned();
        file.service.retain(|service| {
            let full_name = format!("{package}.{}", service.name());
            missing.remove(&*full_name);
            services.contains(&&*full_name)
        });
        if !file.service.is_empty() || packages.contains(&&*package) {
            wanted.push(file.name().to_owned());
        }
    }
    if let Some(name) = missing.into_iter().next() {
        return Err(BadDescriptors::NoService(name.to_owned()));
    }

    let mut kept = HashSet::new();
    while let Some(name) = wanted.pop() {
        let file = files.file.iter().find(|file| file.name() == name);
        wanted.extend(file.into_iter().flat_map(|file| file.dependency.iter().cloned()));
        kept.insert(name);
    }
    files.file.retain(|file| kept.contains(file.name()));
    Ok(files)
}

#[cfg(test)]
mod tests;
