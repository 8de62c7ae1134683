//! What a call passes before its handler, from the outside in:
//!
//! 1. connection bounds and deadline (chassis): a call that is too late costs nothing more;
//! 2. the bound on calls in flight: before anything is decoded, so that refusing stays cheap;
//! 3. the decoder's bound on the size of a message ([`edge::services`]): tickets are small;
//! 4. the handler: identity, ticket, local view, coalescer, in this order.
//!
//! Rates, breakers and the adaptive bound will stand between 2 and 4.

use tonic::service::Routes;

use crate::{
    edge::{self, Edge, Reception},
    layers::in_flight::{InFlight, Room},
};

/// Adds the public services of one core to `routes`.
pub(crate) fn routes(routes: Routes, edge: Edge, reception: Reception, calls_max: usize) -> Routes {
    let room = Room::new(calls_max);
    let (edge, reception) = edge::services(edge, reception);
    routes
        .add_service(InFlight::new(edge, room.clone()))
        .add_service(InFlight::new(reception, room))
        .prepare()
}
