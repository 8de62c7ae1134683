//! The program. `main` reads the command line, runs one command, and turns how it ended into an
//! exit code; everything else is in the command's own file.

mod audit;
mod failure;
mod rehearse;
mod screen;
mod target;

use std::process::ExitCode;

use clap::{Parser, error::ErrorKind};

use failure::Failure;

/// A flash sale that sells exactly what there is
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Rehearse(rehearse::RehearseArgs),
    Audit(audit::AuditArgs),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return answer_to(&error),
    };
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
        Command::Rehearse(args) => block_on(rehearse::run(args)),
        Command::Audit(args) => block_on(audit::run(args)),
    }
}

/// Commands that only ask others need one thread.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Machine(format!("can't start: {error}")))?
        .block_on(command)
}
