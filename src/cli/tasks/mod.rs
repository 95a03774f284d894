//! Tasks that are there: `get`, `list`, `watch`, and what changes them by their ids or by filters.

pub mod change;
mod filters;
pub mod get;
pub mod list;
mod many;
mod operation;
mod shown;
pub mod watch;
