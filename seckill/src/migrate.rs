//! `seckill migrate`: brings the schemas of all services that keep something up to date, makes the
//! journal's topic, and loads the ledger's functions. A second run changes nothing, and it may run
//! beside roles of the version before.

use std::path::PathBuf;

use inventory_svc::ledger::redis::RedisLedger;

use crate::{failure::Failure, screen::say};

/// Bring the databases up to date, make the journal's topic, load the ledger's functions
///
/// Each service's configuration comes from its own file, or from DIR/user-svc.toml and so on, or
/// from the defaults and the environment.
#[derive(Debug, clap::Args)]
pub(crate) struct MigrateArgs {
    /// Directory of user-svc.toml, inventory-svc.toml and order-svc.toml; those that are missing
    /// are taken as empty
    #[arg(long, value_name = "DIR")]
    config_dir: Option<PathBuf>,
    /// Configuration of user-svc
    #[arg(long, value_name = "FILE")]
    user: Option<PathBuf>,
    /// Configuration of inventory-svc
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Configuration of order-svc
    #[arg(long, value_name = "FILE")]
    order: Option<PathBuf>,
}

impl MigrateArgs {
    fn file(&self, given: Option<&PathBuf>, service: &str) -> Option<PathBuf> {
        let in_dir = self.config_dir.as_ref().map(|dir| dir.join(format!("{service}.toml")));
        given.cloned().or(in_dir.filter(|path| path.exists()))
    }
}

/// Runs the command.
pub(crate) async fn run(args: MigrateArgs) -> Result<(), Failure> {
    let file = args.file(args.user.as_ref(), "user-svc");
    let config = user_svc::Config::load(file.as_deref()).map_err(usage)?;
    user_svc::migrate(&config).await.map_err(machine)?;
    say("user-svc: up to date");

    let file = args.file(args.inventory.as_ref(), "inventory-svc");
    let config = inventory_svc::Config::load(file.as_deref()).map_err(usage)?;
    inventory_svc::migrate(&config).await.map_err(machine)?;
    say("inventory-svc: up to date");
    migrate_ledger(&config).await?;
    migrate_journal(&config.journal)?;

    let file = args.file(args.order.as_ref(), "order-svc");
    let config = order_svc::Config::load(file.as_deref()).map_err(usage)?;
    order_svc::migrate(&config).await.map_err(machine)?;
    say("order-svc: up to date");
    // Of both, so that two that want different topics are told now and not at their start.
    migrate_journal(&config.journal)
}

/// Loads the functions, unless the ledger is in the process that uses it.
async fn migrate_ledger(config: &inventory_svc::Config) -> Result<(), Failure> {
    if config.ledger_url == "memory" {
        return Ok(());
    }
    RedisLedger::load_library(&config.ledger_url, &config.ledger).await.map_err(machine)?;
    say("ledger: up to date");
    Ok(())
}

/// Makes the topic, if these settings have brokers. Blocks: nothing else runs here.
fn migrate_journal(settings: &journal::Settings) -> Result<(), Failure> {
    if settings.brokers.is_empty() {
        return Ok(());
    }
    let said = match journal::migrate(settings).map_err(machine)? {
        journal::Migrated::Made => "made",
        journal::Migrated::AlreadyThere => "up to date",
    };
    say(format!("journal: {} is {said}", settings.topic));
    Ok(())
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::Usage(error.to_string())
}

fn machine(error: impl std::fmt::Display) -> Failure {
    Failure::Machine(error.to_string())
}
