//! How we are asked: gRPC messages become values of the domain, answers become messages, and
//! refusals become statuses (in `status.rs` only). Decides nothing.

mod events;
mod operator_service;
mod status;
mod token_service;
mod user_service;

pub(crate) use operator_service::OperatorHandlers;
pub(crate) use status::words;
pub(crate) use token_service::TokenHandlers;
pub(crate) use user_service::UserHandlers;

use chassis::{
    Health,
    reflection::{BadDescriptors, Offered, reflection},
};
use proto::user::v1::{
    operator_service_server::OperatorServiceServer, token_service_server::TokenServiceServer,
    user_service_server::UserServiceServer,
};
use tonic::service::Routes;

/// The largest request: two short texts have 4 KiB at most, however they are escaped.
const REQUEST_LEN_MAX: usize = 16 * 1024;

/// What reflection tells: all services, and the reasons of refusals.
const OFFERED: Offered<'static> = Offered {
    contract: proto::DESCRIPTORS,
    services: &[
        "seckill.user.v1.OperatorService",
        "seckill.user.v1.TokenService",
        "seckill.user.v1.UserService",
    ],
    packages: &["seckill.error.v1"],
};

/// All services, reflection over them, and their `health`.
pub(crate) fn routes(
    users: UserHandlers,
    operators: OperatorHandlers,
    tokens: TokenHandlers,
    health: &Health,
) -> Result<Routes, BadDescriptors> {
    let routes = reflection(OFFERED)?.add_service(health.service(OFFERED.services));
    let users = UserServiceServer::new(users).max_decoding_message_size(REQUEST_LEN_MAX);
    let operators =
        OperatorServiceServer::new(operators).max_decoding_message_size(REQUEST_LEN_MAX);
    let tokens = TokenServiceServer::new(tokens).max_decoding_message_size(REQUEST_LEN_MAX);
    Ok(routes.add_service(users).add_service(operators).add_service(tokens))
}

/// Seconds since 1970, as the contract writes a time.
fn timestamp(seconds: u64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: 0 }
}
