//! A cluster's figures on a real PostgreSQL, each against its bar: `cargo bench --bench cluster`.
//!
//! `TASK_SCHEDULER_TEST_SHORT=1` shortens the runs, for a look; the bars are meant for the whole ones. Names behind `--` choose
//! among `drain`, `lateness`, `kafka`, `singles`, `costs`, `footprint`, `lists`, `retention`, `bulk`, `overview`,
//! `browsers`.
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
    let (load_pairs, load_seconds, idle, drained) = if short { (1, 3, 5, 50_000) } else { (5, 5, 30, 200_000) };
    let settings = ["fsync=on", "shared_buffers=512MB", "max_wal_size=4GB"];
    // What is committed is on the disk, as in production.
    let Some(server) = services::postgres::own_server(&settings) else {
        return ExitCode::FAILURE;
    };
    // The figures named on the command line, or all.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|one| one == name);
    let mut report = Vec::new();
    if wanted("drain") {
        report.extend(figures::cluster::drain(&server, pairs));
    }
    if wanted("lateness") {
        report.extend(figures::cluster::lateness(&server, runs, seconds));
    }
    if wanted("kafka") {
        report.extend(figures::kafka::measure(&server, pairs, if short { 30 } else { 600 }));
    }
    if wanted("singles") {
        report.extend(figures::singles::measure(&server, load_pairs, load_seconds));
    }
    if wanted("lists") {
        report.extend(figures::lists::cluster(&server));
    }
    if wanted("retention") {
        let (pairs, size) = if short { (1, (300_000, 10)) } else { (5, (1_000_000, 30)) };
        report.extend(figures::retention::measure(&figures::retention::Database::on(&server), pairs, size));
    }
    if wanted("bulk") {
        let (pairs, seconds, failed) = if short { (1, 30, 10_000) } else { (5, 165, 100_000) };
        report.extend(figures::bulk::cluster(&server, figures::bulk::Size { pairs, seconds, failed }));
    }
    let thousands = if short { 100 } else { 1_000 };
    if wanted("overview") {
        report.extend(figures::overview::cluster(&server, thousands));
    }
    if wanted("browsers") {
        let (pairs, seconds) = if short { (1, 5) } else { (5, 30) };
        report.extend(figures::browsers::cluster(&server, figures::browsers::Size { pairs, seconds, thousands }));
    }
    if wanted("costs") || wanted("footprint") {
        if let Some(mut meter) = figures::meter::Meter::start(&server, &settings) {
            if wanted("costs") {
                report.extend(figures::costs::measure(&mut meter, seconds, drained));
            }
            if wanted("footprint") {
                report.extend(figures::footprint::measure(&mut meter, idle, drained));
            }
        } else {
            report.push(figures::Figure::missing("statements, commits, WAL, RSS", "no server that counts them"));
        }
    }
    println!(
        "\nraw loop: one connection, arrays of 1,000, one commit each for claim, start record and move to history"
    );
    for figure in &report {
        println!("{}", figure.line());
    }
    if report.iter().all(figures::Figure::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
