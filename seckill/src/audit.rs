//! `seckill audit`: counts rows in the books and holds in the ledger, shard by shard, and judges
//! the sums by the law (I-1, I-3, I-4), against each other, and order by order. Item, price and
//! limit must be the catalog's, and what the catalog doesn't know must be nowhere. It believes no
//! counter that it can count again, keeps nothing, and changes nothing. What was promised to buyers
//! (I-2) only those can judge who kept the answers: see `rehearse`.

mod compare;
mod count;
mod judge;
mod orders;
mod orphans;
mod table;
mod terms;

use std::time::Duration;

use chassis::Clock;
use proto::inventory::v1::Sale;

pub(crate) use count::Stores;
pub(crate) use judge::{Finding, Verdict, verdict_of_all};
pub(crate) use table::print_findings;

use crate::{failure::Failure, screen, target::TargetArgs};

/// How often a shard that isn't at rest is counted again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Count rows and holds, and judge them by the law
///
/// Exits 0 if every invariant holds, 1 if one is broken, 75 if a shard was not at rest and so could
/// not be judged, 69 if a service did not answer.
#[derive(Debug, clap::Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Only this sale (a UUID); otherwise all of them
    #[arg(long, value_name = "ID")]
    sale: Option<String>,
    /// Wait up to so many seconds until no hold is open
    #[arg(long, value_name = "SECONDS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(..=3600))]
    settle_within_s: u64,
}

/// Runs the command.
pub(crate) async fn run(args: AuditArgs) -> Result<(), Failure> {
    let target = args.target.resolve()?;
    let mut stores = Stores::connect(&target).await?;
    let (sales, is_all) = match args.sale {
        Some(sale) => (vec![stores.sale(&sale).await?], false),
        None => (stores.sales().await?, true),
    };
    let patience = Duration::from_secs(args.settle_within_s);
    let findings = of_sales(&mut stores, &sales, patience, &Clock::system()).await?;
    // Only who looks at every sale can tell what belongs to none.
    let orphans = if is_all { stores.orphans(&sales).await? } else { Vec::new() };
    print_findings(&findings, &orphans);
    match verdict_of_all(&findings, &orphans) {
        Verdict::Holds(_) => {
            screen::say("audit: every unit is where it belongs");
            Ok(())
        }
        Verdict::Broken(says) => Err(Failure::Broken(format!("audit: {says}"))),
        Verdict::Unclear(says) => {
            Err(Failure::Undecided(format!("audit: {says}; ask again, or with --settle-within-s")))
        }
    }
}

/// Counts every shard of `sales` and judges it; a shard that can't be judged yet is counted again
/// until `patience` has passed.
pub(crate) async fn of_sales(
    stores: &mut Stores,
    sales: &[Sale],
    patience: Duration,
    clock: &Clock,
) -> Result<Vec<Finding>, Failure> {
    let give_up = clock.now() + patience;
    let mut findings = Vec::new();
    for sale in sales {
        for item in &sale.items {
            for shard in &item.shards {
                let mut shard = shard.clone();
                findings.push(loop {
                    let count = stores.count(sale, item, &shard).await?;
                    let finding = judge::judge(count);
                    if finding.is_clear() || clock.now() >= give_up {
                        break finding;
                    }
                    tokio::time::sleep(AGAIN_AFTER).await;
                    // It may have been loaded or retired meanwhile.
                    shard = stores.shard(sale, shard).await?;
                });
            }
        }
    }
    Ok(findings)
}
