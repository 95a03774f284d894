//! `task-scheduler`: runs every scheduled task at its time, once, even in a cluster.

pub mod domain;

pub mod clock;
pub mod config;
pub mod metrics;

pub mod queue;
pub mod store;
pub mod targets;

pub mod actors;
