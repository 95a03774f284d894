//! The rules, pure: no clock, no I/O, no thread. Time and chance are passed in.
//!
//! Everything here can be tested by calling it. The actors are thin shells around these decisions and the store
//! makes them durable; where the two meet, the *row* is the truth and a value of this module only its picture.

pub mod all_nodes;
pub mod attempt;
pub mod batch_size;
pub mod buckets;
pub mod change_document;
pub mod claim;
pub mod clock_map;
pub mod credit;
pub mod document;
pub mod figures;
pub mod ids;
pub mod invalid;
pub mod kafka_topics;
pub mod limits;
pub mod liveness;
pub mod look_ahead;
pub mod mastership;
pub mod object;
pub mod pace;
pub mod pause;
pub mod payload;
pub mod recent;
pub mod retention;
pub mod retry;
pub mod settlement;
pub mod share;
pub mod state;
pub mod sweep;
pub mod tags;
pub mod target;
pub mod target_document;
pub mod task;
pub mod time;
pub mod trace_parent;
mod unreadable;

pub use attempt::{Attempt, AttemptOutcome, Outcome};
pub use claim::{Claim, ClaimedTask, Due};
pub use ids::{Epoch, GenerationId, TaskId};
pub use invalid::Invalid;
pub use pause::{Pause, Pauses};
pub use settlement::Verdict;
pub use state::State;
pub use target::{HttpTarget, KafkaTarget, Target};
pub use task::{Delivery, Misfire, NewTask, Spec, Task};
pub use time::{Mono, Timestamp};
pub use trace_parent::{TRACEPARENT, TraceParent};
