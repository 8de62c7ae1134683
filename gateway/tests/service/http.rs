//! The door by plain HTTP/1.1 over a socket, as curl and browsers come. Every answer that a test
//! gets is held against the document that the gateway serves: its path, its status, and its body
//! field by field.

mod browsers;
mod buying;
mod client;
mod document;
mod events;
mod people;
mod refusals;
pub(crate) mod secrets;
