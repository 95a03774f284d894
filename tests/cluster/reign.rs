//! A master that can hold its lease and nothing else.

use std::time::{Duration, Instant};

use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::{Node, Receiver};
use crate::services::postgres::server;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_master_none_of_whose_passes_goes_through_makes_room_for_another() {
    let Some(server) = server() else { return };
    let mut cluster = Cluster::on(server, 1);
    // Node 1 has a user of its own; it is master when node 0 has gone.
    let role = format!("limited_{}", std::process::id());
    cluster.run(&format!(
        "CREATE ROLE {role} LOGIN; DO $$ BEGIN EXECUTE format('GRANT ALL ON SCHEMA %I TO {role}', current_schema()); \
         EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %I TO {role}', current_schema()); \
         EXECUTE format('GRANT ALL ON ALL SEQUENCES IN SCHEMA %I TO {role}', current_schema()); END $$"
    ));
    let url = cluster.url.replacen("//postgres@", &format!("//{role}@"), 1);
    assert_ne!(url, cluster.url);
    cluster.join(&url);
    assert!(std::mem::replace(&mut cluster.nodes[0], Node::start()).stop().success());
    until("the other is master", SOON, || cluster.master(1) == Some(1));
    let url = cluster.url.clone();
    cluster.join(&url);
    let receiver = Receiver::start();
    cluster.submit(2, &receiver.url("/before"), 10, (Duration::ZERO, Duration::ZERO));
    receiver.wait_for(10, SOON);
    // It goes on renewing and beating.
    cluster.run(&format!("REVOKE ALL ON load FROM {role}"));
    let began = Instant::now();
    until("the third is master", SOON, || cluster.master(2) == Some(2));
    println!("a master without a pass for 5 s was replaced after {:?}", began.elapsed());
    cluster.submit(2, &receiver.url("/after"), 10, (Duration::ZERO, Duration::ZERO));
    receiver.wait_for(20, SOON);
}
