//! Logs: lines on standard error, JSON or text.
//!
//! A line that is written inside of a trace ends with its `trace_id` and `span_id`, whether the
//! trace is recorded or not. Standard output belongs to what a command prints for people and pipes.
//! What is logged, and that it holds no personal data, is the promise of who logs.

mod lasting;

pub use lasting::Lasting;

use std::fmt;

use serde::Deserialize;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::telemetry::TraceContext;

/// How and how much is logged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// JSON for machines, text for a terminal.
    pub format: LogFormat,
    /// Directives as `info,gateway=debug`. Default `info`: every line is worth reading in
    /// production. Of libraries that are in [`MUTE`] nothing is, unless it names them.
    pub filter: String,
}

/// Libraries that log each error which they also return: in an outage of a database thousands of
/// lines, beside the one in which who asked says what it means.
pub const MUTE: &str = "sqlx=off";

/// The shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line: the default, as logs are collected.
    #[default]
    Json,
    /// For reading.
    Text,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter has a directive that can't be understood.
    #[error("the log filter {filter:?} is not understood: {source}")]
    Filter {
        /// The filter as it was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging had begun before.
    #[error("logging has been set up before")]
    Twice,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::default(), filter: "info".to_owned() }
    }
}

/// Begins to log. Once per process.
///
/// # Errors
/// If the filter is malformed, or logging had begun before.
pub fn init(settings: &LogSettings) -> Result<(), LogError> {
    let LogSettings { format, filter } = settings;
    let filter = EnvFilter::try_new(format!("{MUTE},{filter}"))
        .map_err(|source| LogError::Filter { filter: filter.clone(), source })?;
    let begun = match format {
        LogFormat::Json => json(filter, std::io::stderr).try_init(),
        LogFormat::Text => {
            let lines = tracing_subscriber::fmt().with_env_filter(filter);
            let shape = Placed { lines: Format::default(), write: place_in_text };
            lines.with_writer(std::io::stderr).event_format(shape).finish().try_init()
        }
    };
    begun.map_err(|_| LogError::Twice)
}

/// What [`init`] sets up for JSON, with another destination: for who reads its own lines.
pub fn json(
    filter: EnvFilter,
    destination: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let lines = tracing_subscriber::fmt().with_env_filter(filter).json().flatten_event(true);
    let shape =
        Placed { lines: Format::default().json().flatten_event(true), write: place_in_json };
    lines.with_writer(destination).event_format(shape).finish()
}

/// Lines that say where in a trace they were written.
struct Placed<F> {
    lines: F,
    /// Adds the place to a line without its end.
    write: fn(&mut Writer<'_>, &str, TraceContext) -> fmt::Result,
}

impl<F, S, N> FormatEvent<S, N> for Placed<F>
where
    F: FormatEvent<S, N>,
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(context) = TraceContext::current() else {
            return self.lines.format_event(ctx, writer, event);
        };
        let mut line = String::new();
        self.lines.format_event(ctx, Writer::new(&mut line), event)?;
        (self.write)(&mut writer, line.trim_end_matches('\n'), context)
    }
}

fn place_in_json(writer: &mut Writer<'_>, line: &str, context: TraceContext) -> fmt::Result {
    let (trace, span) = (context.trace_id(), context.span_id());
    let open = line.strip_suffix('}').unwrap_or(line);
    writeln!(writer, "{open},\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"}}")
}

fn place_in_text(writer: &mut Writer<'_>, line: &str, context: TraceContext) -> fmt::Result {
    writeln!(writer, "{line} trace_id={} span_id={}", context.trace_id(), context.span_id())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_in_a_trace_says_so_and_another_does_not() {
        let lines = Lines::default();
        let destination = lines.clone();
        let subscriber = json(EnvFilter::new("info"), move || destination.clone());
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = TraceContext::parse(header).expect("it is one");
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(loaves = 3, "outside");
            context.enter(|| tracing::info!(loaves = 4, "inside"));
        });
        let text = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].get("trace_id"), None);
        assert_eq!(lines[1]["loaves"], 4);
        assert_eq!(lines[1]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(lines[1]["span_id"], "b7ad6b7169203331");
    }

    #[test]
    fn libraries_that_only_repeat_are_mute_unless_they_are_named() {
        for (wanted, expected) in [("info", 0), ("info,sqlx=warn", 1)] {
            let lines = Lines::default();
            let destination = lines.clone();
            let filter = EnvFilter::new(format!("{MUTE},{wanted}"));
            let subscriber = json(filter, move || destination.clone());
            tracing::subscriber::with_default(subscriber, || {
                tracing::error!(target: "sqlx_core::pool::inner", "error returned from a callback");
                tracing::info!("a loaf");
            });
            let text = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
            assert_eq!(text.lines().filter(|line| line.contains("sqlx")).count(), expected);
            assert!(text.contains("a loaf"));
        }
    }

    #[test]
    fn malformed_filter_is_refused_by_name() {
        let settings = LogSettings { filter: "gateway=loud".into(), ..LogSettings::default() };
        let refused = init(&settings).expect_err("no such level");
        assert!(refused.to_string().contains("gateway=loud"), "{refused}");
    }
}
