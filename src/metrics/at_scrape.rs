//! What is not counted but looked up when somebody asks: how the tasks stand, the queue, the clock, the process.
//!
//! Each part stands for itself: what could not be found out is left out, and the rest is shown.

use prometheus::{Error, Registry};

use super::maker::{Described, Maker, number};
use super::process::Process;
use super::{PREFIX, written};
use crate::domain::{Epoch, State};

/// What the task database says: the same on every node of a cluster.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InDatabase {
    /// How many tasks stand in each state; a state that is missing has none.
    pub tasks: Vec<(State, u64)>,
    /// Dead letters that nobody has dealt with.
    pub dead_letters: u64,
    /// The epoch of the newest reign.
    pub epoch: Option<Epoch>,
    /// How long ago the oldest task that is still scheduled was due, in seconds; 0 if none is.
    pub overdue_s: f64,
}

/// How this node's reading of the submission topic stands.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OnTopic {
    /// Records before the end of its partitions that are not stored.
    pub lag: i64,
    /// How long ago the oldest record that was read and is not stored was written, in seconds; 0 if there is none.
    pub oldest_s: f64,
    /// How long the topic keeps records, in seconds; `None`: for ever, or nobody knows.
    pub retention_s: Option<f64>,
}

/// Everything that is looked up.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Looked {
    /// `None`: it did not answer in time.
    pub database: Option<InDatabase>,
    /// The database's clock minus this machine's wall clock, in seconds.
    pub clock_offset_s: f64,
    /// Submissions that wait for their commit.
    pub queue_depth: usize,
    /// `None`: submissions come through no topic.
    pub topic: Option<OnTopic>,
    /// `None`: this system does not tell.
    pub process: Option<Process>,
}

impl Looked {
    /// In the Prometheus text format.
    ///
    /// # Errors
    /// A name stands twice or is no metric name: a fault of this file.
    pub fn text(&self) -> Result<String, Error> {
        let (own, common) = (Registry::new_custom(Some(PREFIX.to_owned()), None)?, Registry::new());
        self.show(&own, &common)?;
        Ok(written(&own)? + &written(&common)?)
    }

    /// What there can be.
    ///
    /// # Errors
    /// As above.
    pub fn described() -> Result<Vec<Described>, Error> {
        let topic = OnTopic { retention_s: Some(0.0), ..OnTopic::default() };
        let database = InDatabase { epoch: Some(Epoch(0)), ..InDatabase::default() };
        let all =
            Self { database: Some(database), topic: Some(topic), process: Some(Process::default()), ..Self::default() };
        let (own, common) = (Registry::new_custom(Some(PREFIX.to_owned()), None)?, Registry::new());
        all.show(&own, &common)
    }

    fn show(&self, own: &Registry, common: &Registry) -> Result<Vec<Described>, Error> {
        let own = Maker::new(own, super::PREFIX_OF_NAMES);
        own.shown("database_up", "1 if the task database has answered this scrape in time.", {
            f64::from(u8::from(self.database.is_some()))
        })?;
        if let Some(database) = &self.database {
            database.show(&own)?;
        }
        let offset = "The database's clock minus this machine's wall clock.";
        own.shown("clock_offset_seconds", offset, self.clock_offset_s)?;
        own.shown("queue_depth", "Submissions that wait for their commit.", number(self.queue_depth))?;
        if let Some(topic) = &self.topic {
            topic.show(&own)?;
        }
        let common = Maker::new(common, "");
        if let Some(process) = &self.process {
            process.show(&common)?;
        }
        Ok([own.described(), common.described()].concat())
    }
}

impl InDatabase {
    fn show(&self, maker: &Maker<'_>) -> Result<(), Error> {
        let count = |state| self.tasks.iter().filter(|(of, _)| *of == state).map(|(_, count)| count).sum::<u64>();
        let tasks = State::ALL.into_iter().map(|state| (state.word(), number(count(state))));
        maker.shown_by("tasks", "Tasks by state, of the whole cluster.", "state", tasks)?;
        let letters = "Records that could not be read and that nobody has dealt with, of the whole cluster.";
        maker.shown("dead_letters", letters, number(self.dead_letters))?;
        let overdue = "How long ago the oldest task that is still scheduled was due, of the whole cluster.";
        maker.shown("overdue_seconds", overdue, self.overdue_s)?;
        if let Some(epoch) = self.epoch {
            maker.shown("epoch", "The epoch of the newest reign, of the whole cluster.", number(epoch.0))?;
        }
        Ok(())
    }
}

impl OnTopic {
    fn show(&self, maker: &Maker<'_>) -> Result<(), Error> {
        let lag = "Records of this node's partitions of the submission topic that are not stored.";
        maker.shown("queue_lag_records", lag, number(self.lag))?;
        let age = "How long ago the oldest record that was read and is not stored was written.";
        maker.shown("queue_oldest_record_age_seconds", age, self.oldest_s)?;
        if let Some(retention) = self.retention_s {
            let help = "How long the submission topic keeps records; absent where it keeps them for ever.";
            maker.shown("queue_retention_seconds", help, retention)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(text: &str, line: &str) -> bool {
        text.lines().any(|one| one == line)
    }

    #[test]
    fn each_part_is_shown_as_it_was_found() {
        let database =
            InDatabase { tasks: vec![(State::Unknown, 3)], dead_letters: 2, epoch: Some(Epoch(7)), overdue_s: 1.5 };
        let topic = OnTopic { lag: 9, oldest_s: 0.25, retention_s: None };
        let looked = Looked { database: Some(database), topic: Some(topic), queue_depth: 4, ..Looked::default() };
        let text = looked.text().unwrap();
        for line in [
            "task_scheduler_database_up 1",
            "task_scheduler_tasks{state=\"unknown\"} 3",
            "task_scheduler_tasks{state=\"succeeded\"} 0",
            "task_scheduler_dead_letters 2",
            "task_scheduler_epoch 7",
            "task_scheduler_overdue_seconds 1.5",
            "task_scheduler_queue_depth 4",
            "task_scheduler_queue_lag_records 9",
            "task_scheduler_queue_oldest_record_age_seconds 0.25",
        ] {
            assert!(shows(&text, line), "no {line} in\n{text}");
        }
        assert!(!text.contains("retention"), "for ever is no number:\n{text}");
    }

    #[test]
    fn what_could_not_be_found_out_is_left_out_and_the_rest_is_shown() {
        let text = Looked { clock_offset_s: -0.5, ..Looked::default() }.text().unwrap();
        assert!(shows(&text, "task_scheduler_database_up 0"), "{text}");
        assert!(shows(&text, "task_scheduler_clock_offset_seconds -0.5"), "{text}");
        for absent in ["task_scheduler_tasks", "epoch", "queue_lag", "process_"] {
            assert!(!text.contains(absent), "{absent} in\n{text}");
        }
    }
}
