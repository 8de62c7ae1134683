//! One suite for every catalog.
