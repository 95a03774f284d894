//! `task-scheduler list`.

use clap::Args;

use super::filters::Filters;
use super::shown::{HEADING, rows};
use crate::cli::answer::field;
use crate::cli::client::{Client, Path};
use crate::cli::exit::Failure;
use crate::cli::output::{print_on, say};
use crate::cli::table::Table;

/// Tasks listed unless said.
const LIMIT_DEFAULT: usize = 100;
/// Most tasks that the server puts on a page.
const PAGE_MAX: usize = 1_000;

/// For the help.
const EXAMPLES: &str = "\
Examples:
  task-scheduler list
  task-scheduler list --state failed --label tenant=acme --from '2h ago'
  task-scheduler list --target http:hooks.example.org --limit 20
  task-scheduler list --all --json | jq -r '.tasks[].id'

On a terminal the table is cut to its width. With --json each page is printed as it is answered, one per line.";

/// Its arguments.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct List {
    #[command(flatten)]
    client: Client,
    #[command(flatten)]
    filters: Filters,
    /// At most so many [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// All of them, page after page
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Go on where the list before ended
    #[arg(long)]
    cursor: Option<String>,
}

impl List {
    /// Prints tasks, the newest first, until there are as many as were asked for, or no more.
    pub fn run(self) -> Result<(), Failure> {
        let filters = self.filters.query();
        let mut table = Table::new(&HEADING);
        let mut cursor = self.cursor.clone();
        let mut left = self.most();
        loop {
            let mut query = filters.clone();
            query.push(("limit", left.min(PAGE_MAX).to_string()));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let answer = self.client.get(Path { parts: &["v1", "tasks"], query: &query })?;
            let page = answer.json()?;
            let rows = rows(&page);
            let raw = self.client.prints_json();
            let shown = if raw { String::from_utf8_lossy(&answer.body).into_owned() } else { table.page(&rows) };
            if !print_on(&shown)? {
                return Ok(());
            }
            // A page may be short, even empty, and not the last.
            left = left.saturating_sub(rows.len());
            cursor = Some(field(&page, "next_cursor")).filter(|cursor| !cursor.is_empty());
            match &cursor {
                None => return Ok(()),
                Some(cursor) if left == 0 => {
                    if !raw {
                        say(&format!("there are more: repeat with --cursor {cursor}"));
                    }
                    return Ok(());
                }
                Some(_) => {}
            }
        }
    }

    fn most(&self) -> usize {
        match self.limit {
            _ if self.all => usize::MAX,
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
            None => LIMIT_DEFAULT,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::cli::fake_node::{FakeNode, Told};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        list: List,
    }

    /// Pages of 2, 0 and 1 tasks.
    fn node() -> FakeNode {
        FakeNode::start(|asked, _| {
            let (tasks, next) = match asked.line.rsplit_once("cursor=").map(|(_, cursor)| cursor) {
                None => (vec![json!({"id": "1"}), json!({"id": "2"})], Some("a")),
                Some("a") => (vec![], Some("b")),
                Some(_) => (vec![json!({"id": "3"})], None),
            };
            Told::value(200, &json!({ "tasks": tasks, "next_cursor": next }))
        })
    }

    fn asked(args: &[&str]) -> Vec<String> {
        let node = node();
        let line = Line::try_parse_from([&["list", "--server", &node.url], args].concat()).unwrap();
        line.list.run().unwrap();
        node.lines()
    }

    #[test]
    fn all_is_all_pages_and_short_ones_are_followed_up_to_the_limit() {
        let pages =
            ["GET /v1/tasks?limit=1000", "GET /v1/tasks?limit=1000&cursor=a", "GET /v1/tasks?limit=1000&cursor=b"];
        assert_eq!(asked(&["--all"]), pages);
        assert_eq!(asked(&["--limit", "3"])[1..], ["GET /v1/tasks?limit=1&cursor=a", "GET /v1/tasks?limit=1&cursor=b"]);
        assert_eq!(asked(&["--limit", "2"]).len(), 1);
        assert_eq!(asked(&["--json"]).len(), 3);
    }

    #[test]
    fn every_filter_is_in_the_query() {
        let args = ["--limit=2", "--state=failed", "--label=a=b", "--label=c=d", "--target=log"];
        let times = ["--from=2026-12-24T18:00:00Z", "--to=2026-12-24 19:00 UTC"];
        let line = asked(&[args.as_slice(), &times].concat()).remove(0);
        let query = "state=failed&from=2026-12-24T18%3A00%3A00Z&to=2026-12-24T19%3A00%3A00%2B00%3A00&target=log&label=a%3Db&label=c%3Dd&limit=2";
        assert_eq!(line, format!("GET /v1/tasks?{query}"));
    }
}
