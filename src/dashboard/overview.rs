//! `GET /`: everything at a glance.

mod alarms;

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::Dashboard;
use super::forecast::{COUNTED_MAX, Forecasted, MINUTES};
use super::frame::{ALARMS, Place, Refused, Section, live, live_page};
use super::look::Look;
use super::pictures::minutes::MinuteRow;
use super::pictures::{forecast, lateness, minutes};
use super::words::{ago, count, duration, instant, rate, state, visible};
use crate::domain::all_nodes::Queue;
use crate::domain::buckets::Buckets;
use crate::domain::figures::{Figures, Minute, begin_of, minute_of};
use crate::domain::{State, Timestamp};

/// The section that says what to do where there is nothing yet.
const FIRST: (&str, &str) = ("first-steps", "First steps");
/// `GET /`.
pub async fn page(dashboard: web::Data<Dashboard>, request: HttpRequest) -> Result<HttpResponse, Refused> {
    let look = dashboard.live.look().await?;
    let sections = sections(&look, dashboard.forecast.get(&look).as_ref());
    let body = html! {
        @if is_empty(&look) { (live(FIRST.0, FIRST.1, &first_task(&request))) }
        @for (id, label, body) in sections.iter().filter(|(_, _, body)| !body.0.is_empty()) { (live(id, label, body)) }
    };
    Ok(live_page(Place::Overview, "Overview", body))
}

/// What to do where there is nothing yet.
pub fn first_task(request: &HttpRequest) -> Markup {
    let host = super::tasks::host(request);
    html! {
        p { "There is no task yet. This one is due in five seconds, and then written to the log of the node that runs it:" }
        pre tabindex="0" {
            "curl " (visible(&host)) "/v1/tasks -H 'content-type: application/json' \\\n"
            "  -d '{\"delay_ms\": 5000, \"target\": {\"type\": \"log\"}, \"payload\": \"hello\"}'"
        }
    }
}

fn is_empty(look: &Look) -> bool {
    look.counts.iter().all(|(_, tasks)| *tasks == 0)
}

/// What the page shows and its stream sends.
pub fn sections(look: &Look, forecast: Option<&(Forecasted, Duration)>) -> Vec<Section> {
    let by_minute = look.by_minute();
    let mut sections = vec![
        (ALARMS, "Alarms", alarms::section(look)),
        ("tasks-by-state", "Tasks by state", by_state(look)),
        ("rates", "Rates", rates(look)),
        ("lateness", "Lateness", lateness_of(look, &by_minute)),
        ("last-hour", "The last hour", last_hour(look, &by_minute, forecast)),
        ("forecast", "The next hour", next_hour(forecast)),
        ("counted", "Age of the counts", counted(forecast)),
        ("queue", "Queue", queue(look)),
        ("master", "Master", master(look)),
    ];
    if !is_empty(look) {
        // Who has followed them is through with them.
        sections.push((FIRST.0, FIRST.1, html! {}));
    }
    sections
}

fn by_state(look: &Look) -> Markup {
    html! {
        h2 { "Tasks by state" }
        ul.tiles {
            @for one in State::ALL {
                li {
                    strong { (count(look.count(one))) }
                    a href={ "/tasks?state=" (one.word()) } {
                        // In its colour only where there is something.
                        @if look.count(one) > 0 { (state(one)) } @else { (one.word()) }
                    }
                }
            }
        }
    }
}

fn rates(look: &Look) -> Markup {
    let tile = |name: &str, per_second: f64| html! { li { strong { (rate(per_second)) } (name) } };
    html! {
        h2 { "Rates over the last minute" }
        ul.tiles {
            (tile("submissions stored", look.per_second(Figures::stored)))
            (tile("starts", look.per_second(|figures| figures.starts)))
            (tile("successes", look.per_second(Figures::succeeded)))
            (tile("failures", look.per_second(Figures::not_succeeded)))
        }
    }
}

fn lateness_of(look: &Look, by_minute: &[Minute]) -> Markup {
    let recent = look.recent().lateness;
    let mut hour = Buckets::default();
    for one in by_minute {
        hour.add(&one.figures.lateness);
    }
    let shown = |q| recent.quantile(q).map_or_else(|| "–".to_owned(), duration);
    html! {
        h2 { "Lateness" }
        ul.tiles {
            li { strong { (shown(0.5)) } "p50 of the last minute" }
            li { strong { (shown(0.99)) } "p99 of the last minute" }
        }
        div.pictures {
            figure.latest tabindex="0" { (lateness::over_time(by_minute, look.at)) figcaption { "How late calls were started, by minute." } }
            figure tabindex="0" { (lateness::histogram(&hour)) figcaption { "Starts of the last hour by how late they were." } }
        }
    }
}

/// The sixty minutes up to the current one in their order: what was due in each and ran on time, ran late, or waits still.
fn rows(at: Timestamp, by_minute: &[Minute], forecast: Option<&Forecasted>) -> Vec<MinuteRow> {
    let row = |back: i64| {
        let minute = minute_of(at).saturating_sub(back);
        let started = || by_minute.iter().filter(|one| minute_of(one.minute()) == minute).map(|one| &one.figures);
        let known: u64 = by_minute.iter().filter_map(|one| one.figures.late.get(&minute)).sum();
        // What was counted waiting, and has been started since.
        let since = |forecast: &Forecasted| known.saturating_sub(forecast.late.get(&minute).copied().unwrap_or(0));
        MinuteRow {
            minute: begin_of(minute),
            // Due in about the same minute: they were no later than a second.
            on_time: started().map(|figures| figures.starts_by(false)).sum(),
            // What was due longer ago than anything that is shown stands where it was started.
            late: known + started().map(Figures::late_for_long).sum::<u64>(),
            waiting: forecast.map_or(0, |forecast| forecast.waiting_in(minute).saturating_sub(since(forecast))),
        }
    };
    (0..MINUTES).rev().map(row).collect()
}

fn last_hour(look: &Look, by_minute: &[Minute], forecast: Option<&(Forecasted, Duration)>) -> Markup {
    let rows = rows(look.at, by_minute, forecast.map(|(forecast, _)| forecast));
    let late: u64 = rows.iter().map(|row| row.late).sum();
    let waiting: u64 = rows.iter().map(|row| row.waiting).sum();
    html! {
        h2 { "The last hour: what was due, and what ran" }
        figure.latest tabindex="0" {
            (minutes::last_hour(&rows))
            figcaption {
                "By the minute in which it was due, about: what was started on time, or more than a second late, and what waits still."
            }
        }
        @if late > 0 { p.bad { (count(late)) " started more than a second late." } }
        @if waiting > 0 { p.bad { (count(waiting)) " that were due wait still." } }
        @if let Some((_, waits)) = look.backlog() {
            p.bad { "The oldest task that waits was due " (ago(waits)) "." }
        } @else if forecast.is_some() && late + waiting == 0 {
            p.good { "Nothing was late, and nothing that was due waits." }
        }
        @if forecast.is_none() { p { "What waits is being counted." } }
    }
}

fn next_hour(forecast: Option<&(Forecasted, Duration)>) -> Markup {
    html! {
        h2 { "The next hour" }
        @if let Some((forecast, _)) = forecast {
            figure tabindex="0" {
                (self::forecast::next_hour(&forecast.coming, COUNTED_MAX))
                figcaption {
                    (count(forecast.coming.iter().sum())) " tasks are due in the hour from " (instant(forecast.minute))
                    ", by minute."
                }
            }
        } @else {
            p { "It is being counted." }
        }
    }
}

/// By itself, since it changes all the time.
fn counted(forecast: Option<&(Forecasted, Duration)>) -> Markup {
    html! {
        h2 { "Age of the counts" }
        p.soft {
            @match forecast {
                Some((_, age)) => { "What is due and what waits was counted " (ago(*age)) "." }
                None => { "What is due and what waits is being counted." }
            }
        }
    }
}

fn queue(look: &Look) -> Markup {
    let queue = Queue::of(look.reports.iter().map(|one| &one.snapshot));
    let number = |n: i64| count(u64::try_from(n).unwrap_or(0));
    let oldest = Duration::from_millis(queue.oldest_ms).as_secs_f64();
    html! {
        h2 { "Queue" }
        ul.tiles {
            li { strong { (number(queue.depth)) } "submissions in memory" }
            li { strong { (number(queue.lag)) } "records of the topic not stored" }
            li { strong { (count(look.dead_letters)) } a href="/dead-letters" { "dead letters" } }
            @if queue.lag > 0 { li { strong { (duration(oldest)) } "age of the oldest" } }
        }
    }
}

fn master(look: &Look) -> Markup {
    html! {
        h2 { "Master" }
        @match super::cluster::reign(look) {
            Some(reign) => {
                p {
                    (reign) " "
                    @let nodes = look.living().count();
                    (nodes) @if nodes == 1 { " node takes part. " } @else { " nodes take part. " }
                    a href="/cluster" { "The cluster" }
                }
            }
            None => { p.bad { "There is no master." } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_tells_what_ran_late_and_what_waits() {
        let figures = |late| Figures {
            lateness: Buckets::of([(500, 7), (1_000_000, 2), (60_000_000, 3)]),
            late,
            ..Figures::default()
        };
        let by_minute = [
            Minute { begun_us: 3_480_000_000, figures: figures([(57, 1)].into()) },
            Minute { begun_us: 3_540_000_000, figures: figures([(57, 1), (59, 2)].into()) },
        ];
        let mut waiting = vec![0; 60];
        (waiting[58], waiting[57]) = (4, 5);
        let forecast = Forecasted {
            minute: Timestamp::from_micros(3_600_000_000),
            coming: vec![],
            waiting,
            late: [(57, 1)].into(),
        };
        // A minute after the count.
        let at = Timestamp::from_micros(3_660_000_001);
        let shown = rows(at, &by_minute, Some(&forecast));
        let minute = |n: i64| {
            let row = shown.iter().find(|row| row.minute == Timestamp::from_micros(n * 60_000_000)).unwrap();
            (row.on_time, row.late, row.waiting)
        };
        assert_eq!((shown.len(), minute(61), minute(60), minute(2)), (60, (0, 0, 0), (0, 0, 0), (0, 0, 0)));
        assert_eq!(minute(59), (9, 2, 0));
        assert_eq!(minute(58), (9, 2, 4), "two had waited for longer than an hour");
        assert_eq!(minute(57), (0, 2, 4), "missed, caught up later; one of five has been started since the count");
        let uncounted = rows(at, &by_minute, None);
        assert_eq!(uncounted.iter().map(|row| (row.late, row.waiting)).max(), Some((2, 0)), "what ran is known");
    }

    #[test]
    fn nothing_is_called_good_before_it_was_counted() {
        let look = Look { at: Timestamp::from_micros(3_660_000_001), ..Look::default() };
        let html = last_hour(&look, &[], None).0;
        assert!(html.contains("What waits is being counted.") && !html.contains("Nothing was late"), "{html}");
        let forecast = Forecasted { minute: look.at, coming: vec![], waiting: vec![0; 60], late: [].into() };
        let html = last_hour(&look, &[], Some(&(forecast, Duration::ZERO))).0;
        assert!(html.contains("Nothing was late, and nothing that was due waits."), "{html}");
    }

    #[test]
    fn every_section_has_a_heading_and_alarms_are_links() {
        let look = Look { counts: vec![(State::Unknown, 2)], ..Look::default() };
        let sections = sections(&look, None);
        assert!(sections.iter().all(|(id, _, body)| body.0.starts_with("<h2>") || *id == FIRST.0));
        assert!(sections[0].2.0.contains("<a href=\"/tasks?state=unknown\">"), "{}", sections[0].2.0);
        assert!(sections.iter().any(|(id, _, body)| *id == "master" && body.0.contains("no master")));
        let first = |counts| {
            let look = Look { counts, ..Look::default() };
            super::sections(&look, None).into_iter().any(|(id, _, _)| id == FIRST.0)
        };
        assert!(first(vec![(State::Failed, 1)]) && !first(vec![]), "it goes with the first task");
    }
}
