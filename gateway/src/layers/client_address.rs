//! Where a call came from: the peer of its connection, or, if that is one of our own proxies, what
//! the proxies have seen. `X-Forwarded-For` is read from the right, since whatever stands further
//! left was written by who sent it; the first address that isn't a proxy of ours is the client's.
//! Nothing that a client sends can make it another one, or cost more than a few hops to read.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll},
};

use chassis::server::Peer;
use http::{HeaderMap, Request};
use ipnet::IpNet;
use tonic::server::NamedService;
use tower::{Layer, Service};

/// More proxies of our own than anybody has in a row.
const HOPS_MAX: usize = 8;

/// The client's address, in the extensions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Leaves a [`ClientAddress`] in each request.
#[derive(Debug, Clone)]
pub(crate) struct ClientAddressLayer {
    proxies: Arc<[IpNet]>,
}

impl ClientAddressLayer {
    /// Believes what comes from `proxies`, and from nobody else.
    pub(crate) fn new(proxies: &[IpNet]) -> Self {
        Self { proxies: proxies.into() }
    }
}

impl<S> Layer<S> for ClientAddressLayer {
    type Service = WithClientAddress<S>;

    fn layer(&self, inner: S) -> WithClientAddress<S> {
        WithClientAddress { proxies: Arc::clone(&self.proxies), inner }
    }
}

/// A service whose requests have a [`ClientAddress`].
#[derive(Debug, Clone)]
pub(crate) struct WithClientAddress<S> {
    proxies: Arc<[IpNet]>,
    inner: S,
}

impl<S: NamedService> NamedService for WithClientAddress<S> {
    const NAME: &'static str = S::NAME;
}

impl<B, S: Service<Request<B>>> Service<Request<B>> for WithClientAddress<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(Peer(peer)) = request.extensions().get() {
            let address = client_of(peer.ip(), request.headers(), &self.proxies);
            request.extensions_mut().insert(ClientAddress(address));
        }
        self.inner.call(request)
    }
}

/// Who sent a request that came from `peer`.
fn client_of(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_proxy = |address: IpAddr| proxies.iter().any(|net| net.contains(&address));
    // An IPv4 client of an IPv6 socket is the same client.
    let mut nearest = peer.to_canonical();
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        if !is_proxy(nearest) {
            break;
        }
        // What our proxy didn't write as an address tells nothing; so the proxy is the client.
        let Some(seen) = address(hop.trim()) else { break };
        nearest = seen;
    }
    nearest
}

/// Some proxies write the port, too.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse().ok().map(|socket: SocketAddr| socket.ip());
    let address: IpAddr = text.parse().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `peer | lines of X-Forwarded-For, each in its own | → client`, behind the proxies 10.0.0.0/8
    /// and fd00::/8.
    fn check(case: &str) {
        let (input, expected) = case.split_once('→').unwrap();
        let mut parts = input.split('|').map(str::trim);
        let peer = parts.next().unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in parts.filter(|line| !line.is_empty()) {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let proxies = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap());
        let client = client_of(peer, &headers, &proxies);
        assert_eq!(client.to_string(), expected.trim(), "{case}");
    }

    #[test]
    fn only_our_own_proxies_are_believed_and_from_the_right() {
        for case in [
            "192.0.2.1 | → 192.0.2.1",
            "192.0.2.1 | 198.51.100.7 → 192.0.2.1",
            "10.0.0.1 | → 10.0.0.1",
            "10.0.0.1 | 198.51.100.7 → 198.51.100.7",
            // What the client wrote itself stands further left.
            "10.0.0.1 | 203.0.113.9, 198.51.100.7 → 198.51.100.7",
            "10.0.0.1 | 203.0.113.9, 198.51.100.7, 10.0.0.2 → 198.51.100.7",
            "10.0.0.1 | 203.0.113.9 | 198.51.100.7, 10.0.0.2 → 198.51.100.7",
            "10.0.0.1 | 10.9.9.9, 198.51.100.7 → 198.51.100.7",
            // Someone inside.
            "10.0.0.1 | 10.0.0.3, 10.0.0.2 → 10.0.0.3",
            "10.0.0.1 | nonsense → 10.0.0.1",
            "10.0.0.1 | 203.0.113.9, nonsense, 10.0.0.2 → 10.0.0.2",
            "10.0.0.1 | 203.0.113.9, , 10.0.0.2 → 10.0.0.2",
            // One client, however it is written.
            "::ffff:192.0.2.1 | → 192.0.2.1",
            "::ffff:10.0.0.1 | ::ffff:198.51.100.7 → 198.51.100.7",
            "10.0.0.1 | 198.51.100.7:4711 → 198.51.100.7",
            "fd00::1 | [2001:db8::7]:4711 → 2001:db8::7",
            "fd00::1 | 2001:db8::7 → 2001:db8::7",
        ] {
            check(case);
        }
    }

    #[test]
    fn a_long_header_is_not_read_to_its_end() {
        let far = "10.0.0.9, ".repeat(1000);
        check(&format!("10.0.0.1 | 198.51.100.7, {far}10.0.0.2 → 10.0.0.9"));
    }
}
