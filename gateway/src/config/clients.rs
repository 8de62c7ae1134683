//! Who calls, as far as the network shows it.

use ipnet::IpNet;
use serde::Deserialize;

/// Where calls come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// Networks of our own proxies, such as `10.0.0.0/8`.
    pub trusted_proxies: Vec<IpNet>,
}
