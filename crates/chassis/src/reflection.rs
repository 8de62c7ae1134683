//! gRPC reflection, v1 and v1alpha: generic clients list and describe what a server offers.
//!
//! It tells of what is served at this door and nothing else: a contract may describe services of
//! other servers, and one that isn't here must not be listed here. Tools keep their stream open
//! between questions, and for as long as they run: it ends in order at the bounds of the server
//! ([`crate::server`]), and doesn't hold up a stop.

use std::collections::HashSet;
use std::future::ready;

use futures::StreamExt as _;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use tonic_reflection::pb;
use tonic_reflection::server::Builder;

use crate::stop::Stopper;

/// The longest question that is decoded: ten times the longest name.
const QUESTION_LEN_MAX: usize = 4 * 1024;

/// Whether a call of this path asks for reflection: the one kind of call here that streams its
/// requests.
pub(crate) fn is_reflection(path: &str) -> bool {
    let version = path.strip_prefix("/grpc.reflection.");
    let method = version.and_then(|rest| rest.split_once('.'));
    method.is_some_and(|(_, method)| method == "ServerReflection/ServerReflectionInfo")
}

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
    let v1 = v1::ending(builder(&files).build_v1()?);
    let v1alpha = v1alpha::ending(builder(&files).build_v1alpha()?);
    Ok(Routes::new(v1).add_service(v1alpha))
}

/// A module with the API in that version. tonic's service answers until its client has no more
/// questions; here the questions end with the server, too. The service can't be reached but as a
/// client reaches it: that costs a second coding, and nobody reflects in a hurry.
macro_rules! ending {
    ($version:ident) => {
        mod $version {
            use pb::$version::server_reflection_client::ServerReflectionClient;
            use pb::$version::server_reflection_server::{
                ServerReflection, ServerReflectionServer,
            };
            use pb::$version::{ServerReflectionRequest, ServerReflectionResponse};

            use super::*;

            pub(super) fn ending<T: ServerReflection>(
                service: ServerReflectionServer<T>,
            ) -> ServerReflectionServer<impl ServerReflection> {
                let ending = Ending(ServerReflectionClient::new(service));
                ServerReflectionServer::new(ending).max_decoding_message_size(QUESTION_LEN_MAX)
            }

            struct Ending<T>(ServerReflectionClient<ServerReflectionServer<T>>);

            #[tonic::async_trait]
            impl<T: ServerReflection> ServerReflection for Ending<T> {
                type ServerReflectionInfoStream = Streaming<ServerReflectionResponse>;

                async fn server_reflection_info(
                    &self,
                    request: Request<Streaming<ServerReflectionRequest>>,
                ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
                    let stopped = Stopper::of(request.extensions()).into_stopped();
                    let questions = request.into_inner().scan((), |(), one| ready(one.ok()));
                    self.0.clone().server_reflection_info(questions.take_until(stopped)).await
                }
            }
        }
    };
}

ending!(v1);
ending!(v1alpha);

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
