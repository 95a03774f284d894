//! How the client library is set up for the submission topic.

use rdkafka::ClientConfig;

use crate::config::KafkaConfig;

/// Largest record: a submission of the largest size (1 MiB) with its key and headers, in bytes.
pub const RECORD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// For the brokers of the settings, as they want to be asked.
pub fn client(config: &KafkaConfig) -> ClientConfig {
    config.client().collect()
}
