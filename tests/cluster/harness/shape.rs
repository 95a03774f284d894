//! The two shapes of a cluster: with a topic and without. What needs no broker is tested in both.

use super::cluster::Cluster;
use super::length;
use crate::services::{kafka, postgres};

/// How submissions come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Into the database.
    Plain,
    /// Over a topic.
    Topic,
}

/// Both in the long form.
pub fn shapes() -> &'static [Shape] {
    length::of(&[Shape::Plain], &[Shape::Plain, Shape::Topic])
}

impl Shape {
    /// What its nodes are started with besides the database: a topic of the caller's own, as far as it has one; `None` where
    /// there is no server for it.
    pub fn flags(self) -> Option<Vec<String>> {
        if self == Self::Plain {
            return Some(Vec::new());
        }
        let server = kafka::server()?;
        let flags =
            ["--kafka-brokers", &server.brokers(), "--submission-topic", &server.topic(), "--kafka-partitions", "6"];
        Some(flags.map(str::to_owned).into())
    }

    /// So many nodes of it; `None` where a server is not to be had.
    pub fn cluster(self, nodes: usize) -> Option<Cluster> {
        let flags = self.flags()?;
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Some(Cluster::with(postgres::server()?, nodes, &flags))
    }
}
