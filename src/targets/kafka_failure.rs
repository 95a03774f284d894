//! What became of a record that was not reported as delivered.
//!
//! The client library knows whether a record can have been written (`rd_kafka_message_status`), but its safe interface
//! does not hand that on. What it does hand on proves this much:
//!
//! 1. A record that was refused when it was to be queued was never sent.
//! 2. A record gets its partition before it can be sent, and keeps it (`rd_kafka_msg_partitioner`). Reported without one,
//!    it was never sent, whatever the error is: a time-out, an unknown topic, a purge.
//! 3. With a partition, a time-out or a purge says nothing: queued again after a lost connection, a record ends with the
//!    same codes as one that never left. `PurgeQueue` is no exception.
//! 4. What brokers refuse they refuse for the whole batch, and the library does not send it again. An earlier sending of
//!    the same record, its answer lost, would have been refused for the same reason, unless rights, policies or limits
//!    changed within one delivery time-out: that much is taken on trust.

use std::fmt::Display;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::domain::Outcome;

/// Definite: nothing was handed to a broker.
pub fn never_sent(cause: &dyn Display, retryable: bool) -> Outcome {
    Outcome::Failed { retryable, retry_after: None, error: format!("never sent: {cause}") }
}

/// After the client library refused to queue a record.
pub fn not_queued(cause: &KafkaError) -> Outcome {
    let code = cause.rdkafka_error_code();
    // No code: the topic's name has a zero byte.
    let hopeless = matches!(code, None | Some(Code::MessageSizeTooLarge | Code::InvalidTopic));
    never_sent(cause, !hopeless)
}

/// After a delivery report that is none of success. `partition` is the report's; below 0: none was ever chosen.
pub fn not_delivered(cause: &KafkaError, partition: i32) -> Outcome {
    let code = cause.rdkafka_error_code();
    if partition < 0 {
        return never_sent(cause, code != Some(Code::InvalidTopic));
    }
    let retryable = match code {
        // The record itself is what they object to.
        Some(Code::InvalidRecord | Code::InvalidTopic) => false,
        Some(
            // Other records of the same batch may be what they object to: alone it may pass.
            Code::InvalidDifferentRecord
            | Code::MessageSizeTooLarge
            | Code::InvalidTimestamp
            // A matter of the brokers' settings, which people mend.
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::PolicyViolation
            | Code::InvalidRequiredAcks,
        ) => true,
        _ => return Outcome::Ambiguous { error: format!("{cause}; the record may be on the topic") },
    };
    Outcome::Failed { retryable, retry_after: None, error: format!("refused by the brokers: {cause}") }
}

/// After the task's time ran out without a report.
pub fn no_report(within: Duration) -> Outcome {
    let ms = within.as_millis();
    Outcome::Ambiguous { error: format!("no delivery report within {ms} ms; the record may be on the topic") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(code: Code, partition: i32) -> Outcome {
        not_delivered(&KafkaError::MessageProduction(code), partition)
    }

    #[test]
    fn without_a_partition_it_was_never_sent() {
        for code in [Code::MessageTimedOut, Code::PurgeQueue, Code::UnknownTopic, Code::UnknownTopicOrPartition] {
            let Outcome::Failed { retryable: true, error, .. } = reported(code, -1) else { panic!("{code:?}") };
            assert!(error.starts_with("never sent: "), "{error}");
        }
    }

    #[test]
    fn with_a_partition_only_what_brokers_refuse_is_certain() {
        for code in [Code::MessageTimedOut, Code::PurgeQueue, Code::PurgeInflight, Code::RequestTimedOut, Code::Fatal] {
            assert!(matches!(reported(code, 0), Outcome::Ambiguous { .. }), "{code:?}");
        }
        for (code, again) in [
            (Code::InvalidRecord, false),
            (Code::InvalidDifferentRecord, true),
            (Code::MessageSizeTooLarge, true),
            (Code::TopicAuthorizationFailed, true),
        ] {
            assert!(matches!(reported(code, 0), Outcome::Failed { retryable, .. } if retryable == again), "{code:?}");
        }
    }

    #[test]
    fn what_is_not_queued_was_never_sent() {
        for (code, again) in [(Code::QueueFull, true), (Code::MessageSizeTooLarge, false), (Code::InvalidTopic, false)]
        {
            let outcome = not_queued(&KafkaError::MessageProduction(code));
            assert!(matches!(outcome, Outcome::Failed { retryable, .. } if retryable == again), "{code:?}");
        }
    }
}
