//! The configuration files of all roles, as an operator would write them.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path};

use testbed::Port;

use super::{Stores, role::RoleConfig};

/// A prober asks far more often than a buyer would, to see the moment in which it is sold again.
const RATES: &str = "[rates]\nuser = { per_s = 1000, burst = 1000 }\n";

/// Everybody who calls a role hears in time that it leaves, and no story waits long for that.
const GRACE_MS: u64 = 2_000;

/// Several of a role are on this machine, and nobody looks at the metrics of most.
const TELEMETRY: &str = "[telemetry]\nlisten = \"\"\n";

/// Where each role will listen; nobody else gets these ports meanwhile.
pub(super) struct Places {
    ports: Vec<Port>,
}

impl Places {
    pub(super) fn claim() -> Self {
        Self { ports: (0..12).map(|_| Port::claim()).collect() }
    }
}

/// Writes a file for each role, and those that `seckill migrate` reads.
pub(super) fn write(dir: &Path, stores: &Stores, places: &Places) -> Vec<RoleConfig> {
    let [gateway, other_gateway, inventory, other_inventory, order, other_order, user, seen @ ..] =
        places.addresses();
    let redis = format!("redis://{}", stores.redis_door.addr());
    let key = |name: &str| format!("{:?}", path(&dir.join("keys").join(name)));
    let (inventories, orders) = ([inventory, other_inventory], [order, other_order]);
    let called = match &stores.apart {
        None => urls(&inventories),
        Some(apart) => {
            apart.way.point_to(&other_inventory.to_string());
            format!("http://{inventory},http://{}", apart.way.addr())
        }
    };
    let journal = format!(
        "[journal]\nbrokers = \"{}\"\ntopic = \"{}\"\n\
         replication_factor = 1\nmin_insync_replicas = 1\n{TELEMETRY}",
        stores.brokers(),
        stores.topic,
    );

    let of_user = format!(
        "accounts_url = \"{}\"\nsigning_key_file = {}\nrehearsal_allowed = true\n{TELEMETRY}",
        stores.accounts.url(),
        key("signing.pem"),
    );
    let of_inventory = format!(
        "catalog_url = \"{}\"\nledger_url = \"{redis}\"\n\
         [upstream]\norder_svc = \"{}\"\nuser_svc = \"http://{user}\"\n{journal}",
        stores.catalog.url(),
        urls(&orders),
    );
    let of_order = format!(
        "inventory_url = \"{called}\"\n[books]\nurl = \"{}\"\n{journal}",
        stores.books.url(),
    );
    let of_gateway = format!(
        "operator_listen = \"\"\n\
         [upstream]\ninventory = \"{called}\"\norder = \"{}\"\nuser = \"http://{user}\"\n\
         [tickets]\nkey_file = {}\norder_id_key_file = {}\n\
         [identity]\nrehearsal_allowed = true\n\
         [clients]\ntrusted_proxies = [\"127.0.0.0/8\"]\n{RATES}{journal}",
        urls(&orders),
        key("ticket.key"),
        key("order-id.key"),
    );

    let files = [
        ("user", "user-svc", of_user, vec![user]),
        ("inventory", "inventory-svc", of_inventory, inventories.to_vec()),
        ("order", "order-svc", of_order, orders.to_vec()),
        ("gateway", "gateway", of_gateway, vec![gateway, other_gateway]),
    ];
    let mut configs = Vec::new();
    for (name, service, text, addresses) in files {
        save(&dir.join(format!("{service}.toml")), &text);
        for addr in addresses {
            let file = dir.join(format!("{name}-{}.toml", addr.port()));
            let mut text = format!("listen = \"{addr}\"\ngrace_ms = {GRACE_MS}\n{text}");
            let mut looked_at = inventories.iter().chain(&orders).chain([&user]);
            let seen = looked_at.position(|at| *at == addr).map(|place| seen[place]);
            if let Some(seen) = seen {
                text = text.replace(TELEMETRY, &format!("[telemetry]\nlisten = \"{seen}\"\n"));
            }
            if let Some(apart) = stores.apart.as_ref().filter(|_| addr == other_inventory) {
                text = text.replace(&redis, &format!("redis://{}", apart.redis.addr()));
                text = text.replace(stores.catalog.url(), &stores.catalog_behind(&apart.catalog));
            }
            save(&file, &text);
            configs.push(RoleConfig { name, addr, seen, file });
        }
    }
    configs
}

impl Places {
    fn addresses(&self) -> [SocketAddr; 12] {
        std::array::from_fn(|place| ([127, 0, 0, 1], self.ports[place].number()).into())
    }
}

fn urls(addresses: &[SocketAddr]) -> String {
    let urls: Vec<_> = addresses.iter().map(|addr| format!("http://{addr}")).collect();
    urls.join(",")
}

fn save(path: &Path, text: &str) {
    fs::write(path, text).expect("the test's own directory can be written");
}

/// As an argument of a command.
pub(super) fn path(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

/// Writes a file that nobody else can read: others are refused.
pub(super) fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).expect("the test's own directory can be written");
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, private).expect("the file is the test's");
}
