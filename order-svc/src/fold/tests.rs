//! The fold against text tables (one interpreter, [`table`]) and against seeded walks over the law
//! ([`walks`]). Both run on [`rows::Rows`], the smallest store that keeps what the fold writes and
//! shows it only what it said it would touch.

mod rows;
mod table;
mod walks;
