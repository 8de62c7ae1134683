//! How many connections there may be: on a core, and from one address over all cores.
//!
//! An address is an IPv4 address, or the /64 of an IPv6 one, since that is what a single customer
//! gets. Networks that are exempt (proxies, through which everybody comes) aren't counted by
//! address. What is kept is bounded by the connections that are open.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::server::settings::ServerSettings;

/// The seats of one core.
#[derive(Debug)]
pub(super) struct Seats {
    free: Arc<Semaphore>,
    neighbours: Arc<Neighbours>,
}

/// What one connection takes, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    _core: OwnedSemaphorePermit,
    _among: Option<Counted>,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The core has as many connections as it may.
    Core,
    /// The address has.
    Address,
}

impl Seats {
    pub(super) fn new(max: usize, neighbours: Arc<Neighbours>) -> Self {
        Self { free: Arc::new(Semaphore::new(max)), neighbours }
    }

    /// A seat for a connection from `peer`, if there is one. Never waits.
    pub(super) fn take(&self, peer: IpAddr) -> Result<Seat, Full> {
        let core = Arc::clone(&self.free).try_acquire_owned().map_err(|_| Full::Core)?;
        let among = Neighbours::count(&self.neighbours, peer)?;
        Ok(Seat { _core: core, _among: among })
    }
}

/// The connections of each address, over all cores.
#[derive(Debug)]
pub(super) struct Neighbours {
    max: usize,
    uncapped: Vec<IpNet>,
    /// No address has 0. The lock is taken when a connection comes and when it goes.
    open: Mutex<HashMap<IpAddr, usize>>,
}

#[derive(Debug)]
struct Counted {
    among: Arc<Neighbours>,
    address: IpAddr,
}

impl Neighbours {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        Self {
            max: settings.connections_per_address_max.unwrap_or(usize::MAX),
            uncapped: settings.connections_uncapped_from.clone(),
            open: Mutex::default(),
        }
    }

    /// `None` for who isn't counted.
    fn count(this: &Arc<Self>, peer: IpAddr) -> Result<Option<Counted>, Full> {
        let peer = peer.to_canonical();
        if this.max == usize::MAX || this.uncapped.iter().any(|net| net.contains(&peer)) {
            return Ok(None);
        }
        let address = of_one_customer(peer);
        let mut open = this.open();
        let connections = open.entry(address).or_insert(0);
        if *connections >= this.max {
            return Err(Full::Address);
        }
        *connections += 1;
        Ok(Some(Counted { among: Arc::clone(this), address }))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // No panic can leave a count half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.among.open();
        if let Some(connections) = open.get_mut(&self.address) {
            *connections -= 1;
            if *connections == 0 {
                open.remove(&self.address);
            }
        }
    }
}

fn of_one_customer(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(core_max: usize, address_max: usize) -> Seats {
        let settings = ServerSettings {
            connections_per_address_max: Some(address_max),
            ..ServerSettings::default()
        };
        Seats::new(core_max, Arc::new(Neighbours::new(&settings)))
    }

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn address_gets_its_share_over_all_cores_and_gets_it_back() {
        let one = seats(10, 2);
        let other = Seats::new(10, Arc::clone(&one.neighbours));
        let _first = one.take(ip("192.0.2.1")).unwrap();
        let second = other.take(ip("::ffff:192.0.2.1")).unwrap();
        assert_eq!(one.take(ip("192.0.2.1")).unwrap_err(), Full::Address);
        let _neighbour = one.take(ip("192.0.2.2")).unwrap();
        drop(second);
        one.take(ip("192.0.2.1")).unwrap();
    }

    #[test]
    fn addresses_of_one_customer_count_as_one() {
        let seats = seats(10, 1);
        let _seat = seats.take(ip("2001:db8:0:1::1")).unwrap();
        assert_eq!(seats.take(ip("2001:db8:0:1:ffff::2")).unwrap_err(), Full::Address);
        seats.take(ip("2001:db8:0:2::1")).unwrap();
    }

    #[test]
    fn own_machine_is_not_counted() {
        let seats = seats(3, 1);
        let _seats =
            [ip("127.0.0.1"), ip("127.8.0.1"), ip("::1")].map(|ip| seats.take(ip).unwrap());
        assert_eq!(seats.take(ip("127.0.0.1")).unwrap_err(), Full::Core);
        assert!(seats.neighbours.open().is_empty());
    }

    #[test]
    fn nothing_is_kept_of_those_who_left_or_were_turned_away() {
        let seats = seats(1, 1);
        let seat = seats.take(ip("192.0.2.1")).unwrap();
        assert_eq!(seats.take(ip("192.0.2.2")).unwrap_err(), Full::Core);
        drop(seat);
        assert!(seats.neighbours.open().is_empty());
        assert_eq!(seats.free.available_permits(), 1);
    }
}
