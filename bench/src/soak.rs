//! `seckill-bench soak`: hours of a modest, mixed load on the embedded default, with sales that
//! overlap and follow each other. The books are filled before, so that what may be kept of them in
//! memory is, and only what is never given back makes it grow. Every few seconds it writes down
//! memory and tasks of the shop; at the end it judges whether they stayed flat, and lets `seckill
//! audit` judge the books.
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::Duration,
};

use chassis::Clock;

use crate::{
    failure::{Failure, failed},
    figures::Figures,
    load::Fleet,
    purchases::Market,
    sale::{Crowd, SaleTerms},
    say,
    shop::Shop,
};

mod customers;
mod sample;
mod verdict;

use customers::Customers;
use sample::Sample;
use verdict::Trend;

/// Sales that are open at the same time.
const SALES: u32 = 3;
/// So many sales follow each other. Each retires five minutes after it has closed.
const RENEWALS: u32 = 12;
const UNITS: u32 = 500;
/// Some of a buyer's wishes are one too many.
const LIMIT_PER_USER: u32 = 2;
const SHOPPERS: u32 = 2_000;
/// Before their tokens end.
const HIRE_EVERY: Duration = Duration::from_secs(40 * 60);
/// Orders of a sale before it all begins. Nine are more than the cache of the books' writer keeps:
/// an order takes some 190 bytes of its 64 MiB.
const FILL_ORDERS: u32 = 40_000;
const FILL_SALES: u32 = 9;
const FILL_IN_FLIGHT: usize = 64;
/// Those sales are over early, so the ledger has forgotten them when the judged part begins.
const FILL_OPEN_FOR: Duration = Duration::from_secs(3 * 60);
/// The first half is not judged: tokens of those who filled the books are forgotten in it, what the
/// ledger knew of their orders, and, after twice a ticket's lifetime, what the gateway did of them.
const SETTLED_FROM: usize = 2;
/// What memory and tasks may grow by in an hour, in parts of what they are.
const GROWTH_MAX: f64 = 0.05;

/// Load the embedded default for long, and see whether it stays as it is
///
/// Exits 0 if memory and tasks stayed flat and the audit is clean.
#[derive(Debug, clap::Args)]
pub(crate) struct SoakArgs {
    /// The program that is watched
    #[arg(long, value_name = "FILE", default_value = "target/release/seckill")]
    seckill: PathBuf,
    /// Where data and log of the shop go; made anew
    #[arg(long, value_name = "DIR", default_value = "target/soak")]
    dir: PathBuf,
    /// Where the samples go
    #[arg(long, value_name = "FILE", default_value = "target/soak.csv")]
    csv: PathBuf,
    /// How long
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1_440))]
    minutes: u64,
    /// Calls a second, of all kinds together
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Seconds between two samples
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    every_s: u64,
}

/// Runs the command.
pub(crate) async fn run(args: SoakArgs) -> Result<(), Failure> {
    let lasting = Duration::from_secs(args.minutes * 60);
    let fleet = Fleet::start(1)?;
    let shop = Shop::embedded(&args.seckill, args.dir.clone(), &[]).await?;
    let mut shop = filled(&fleet, shop).await?;
    let crowd = Crowd::hire(&mut shop, SHOPPERS).await?;
    let customers = Arc::new(Customers::arrive(&shop, crowd).await?);

    let driving = {
        let customers = Arc::clone(&customers);
        fleet.on(fleet.background(), async move { customers.drive(args.rate, lasting).await })
    };
    let watching = watch(&args, &mut shop, &customers, lasting);
    let (skipped, samples) = tokio::join!(driving, watching);
    let (skipped, samples) = (skipped?, samples?);

    for line in customers.report() {
        say(line);
    }
    if skipped > 0 {
        say(format!("{skipped} calls were not made, since too many were under way"));
    }
    let clean = audit(&args)?;
    shop.close().await?;
    judge(&samples, clean)
}

/// Sells what fills the caches.
async fn filled(fleet: &Fleet, shop: Shop) -> Result<Shop, Failure> {
    let mut market = Market::new(shop, FILL_ORDERS).open_for(FILL_OPEN_FOR);
    for _ in 0..FILL_SALES {
        market.accepted(fleet, &mut Figures::default(), "filled", FILL_IN_FLIGHT).await?;
    }
    Ok(market.shop)
}

/// Opens sales and writes samples, until it is over.
async fn watch(
    args: &SoakArgs,
    shop: &mut Shop,
    customers: &Customers,
    lasting: Duration,
) -> Result<Vec<Sample>, Failure> {
    let clock = Clock::system();
    let from = clock.now();
    let renew_every = lasting / RENEWALS;
    let sample_every = Duration::from_secs(args.every_s);
    let open_for = renew_every * SALES;
    let (mut renew_at, mut sample_at) = (from, from + sample_every);
    let mut hire_at = from + HIRE_EVERY;
    let mut csv = File::create(&args.csv).map_err(failed(args.csv.display()))?;
    writeln!(csv, "{}", Sample::HEAD).map_err(failed(args.csv.display()))?;
    let mut samples = Vec::new();
    while clock.now() < from + lasting {
        if clock.now() >= renew_at {
            let terms = SaleTerms { units: UNITS, limit_per_user: LIMIT_PER_USER, open_for };
            let offer = shop.open(terms).await?;
            customers.show(offer, SALES as usize);
            renew_at += renew_every;
        }
        if clock.now() >= hire_at {
            customers.replace(Crowd::hire(shop, SHOPPERS).await?);
            hire_at += HIRE_EVERY;
        }
        if clock.now() >= sample_at {
            let after = clock.now().saturating_sub(from);
            let sample = Sample::take(&shop.metrics, after, customers.window()).await?;
            writeln!(csv, "{sample}").map_err(failed(args.csv.display()))?;
            samples.push(sample);
            sample_at += sample_every;
        }
        let next = renew_at.min(sample_at).min(hire_at);
        tokio::time::sleep(next.saturating_sub(clock.now())).await;
    }
    Ok(samples)
}

/// Whether every unit is where it belongs.
fn audit(args: &SoakArgs) -> Result<bool, Failure> {
    let data = args.dir.join("data");
    let out = args.dir.join("audit.log");
    let file = File::create(&out).map_err(failed(out.display()))?;
    let audit = Command::new(&args.seckill)
        .args(["audit", "--settle-within-s", "30", "--data"])
        .arg(data)
        .stdout(file)
        .status()
        .map_err(failed("the audit"))?;
    let found = fs::read_to_string(&out).map_err(failed(out.display()))?;
    say(found.lines().last().unwrap_or_default());
    Ok(audit.success())
}

fn judge(samples: &[Sample], is_clean: bool) -> Result<(), Failure> {
    let settled = &samples[samples.len() / SETTLED_FROM..];
    let mut problems = String::new();
    let memory: Vec<_> = settled.iter().map(|sample| (sample.hours(), sample.memory)).collect();
    let tasks: Vec<_> = settled.iter().map(|sample| (sample.hours(), sample.tasks)).collect();
    for (what, unit, points) in [("memory", 1024.0 * 1024.0, memory), ("tasks", 1.0, tasks)] {
        let Some(trend) = Trend::of(&points) else {
            return Err(Failure("too short to tell: there are no samples".into()));
        };
        let Trend { mean, per_hour } = trend;
        let (mean_shown, growth) = (mean / unit, trend.growth() * 100.0);
        say(format!("{what}: {mean_shown:.1} on average, {growth:+.1} % an hour"));
        if trend.growth() > GROWTH_MAX {
            let by = per_hour / unit;
            let _ = write!(problems, "{what} grows by {by:.1} an hour ({growth:.1} %); ");
        }
    }
    if !is_clean {
        problems.push_str("the audit is not clean; ");
    }
    if problems.is_empty() {
        say("flat, and every unit is where it belongs");
        return Ok(());
    }
    Err(Failure(problems.trim_end_matches("; ").to_owned()))
}
