//! The frame: how a process is configured, starts, is healthy, drains and stops.
//!
//! It promises that nothing outlives its owner: tasks, connections and handlers of an App end when
//! its [`TaskOwner`] is dropped (a crash) or drained (a shutdown), and that time is asked of one
//! [`Clock`]. It has no noun of the shop: it would serve a bakery's order system unchanged.

pub mod channel;
pub mod clock;
pub mod config;
pub mod cores;
pub mod deadline;
pub mod health;
pub mod job;
pub mod logs;
mod malformed;
pub mod metrics;
pub mod open_files;
pub mod pause;
pub mod plain_http;
pub mod reflection;
pub mod secret_file;
pub mod server;
pub mod status;
pub mod stop;
pub mod tasks;
pub mod telemetry;
pub mod token;

pub use clock::{Clock, ClockShift};
pub use config::Secret;
pub use cores::Cores;
pub use deadline::Deadline;
pub use health::Health;
pub use malformed::Words;
pub use metrics::Metrics;
pub use pause::{PauseHandle, PausePoints};
pub use server::{BindError, Listeners, ServerSettings, serve};
pub use stop::Stopper;
pub use tasks::{Drained, Kind, TaskOwner, Tasks};
pub use telemetry::{Telemetry, TelemetryOwner, TelemetrySettings, TraceContext, Traced};
