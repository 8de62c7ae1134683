//! Where Redis is: one node, or whoever the sentinels say is the master just now, asked again for
//! every connection. No text of this module holds a password: URLs are shown without who signs in.

use std::path::Path;

use chassis::Secret;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    ProtocolVersion, RedisResult, TlsCertificates, TlsMode,
    aio::MultiplexedConnection,
    io::tcp::TcpSettings,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::sync::Mutex;

use super::RedisSettings;

/// Why an address can't be used, in one sentence that holds no password.
#[derive(Debug, thiserror::Error)]
#[error("ledger_url: {0}")]
pub struct BadAddress(String);

/// Where connections go.
pub(super) enum Address {
    Node(Client),
    /// It remembers the connections to sentinels, hence the lock.
    Sentinels(Mutex<SentinelClient>),
}

const FORMS: &str =
    "must be redis://HOST:PORT[/DB], rediss://..., or redis+sentinel://HOST:PORT,.../MASTER";

/// `url` without user and password: for logs, errors and the catalog.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return if url == "memory" { url.to_owned() } else { "(no address)".to_owned() };
    };
    // A password may hold any character, so all up to the last @ is taken for one.
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{place}")
}

/// What a URL says.
enum Place {
    Node(ConnectionInfo),
    Sentinels { nodes: Vec<ConnectionAddr>, master: String, is_tls: bool },
}

impl Place {
    fn parse(url: &str) -> Option<Self> {
        match url.split_once("://")? {
            ("redis" | "rediss", _) => url.into_connection_info().ok().map(Self::Node),
            ("redis+sentinel", rest) => Self::sentinels(rest, false),
            ("rediss+sentinel", rest) => Self::sentinels(rest, true),
            _ => None,
        }
    }

    fn sentinels(rest: &str, is_tls: bool) -> Option<Self> {
        let (nodes, master) = rest.split_once('/')?;
        if master.is_empty() || master.contains('/') || nodes.contains('@') {
            return None;
        }
        let nodes: Option<Vec<_>> = nodes.split(',').map(|node| sentinel(node, is_tls)).collect();
        Some(Self::Sentinels { nodes: nodes?, master: master.to_owned(), is_tls })
    }
}

/// Whether `url` is one of a Redis, or of sentinels.
///
/// # Errors
/// If it isn't, with the forms that are.
pub fn check(url: &str) -> Result<(), BadAddress> {
    // The driver's own error may quote the URL.
    Place::parse(url).map(drop).ok_or_else(|| BadAddress(FORMS.to_owned()))
}

/// Whether the files that the settings name can be used, as far as that can be seen without Redis.
///
/// # Errors
/// As opening the ledger would say.
pub fn check_files(url: &str, settings: &RedisSettings) -> Result<(), BadAddress> {
    Address::new(url, settings).map(drop)
}

impl Address {
    /// Reads the URL and the files that the settings name.
    pub(super) fn new(url: &str, settings: &RedisSettings) -> Result<Self, BadAddress> {
        let certificates = certificates(&settings.ca_file)?;
        let password = secret(&settings.password_file)?;
        let sentinel_password = secret(&settings.sentinel_password_file)?;
        let built = match Place::parse(url).ok_or_else(|| BadAddress(FORMS.to_owned()))? {
            Place::Node(info) => node(info, &settings.username, password, certificates),
            Place::Sentinels { nodes, master, is_tls } => {
                let redis = (&*settings.username, password);
                let sentinels = (&*settings.sentinel_username, sentinel_password);
                let builder = SentinelClientBuilder::new(nodes, master, SentinelServerType::Master);
                builder.and_then(|builder| {
                    let builder = sign_in(builder, redis, sentinels);
                    if is_tls { trust(builder, certificates) } else { builder }
                        .build()
                        .map(|client| Self::Sentinels(Mutex::new(client)))
                })
            }
        };
        built.map_err(|error| BadAddress(format!("no connection can be made: {error}")))
    }

    /// Makes a connection. Whether a master answers there isn't looked at.
    pub(super) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        match self {
            Self::Node(client) => client.get_multiplexed_async_connection_with_config(config).await,
            Self::Sentinels(sentinels) => {
                let master = sentinels.lock().await.async_get_client().await?;
                master.get_multiplexed_async_connection_with_config(config).await
            }
        }
    }
}

fn node(
    info: ConnectionInfo,
    username: &str,
    password: Option<Secret>,
    certificates: Option<TlsCertificates>,
) -> RedisResult<Address> {
    // The protocol that tells at once when a connection is lost.
    let mut redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    if !username.is_empty() {
        redis = redis.set_username(username);
    }
    if let Some(password) = password {
        redis = redis.set_password(password.expose());
    }
    let info = info.set_redis_settings(redis).set_tcp_settings(tcp());
    let client = match (info.addr(), certificates) {
        (ConnectionAddr::TcpTls { .. }, Some(certificates)) => {
            Client::build_with_tls(info, certificates)
        }
        _ => Client::open(info),
    };
    client.map(Address::Node)
}

/// A call goes at once, not when the answer to the one before it is there.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn sign_in(
    builder: SentinelClientBuilder,
    (redis_user, redis_password): (&str, Option<Secret>),
    (sentinel_user, sentinel_password): (&str, Option<Secret>),
) -> SentinelClientBuilder {
    let mut builder = builder
        .set_client_to_redis_protocol(ProtocolVersion::RESP3)
        .set_client_to_redis_tcp_settings(tcp());
    if !redis_user.is_empty() {
        builder = builder.set_client_to_redis_username(redis_user);
    }
    if let Some(password) = redis_password {
        builder = builder.set_client_to_redis_password(password.expose());
    }
    if !sentinel_user.is_empty() {
        builder = builder.set_client_to_sentinel_username(sentinel_user);
    }
    if let Some(password) = sentinel_password {
        builder = builder.set_client_to_sentinel_password(password.expose());
    }
    builder
}

fn trust(
    builder: SentinelClientBuilder,
    certificates: Option<TlsCertificates>,
) -> SentinelClientBuilder {
    let builder = builder
        .set_client_to_redis_tls_mode(TlsMode::Secure)
        .set_client_to_sentinel_tls_mode(TlsMode::Secure);
    match certificates {
        None => builder,
        Some(certificates) => builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates),
    }
}

fn sentinel(node: &str, is_tls: bool) -> Option<ConnectionAddr> {
    let (host, port) = node.rsplit_once(':')?;
    // The brackets of an IPv6 address are the URL's.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let (host, port) = (host.to_owned(), port.parse().ok()?);
    Some(if is_tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    })
}

fn secret(file: &Path) -> Result<Option<Secret>, BadAddress> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    Secret::read(file).map(Some).map_err(|error| BadAddress(error.to_string()))
}

fn certificates(file: &Path) -> Result<Option<TlsCertificates>, BadAddress> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let pem = std::fs::read(file).map_err(|error| {
        BadAddress(format!("the certificates of {} can't be read: {error}", file.display()))
    })?;
    Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(pem) }))
}

#[cfg(test)]
mod tests;
