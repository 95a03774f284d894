//! Which topics a task may write to: what the node's settings name, and never the topics that submissions come from.

/// Kafka's longest name of a topic, in characters.
const NAME_CHARS_MAX: usize = 249;

/// A legal name, by Kafka's own rule.
pub fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.len() <= NAME_CHARS_MAX && text.chars().all(legal) && !matches!(text, "." | "..")
}

/// The topics that tasks may write to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KafkaTopics {
    allowed: Vec<String>,
    own: Vec<String>,
}

impl KafkaTopics {
    /// `allowed` names topics, or with `*` behind it all that begin so; `own` are the ones that no task may write to.
    pub fn new(allowed: Vec<String>, own: Vec<String>) -> Self {
        Self { allowed, own }
    }

    /// A task may write to `topic`.
    ///
    /// # Errors
    /// It may not: which it may, as a phrase.
    pub fn check(&self, topic: &str) -> Result<(), String> {
        if self.allowed.is_empty() {
            return Err("no topic: this node has none that tasks may write to (--kafka-target-topic)".to_owned());
        }
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => topic.starts_with(beginning),
            None => topic == pattern,
        };
        if self.allowed.iter().any(matches) && !self.own.iter().any(|own| own == topic) {
            return Ok(());
        }
        Err(format!("one of {} (--kafka-target-topic), and none that submissions come from", self.allowed.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_may_be_written_to() {
        let topics = KafkaTopics::new(vec!["orders".into(), "mail-*".into()], vec!["mail-in".into()]);
        for allowed in ["orders", "mail-", "mail-out"] {
            assert_eq!(topics.check(allowed), Ok(()), "{allowed}");
        }
        for refused in ["order", "orders2", "mail-in", "other", ""] {
            assert!(topics.check(refused).is_err(), "{refused}");
        }
        assert!(KafkaTopics::default().check("orders").is_err());
        assert!(KafkaTopics::new(vec!["*".into()], vec!["in".into()]).check("in").is_err());
    }

    #[test]
    fn names_are_kafkas() {
        assert!(is_name("a.B_c-9") && is_name(&"x".repeat(249)));
        for wrong in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
