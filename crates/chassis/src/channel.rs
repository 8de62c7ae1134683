//! Channels to other services: connected when first used, and again when lost; calls are spread
//! over all instances of a service.
//!
//! A channel lives on one runtime, so each serving core makes its own. Time-outs of calls are the
//! caller's ([`crate::Deadline::remaining`]); retries are nobody's here.

mod balanced;
mod standing;

pub use balanced::{Balanced, unable};

use std::time::Duration;

use serde::Deserialize;
use tokio::runtime::Handle;
use tonic::transport::Endpoint;

/// How a channel behaves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelSettings {
    /// 1 s: inside one network a connection takes milliseconds or doesn't come.
    pub connect_timeout_ms: u64,
    /// Idle time before a ping. 10 s: a silently lost peer is noticed before many calls are.
    pub keepalive_interval_ms: u64,
    /// An unanswered ping ends the connection. 5 s.
    pub keepalive_timeout_ms: u64,
    /// What the peer may send ahead on one call. 256 KiB, as the server's.
    pub stream_window_bytes: u32,
    /// What the peer may send ahead on all calls together. 1 MiB, as the server's.
    pub connection_window_bytes: u32,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 1000,
            keepalive_interval_ms: 10_000,
            keepalive_timeout_ms: 5000,
            stream_window_bytes: 256 * 1024,
            connection_window_bytes: 1024 * 1024,
        }
    }
}

/// Text that doesn't name a service: no URL such as `http://127.0.0.1:7001`, or an empty one.
#[derive(Debug, thiserror::Error)]
#[error("{address:?} is not an address of a service such as http://127.0.0.1:7001")]
pub struct BadAddress {
    address: String,
}

/// Channels to all instances of a service at `addresses`: URLs with commas between. They live on
/// `runtime`. Never connects here: calls do, and whatever watches the instances.
///
/// # Errors
/// If one of `addresses` isn't a URL with the scheme http and a host.
pub fn connect_lazy(
    runtime: &Handle,
    addresses: &str,
    settings: &ChannelSettings,
) -> Result<Balanced, BadAddress> {
    let channels = addresses.split(',').map(str::trim).map(|address| {
        let endpoint = endpoint(address, settings)?;
        // The channel's worker is spawned where the channel is made.
        let _on = runtime.enter();
        Ok((address.to_owned(), endpoint.connect_lazy()))
    });
    let channels = channels.collect::<Result<Vec<_>, BadAddress>>()?;
    let connect_timeout = Duration::from_millis(settings.connect_timeout_ms);
    Ok(Balanced::over(runtime, channels, connect_timeout))
}

/// Whether [`connect_lazy`] would take `addresses`.
///
/// # Errors
/// The same.
pub fn check(addresses: &str) -> Result<(), BadAddress> {
    let settings = ChannelSettings::default();
    addresses.split(',').try_for_each(|address| endpoint(address.trim(), &settings).map(drop))
}

fn endpoint(address: &str, settings: &ChannelSettings) -> Result<Endpoint, BadAddress> {
    let refused = || BadAddress { address: address.to_owned() };
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|_| refused())?;
    let uri = endpoint.uri();
    if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) {
        return Err(refused());
    }
    Ok(endpoint
        .connect_timeout(Duration::from_millis(settings.connect_timeout_ms))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_millis(settings.keepalive_interval_ms))
        .keep_alive_timeout(Duration::from_millis(settings.keepalive_timeout_ms))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(settings.stream_window_bytes)
        .initial_connection_window_size(settings.connection_window_bytes))
}

#[cfg(test)]
mod tests;
