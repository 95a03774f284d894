//! Any node shows the figures of all.

use std::time::Duration;

use serde_json::Value;

use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::{Receiver, http};
use crate::services::postgres::server;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_node_that_has_called_nothing_shows_how_late_the_others_were() {
    let Some(server) = server() else { return };
    let mut cluster = Cluster::on(server, 1);
    let receiver = Receiver::start();
    cluster.submit(0, &receiver.url("/"), 200, (Duration::ZERO, Duration::from_secs(1)));
    receiver.wait_for(200, SOON);
    let url = cluster.url.clone();
    cluster.join(&url);
    let stats = |node: usize| -> Value { http::get(&cluster.nodes[node].url("/v1/stats")).json() };
    until("it is shown what the other has done", SOON, || {
        let seen = stats(1);
        let ended = seen["rates"]["ended_per_s"].as_f64().unwrap() * seen["rates"]["over_ms"].as_f64().unwrap() / 1e3;
        !seen["lateness_ms"]["p99"].is_null() && (195.0..=205.0).contains(&ended)
    });
    println!("{}", stats(1));
    assert!(stats(1)["rates"]["stored_per_s"].as_f64().unwrap() > 0.0);
}
