//! One process for each role on real stores: Redis, Kafka and MariaDB as `make stores` starts them.
//! Databases, topic and ledger keys are of this shop alone. All else is as configured by default.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use testbed::Database;
use uuid::Uuid;

use super::{Places, Shop, read, renew};
use crate::{
    failure::{Failure, failed},
    process::Process,
};

/// Roles of other shops may be on this machine.
const FREE_METRICS: &str = "[telemetry]\nlisten = \"127.0.0.1:0\"\n";

/// Where the stores are.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Stores {
    /// Redis, such as redis://127.0.0.1:6379
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,
    /// Kafka, such as 127.0.0.1:9092
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) kafka: Option<String>,
    /// MariaDB or MySQL without a database, such as mysql://root@127.0.0.1:3306
    #[arg(long, value_name = "URL")]
    pub(crate) mariadb: Option<String>,
}

/// The same, all of them there.
struct All<'a> {
    redis: &'a str,
    kafka: &'a str,
    mariadb: &'a str,
}

impl Stores {
    fn all(&self) -> Option<All<'_>> {
        let Self { redis, kafka, mariadb } = self;
        Some(All {
            redis: redis.as_deref()?,
            kafka: kafka.as_deref()?,
            mariadb: mariadb.as_deref()?,
        })
    }
}

impl Shop {
    /// A gateway, an inventory-svc, an order-svc and a user-svc on `stores`, with their files in
    /// `dir`, which is made anew. `None` if a store is missing.
    pub(crate) async fn real(
        seckill: &Path,
        dir: PathBuf,
        stores: &Stores,
    ) -> Result<Option<Self>, Failure> {
        let Some(stores) = stores.all() else { return Ok(None) };
        renew(&dir)?;
        let keys = dir.join("keys");
        run(seckill, &["keys", "--dir", &keys.display().to_string()])?;
        let mut databases = Vec::new();
        for _ in 0..3 {
            databases.push(Database::create(stores.mariadb).await);
        }
        let ports = free_ports()?;
        let places = Places {
            gateway: format!("http://127.0.0.1:{}", ports[0]),
            inventory: format!("http://127.0.0.1:{}", ports[1]),
            order: format!("http://127.0.0.1:{}", ports[2]),
            user: format!("http://127.0.0.1:{}", ports[3]),
        };
        for (name, text) in configurations(&places, &stores, &databases, &keys) {
            fs::write(dir.join(name).with_extension("toml"), text).map_err(failed(name))?;
        }
        run(seckill, &["migrate", "--config-dir", &dir.display().to_string()])?;
        let mut processes = Vec::new();
        for role in ["user", "inventory", "order", "gateway"] {
            let name = if role == "gateway" { role.to_owned() } else { format!("{role}-svc") };
            let config = dir.join(&name).with_extension("toml").display().to_string();
            let arguments = [role, "--config", &config].map(str::to_owned);
            let log = dir.join(&name).with_extension("log");
            processes.push(Process::start(seckill, &arguments, &[], log).await?.0);
        }
        // The door is closed first.
        processes.reverse();
        let operator = dir.join("operator.token");
        let token = Command::new(seckill)
            .args(["operator-token", "--name", "bench", "--key"])
            .arg(keys.join("signing.pem"))
            .output()
            .map_err(failed("can't make an operator's token"))?;
        fs::write(&operator, token.stdout).map_err(failed(operator.display()))?;
        let shop = Self::connect(processes, &places, read(&operator)?.trim(), databases).await?;
        Ok(Some(shop))
    }
}

/// The file of each role, by its name.
fn configurations(
    at: &Places,
    stores: &All<'_>,
    databases: &[Database],
    keys: &Path,
) -> [(&'static str, String); 4] {
    let listen = |url: &str| format!("listen = {:?}\n", url.trim_start_matches("http://"));
    let journal = format!(
        "[journal]\nbrokers = {:?}\ntopic = \"seckill.bench.{}\"\n\
         # One broker: what a measurement has, and a real sale has not.\n\
         replication_factor = 1\nmin_insync_replicas = 1\n{FREE_METRICS}",
        stores.kafka,
        Uuid::new_v4().simple(),
    );
    let (ledger, keys) = (format!("{}/2", stores.redis.trim_end_matches('/')), keys.display());
    let user = format!(
        "{}accounts_url = {:?}\nsigning_key_file = \"{keys}/signing.pem\"\n\
         rehearsal_allowed = true\n{FREE_METRICS}",
        listen(&at.user),
        databases[0].url(),
    );
    let inventory = format!(
        "{}catalog_url = {:?}\nledger_url = {ledger:?}\n[upstream]\norder_svc = {:?}\n\
         user_svc = {:?}\n{journal}",
        listen(&at.inventory),
        databases[1].url(),
        at.order,
        at.user,
    );
    let order = format!(
        "{}inventory_url = {:?}\n[books]\nurl = {:?}\n{journal}",
        listen(&at.order),
        at.inventory,
        databases[2].url(),
    );
    let gateway = format!(
        "{}operator_listen = \"\"\n[upstream]\ninventory = {:?}\norder = {:?}\nuser = {:?}\n\
         [tickets]\nkey_file = \"{keys}/ticket.key\"\norder_id_key_file = \"{keys}/order-id.key\"\n\
         [identity]\nrehearsal_allowed = true\n\
         # Buyers of a measurement say their addresses as a proxy of ours would.\n\
         [clients]\ntrusted_proxies = [\"127.0.0.0/8\"]\n{journal}",
        listen(&at.gateway),
        at.inventory,
        at.order,
        at.user,
    );
    [("user-svc", user), ("inventory-svc", inventory), ("order-svc", order), ("gateway", gateway)]
}

fn run(seckill: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let ran = Command::new(seckill).args(arguments).output().map_err(failed("seckill"))?;
    if ran.status.success() {
        return Ok(());
    }
    let (what, says) = (arguments.join(" "), String::from_utf8_lossy(&ran.stderr).into_owned());
    Err(Failure(format!("seckill {what}: {says}")))
}

/// Ports that were free a moment ago.
fn free_ports() -> Result<Vec<u16>, Failure> {
    let listeners = (0..4).map(|_| TcpListener::bind("127.0.0.1:0"));
    let listeners: Vec<_> = listeners.collect::<Result<_, _>>().map_err(failed("no free port"))?;
    let ports = listeners.iter().map(|listener| Ok(listener.local_addr()?.port()));
    ports.collect::<Result<_, std::io::Error>>().map_err(failed("no free port"))
}
