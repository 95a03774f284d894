//! What the tests stand on: real node processes, a receiver that keeps what it was sent, a small HTTP client.

pub mod alone;
pub mod browser;
pub mod cluster;
pub mod database;
pub mod http;
pub mod judge;
pub mod length;
pub mod load;
pub mod look;
pub mod node;
pub mod on_topic;
pub mod producer;
pub mod proxy;
pub mod receiver;
pub mod shape;
pub mod stream;
pub mod tally;
pub mod topic;

pub use browser::Browser;
pub use node::Node;
pub use receiver::{Answer, Call, Receiver};
