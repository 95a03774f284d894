//! Puts dead letters on their topic. One that the brokers refuse keeps no other from getting there.

use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use super::publication::{Failures, Publication, Sent};
use super::publisher::{Publisher, is_too_large};
use super::record::REASON_CHARS_MAX;
use crate::domain::invalid::legible;
use crate::domain::limits::LETTER_BYTES_MAX;
use crate::queue::PublishError;
use crate::store::DeadLetter;

/// How much of a letter is tried one after another where its topic takes less than most, in bytes.
const SHORTER: [usize; 2] = [100_000, 1_000];

/// How the publication of one dead letter ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Burial {
    /// It is on its topic, a large one by its beginning.
    Published,
    /// The brokers take it in no form: it stays in its row alone. With their reason.
    GivenUp(String),
    /// It is perhaps not there yet. With the reason.
    Later(String),
}

impl Publisher {
    /// Puts dead letters on their topic, the reason and where they came from in headers. One end each, in their order.
    ///
    /// # Errors
    /// Nothing is known of any.
    pub async fn publish_dead(&self, topic: &str, letters: &[DeadLetter]) -> Result<Vec<Burial>, PublishError> {
        let failed = self.put(topic, letters, LETTER_BYTES_MAX).await?;
        let mut burials = Vec::with_capacity(letters.len());
        let mut brokers_answer = true;
        for (place, letter) in letters.iter().enumerate() {
            let burial = match failed.get(&place) {
                None => Burial::Published,
                Some(cause) if is_refusal(cause) && brokers_answer => self.put_alone(topic, letter).await?,
                Some(cause) => Burial::Later(cause.to_string()),
            };
            brokers_answer &= !matches!(burial, Burial::Later(_));
            burials.push(burial);
        }
        Ok(burials)
    }

    /// One by itself: what was refused may have been the company that it was in. If it is not, less and less of it.
    async fn put_alone(&self, topic: &str, letter: &DeadLetter) -> Result<Burial, PublishError> {
        let mut refused = String::new();
        let shorter = SHORTER.into_iter().filter(|bytes| *bytes < letter.record.len());
        for bytes in std::iter::once(LETTER_BYTES_MAX).chain(shorter) {
            let failed = self.put(topic, std::slice::from_ref(letter), bytes).await?;
            match failed.into_values().next() {
                None => return Ok(Burial::Published),
                Some(cause) if is_refusal(&cause) => refused = cause.to_string(),
                Some(cause) => return Ok(Burial::Later(cause.to_string())),
            }
        }
        Ok(Burial::GivenUp(refused))
    }

    /// At most so many bytes of each; what is cut off says so. The row has all of it.
    async fn put(&self, topic: &str, letters: &[DeadLetter], bytes: usize) -> Result<Failures, PublishError> {
        self.producer().stands()?;
        let (publication, ended) = Publication::new(letters.len(), None);
        for (place, letter) in letters.iter().enumerate() {
            let reason = legible(&letter.reason, REASON_CHARS_MAX);
            let headers = OwnedHeaders::new()
                .insert(Header { key: "reason", value: Some(&reason) })
                .insert(Header { key: "origin", value: Some(&letter.origin) });
            let value = letter.record.get(..bytes).unwrap_or(&letter.record);
            let whole = value.len() == letter.record.len();
            let headers =
                if whole { headers } else { headers.insert(Header { key: "truncated", value: Some("true") }) };
            let record: BaseRecord<'_, str, [u8], _> =
                BaseRecord::with_opaque_to(topic, Box::new(Sent::new(&publication, place, None)));
            self.producer().send(record.key(&letter.origin).payload(value).headers(headers));
        }
        publication.ended(ended).await
    }
}

/// It is the record's own fault: sent again as it is, it is refused again. (What is wrong with the topic is not.)
fn is_refusal(cause: &rdkafka::error::KafkaError) -> bool {
    is_too_large(cause) || cause.rdkafka_error_code() == Some(Code::InvalidRecord)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::clock::Clock;
    use crate::config::KafkaConfig;

    const TOPIC: &str = "dead";

    /// Brokers that answer so many publications that a record is too large.
    fn refusing(times: usize) -> (Publisher, MockCluster<'static, DefaultProducerContext>) {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic(TOPIC, 1, 1).unwrap();
        let refusals = vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; times];
        brokers.request_errors(RDKafkaApiKey::Produce, &refusals);
        let config = KafkaConfig { brokers: brokers.bootstrap_servers(), ..KafkaConfig::default() };
        (Publisher::new(&config, 1 << 20, Arc::default(), Clock::new()).unwrap(), brokers)
    }

    fn letter(bytes: usize) -> DeadLetter {
        DeadLetter { origin: format!("t[0]@{bytes}"), reason: "no task".to_owned(), record: vec![b'x'; bytes] }
    }

    #[tokio::test]
    async fn each_has_its_own_end() {
        let (publisher, _brokers) = refusing(0);
        let ends = publisher.publish_dead(TOPIC, &[letter(1), letter(2)]).await.unwrap();
        assert_eq!(ends, [Burial::Published, Burial::Published]);
    }

    #[tokio::test]
    async fn one_that_is_refused_is_tried_by_less_and_less_of_it() {
        for refusals in 1..=3 {
            let (publisher, _brokers) = refusing(refusals);
            let ends = publisher.publish_dead(TOPIC, &[letter(200_000)]).await.unwrap();
            assert_eq!(ends, [Burial::Published], "after {refusals} refusals");
        }
    }

    #[tokio::test]
    async fn one_that_is_not_taken_at_all_is_given_up_and_keeps_no_other_back() {
        let (publisher, _brokers) = refusing(4);
        let ends = publisher.publish_dead(TOPIC, &[letter(200_000), letter(3)]).await.unwrap();
        assert!(matches!(ends[..], [Burial::GivenUp(_), Burial::Published]), "{ends:?}");
    }
}
