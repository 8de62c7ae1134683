//! Where a caller is, as coarse as it has to be: who has one address of a network has all of it. A
//! /24 of IPv4, and a /64 of IPv6, of which a single house has one or more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network that counts as one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Neighbourhood(IpAddr);

impl Neighbourhood {
    /// The one that an address is in.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self(Ipv4Addr::new(a, b, c, 0).into())
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_and_strangers_are_not() {
        let of = |text: &str| Neighbourhood::of(text.parse().expect("an address"));
        for (one, other, is_same) in [
            ("192.0.2.1", "192.0.2.254", true),
            ("192.0.2.1", "192.0.3.1", false),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("::ffff:192.0.2.1", "192.0.2.7", true),
        ] {
            assert_eq!(of(one) == of(other), is_same, "{one} and {other}");
        }
    }
}
