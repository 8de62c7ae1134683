//! `seckill-bench`: how fast the shop is, and whether it stays as it is for an hour. It starts the
//! real program as a user would, loads it from the same machine, and counts afterwards what is in
//! the books. It changes no setting but those that it says.

mod run;

mod books;
mod echo;
mod ledger;
mod purchases;
mod stock;

mod soak;

mod failure;
mod figures;
mod load;
mod process;
mod sale;
mod shop;

use std::{process::ExitCode, thread::available_parallelism};

use clap::Parser;

use failure::{Failure, failed};

/// Measures the shop
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(Box<run::RunArgs>),
    Soak(soak::SoakArgs),
    /// Serve the bare echo that the others are compared with
    Echo,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = chassis::open_files::raise() {
        say(format!("can't raise the limit of open files: {error}"));
    }
    let done = match cli.command {
        Command::Run(args) => block_on(run::run(*args)),
        Command::Soak(args) => block_on(soak::run(args)),
        Command::Echo => {
            let cores = available_parallelism().map_or(1, usize::from);
            block_on(echo::serve(cores, |address| say(format!("echo listens on {address}"))))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            ExitCode::FAILURE
        }
    }
}

/// One thread waits; the load has its own.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(failed("can't start"))?.block_on(command)
}

#[expect(clippy::print_stdout, reason = "what the program has to say to a person")]
fn say(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}

#[expect(clippy::print_stderr, reason = "why the program ends")]
fn complain(failure: &Failure) {
    eprintln!("{failure}");
}
