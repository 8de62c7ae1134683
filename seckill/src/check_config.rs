//! `seckill check-config`: reads a role's configuration as the role would (defaults, file,
//! environment, and the files of keys and passwords that it names) and says what is wrong with it,
//! before a roll-out does. A role begins with the same checks, so both say the same.

use std::path::PathBuf;

use crate::{failure::Failure, screen::say};

/// Check the configuration of a role
///
/// Prints `ok`, or one sentence, and then exits 64.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckConfigArgs {
    /// Whose configuration it is
    #[arg(long)]
    role: Role,
    /// The configuration file; without one, the defaults and the environment are checked
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The services, by the names of their packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    Gateway,
    InventorySvc,
    OrderSvc,
    UserSvc,
}

/// Runs the command.
pub(crate) fn run(args: &CheckConfigArgs) -> Result<(), Failure> {
    let file = args.config.as_deref();
    match args.role {
        Role::Gateway => {
            let config = gateway::Config::load(file);
            config.and_then(|config| config.check().and_then(|()| config.check_files()))
        }
        Role::InventorySvc => {
            let config = inventory_svc::Config::load(file);
            config.and_then(|config| config.check().and_then(|()| config.check_files()))
        }
        Role::OrderSvc => {
            let config = order_svc::Config::load(file);
            config.and_then(|config| config.check().and_then(|()| config.check_files()))
        }
        Role::UserSvc => {
            let config = user_svc::Config::load(file);
            config.and_then(|config| config.check().and_then(|()| config.check_files()))
        }
    }
    .map_err(|error| Failure::Usage(error.to_string()))?;
    say("ok");
    Ok(())
}
