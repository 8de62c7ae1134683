//! Searches the worlds that are too large for a test, then takes each mechanism away. Prints a
//! table and leaves it as JSON. Ends with 1 if a law is broken, if no good end can be reached from
//! somewhere, or if a removal is not noticed; a search that stopped early says so.

#![expect(clippy::print_stdout, reason = "its table is what it is run for")]

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use protocol_model::{Bounds, Found, Judged, Protocol, Settings, large, rows, search, small};
use serde::Serialize;

/// Searches the protocol's model.
#[derive(Debug, Parser)]
struct Arguments {
    /// Searches this world alone.
    #[arg(long)]
    only: Option<String>,
    /// Leaves out the removals.
    #[arg(long)]
    without_removals: bool,
    /// A search stops at so many different worlds: about 250 bytes of memory each.
    #[arg(long, default_value_t = 4_000_000)]
    states_max: usize,
    /// A search stops after so many seconds.
    #[arg(long, default_value_t = 600)]
    seconds_max: u64,
    /// Where the figures go.
    #[arg(long, default_value = "target/model.json")]
    report: PathBuf,
}

/// A line of the table.
#[derive(Debug, Serialize)]
struct Line {
    name: String,
    states: usize,
    depth: usize,
    seconds: f64,
    is_truncated: bool,
    violations: Vec<String>,
    good_ends: usize,
    /// None if not all was seen, so that it can't be told.
    without_a_good_end: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Report {
    worlds: Vec<Line>,
    removals: Vec<Line>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bounds = Bounds {
        states_max: arguments.states_max,
        time_max: Duration::from_secs(arguments.seconds_max),
        names_matter: false,
    };
    let mut report = Report { worlds: Vec::new(), removals: Vec::new() };
    let mut is_right = true;
    head("world");
    let wanted = |settings: &Settings| match &arguments.only {
        Some(only) => settings.name == only,
        None => true,
    };
    for settings in small().into_iter().chain(large()).filter(wanted) {
        let name = settings.name.to_owned();
        let found = search(&Protocol::new(settings), Judged::All, bounds);
        is_right &= found.violations.is_empty() && found.stuck == 0;
        report.worlds.push(told(name, Judged::All, &found));
    }
    if !arguments.without_removals && arguments.only.is_none() {
        println!();
        head("without");
        for row in rows() {
            let name = format!("{:?}", row.settings.removed);
            let found = search(&Protocol::new(row.settings), row.finds, bounds);
            is_right &= !found.violations.is_empty() || found.stuck > 0;
            report.removals.push(told(name, row.finds, &found));
        }
    }
    is_right &= !report.worlds.is_empty();
    println!();
    println!("{}", verdict(&report, is_right));
    match write(&report, &arguments.report) {
        Ok(()) if is_right => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            println!("{} was not written: {error}", arguments.report.display());
            ExitCode::FAILURE
        }
    }
}

fn head(first: &str) {
    println!(
        "{first:<48} {:>9} {:>6} {:>8} {:>10}  found",
        "states", "depth", "seconds", "good ends"
    );
}

/// Prints a search as a line, and the way to what it found.
fn told(name: String, judged: Judged, found: &Found) -> Line {
    let Found { states, depth, took, good_ends, .. } = *found;
    let mut words: Vec<_> = found.violations.iter().map(|(law, _)| (*law).to_owned()).collect();
    if found.stuck > 0 {
        words.push(format!("{} worlds without a way to a good end", found.stuck));
    }
    if found.is_truncated {
        words.push("TRUNCATED".to_owned());
    }
    let seconds = took.as_secs_f64();
    let says = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
    println!("{name:<48} {states:>9} {depth:>6} {seconds:>8.1} {good_ends:>10}  {says}");
    if judged == Judged::All {
        let ways = found.violations.iter().map(|(_, way)| way).chain(&found.way_to_stuck);
        for event in ways.flatten() {
            println!("    {event:?}");
        }
    }
    let is_judged = !found.is_truncated && found.violations.is_empty();
    Line {
        name,
        states,
        depth,
        seconds,
        is_truncated: found.is_truncated,
        violations: found.violations.iter().map(|(law, _)| (*law).to_owned()).collect(),
        good_ends,
        without_a_good_end: is_judged.then_some(found.stuck),
    }
}

fn verdict(report: &Report, is_right: bool) -> String {
    let worlds = report.worlds.len();
    let states: usize = report.worlds.iter().map(|line| line.states).sum();
    let truncated = report.worlds.iter().filter(|line| line.is_truncated).count();
    let removals = report.removals.len();
    let says = if is_right { "right" } else { "NOT RIGHT" };
    format!("{says}: {worlds} worlds, {states} states, {truncated} truncated; {removals} removals")
}

fn write(report: &Report, path: &PathBuf) -> std::io::Result<()> {
    let mut text = serde_json::to_string_pretty(report).map_err(std::io::Error::other)?;
    text.push('\n');
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, text)
}
