//! Servers of gRPC, and of HTTP/1.1 where it is wanted, one per serving core, all on one port.
//!
//! Each core has a listener of its own and shares nothing with the others but the count of
//! connections by address. A leave takes readiness back at once, and nothing else. A stop ends the
//! accepting at once, says GOAWAY and lets calls finish; a stream that has no end of its own ends
//! by [`crate::Stopper::of`] its request, or it would hold it up. A dropped [`crate::TaskOwner`]
//! severs connections and drops handlers at their next await.
//! Whatever a peer can make us keep or wait for has a bound in [`ServerSettings`].

use std::net::TcpListener;
use std::sync::Arc;

use tonic::service::Routes;

use crate::cores::Cores;
use crate::malformed::Words;
use crate::server::accept::{Door, accept};
use crate::server::connection::Connections;
use crate::server::seats::{Neighbours, Seats};
use crate::server::tally::Tally;
use crate::server::whole::WholeLayer;
use crate::tasks::{Kind, Tasks};
use crate::telemetry::{SightLayer, Telemetry};

mod accept;
mod body;
mod calls;
mod connection;
mod crowd;
mod flowing;
mod guard;
mod hello;
mod http1;
mod listen;
mod seats;
mod settings;
mod tally;
mod whole;

pub use calls::Peer;
pub use listen::{BindError, Listeners};
pub use settings::{ServerSettings, Tls};

/// Spawns an Essential task for each listener on the serving cores, in turn. `routes` is called on
/// the caller's thread, once for each listener, with the number of its core. Malformed requests are
/// refused in `words`, and `telemetry` sees every call.
pub fn serve(
    tasks: &Tasks,
    cores: &Cores,
    listeners: Listeners,
    settings: &ServerSettings,
    words: Words,
    telemetry: &Telemetry,
    routes: impl Fn(usize) -> Routes,
) {
    let sight = SightLayer::new(telemetry);
    let tally = Tally::new(telemetry, listeners.addr());
    let handles = cores.serving();
    let neighbours = Arc::new(Neighbours::new(settings));
    let (stopper, seen) = (tasks.stopper().clone(), telemetry.clone());
    tasks.spawn_on(cores.background(), Kind::Drained, "leave", async move {
        stopper.leaving().await;
        for health in seen.shown() {
            health.leave().await;
        }
    });
    for (number, listener) in listeners.listeners.into_iter().enumerate() {
        let core = number % handles.len();
        let stopper = tasks.stopper().child();
        let sight = sight.for_another_core();
        let whole = WholeLayer::new(settings, words, tally.crowded_out());
        let calls = calls::stack(routes(core), settings, words, sight, whole, stopper);
        let connections = Arc::new(Connections::new(calls, settings, tasks, tally.clone()));
        let seats = Seats::new(settings.connections_per_core_max, Arc::clone(&neighbours));
        let door = Door { seats, tally: tally.clone(), send_idle_max: settings.send_idle() };
        tasks.spawn_on(&handles[core], Kind::Essential, "server", async move {
            serve_core(listener, door, connections, core).await;
        });
    }
}

async fn serve_core<S: calls::Stack>(
    listener: TcpListener,
    door: Door,
    connections: Arc<Connections<S>>,
    core: usize,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, core, "the listener can't be used"),
    };
    let open = |io, peer, seat| connections.open(io, peer, seat);
    tokio::select! {
        biased;
        () = connections.stopped() => {}
        never = accept(listener, door, open) => match never {},
    }
}

#[cfg(test)]
pub(crate) mod bakery;
#[cfg(test)]
mod tests;
