//! `seckill dev`: the whole shop in one process on the embedded stores, with a sale open, for
//! looking around. The services are the real ones and speak gRPC to each other over the loopback;
//! only what is under them differs from production, and the screen says what that doesn't prove.

mod data_dir;
mod demo_sale;
mod shop;

use std::{
    net::SocketAddr, path::PathBuf, sync::Arc, thread::available_parallelism, time::Duration,
};

use chassis::{
    Clock, Cores, TelemetryOwner, TelemetrySettings,
    logs::{self, LogFormat, LogSettings},
};
use ipnet::IpNet;
use proto::inventory::v1::Sale;
use tonic::transport::Endpoint;

use self::{
    data_dir::DataDir,
    shop::{RunningShop, Shop},
};
use crate::{
    failure::Failure,
    screen::{complain, counted, say},
    signals::{self, Signals},
    target::{Bearer, connect},
};

/// A day: as long as the demo sale is open.
const OPERATOR_TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// For all services together, after a first signal and once the books have what was accepted.
const DRAIN_WITHIN: Duration = Duration::from_secs(15);
/// So soon the user hears of what the books don't have yet. 3 s: they need some milliseconds.
const UNREAD_SAID_AFTER: Duration = Duration::from_secs(3);
/// So long the books get for it: time to make room on a disk, say. What they don't take is lost.
const UNREAD_WITHIN: Duration = Duration::from_secs(600);
/// How often a drain is looked at.
const DRAIN_LOOK: Duration = Duration::from_secs(1);
/// For the last spans: a collector that is there takes milliseconds.
const TELEMETRY_DRAINS_WITHIN: Duration = Duration::from_secs(2);
/// For runtimes that have nothing left to do.
const RUNTIMES_END_WITHIN: Duration = Duration::from_secs(2);

/// Run the whole shop in this process, on embedded stores
#[derive(Debug, clap::Args)]
pub(crate) struct DevArgs {
    /// Where the gateway listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50050")]
    listen: SocketAddr,
    /// Where the gateway takes operators' calls; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    operators: SocketAddr,
    /// Where metrics are read; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    metrics: SocketAddr,
    /// Where spans are sent (OTLP over gRPC, such as http://127.0.0.1:4317); nowhere by default
    #[arg(long, value_name = "URL", default_value = "")]
    otlp: String,
    /// The share of calls whose trace is recorded: all of them, as this is for looking around
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    sample_ratio: f64,
    /// Where databases, keys and addresses are kept; otherwise in a directory that goes at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The lease of the demo sale's shards: how long an answer may still say ACCEPTED
    #[arg(long, value_name = "MS", default_value_t = 2_000,
          value_parser = clap::value_parser!(u32).range(50..=60_000))]
    lease_ms: u32,
    /// Networks of proxies, whose X-Forwarded-For says who the client is. The own machine: a
    /// rehearsal stands in for a proxy, behind which are its shoppers
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',',
          default_values = ["127.0.0.0/8", "::1/128"])]
    trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may call the gateway, such as http://localhost:3000; none by default
    #[arg(long, value_name = "ORIGINS", value_delimiter = ',')]
    allow_origin: Vec<String>,
    /// What is logged to standard error
    #[arg(long, value_name = "DIRECTIVES", default_value = "warn")]
    log_filter: String,
}

/// Runs the command until a signal ends it.
pub(crate) fn run(args: &DevArgs) -> Result<(), Failure> {
    let settings = LogSettings { format: LogFormat::Text, filter: args.log_filter.clone() };
    logs::init(&settings).map_err(|error| Failure::Usage(error.to_string()))?;
    let data = DataDir::open(args.data.as_deref())?;
    let count = available_parallelism().map_or(1, usize::from);
    let cores = Cores::start(count)
        .map_err(|error| Failure::Machine(format!("can't start {count} threads: {error}")))?;
    let cores = Arc::new(cores);
    let ended = crate::block_on(open_and_serve(args, &data, &cores));
    data.forget_addresses();
    cores.shutdown(RUNTIMES_END_WITHIN);
    ended
}

async fn open_and_serve(args: &DevArgs, data: &DataDir, cores: &Arc<Cores>) -> Result<(), Failure> {
    // Before anything is there to be cleaned up, so that no signal falls between.
    let mut signals = Signals::listen()?;
    let settings = TelemetrySettings {
        listen: Some(args.metrics),
        otlp_endpoint: args.otlp.clone(),
        sample_ratio: args.sample_ratio,
    };
    settings.check().map_err(|error| Failure::Usage(error.to_string()))?;
    let telemetry = TelemetryOwner::start(&settings, cores, env!("CARGO_PKG_VERSION"))
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let shop = tokio::select! {
        shop = Shop::build(args, data, cores, &telemetry) => shop?,
        () = signals.next() => return Ok(()),
    };
    let (addresses, address) = (shop.addresses(), shop.gateway_addr());
    let at_operators = shop.operator_addr();
    let token = user_svc::operator::issue(
        &data.signing_key()?,
        shop.issuer(),
        "dev",
        OPERATOR_TOKEN_LIFETIME,
        &user_svc::Rights::all(),
    )
    .map_err(|error| Failure::Machine(error.to_string()))?;
    let mut running = shop.run(cores);
    data.publish(&addresses, token.expose())?;
    say(format!("seckill listens on {address}"));
    if let Some(metrics) = telemetry.metrics_addr() {
        say(format!("metrics at http://{metrics}/metrics"));
    }
    if let Some(at_operators) = at_operators {
        say(format!("operators are served at {at_operators}"));
    }

    let operator = Bearer::new(token.expose())
        .ok_or_else(|| Failure::Machine("the operator's token can't stand in a header".into()))?;
    let ended = tokio::select! {
        ended = show_around(args, data, &addresses.inventory, &operator, address) => match ended {
            Ok(()) => wait_for_end(&mut running, &mut signals).await,
            Err(failure) => Err(failure),
        },
        failure = running.ended() => Err(failure),
        () = signals.next() => Ok(()),
    };
    let drained = drain(running, &mut signals, data).await;
    telemetry.drain(TELEMETRY_DRAINS_WITHIN).await;
    ended.and(drained)
}

/// Makes the demo sale and tells the visitor what there is.
async fn show_around(
    args: &DevArgs,
    data: &DataDir,
    inventory: &str,
    operator: &Bearer,
    address: SocketAddr,
) -> Result<(), Failure> {
    let endpoint = Endpoint::from_shared(inventory.to_owned())
        .map_err(|error| Failure::Machine(format!("{inventory}: {error}")))?;
    let channel = connect(&endpoint).await?;
    let sale =
        demo_sale::open_demo_sale(channel, operator, args.lease_ms, &Clock::system()).await?;
    say(visitor_guide(&sale, address, data));
    Ok(())
}

fn visitor_guide(sale: &Sale, address: SocketAddr, data: &DataDir) -> String {
    let (sale_id, items) = (&sale.sale_id, sale.items.len());
    let item_id = sale.items.first().map_or("…", |item| &item.item_id);
    let dir = data.path().display();
    let keeps = if data.is_temporary() { "removed at the end" } else { "kept" };
    let (units, limit) = (demo_sale::UNITS, demo_sale::LIMIT_PER_USER);
    format!(
        "
  data       {dir} ({keeps})
  sale       {sale_id}
             {items} items of {units} units, at most {limit} a buyer, open for a day
  look       grpcurl -plaintext {address} list
             grpcurl -plaintext {address} seckill.gateway.v1.GatewayService/ListSales
             grpcurl -plaintext {address} describe seckill.gateway.v1.GatewayService
  by HTTP    curl http://{address}/v1/sales/{sale_id}
             curl -N http://{address}/v1/items/{item_id}/events
             curl http://{address}/openapi.json
  rehearse   seckill rehearse --data {dir}
  audit      seckill audit --data {dir}
  end        Ctrl-C drains; a second one ends at once

What this does not prove: the ledger and the journal are kept in memory and go with the process, so
an order that was accepted a moment before a crash can be lost; all services share this one process;
the journal's broker is a mock. Accounts, sales and orders are SQLite files."
    )
}

async fn wait_for_end(running: &mut RunningShop, signals: &mut Signals) -> Result<(), Failure> {
    tokio::select! {
        failure = running.ended() => Err(failure),
        () = signals.next() => Ok(()),
    }
}

/// Lets what was begun come to its end; a further signal ends the process at once.
async fn drain(
    mut running: RunningShop,
    signals: &mut Signals,
    data: &DataDir,
) -> Result<(), Failure> {
    say("draining; once more to end at once");
    let (clock, mut has_said) = (Clock::system(), false);
    let began = clock.now();
    let mut last_unread = began;
    loop {
        tokio::select! {
            drained = tokio::time::timeout(DRAIN_LOOK, running.drain()) => {
                if drained.is_ok() {
                    return Ok(());
                }
            }
            () = signals.next() => {
                if running.unread() > 0 {
                    complain(lost(running.unread()));
                }
                data.forget_addresses();
                data.remove_if_temporary();
                signals::end_at_once();
            }
        }
        let (now, unread) = (clock.now(), running.unread());
        if unread == 0 {
            if now.saturating_sub(last_unread) >= DRAIN_WITHIN {
                complain(format!("not everything had ended within {} s", DRAIN_WITHIN.as_secs()));
                return Ok(());
            }
            continue;
        }
        last_unread = now;
        let lasts = now.saturating_sub(began);
        if lasts >= UNREAD_WITHIN {
            return Err(Failure::Machine(lost(unread)));
        }
        if lasts >= UNREAD_SAID_AFTER && !has_said {
            has_said = true;
            let minutes = UNREAD_WITHIN.as_secs() / 60;
            complain(format!(
                "{} of the journal, with accepted orders, can't be written into the books (is the \
                 disk full?); waiting up to {minutes} minutes until they can be; once more to end \
                 at once and lose them",
                counted(unread, "record"),
            ));
        }
    }
}

fn lost(unread: u64) -> String {
    format!(
        "{} of the journal, with orders that were accepted, are lost to the books",
        counted(unread, "record"),
    )
}
