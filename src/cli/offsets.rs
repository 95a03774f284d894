//! `task-scheduler offsets`: how far the submission topic has been ingested, and where it is to go on.

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::{AWAY, Failure, USAGE};
use super::output::print;
use super::settings::Settings;
use super::settings_args::TopicArgs;
use crate::clock::Clock;
use crate::config::NodeConfig;
use crate::queue::kafka::topics;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{Positions, Store};

/// Its arguments.
#[derive(Debug, Args)]
pub struct Offsets {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show each partition: what the brokers have, and what is ingested next
    Show(Show),
    /// Have partitions read from another offset on; what is stored already is not stored again
    Set(Set),
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    settings: TopicArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Set {
    #[command(flatten)]
    settings: TopicArgs,
    /// Only this partition; all without it
    #[arg(long)]
    partition: Option<i32>,
    /// beginning, end or an offset
    #[arg(long, value_name = "WHERE")]
    to: To,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy)]
enum To {
    Beginning,
    End,
    Offset(i64),
}

impl std::str::FromStr for To {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "beginning" => Ok(Self::Beginning),
            "end" => Ok(Self::End),
            number => number
                .parse()
                .ok()
                .filter(|offset| *offset >= 0)
                .map(Self::Offset)
                .ok_or_else(|| "allowed: beginning, end, or an offset from 0 on".to_owned()),
        }
    }
}

/// A topic as brokers and database see it.
struct Topic {
    store: Box<dyn Store>,
    id: String,
    /// First and next offset of each partition.
    bounds: Vec<(i64, i64)>,
}

impl Topic {
    fn of(config: &NodeConfig) -> Result<Self, Failure> {
        if !config.kafka.is_there() {
            return Err(Failure::usage("there is no submission topic: kafka_brokers is not set; see --kafka-brokers"));
        }
        let away = |cause: String| Failure::new(AWAY, cause);
        let (id, bounds) = topics::bounds(&config.kafka).map_err(away)?;
        let store: Box<dyn Store> = match &config.database_url {
            Some(url) => Box::new(PostgresStore::new(url.secret(), 1)),
            None => Box::new(
                SqliteStore::open(&config.data_dir, Clock::new())
                    .map_err(|cause| Failure::new(USAGE, cause.to_string()))?,
            ),
        };
        Ok(Self { store, id, bounds })
    }

    fn next(&self) -> Result<Vec<(i32, i64)>, Failure> {
        self.store.offsets(&self.id).map_err(|cause| Failure::new(AWAY, cause.to_string()))
    }

    fn show(&self, json: bool) -> Result<(), Failure> {
        let stored = self.next()?;
        let of = |partition: i32| stored.iter().find(|(one, _)| *one == partition).map(|(_, next)| *next);
        let rows: Vec<_> = (0..).zip(&self.bounds).map(|(n, (first, end))| (n, *first, *end, of(n))).collect();
        if json {
            let partitions: Vec<_> = rows
                .iter()
                .map(|(n, first, end, next)| json!({"partition": n, "first": first, "end": end, "next": next}))
                .collect();
            return print(&json!({ "topic": self.id, "partitions": partitions }).to_string());
        }
        let mut lines = vec![format!("{}\n{:>9} {:>12} {:>12} {:>12}", self.id, "partition", "first", "end", "next")];
        lines.extend(rows.iter().map(|(n, first, end, next)| {
            let next = next.map_or_else(|| "-".to_owned(), |next| next.to_string());
            format!("{n:>9} {first:>12} {end:>12} {next:>12}")
        }));
        print(&lines.join("\n"))
    }

    fn set(&self, only: Option<i32>, to: To) -> Result<(), Failure> {
        let mut ends = Vec::new();
        for (partition, (first, end)) in (0..).zip(&self.bounds) {
            if only.is_some_and(|only| only != partition) {
                continue;
            }
            let next = match to {
                To::Beginning => *first,
                To::End => *end,
                To::Offset(offset) => offset,
            };
            if !(*first..=*end).contains(&next) {
                let why = format!("offset {next} of partition {partition}: the brokers have {first} to {end}");
                return Err(Failure::usage(why));
            }
            ends.push((partition, next));
        }
        if ends.is_empty() {
            let last = self.bounds.len().saturating_sub(1);
            return Err(Failure::usage(format!("there is no such partition; the topic has 0 to {last}")));
        }
        let positions = Positions { topic_id: self.id.clone(), ends };
        self.store.set_offsets(&positions).map_err(|cause| Failure::new(AWAY, cause.to_string()))
    }
}

impl Offsets {
    /// Shows or sets them.
    pub fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Show(show) => Topic::of(&Settings::of_process(&show.settings.0).accepted()?)?.show(show.json),
            Action::Set(set) => {
                let topic = Topic::of(&Settings::of_process(&set.settings.0).accepted()?)?;
                topic.set(set.partition, set.to)?;
                topic.show(set.json)
            }
        }
    }
}
