//! What a call passes before its handler, from the outside in:
//!
//! 1. connection bounds and deadline (chassis): a call that is too late costs nothing more;
//! 2. the bound on calls in flight: before anything is decoded, so that refusing stays cheap;
//! 3. the decoder's bound on the size of a message: tickets and tokens are small;
//! 4. the handler: identity, ticket, local view, coalescer, in this order.
//!
//! Rates, breakers and the adaptive bound will stand between 2 and 4.

use proto::{
    gateway::v1::gateway_service_server::GatewayServiceServer,
    user::v1::user_service_server::UserServiceServer,
};
use tonic::service::Routes;

use crate::{
    edge::{Edge, Reception},
    layers::in_flight::{InFlight, Room},
};

/// The longest message that is decoded: ten times what a ticket needs.
const REQUEST_LEN_MAX: usize = 4 * 1024;

/// Adds the public services of one core to `routes`.
pub(crate) fn routes(routes: Routes, edge: Edge, reception: Reception, calls_max: usize) -> Routes {
    let room = Room::new(calls_max);
    let edge = GatewayServiceServer::new(edge).max_decoding_message_size(REQUEST_LEN_MAX);
    let reception = UserServiceServer::new(reception).max_decoding_message_size(REQUEST_LEN_MAX);
    routes
        .add_service(InFlight::new(edge, room.clone()))
        .add_service(InFlight::new(reception, room))
        .prepare()
}
