//! The program as its users meet it: real processes, judged by what targets received and callers were answered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::used_underscore_binding,
    dead_code,
    missing_docs,
    reason = "a test may stop at once, and reads clocks to judge the program's; a part of the harness is the bench's"
)]

mod harness;
#[path = "../services/mod.rs"]
mod services;

mod api;
mod backup;
mod bad_input;
mod cancel;
mod changes;
mod command_line;
mod containers;
mod crash;
mod dashboard;
mod disk_full;
mod examples;
mod faults;
mod firing;
mod kafka;
mod manners;
mod metrics;
mod nodes;
mod openapi;
mod operations;
mod pauses;
mod reign;
mod reports;
mod retention;
mod schemathesis;
mod settings;
mod stop;
mod tls;
mod topic_setup;
mod tracing;
mod upload;
