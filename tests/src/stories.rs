//! What must be true of the whole system, one story a file. Each counts what it hit, since a fault
//! that hit nothing shows nothing, and ends in the invariants.

mod audit;
mod books_put_back;
mod crashes;
mod disconnects;
mod forgotten_sale;
mod frozen;
mod generic_client;
mod injected;
mod lost_ledger;
mod lost_records;
mod one_ticket;
mod pause;
mod retired;
mod seen_by_operators;
mod sells_out;
mod stolen_operator;
mod three_ways;
mod two_loaders;
