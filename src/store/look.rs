//! A bounded look for the tasks of a filter: which index it walks, and how far. The words are the same in both databases.
//!
//! All entries of all indexes here stand in the order of lists. A look walks one of them and checks what else is asked for
//! entry by entry; where it can find the wanted at once, it need not be bounded. The sparsest index is walked, which is the
//! one whose next entries reach furthest back: what is common to several cannot be denser than the sparsest.

use uuid::Uuid;

use super::filter::{Filter, Matching, Place};
use super::key::Key;
use super::statement::Composed;
use super::{Result, limit_of};
use crate::domain::{State, TaskId, Timestamp, tags};

/// Most checks of entries of an index in one look: of one thing each 2,500 entries, of two half as many. (With two million
/// tasks, of which little is in memory, 5,000 took up to 98 ms.)
const LOOK: i64 = 2_500;
/// So many entries are checked whatever is asked for.
const LOOK_MIN: i64 = 250;
/// Most claims whose tasks are looked at for the dispatched ones; where there are more, the live tasks are walked.
pub const HELD_MAX: i64 = 10_000;
/// Most indexes that are measured for the sparsest.
const MEASURED: usize = 6;

/// A value of a statement, in the words of one database.
pub trait Held<'a> {
    /// A number.
    fn int(value: i64) -> Self;
    /// Text.
    fn text(value: &'a str) -> Self;
    /// A task's key.
    fn key(id: &'a TaskId) -> Self;
}

/// Who asks one database.
pub trait Looker {
    /// Its values.
    type Value<'a>: Held<'a>;
    /// What a place is made of.
    type Row;
    /// That a row's `created_at` is in the indexes in its order, which all are: in the words of partial indexes that hold every
    /// row, and are taken for nothing that does not say so. `None`: they are no partial ones, and a bound more would only keep
    /// a walk from the better one.
    const IN_TIME: Option<&'static str>;
    /// That the JSON before it has a label: its name, then its value.
    const HAS_LABEL: [&'static str; 2];
    /// Places, as they come.
    fn ask(&mut self, words: Composed<Self::Value<'_>, Self::Row>) -> Result<Vec<(i64, Key)>>;
    /// The tasks of all claims that are not settled, and perhaps of some that are; `None`: more than [`HELD_MAX`].
    fn held(&mut self) -> Result<Option<Vec<TaskId>>>;
    /// So many of them go by one statement, or fewer.
    const TOGETHER: usize;
    /// The rows `t` of these, at most so many.
    fn among<'a>(words: &mut Composed<Self::Value<'a>, Self::Row>, ids: &'a [TaskId]);
}

/// Words under way.
type Wording<'a, L> = Composed<<L as Looker>::Value<'a>, <L as Looker>::Row>;

/// What is looked through, `low` included and `high` not.
#[derive(Debug, Clone, Copy)]
struct Span {
    low: Place,
    high: Place,
}

/// An index that a look can walk.
#[derive(Debug, Clone, Copy)]
enum Lead<'a> {
    /// The tasks with this tag.
    Tag(&'a str),
    /// All of this table.
    Table(&'static str),
    /// Those of this state that have ended and not simply succeeded.
    Exceptional(State),
}

impl Lead<'_> {
    /// Its own rows have a state and labels.
    fn is_table(self) -> bool {
        !matches!(self, Self::Tag(_))
    }
}

/// A filter, made ready.
struct Look<'a> {
    state: Option<State>,
    tags: Vec<String>,
    /// Labels whose tag may be another's too.
    ambiguous: Vec<&'a (String, String)>,
    span: Span,
}

/// The tasks that match, the newest first.
pub fn matching<L: Looker>(looker: &mut L, filter: &Filter) -> Result<Matching> {
    let as_asked = one_address(looker, filter)?;
    let Some(other) = filter.target.as_deref().and_then(tags::without_own_port) else { return Ok(as_asked) };
    let other = one_address(looker, &Filter { target: Some(other.to_owned()), ..filter.clone() })?;
    Ok(together(as_asked, other, filter.limit))
}

/// What two looks of one filter have found, as far as both have gone.
fn together(one: Matching, other: Matching, limit: usize) -> Matching {
    let until = one.next.max(other.next);
    let mut tasks = [one.tasks, other.tasks].concat();
    tasks.retain(|task| until.is_none_or(|until| *task >= until));
    tasks.sort_unstable_by(|a, b| b.cmp(a));
    page(tasks, limit, until)
}

fn one_address<L: Looker>(looker: &mut L, filter: &Filter) -> Result<Matching> {
    let look = Look::of(filter);
    if filter.limit == 0 || look.span.low >= look.span.high {
        return Ok(Matching { tasks: Vec::new(), next: None });
    }
    if look.state == Some(State::Dispatched)
        && let Some(held) = looker.held()?
    {
        return Ok(page(look.among(looker, &held)?, filter.limit, None));
    }
    // One more than is shown tells whether there is a next page.
    let limit = limit_of(filter.limit.saturating_add(1));
    let leads = look.leads();
    let Some(first) = leads.first() else {
        let found = looker.ask(look.everything::<L>(limit))?;
        return Ok(page(places(found), filter.limit, None));
    };
    let (lead, until) = if look.is_all_of(*first) { (*first, None) } else { look.sparsest(looker, *first, &leads)? };
    let span = Span { low: until.unwrap_or(look.span.low), ..look.span };
    let found = looker.ask(look.walk::<L>(lead, &span, limit))?;
    Ok(page(places(found), filter.limit, until))
}

/// At most `limit` of what was found before the look ended at `until`.
fn page(mut tasks: Vec<Place>, limit: usize, until: Option<Place>) -> Matching {
    let more = tasks.len() > limit;
    tasks.truncate(limit);
    let next = if more { tasks.last().copied() } else { until };
    Matching { tasks, next }
}

fn places(found: Vec<(i64, Key)>) -> Vec<Place> {
    found.into_iter().map(|(at, id)| (Timestamp::from_micros(at), id.task())).collect()
}

impl<'a> Look<'a> {
    fn of(filter: &'a Filter) -> Self {
        let nil = TaskId(Uuid::nil());
        let labels = filter.labels.iter().map(|(name, value)| tags::of_label(name, value));
        let mut tags: Vec<String> = labels.chain(filter.target.as_deref().map(tags::of_address)).collect();
        let mut seen = std::collections::HashSet::new();
        tags.retain(|tag| seen.insert(tag.clone()));
        let end = (Timestamp::from_micros(i64::MAX), TaskId(Uuid::max()));
        let before = filter.to.map_or(end, |to| (to, nil));
        Self {
            state: filter.state,
            tags,
            ambiguous: filter.labels.iter().filter(|(name, value)| name.contains('=') || value.contains('=')).collect(),
            span: Span {
                low: (filter.from.unwrap_or(Timestamp::from_micros(i64::MIN)), nil),
                high: filter.after.map_or(before, |after| after.min(before)),
            },
        }
    }

    /// Every index that has all that match.
    fn leads(&self) -> Vec<Lead<'_>> {
        let of_state = self.state.map(|state| {
            if is_exceptional(state) {
                return Lead::Exceptional(state);
            }
            Lead::Table(if state.is_live() { "task" } else { "task_history" })
        });
        of_state.into_iter().chain(self.tags.iter().map(|tag| Lead::Tag(tag))).collect()
    }

    /// Whether each of its entries matches.
    fn is_all_of(&self, lead: Lead<'_>) -> bool {
        match lead {
            Lead::Tag(_) => self.state.is_none() && self.tags.len() == 1 && self.ambiguous.is_empty(),
            Lead::Table(_) => false,
            Lead::Exceptional(_) => self.tags.is_empty(),
        }
    }

    /// So many entries are checked in one look.
    fn reach(&self) -> i64 {
        let checks = self.tags.len() + self.ambiguous.len() + usize::from(self.state.is_some());
        let besides = i64::try_from(checks.saturating_sub(1)).unwrap_or(i64::MAX).max(1);
        (LOOK / besides).max(LOOK_MIN)
    }

    /// The sparsest of these, and how far it may be walked: to its end if there are no more than one look checks.
    fn sparsest<'l, L: Looker>(
        &self,
        looker: &mut L,
        first: Lead<'l>,
        leads: &[Lead<'l>],
    ) -> Result<(Lead<'l>, Option<Place>)> {
        let mut sparsest: Option<(Lead<'l>, Place)> = None;
        for lead in leads.iter().take(MEASURED) {
            let mut words = entries::<L>(*lead, &self.span);
            words.and(" ORDER BY t.created_at DESC, t.id DESC LIMIT 1 OFFSET ?", [L::Value::int(self.reach() - 1)]);
            let Some(reach) = places(looker.ask(words)?).pop() else { return Ok((*lead, None)) };
            if sparsest.is_none_or(|(_, furthest)| reach < furthest) {
                sparsest = Some((*lead, reach));
            }
        }
        Ok(sparsest.map_or((first, None), |(lead, reach)| (lead, Some(reach))))
    }

    /// What matches of an index's entries.
    fn walk<'v, L: Looker>(&'v self, lead: Lead<'v>, span: &'v Span, limit: i64) -> Wording<'v, L> {
        let mut words = entries::<L>(lead, span);
        self.check::<L>(&mut words, lead);
        words.and(" ORDER BY t.created_at DESC, t.id DESC LIMIT ?", [L::Value::int(limit)]);
        words
    }

    /// What an entry `t` does not tell by itself. Single values asked for row by row: no planner can turn them into a walk
    /// through a whole table. Rows by their place, not by their key: what lies together in one index does so in the other,
    /// and a table that does not have them is not touched (measured: 2 µs instead of 29 where little is in memory).
    fn check<'v, L: Looker>(&'v self, words: &mut Wording<'v, L>, lead: Lead<'v>) {
        match (self.state, lead) {
            (None, _) | (_, Lead::Exceptional(_)) => {}
            (Some(state), Lead::Table(_)) => words.and(&format!(" AND t.state = {}", state.code()), []),
            (Some(state), Lead::Tag(_)) => {
                let table = if state.is_live() { "task" } else { "task_history" };
                let code = state.code();
                // Where it is said too, the index of the exceptional ones knows it.
                let known = if is_exceptional(state) { "s.state <> 2 AND ".to_owned() } else { in_time::<L>("s") };
                let of_row = format!(
                    " AND (SELECT s.state FROM {table} s WHERE s.state = {code} AND {known} \
                     (s.created_at, s.id) >= (t.created_at, t.id) AND (s.created_at, s.id) <= (t.created_at, t.id)) = {code}"
                );
                words.and(&of_row, []);
            }
        }
        for tag in self.tags.iter().filter(|tag| !matches!(lead, Lead::Tag(of) if of == tag.as_str())) {
            let has =
                " AND (SELECT 1 FROM task_tag o WHERE o.tag = ? AND o.created_at = t.created_at AND o.id = t.id) = 1";
            words.and(has, [L::Value::text(tag)]);
        }
        let [name_of, value_of] = L::HAS_LABEL;
        for (name, value) in &self.ambiguous {
            words.and(" AND ", []);
            let labels = if lead.is_table() {
                "t.labels"
            } else {
                "coalesce((SELECT s.labels FROM task s WHERE s.id = t.id), \
                 (SELECT s.labels FROM task_history s WHERE s.id = t.id))"
            };
            words.and(&name_of.replace("LABELS", labels), [L::Value::text(name)]);
            words.and(value_of, [L::Value::text(value)]);
        }
    }

    /// Of these tasks those that are dispatched and match, all of them.
    fn among<L: Looker>(&self, looker: &mut L, held: &[TaskId]) -> Result<Vec<Place>> {
        let mut found = Vec::new();
        for ids in held.chunks(L::TOGETHER) {
            let mut words = Composed::new();
            words.and("SELECT t.created_at, t.id FROM task AS t WHERE ", []);
            L::among(&mut words, ids);
            self.check::<L>(&mut words, Lead::Table("task"));
            found.extend(places(looker.ask(words)?));
        }
        found.retain(|place| (self.span.low..self.span.high).contains(place));
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
        Ok(found)
    }

    /// Both tables, in one statement: what moves between them is seen in one of them.
    fn everything<L: Looker>(&self, limit: i64) -> Wording<'_, L> {
        let mut words = Composed::new();
        for (n, table) in ["task", "task_history"].into_iter().enumerate() {
            words.and(
                if n == 0 { "SELECT created_at, id FROM (" } else { " UNION ALL SELECT created_at, id FROM (" },
                [],
            );
            between::<L>(&mut words, Lead::Table(table), &self.span);
            words.and(" ORDER BY t.created_at DESC, t.id DESC LIMIT ?", [L::Value::int(limit)]);
            words.and(if n == 0 { ") AS live" } else { ") AS ended" }, []);
        }
        words.and(" ORDER BY 1 DESC, 2 DESC LIMIT ?", [L::Value::int(limit)]);
        words
    }
}

/// It has ended and not simply succeeded: an index of its own finds it.
fn is_exceptional(state: State) -> bool {
    !state.is_live() && state != State::Succeeded
}

/// See [`Looker::IN_TIME`].
fn in_time<L: Looker>(table: &str) -> String {
    L::IN_TIME.map_or_else(String::new, |words| format!("{table}.{words} AND "))
}

/// An index's entries, unordered still.
fn entries<'v, L: Looker>(lead: Lead<'v>, span: &'v Span) -> Wording<'v, L> {
    let mut words = Composed::new();
    between::<L>(&mut words, lead, span);
    words
}

fn between<'v, L: Looker>(words: &mut Wording<'v, L>, lead: Lead<'v>, span: &'v Span) {
    let from = |table: &str| format!("SELECT t.created_at, t.id FROM {table} AS t WHERE ");
    match lead {
        Lead::Tag(tag) => words.and(&(from("task_tag") + "t.tag = ? AND "), [L::Value::text(tag)]),
        Lead::Table(table) => words.and(&(from(table) + &in_time::<L>("t")), []),
        // In the words of the partial index of the exceptional ones, which is taken for no others.
        Lead::Exceptional(state) => {
            words.and(&format!("{}t.state = {} AND t.state <> 2 AND ", from("task_history"), state.code()), []);
        }
    }
    let Span { low, high } = span;
    let bounds =
        [L::Value::int(high.0.micros()), L::Value::key(&high.1), L::Value::int(low.0.micros()), L::Value::key(&low.1)];
    words.and("(t.created_at, t.id) < (?, ?) AND (t.created_at, t.id) >= (?, ?)", bounds);
}
