//! The embedded node's figures, each against its bar: `cargo bench --bench embedded`.
//!
//! `TASK_SCHEDULER_TEST_SHORT=1` shortens the runs, for a look; the bars are meant for the whole ones. Names behind `--` choose
//! among `throughput`, `lateness`, `idle`, `lists`, `retention`, `bulk`, `overview`, `browsers`. `hour`, which takes one, is
//! measured only where it is named.
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
    let (pairs, runs, seconds, idle) = if short { (1, 1, 5, 5) } else { (3, 3, 60, 30) };
    // The figures named on the command line, or all.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|one| one == name);
    let mut report = Vec::new();
    if wanted("throughput") {
        report.extend(figures::throughput::measure(pairs));
    }
    if wanted("lateness") {
        report.extend(figures::lateness::measure(runs, seconds));
        report.push(figures::lateness::at_once(200));
    }
    if wanted("idle") {
        report.extend(figures::idle::measure(idle));
        report.push(figures::idle::start());
    }
    if wanted("lists") {
        report.extend(figures::lists::embedded());
    }
    if wanted("retention") {
        let (pairs, size) = if short { (1, (300_000, 10)) } else { (5, (1_000_000, 30)) };
        report.extend(figures::retention::measure(&figures::retention::Database::file(), pairs, size));
    }
    if wanted("bulk") {
        let (pairs, seconds, failed) = if short { (1, 30, 10_000) } else { (5, 165, 100_000) };
        report.extend(figures::bulk::embedded(figures::bulk::Size { pairs, seconds, failed }));
    }
    let thousands = if short { 100 } else { 1_000 };
    if wanted("overview") {
        report.extend(figures::overview::embedded(thousands));
    }
    if wanted("browsers") {
        let (pairs, seconds) = if short { (1, 5) } else { (5, 30) };
        report.extend(figures::browsers::embedded(figures::browsers::Size { pairs, seconds, thousands }));
    }
    if named.iter().any(|one| one == "hour") {
        report.push(figures::hour::measure(if short { 60 } else { 3_600 }));
    }
    println!(
        "\nraw loop: one connection, batches of 1,000, one commit each for claim, start record and move to history"
    );
    for figure in &report {
        println!("{}", figure.line());
    }
    if report.iter().all(figures::Figure::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
