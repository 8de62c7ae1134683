//! Logs: lines on standard error, JSON or text.
//!
//! Standard output belongs to what a command prints for people and pipes. What is logged, and that
//! it holds no personal data, is the promise of who logs.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// How and how much is logged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// JSON for machines, text for a terminal.
    pub format: LogFormat,
    /// Directives as `info,gateway=debug`. Default `info`: every line is worth reading in
    /// production.
    pub filter: String,
}

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
    let filter = EnvFilter::try_new(filter)
        .map_err(|source| LogError::Filter { filter: filter.clone(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = match format {
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
        LogFormat::Text => lines.finish().try_init(),
    };
    begun.map_err(|_| LogError::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_filter_is_refused_by_name() {
        let settings = LogSettings { filter: "gateway=loud".into(), ..LogSettings::default() };
        let refused = init(&settings).expect_err("no such level");
        assert!(refused.to_string().contains("gateway=loud"), "{refused}");
    }
}
