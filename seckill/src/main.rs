//! The program. `main` reads the command line, runs one command, and turns how it ended into an
//! exit code; everything else is in the command's own file.

mod audit;
mod check_config;
mod dev;
mod failure;
mod keys;
mod migrate;
mod operator_token;
mod rehearse;
mod role;
mod screen;
mod signals;
mod target;

use std::process::ExitCode;

use clap::{Parser, error::ErrorKind};
use tikv_jemallocator::Jemalloc;

use failure::Failure;
use role::Role;

/// A call takes and gives back dozens of small pieces, often on other threads than took them, which
/// costs less here than in the C library. What a crowd took goes back to the system, by a thread in
/// the background, or is of use to the next crowd, whatever that takes: it never adds up.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// A flash sale that sells exactly what there is
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Dev(dev::DevArgs),
    Rehearse(rehearse::RehearseArgs),
    Audit(audit::AuditArgs),
    Migrate(migrate::MigrateArgs),
    CheckConfig(check_config::CheckConfigArgs),
    OperatorToken(operator_token::OperatorTokenArgs),
    Keys(keys::KeysArgs),
    /// Run a gateway, the door for buyers
    Gateway(role::RoleArgs),
    /// Run an inventory-svc: the catalog, and the ledger of stock and holds
    Inventory(role::RoleArgs),
    /// Run an order-svc, which keeps the books
    Order(role::RoleArgs),
    /// Run a user-svc: accounts and tokens
    User(role::RoleArgs),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return answer_to(&error),
    };
    if let Err(error) = chassis::open_files::raise() {
        // Fewer connections find room, and nothing else is amiss.
        screen::complain(format!("can't raise the limit of open files: {error}"));
    }
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen::complain(failure.to_string());
            failure.exit_code()
        }
    }
}

/// Help and version are answers; the rest is wrong usage, which exits 64 here and 2 by clap itself.
fn answer_to(error: &clap::Error) -> ExitCode {
    // Where nobody reads it, nothing is lost.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => Failure::Usage(String::new()).exit_code(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Dev(args) => dev::run(&args),
        Command::Rehearse(args) => block_on(rehearse::run(args)),
        Command::Audit(args) => block_on(audit::run(args)),
        Command::Migrate(args) => block_on(migrate::run(args)),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::OperatorToken(args) => operator_token::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Gateway(args) => role::run(Role::Gateway, &args),
        Command::Inventory(args) => role::run(Role::Inventory, &args),
        Command::Order(args) => role::run(Role::Order, &args),
        Command::User(args) => role::run(Role::User, &args),
    }
}

/// One thread waits for the command; what needs more starts its own.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Machine(format!("can't start: {error}")))?
        .block_on(command)
}
