//! Where the services are that a command talks to: at the addresses that `seckill dev` wrote into
//! its data directory, or at those of the command line. Also makes the connections to them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use chassis::Secret;
use serde::{Deserialize, Serialize};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::failure::Failure;

/// The file of addresses in the data directory of `seckill dev`.
pub(crate) const ADDRESSES_FILE: &str = "addresses.json";
/// The operator's token in the data directory of `seckill dev`.
pub(crate) const OPERATOR_TOKEN_FILE: &str = "operator.token";

/// Long enough for a busy machine, short enough not to look hung.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Where to find the services.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct TargetArgs {
    /// Data directory of a running `seckill dev`; the other addresses override what it says
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The gateways, such as http://127.0.0.1:50050; several with commas between
    #[arg(long, value_name = "URL")]
    pub(crate) gateway: Option<String>,
    /// inventory-svc
    #[arg(long, value_name = "URL")]
    pub(crate) inventory: Option<String>,
    /// order-svc
    #[arg(long, value_name = "URL")]
    pub(crate) order: Option<String>,
    /// user-svc
    #[arg(long, value_name = "URL")]
    pub(crate) user: Option<String>,
}

/// What `addresses.json` holds: a URL for each service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Addresses {
    pub(crate) gateway: String,
    pub(crate) inventory: String,
    pub(crate) order: String,
    pub(crate) user: String,
}

/// The services that a command may ask for; only those that it does ask for must be known.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    args: TargetArgs,
    written: Option<Addresses>,
}

impl TargetArgs {
    /// Reads the data directory, if one is named.
    pub(crate) fn resolve(&self) -> Result<Target, Failure> {
        let written = self.data.as_deref().map(read_addresses).transpose()?;
        Ok(Target { args: self.clone(), written })
    }
}

impl Target {
    /// One or more.
    pub(crate) fn gateways(&self) -> Result<Vec<Endpoint>, Failure> {
        let urls = self.url("gateway", &self.args.gateway, |written| &written.gateway)?;
        urls.split(',').map(|url| endpoint("gateway", url.trim())).collect()
    }

    pub(crate) fn inventory(&self) -> Result<Endpoint, Failure> {
        self.endpoint("inventory", &self.args.inventory, |written| &written.inventory)
    }

    pub(crate) fn order(&self) -> Result<Endpoint, Failure> {
        self.endpoint("order", &self.args.order, |written| &written.order)
    }

    pub(crate) fn user(&self) -> Result<Endpoint, Failure> {
        self.endpoint("user", &self.args.user, |written| &written.user)
    }

    fn endpoint(
        &self,
        name: &str,
        given: &Option<String>,
        written: impl Fn(&Addresses) -> &String,
    ) -> Result<Endpoint, Failure> {
        endpoint(name, self.url(name, given, written)?)
    }

    fn url<'a>(
        &'a self,
        name: &str,
        given: &'a Option<String>,
        written: impl Fn(&'a Addresses) -> &'a String,
    ) -> Result<&'a str, Failure> {
        let url = given.as_ref().or(self.written.as_ref().map(written)).ok_or_else(|| {
            Failure::Usage(format!(
                "say where the services are: --data DIR of a running `seckill dev`, or --{name} URL"
            ))
        })?;
        Ok(url)
    }

    /// The file of the operator's token: the given one, or the one in the data directory.
    pub(crate) fn operator_token(&self, given: Option<&Path>) -> Result<Bearer, Failure> {
        let in_data = self.args.data.as_ref().map(|dir| dir.join(OPERATOR_TOKEN_FILE));
        let path = given.map(Path::to_owned).or(in_data).ok_or_else(|| {
            Failure::Usage(
                "name the file of an operator's token: --operator-token-file FILE".into(),
            )
        })?;
        let token = Secret::read(&path)
            .map_err(|error| Failure::Usage(format!("can't read the operator's token: {error}")))?;
        Bearer::new(token.expose().trim()).ok_or_else(|| {
            Failure::Usage(format!("{} doesn't hold an operator's token", path.display()))
        })
    }
}

fn endpoint(name: &str, url: &str) -> Result<Endpoint, Failure> {
    if !url.starts_with("http://") {
        return Err(Failure::Usage(format!(
            "--{name} must be a URL such as http://127.0.0.1:50050, not {url}"
        )));
    }
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|error| Failure::Usage(format!("--{name} {url} can't be used: {error}")))?;
    Ok(endpoint
        .connect_timeout(CONNECT_WITHIN)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10)))
}

/// Connects now, so that a service that isn't there is noticed before anything is begun.
pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Channel, Failure> {
    endpoint.connect().await.map_err(|error| {
        let reason = innermost(&error);
        Failure::Unavailable(format!("nobody answers at {}: {reason}", endpoint.uri()))
    })
}

/// An access token as it stands in a request's metadata. Marked sensitive: it is neither printed by
/// `Debug` nor kept in the compression table of a connection, where it would only push others out.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    /// `None` if the token isn't a text that a header can carry.
    pub(crate) fn new(token: &str) -> Option<Self> {
        if token.is_empty() {
            return None;
        }
        let mut value = MetadataValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// A request with this token and a deadline.
    pub(crate) fn request<T>(&self, message: T, within: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.0.clone());
        request.set_timeout(within);
        request
    }
}

/// Milliseconds since the Unix epoch as messages carry them.
pub(crate) fn timestamp(ms: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(ms / 1_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(ms % 1_000).unwrap_or(0) * 1_000_000,
    }
}

fn read_addresses(dir: &Path) -> Result<Addresses, Failure> {
    let path = dir.join(ADDRESSES_FILE);
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::Usage(format!(
            "can't read {} (is `seckill dev` running?): {error}",
            path.display()
        ))
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Usage(format!("{} can't be used: {error}", path.display())))
}

/// The cause that a person can do something about stands at the end of the chain.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Addresses {
        Addresses {
            gateway: "http://127.0.0.1:1".into(),
            inventory: "http://127.0.0.1:2".into(),
            order: "http://127.0.0.1:3".into(),
            user: "http://127.0.0.1:4".into(),
        }
    }

    #[test]
    fn the_command_line_goes_before_the_data_directory() {
        let dir = tempfile::tempdir().unwrap();
        let text = serde_json::to_string(&written()).unwrap();
        fs::write(dir.path().join(ADDRESSES_FILE), text).unwrap();
        let args = TargetArgs {
            data: Some(dir.path().to_owned()),
            order: Some("http://127.0.0.1:9".into()),
            ..TargetArgs::default()
        };
        let target = args.resolve().unwrap();
        assert_eq!(target.gateways().unwrap()[0].uri().to_string(), "http://127.0.0.1:1/");
        assert_eq!(target.order().unwrap().uri().to_string(), "http://127.0.0.1:9/");
    }

    #[test]
    fn there_may_be_several_gateways() {
        let gateway = Some("http://127.0.0.1:1, http://127.0.0.1:2".into());
        let target = TargetArgs { gateway, ..TargetArgs::default() }.resolve().unwrap();
        let ports: Vec<_> =
            target.gateways().unwrap().iter().map(|at| at.uri().port_u16()).collect();
        assert_eq!(ports, [Some(1), Some(2)]);
    }

    #[test]
    fn an_address_that_nobody_gave_is_asked_for_by_name() {
        let target = TargetArgs::default().resolve().unwrap();
        let failure = target.inventory().unwrap_err();
        assert!(matches!(&failure, Failure::Usage(says) if says.contains("--inventory")));
    }

    #[test]
    fn a_token_is_never_printed() {
        let bearer = Bearer::new("secret").unwrap();
        assert!(!format!("{bearer:?}").contains("secret"));
        let request = bearer.request((), Duration::from_secs(1));
        assert!(!format!("{request:?}").contains("secret"));
    }
}
