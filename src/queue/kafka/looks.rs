//! The looks at the topic, once a second: whether the brokers answer, which partitions there are, and how it is set up. What
//! is missing is made, if that is wanted and harms nothing.

use std::sync::Arc;
use std::time::Duration;

use super::asking::Look;
use super::said::Said;
use super::{Shared, topics};
use crate::config::KafkaConfig;
use crate::domain::time::Mono;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// The same when something was just made, or may be made soon.
const SOON: Duration = Duration::from_millis(100);
/// Between two looks at what hardly ever changes.
const RARELY: Duration = Duration::from_mins(1);
/// The same when nothing could be seen.
const AGAIN: Duration = Duration::from_secs(10);

/// See the module.
pub struct Looks {
    config: KafkaConfig,
    shared: Arc<Shared>,
    at: Option<Mono>,
    setup_at: Option<Mono>,
    dead_at: Option<Mono>,
    said: Said,
    said_of_setup: Said,
    said_of_dead: Said,
}

impl Looks {
    /// None yet.
    pub fn new(config: KafkaConfig, shared: Arc<Shared>) -> Self {
        let (said, said_of_setup, said_of_dead) = Default::default();
        Self { config, shared, at: None, setup_at: None, dead_at: None, said, said_of_setup, said_of_dead }
    }

    /// Looks, if it is time. True: the topic is there.
    pub fn look(&mut self) -> bool {
        if !self.is_due(self.at) {
            return false;
        }
        self.shared.asking.drain();
        let answer = self.shared.asking.look();
        if answer.is_ok() {
            self.shared.reach.refresh();
        }
        let there = matches!(answer, Ok(Look::There(_)));
        let next = match answer {
            Ok(Look::There(layout)) => {
                let partitions = layout.partitions;
                if self.shared.reach.see(layout) {
                    log::info!("the submission topic {} has {partitions} partitions", self.config.submission_topic);
                }
                self.said.over();
                self.look_at_setup();
                self.look_at_dead_letters();
                // This thread lives, however long that took.
                self.shared.reach.refresh();
                LOOK
            }
            Ok(Look::Missing(topic_id)) => self.missing(topic_id),
            Err(cause) => {
                self.shared.reach.lose();
                self.warn(&format!("the brokers at {} do not answer: {cause}", self.config.brokers));
                LOOK
            }
        };
        self.at = Some(self.shared.reach.now().plus(next));
        there
    }

    /// When to look again at a topic that does not exist.
    fn missing(&mut self, topic_id: String) -> Duration {
        let topic = &self.config.submission_topic;
        self.shared.reach.miss(topic_id);
        if !self.config.create_topics {
            let text = format!("there is no topic {topic}; make it, or let it be made with --kafka-create-topics=true");
            if self.said.is_due(self.shared.reach.now(), &text) {
                log::error!("{text}");
            }
            return LOOK;
        }
        // Whoever knows the database has to say that nothing was ever ingested from it.
        if !self.shared.reach.may_make() {
            return SOON;
        }
        match topics::make(&self.config) {
            Ok(()) => SOON,
            Err(cause) => {
                self.warn(&cause);
                LOOK
            }
        }
    }

    /// Looks once at how the topic is set up: one that was not made here may lose what is not ingested in time.
    fn look_at_setup(&mut self) {
        if self.shared.setup.get().is_some() || !self.is_due(self.setup_at) {
            return;
        }
        let topic = &self.config.submission_topic;
        match topics::setup(&self.config) {
            Ok(setup) => {
                for warning in setup.warnings(topic) {
                    log::warn!("{warning}");
                }
                // Nobody else sets it.
                let _set = self.shared.setup.set(setup);
            }
            Err(cause) => {
                let text = format!("how topic {topic} is set up cannot be looked at: {cause}");
                let now = self.shared.reach.now();
                if self.said_of_setup.is_due(now, &text) {
                    log::warn!("{text}");
                }
                self.setup_at = Some(now.plus(AGAIN));
            }
        }
    }

    /// Looks whether dead letters can go to their topic; their rows wait until they can.
    fn look_at_dead_letters(&mut self) {
        if !self.is_due(self.dead_at) {
            return;
        }
        let topic = self.config.dead_letter_topic();
        let (next, trouble) = match self.shared.asking.exists(&topic) {
            Ok(true) => (RARELY, None),
            Ok(false) if self.config.create_topics => match topics::make_dead_letters(&self.config) {
                Ok(()) => (RARELY, None),
                Err(cause) => (AGAIN, Some(cause)),
            },
            Ok(false) => (
                AGAIN,
                Some(format!("there is no topic {topic}; make it, or let it be made with --kafka-create-topics=true")),
            ),
            Err(cause) => (AGAIN, Some(format!("topic {topic} cannot be looked at: {cause}"))),
        };
        let now = self.shared.reach.now();
        match trouble {
            Some(text) if self.said_of_dead.is_due(now, &text) => {
                log::error!("dead letters stay in the database: {text}");
            }
            Some(_) => {}
            None => self.said_of_dead.over(),
        }
        self.dead_at = Some(now.plus(next));
    }

    fn warn(&mut self, text: &str) {
        if self.said.is_due(self.shared.reach.now(), text) {
            log::warn!("{text}");
        }
    }

    fn is_due(&self, at: Option<Mono>) -> bool {
        at.is_none_or(|at| self.shared.reach.now() >= at)
    }
}
