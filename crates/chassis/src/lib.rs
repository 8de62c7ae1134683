//! The frame: how a process is configured, starts, is healthy, drains and stops
