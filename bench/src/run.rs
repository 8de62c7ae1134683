//! `seckill-bench run`: all measurements of one run, in rounds that take turns, so that whatever
//! the machine does besides falls on all of them alike.

use std::{
    collections::BTreeSet, fs, path::PathBuf, thread::available_parallelism, time::Duration,
};

use crate::{
    books::{self, Ground},
    failure::{Failure, failed},
    figures::{Figures, table},
    ledger,
    load::Fleet,
    purchases::{Echo, Market},
    say,
    shop::{Shop, Stores},
    stock,
};

mod surroundings;

/// Measure everything in one run
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The program that is measured
    #[arg(long, value_name = "FILE", default_value = "target/max/seckill")]
    seckill: PathBuf,
    /// Where data and logs of the shops go; made anew
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    dir: PathBuf,
    /// Where the figures go
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    json: PathBuf,
    /// A document that gets the table, between its marks
    #[arg(long, value_name = "FILE")]
    write_into: Option<PathBuf>,
    /// Rounds of each measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Buyers, and so calls, in a round
    #[arg(long, default_value_t = 40_000,
          value_parser = clap::value_parser!(u32).range(2..=100_000))]
    shoppers: u32,
    /// Tiny rounds: whether all works, not how fast
    #[arg(long)]
    quick: bool,
    /// Only these of embedded, coalesced, real, books, ledger, stock; with commas between
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    #[command(flatten)]
    stores: Stores,
}

/// What all measurements need.
pub(crate) struct Bench {
    pub(crate) args: RunArgs,
    pub(crate) fleet: Fleet,
    pub(crate) figures: Figures,
}

/// Runs the command.
pub(crate) async fn run(mut args: RunArgs) -> Result<(), Failure> {
    if args.quick {
        (args.rounds, args.shoppers) = (args.rounds.min(2), args.shoppers.min(2_000));
    }
    fs::create_dir_all(&args.dir).map_err(failed(args.dir.display()))?;
    let cores = available_parallelism().map_or(1, usize::from);
    let only: BTreeSet<String> = args.only.iter().cloned().collect();
    let mut bench = Bench { args, fleet: Fleet::start(cores)?, figures: Figures::default() };
    let wanted = |name: &str| only.is_empty() || only.contains(name);
    if wanted("embedded") {
        bench.embedded().await?;
    }
    if wanted("coalesced") {
        bench.coalesced().await?;
    }
    if wanted("real") {
        bench.real().await?;
    }
    if wanted("books") {
        bench.books().await?;
    }
    if wanted("ledger") {
        bench.ledger().await?;
    }
    if wanted("stock") {
        bench.stock().await?;
    }
    let Bench { args, mut figures, .. } = bench;
    figures.remark("measured on", surroundings::of(&args.stores).await);
    figures.write(&args.json)?;
    let table = table::table(&figures);
    say(&table);
    if let Some(path) = &args.write_into {
        table::put_into(path, &table)?;
    }
    Ok(())
}

impl Bench {
    /// The echo, and a shop on the embedded stores.
    async fn embedded(&mut self) -> Result<(), Failure> {
        let Self { args, fleet, figures } = self;
        let shop = Shop::embedded(&args.seckill, args.dir.join("embedded"), &[]).await?;
        let mut market = Market::new(shop, args.shoppers);
        let echo = Echo::start(args.dir.join("echo"), args.shoppers as usize * 2).await?;
        for round in 1..=args.rounds {
            say(format!("embedded, round {round} of {}", args.rounds));
            echo.round(fleet, figures, "echo", None).await?;
            echo.round(fleet, figures, "echo_with_token", Some(market.crowd().await?)).await?;
            market.sold_out(fleet, figures).await?;
            market.accepted(fleet, figures, "accept_256", 256).await?;
            market.accepted(fleet, figures, "accept_64", 64).await?;
        }
        echo.stop().await?;
        market.shop.close().await
    }

    /// One Reserve call and one record for many purchases, or for each.
    async fn coalesced(&mut self) -> Result<(), Failure> {
        let Self { args, fleet, figures } = self;
        let knob = |name: &'static str, value: u32| (name, value.to_string());
        let each = [
            knob("SECKILL_GATEWAY__PURCHASE__BATCH_LEN_MAX", 1),
            // As many as are in flight, so that nobody waits for a batch that isn't theirs.
            knob("SECKILL_GATEWAY__PURCHASE__BATCHES_IN_FLIGHT_MAX", 256),
        ];
        let shop = Shop::embedded(&args.seckill, args.dir.join("coalesced"), &[]).await?;
        let mut coalesced = Market::new(shop, args.shoppers);
        let shop = Shop::embedded(&args.seckill, args.dir.join("one-call-each"), &each).await?;
        let mut one_call_each = Market::new(shop, args.shoppers / 2);
        for round in 1..=args.rounds {
            say(format!("coalesced or not, round {round} of {}", args.rounds));
            coalesced.accepted(fleet, figures, "coalesced", 256).await?;
            one_call_each.accepted(fleet, figures, "one_call_each", 256).await?;
        }
        coalesced.shop.close().await?;
        one_call_each.shop.close().await
    }

    /// The echo, and a process for each role on real stores.
    async fn real(&mut self) -> Result<(), Failure> {
        let Self { args, fleet, figures } = self;
        let shop = Shop::real(&args.seckill, args.dir.join("real"), &args.stores).await?;
        let Some(shop) = shop else {
            figures.remark("real stores", "not measured, since `make stores` has not run");
            return Ok(());
        };
        let mut market = Market::new(shop, args.shoppers);
        let echo = Echo::start(args.dir.join("echo"), args.shoppers as usize * 2).await?;
        for round in 1..=args.rounds {
            say(format!("real stores, round {round} of {}", args.rounds));
            echo.round(fleet, figures, "echo_real", None).await?;
            market.accepted(fleet, figures, "accept_real_256", 256).await?;
            market.accepted(fleet, figures, "accept_real_64", 64).await?;
        }
        echo.stop().await?;
        market.shop.close().await
    }

    /// Orders persisted.
    async fn books(&mut self) -> Result<(), Failure> {
        let Self { args, fleet, figures } = self;
        let Some(url) = &args.stores.mariadb else { return Ok(()) };
        let mut ground = Ground::prepare(fleet, url).await?;
        let size = if args.quick {
            books::Size { orders: 4_096, each_for: Duration::from_millis(200) }
        } else {
            books::Size { orders: 65_536, each_for: Duration::from_secs(1) }
        };
        for round in 1..=args.rounds {
            say(format!("the books, round {round} of {}", args.rounds));
            ground.round(fleet, figures, size).await?;
        }
        Ok(())
    }

    /// The ledger in process.
    async fn ledger(&mut self) -> Result<(), Failure> {
        let calls = if self.args.quick { 2_000 } else { 200_000 };
        for _ in 0..self.args.rounds {
            ledger::round(&mut self.figures, calls).await?;
        }
        Ok(())
    }

    /// Ways of making stock atomic.
    async fn stock(&mut self) -> Result<(), Failure> {
        let Self { args, fleet, figures } = self;
        let (sql, redis) = if args.quick { (500, 4_000) } else { (5_000, 100_000) };
        for round in 1..=args.rounds {
            say(format!("ways of taking a unit, round {round} of {}", args.rounds));
            if let Some(url) = &args.stores.mariadb {
                stock::sql::round(fleet, figures, url, sql).await?;
            }
            if let Some(url) = &args.stores.redis {
                stock::redis::round(fleet, figures, url, redis).await?;
            }
        }
        Ok(())
    }
}
