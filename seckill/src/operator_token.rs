//! `seckill operator-token`: the first operator's token, made by whoever may read the signing key.
//! Needs no running service. The token alone goes to standard output, so that it can be put into a
//! file that only its owner may read.

use std::{path::PathBuf, time::Duration};

use user_svc::{Right, Rights, operator};

use crate::{failure::Failure, screen::say};

/// Make an operator's token with the key that signs access tokens
#[derive(Debug, clap::Args)]
pub(crate) struct OperatorTokenArgs {
    /// The signing key of user-svc (Ed25519, PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Whose token it is; appears beside every action
    #[arg(long, value_name = "NAME")]
    name: String,
    /// How long it lives, in seconds; a minute to 30 days
    #[arg(long, alias = "lifetime", value_name = "SECONDS", default_value_t = 3_600)]
    lifetime_s: u64,
    /// What it allows, with commas between: read, run-sales, make-operators. All by default: the
    /// first operator makes the others, whose tokens have no more rights and no longer life
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',', value_parser = right)]
    rights: Vec<Right>,
    /// The issuer that user-svc is configured with
    #[arg(long, default_value = "seckill")]
    issuer: String,
}

/// Runs the command.
pub(crate) fn run(args: &OperatorTokenArgs) -> Result<(), Failure> {
    let lifetime = Duration::from_secs(args.lifetime_s);
    let rights = match &*args.rights {
        [] => Rights::all(),
        named => named.iter().copied().collect(),
    };
    let token = operator::issue(&args.key, &args.issuer, &args.name, lifetime, &rights)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    say(token.expose());
    Ok(())
}

fn right(text: &str) -> Result<Right, String> {
    let name = text.replace('-', "_").to_uppercase();
    Right::parse(&name).ok_or_else(|| "it is one of read, run-sales, make-operators".to_owned())
}
