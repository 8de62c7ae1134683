//! The door: identity, tickets, admission, coalescing, the public API
