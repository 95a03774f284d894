//! What tests of the API stand in for the rest of a node.

use std::time::Duration;

use crate::domain::GenerationId;
use crate::store::{Generation, Standing};

/// A generation of this standing.
pub fn generation(id: GenerationId, standing: Standing) -> Generation {
    Generation {
        id,
        node: "node".to_owned(),
        address: "127.0.0.1:8080".to_owned(),
        version: "0.0.0".to_owned(),
        standing,
        slots: 4,
        free_slots: 3,
        counter: 1,
        heartbeat_age: Duration::from_millis(20),
        clock_offset_us: 0,
        gone: false,
    }
}
