//! The filters by which tasks are listed, or changed many at once.

use clap::Args;

use crate::cli::human_time::{self, HumanTime};

/// A query: parameters and their values.
pub type Query = Vec<(&'static str, String)>;

/// Their arguments.
#[derive(Debug, Clone, Args)]
pub struct Filters {
    /// Only tasks in this state: scheduled, dispatched, succeeded, failed, unknown, cancelled or expired
    #[arg(long)]
    state: Option<String>,
    /// Only tasks with this label, as name=value (repeat it for more)
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Only tasks stored at or after this time, like '2h ago' or '2026-12-24 18:00 Europe/Berlin'
    #[arg(long, value_name = "TIME", value_parser = human_time::bound)]
    from: Option<HumanTime>,
    /// Only tasks stored before this time
    #[arg(long, value_name = "TIME", value_parser = human_time::bound)]
    to: Option<HumanTime>,
    #[arg(long, help = "Only tasks with this target: http:HOST[:PORT], kafka:[CLUSTER/]TOPIC or log")]
    target: Option<String>,
}

impl Filters {
    /// As the query of the API.
    pub fn query(&self) -> Query {
        let instant = |time: &HumanTime| time.rfc3339_now();
        let single = [
            ("state", self.state.clone()),
            ("from", self.from.as_ref().map(instant)),
            ("to", self.to.as_ref().map(instant)),
            ("target", self.target.clone()),
        ];
        let labels = self.labels.iter().map(|label| ("label", label.clone()));
        single.into_iter().filter_map(|(name, value)| Some((name, value?))).chain(labels).collect()
    }
}
