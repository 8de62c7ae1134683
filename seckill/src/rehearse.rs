//! `seckill rehearse`: a sale of its own, sold out by its own shoppers, as a process of its own
//! that keeps every answer and afterwards asks the shop for every order. It judges I-2 by those
//! answers and the rest by rows and holds (see `audit`); it fails if one invariant does.

mod confirm;
mod fleet;
mod judge;
mod plan;
mod prepare;
mod progress;
mod pursuit;
mod report;
mod rush;

use std::{path::PathBuf, sync::Arc, thread::available_parallelism, time::Duration};

use chassis::Clock;
use proto::{
    inventory::v1::catalog_service_client::CatalogServiceClient,
    user::v1::operator_service_client::OperatorServiceClient,
};

use self::{
    fleet::{Fleet, Lane},
    judge::{Audited, Row, Told, judge},
    plan::Plan,
    prepare::{LIMIT_PER_USER, Stage},
    progress::during,
    pursuit::Ending,
    report::Report,
    rush::Figures,
};
use crate::{
    audit::{self, Finding, Stores, Verdict, verdict_of_all},
    failure::Failure,
    screen::{counted, say},
    target::{Bearer, Target, TargetArgs, connect},
};

/// How long accepted orders may take to become rows before they count as lost.
const ROWS_WITHIN: Duration = Duration::from_secs(30);
/// How long the stores may take to come to rest for the audit.
const REST_WITHIN: Duration = Duration::from_secs(30);
/// The first shopper is let in so long after the opening, so that no rounding makes it too early.
const AFTER_OPENING: Duration = Duration::from_millis(5);

/// Sell a sale out with shoppers of your own, and judge what came of it
///
/// Exits 0 if every invariant holds and 1 if one is broken.
#[derive(Debug, clap::Args)]
pub(crate) struct RehearseArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// File with an operator's token; otherwise the one in --data
    #[arg(long, value_name = "FILE")]
    operator_token_file: Option<PathBuf>,
    /// Units for sale
    #[arg(long, default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    units: u32,
    /// Shoppers; each wants one unit
    #[arg(long, default_value_t = 20_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    shoppers: u32,
    /// All shoppers arrive, evenly spread, within so many milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(1..=3_000_000))]
    arrive_within_ms: u64,
    /// Instead: so many shoppers arrive each second
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "arrive_within_ms",
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
    /// HTTP/2 connections to the gateway
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    connections: u16,
    /// Write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl RehearseArgs {
    fn plan(&self) -> Plan {
        let arrive_within = match self.rate {
            Some(rate) => Duration::from_secs(1) * self.shoppers / rate,
            None => Duration::from_millis(self.arrive_within_ms),
        };
        Plan { units: self.units, shoppers: self.shoppers, arrive_within }
    }
}

/// Runs the command.
pub(crate) async fn run(args: RehearseArgs) -> Result<(), Failure> {
    let plan = args.plan();
    let target = args.target.resolve()?;
    let operator = target.operator_token(args.operator_token_file.as_deref())?;
    let clock = Clock::system();
    let mut stores = Stores::connect(&target).await?;
    let fleet = Fleet::start(available_parallelism().map_or(1, usize::from))?;

    let lanes = hire(&target, &operator, &plan, &fleet, args.connections.into()).await?;
    let (lanes, stage) = set_the_stage(&target, &operator, &plan, &fleet, lanes, &clock).await?;
    let rushed = rush_in(&fleet, lanes, &plan, &stage, &clock).await?;
    let asked = ask_for_orders(&fleet, rushed.lanes, &plan, &clock).await?;

    let sale = stores.sale(&stage.sale_id).await?;
    let audited = audited(&audit::of_sales(&mut stores, &[sale], REST_WITHIN, &clock).await?);
    let judged = judge(plan.units.into(), LIMIT_PER_USER, &asked.told, &asked.rows, &audited);

    let to_last_row = asked.last_row_ms.saturating_sub(rushed.opened_at_ms);
    let to_last_row = Duration::from_millis(to_last_row);
    let report = Report::new(&plan, &judged, &rushed.figures, to_last_row);
    report.print(&plan, &rushed.figures, &judged);
    if let Some(path) = &args.json {
        report.write(path)?;
        say(format!("  the same as JSON: {}", path.display()));
    }
    if judged.is_clean() {
        Ok(())
    } else {
        Err(Failure::Broken("the rehearsal found broken promises".into()))
    }
}

/// Shoppers with tokens, each on its connection.
async fn hire(
    target: &Target,
    operator: &Bearer,
    plan: &Plan,
    fleet: &Fleet,
    connections: usize,
) -> Result<Vec<Lane>, Failure> {
    let mut operators = OperatorServiceClient::new(connect(&target.user()?).await?);
    let hired = during("hiring shoppers", plan.shoppers as usize, |done| {
        prepare::hire_shoppers(&mut operators, operator, plan, done)
    });
    fleet.board(&target.gateways()?, connections, hired.await?).await
}

/// A sale that is loaded and about to open, and a ticket in every hand.
async fn set_the_stage(
    target: &Target,
    operator: &Bearer,
    plan: &Plan,
    fleet: &Fleet,
    lanes: Vec<Lane>,
    clock: &Clock,
) -> Result<(Vec<Lane>, Stage), Failure> {
    let mut catalog = CatalogServiceClient::new(connect(&target.inventory()?).await?);
    let stage = prepare::make_sale(&mut catalog, operator, plan, clock).await?;
    say(format!(
        "{} for {}; the doors open in {:.0} s",
        counted(plan.units.into(), "unit"),
        counted(plan.shoppers.into(), "shopper"),
        plan.lead().as_secs_f64(),
    ));
    prepare::wait_until_loaded(&mut catalog, &stage, clock).await?;
    let ticketed = during("issuing tickets", plan.shoppers as usize, |done| {
        let item_id = &stage.item_id;
        fleet.each(lanes, move |_, lane| {
            prepare::issue_tickets(lane, item_id.clone(), Arc::clone(&done))
        })
    });
    let lanes: Result<Vec<Lane>, Failure> = ticketed.await?.into_iter().collect();
    Ok((lanes?, stage))
}

/// What came of the rush.
struct Rushed {
    lanes: Vec<(Lane, Vec<Ending>)>,
    figures: Figures,
    /// When the first shopper was let in, milliseconds since the Unix epoch.
    opened_at_ms: u64,
}

async fn rush_in(
    fleet: &Fleet,
    lanes: Vec<Lane>,
    plan: &Plan,
    stage: &Stage,
    clock: &Clock,
) -> Result<Rushed, Failure> {
    let now_ms = clock.wall_ms();
    if now_ms > stage.opens_at_ms {
        say("the doors opened before everybody had a ticket; the rush begins only now");
    }
    let left = Duration::from_millis(stage.opens_at_ms.saturating_sub(now_ms)) + AFTER_OPENING;
    let opening = clock.now() + left;
    let seen = during("the doors are open", plan.shoppers as usize, |done| {
        fleet.each(lanes, move |_, lane| {
            rush::rush(lane, *plan, opening, clock.clone(), Arc::clone(&done))
        })
    });
    let mut figures = Figures::new();
    let mut lanes = Vec::new();
    for seen in seen.await? {
        figures.add(&seen.figures);
        lanes.push((seen.lane, seen.endings));
    }
    let opened_at_ms = stage.opens_at_ms.max(now_ms) + AFTER_OPENING.as_millis() as u64;
    Ok(Rushed { lanes, figures, opened_at_ms })
}

/// What the shop says afterwards.
struct Asked {
    /// By number of shopper.
    told: Vec<Told>,
    rows: Vec<Row>,
    last_row_ms: u64,
}

async fn ask_for_orders(
    fleet: &Fleet,
    lanes: Vec<(Lane, Vec<Ending>)>,
    plan: &Plan,
    clock: &Clock,
) -> Result<Asked, Failure> {
    let is_open = |ending: &&Ending| !matches!(ending, Ending::Refused(_));
    let orders = lanes.iter().flat_map(|(_, endings)| endings).filter(is_open).count();
    let give_up = clock.now() + ROWS_WITHIN;
    let confirmed = during("asking for each order", orders, |done| {
        fleet.each(lanes, move |_, (lane, endings)| {
            confirm::confirm(lane, endings, give_up, clock.clone(), Arc::clone(&done))
        })
    });
    let mut told = Vec::new();
    let mut lanes = Vec::new();
    let mut last_row_ms = 0;
    for confirmed in confirmed.await? {
        last_row_ms = last_row_ms.max(confirmed.last_row_ms);
        for (shopper, ending) in confirmed.lane.shoppers.iter().zip(confirmed.endings) {
            let order = shopper.order_id.parse().map_err(|error| {
                Failure::Unavailable(format!("IssueTicket answered an order id that {error}"))
            })?;
            told.push((shopper.number, Told { order, ending }));
        }
        lanes.push(confirmed.lane);
    }
    told.sort_unstable_by_key(|(number, _)| *number);
    let listed = during("listing all orders", plan.shoppers as usize, |done| {
        fleet.each(lanes, move |_, lane| confirm::list_orders(lane, Arc::clone(&done)))
    });
    let rows: Result<Vec<Vec<Row>>, Failure> = listed.await?.into_iter().collect();
    Ok(Asked {
        told: told.into_iter().map(|(_, told)| told).collect(),
        rows: rows?.into_iter().flatten().collect(),
        last_row_ms,
    })
}

/// After a rehearsal "can't be told" is not good enough: what has not come to rest by now is wrong.
fn audited(findings: &[Finding]) -> Audited {
    Audited {
        live_units: findings
            .iter()
            .filter_map(|finding| finding.count.after)
            .map(|books| books.live_units)
            .sum(),
        leaked_units: findings.iter().map(Finding::units_astray).sum(),
        verdict: match verdict_of_all(findings, &[]) {
            Verdict::Holds(_) => Ok(()),
            Verdict::Broken(says) | Verdict::Unclear(says) => Err(format!("audit: {says}")),
        },
    }
}
