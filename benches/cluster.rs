//! A cluster's figures on a real PostgreSQL, each against its bar: `cargo bench --bench cluster`.
//!
//! `TASK_SCHEDULER_TEST_SHORT=1` shortens the runs, for a look; the bars are meant for the whole ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::used_underscore_binding,
    dead_code,
    unused_imports,
    missing_docs,
    reason = "a measurement may stop at once, and reads clocks; it needs a part of the harness only"
)]

use std::process::ExitCode;

mod figures;
#[path = "../tests/cluster/harness/mod.rs"]
mod harness;
mod raw;
#[path = "../tests/services/mod.rs"]
mod services;

fn main() -> ExitCode {
    let short = std::env::var_os("TASK_SCHEDULER_TEST_SHORT").is_some();
    let (pairs, runs, seconds) = if short { (1, 1, 5) } else { (3, 3, 60) };
    // What is committed is on the disk, as in production.
    let Some(server) = services::postgres::own_server(&["fsync=on", "shared_buffers=512MB", "max_wal_size=4GB"]) else {
        return ExitCode::FAILURE;
    };
    let mut report = figures::cluster::drain(&server, pairs);
    report.extend(figures::cluster::lateness(&server, runs, seconds));
    report.extend(figures::kafka::measure(&server, pairs, if short { 30 } else { 600 }));
    println!(
        "\nraw loop: one connection, arrays of 1,000, one commit each for claim, start record and move to history"
    );
    for figure in &report {
        println!("{}", figure.line());
    }
    if report.iter().all(figures::Figure::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
