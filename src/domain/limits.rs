//! Every limit on what comes from outside, in one place, with its unit.

use std::time::Duration;

/// Largest request body of one submission, in bytes; also the largest item of a batch.
pub const SUBMISSION_BYTES_MAX: usize = 1024 * 1024;
/// Largest request body of a batch, in bytes.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most tasks in one batch.
pub const BATCH_TASKS_MAX: usize = 10_000;
/// Largest payload, in bytes of its JSON text (or of the decoded `base64`).
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of a payload: deeper ones break the JSON parsers of targets.
pub const PAYLOAD_DEPTH_MAX: usize = 128;
/// How far ahead a task may be scheduled.
pub const AHEAD_MAX: Duration = Duration::from_hours(10 * 366 * 24);
/// Longest `Idempotency-Key`, in characters.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// Most labels of a task.
pub const LABELS_MAX: usize = 32;
/// Longest label name or value, in characters.
pub const LABEL_CHARS_MAX: usize = 256;
/// Most headers of a target.
pub const HEADERS_MAX: usize = 64;
/// Longest header value, in bytes.
pub const HEADER_BYTES_MAX: usize = 8 * 1024;
/// All headers of a target together, names and values, in bytes: what is claimed is held in memory with them.
pub const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// Longest HTTP method, in characters.
pub const METHOD_CHARS_MAX: usize = 32;
/// Longest key of a Kafka record, in bytes.
pub const RECORD_KEY_BYTES_MAX: usize = 4 * 1024;
/// Longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 8 * 1024;
/// Highest priority; 0 is the default and the lowest.
pub const PRIORITY_MAX: u8 = 9;
/// Shortest and longest `timeout_ms`.
pub const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 1..=3_600_000;
/// `timeout_ms` of a task that names none.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Most starts that a retry policy may ask for.
pub const ATTEMPTS_MAX: u32 = 1_000;
/// Longest backoff, and the longest `Retry-After` that is honoured.
pub const BACKOFF_MAX: Duration = Duration::from_hours(24);
/// Longest `last_error` kept, in characters.
pub const ERROR_CHARS_MAX: usize = 1_000;
/// Most pauses at once, those that are being resumed too: each task that comes due is held against all of them.
pub const PAUSES_MAX: i64 = 100;
/// Longest reason of a pause, in characters.
pub const PAUSE_REASON_CHARS_MAX: usize = 1_000;
/// Tasks let go a second after a pause.
pub const PER_SECOND: std::ops::RangeInclusive<u32> = 1..=100_000;
/// Tasks let go a second if nothing is said.
pub const PER_SECOND_DEFAULT: u32 = 1_000;
/// So far the tasks that wait for the end of a pause are counted.
pub const WAITING_COUNTED_MAX: u64 = 10_000;
/// Most of a dead letter that is put on its topic, in bytes: what brokers take by default, less headers.
pub const LETTER_BYTES_MAX: usize = 1_000_000;
