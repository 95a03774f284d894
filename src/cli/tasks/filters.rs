//! The filters by which tasks are listed, or changed many at once.

use clap::Args;

use crate::cli::human_time::{self, HumanTime};
use crate::domain::Timestamp;

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

/// The same, and of that only what was stored before `end`.
pub fn until(mut query: Query, end: Timestamp) -> Query {
    let is_earlier = |to: &str| Timestamp::parse(to).is_some_and(|to| to < end);
    if !query.iter().any(|(name, to)| *name == "to" && is_earlier(to)) {
        query.retain(|(name, _)| *name != "to");
        query.push(("to", end.to_string()));
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_of_two_ends_counts() {
        let (early, late) = ("2026-12-24T18:00:00.000000Z", "2026-12-24T20:00:00.000000Z");
        let query = |to: Option<&str>| {
            let label = Some(("label", "a=b".to_owned()));
            label.into_iter().chain(to.map(|to| ("to", to.to_owned()))).collect::<Query>()
        };
        let cut = |to: Option<&str>, end: &str| until(query(to), Timestamp::parse(end).unwrap());
        assert_eq!(cut(None, late), query(Some(late)));
        assert_eq!(cut(Some(early), late), query(Some(early)));
        assert_eq!(cut(Some(late), early), query(Some(early)));
        // The same hour as `early`.
        assert_eq!(cut(Some("2026-12-24T19:00:00+01:00"), late), query(Some("2026-12-24T19:00:00+01:00")));
    }
}
