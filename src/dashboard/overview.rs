//! `GET /`: everything at a glance.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::Dashboard;
use super::forecast::{COUNTED_MAX, Forecasted, MINUTES};
use super::frame::{Place, Refused, live, live_page};
use super::live::Section;
use super::look::Look;
use super::pictures::minutes::MinuteRow;
use super::pictures::{forecast, lateness, minutes};
use super::words::{ago, count, duration, instant, rate, state, visible};
use crate::domain::buckets::Buckets;
use crate::domain::figures::{Figures, Minute};
use crate::domain::{State, Timestamp};

/// A task that has waited longer than this was not only on its way.
const OVERDUE: Duration = Duration::from_secs(2);
/// A start that is later than this is a late one, in microseconds.
const LATE_US: u64 = 1_000_000;

/// `GET /`.
pub async fn page(dashboard: web::Data<Dashboard>, request: HttpRequest) -> Result<HttpResponse, Refused> {
    let look = dashboard.live.look().await?;
    let sections = sections(&look, dashboard.forecast.get().as_ref());
    let is_empty = look.counts.iter().all(|(_, tasks)| *tasks == 0);
    let body = html! {
        @if is_empty { (first_task(&request)) }
        @for (id, label, body) in sections { (live(id, label, &body)) }
    };
    Ok(live_page(Place::Overview, "Overview", super::live::name(Place::Overview), body))
}

/// What to do where there is nothing yet.
pub fn first_task(request: &HttpRequest) -> Markup {
    let host = super::tasks::host(request);
    html! {
        section aria-label="First steps" {
            p { "There is no task yet. This one is due in five seconds, and then written to the log of the node that runs it:" }
            pre tabindex="0" {
                "curl " (visible(&host)) "/v1/tasks -H 'content-type: application/json' \\\n"
                "  -d '{\"delay_ms\": 5000, \"target\": {\"type\": \"log\"}, \"payload\": \"hello\"}'"
            }
        }
    }
}

/// What the page shows and its stream sends.
pub fn sections(look: &Look, forecast: Option<&(Forecasted, Duration)>) -> Vec<Section> {
    let by_minute = look.by_minute();
    vec![
        ("alarms", "Alarms", alarms(look)),
        ("tasks-by-state", "Tasks by state", by_state(look)),
        ("rates", "Rates", rates(look)),
        ("lateness", "Lateness", lateness_of(look, &by_minute)),
        ("last-hour", "The last hour", last_hour(&by_minute, forecast)),
        ("forecast", "The next hour", next_hour(forecast)),
        ("counted", "Age of the counts", counted(forecast)),
        ("queue", "Queue", queue(look)),
        ("master", "Master", master(look)),
    ]
}

fn alarms(look: &Look) -> Markup {
    let alarms = look.alarms();
    html! {
        h2 { "Alarms" }
        @if alarms.is_empty() {
            p.good { "Nothing is wrong." }
        } @else {
            ul.alarms {
                @for alarm in &alarms {
                    li.bad[alarm.is_bad] { (alarm.text) " " a href=(alarm.to) { "See" } }
                }
            }
        }
    }
}

fn by_state(look: &Look) -> Markup {
    html! {
        h2 { "Tasks by state" }
        ul.tiles {
            @for one in State::ALL {
                li {
                    strong { (count(look.count(one))) }
                    a href={ "/tasks?state=" (one.word()) } { (state(one)) }
                }
            }
        }
    }
}

fn rates(look: &Look) -> Markup {
    let failures =
        |figures: &Figures| figures.outcomes.iter().filter(|(word, _)| *word != "succeeded").map(|(_, n)| n).sum();
    let tile = |name: &str, per_second: f64| html! { li { strong { (rate(per_second)) } (name) } };
    html! {
        h2 { "Rates over the last minute" }
        ul.tiles {
            (tile("submissions stored", look.per_second(|figures| figures.submissions.get("stored").copied().unwrap_or(0))))
            (tile("starts", look.per_second(|figures| figures.starts)))
            (tile("successes", look.per_second(|figures| figures.outcomes.get("succeeded").copied().unwrap_or(0))))
            (tile("failures", look.per_second(failures)))
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
            figure { (lateness::over_time(by_minute, look.at)) figcaption { "How late calls were started, by minute." } }
            figure { (lateness::histogram(&hour)) figcaption { "Starts of the last hour by how late they were." } }
        }
    }
}

/// The minutes of the last hour in their order: what ran in each, and what was due in it and waits still.
fn rows(by_minute: &[Minute], forecast: &Forecasted) -> Vec<MinuteRow> {
    let minute = |n: i64| Timestamp::from_micros(forecast.minute.micros().saturating_add(n * 60_000_000));
    let row = |(n, waiting): (i64, &u64)| {
        let of = minute(n);
        let lateness = by_minute.iter().find(|one| one.minute() == of).map(|one| &one.figures.lateness);
        let starts = |is_late: bool| {
            let counts = lateness.into_iter().flat_map(Buckets::counts);
            counts.filter(|(bound, _)| (*bound > LATE_US) == is_late).map(|(_, starts)| starts).sum()
        };
        MinuteRow { minute: of, on_time: starts(false), late: starts(true), waiting: *waiting }
    };
    (-MINUTES..).zip(&forecast.waiting).map(row).collect()
}

fn last_hour(by_minute: &[Minute], forecast: Option<&(Forecasted, Duration)>) -> Markup {
    html! {
        h2 { "The last hour: what ran, and what was due and waits still" }
        @if let Some((forecast, _)) = forecast {
            @let rows = rows(by_minute, forecast);
            @let late: u64 = rows.iter().map(|row| row.late).sum();
            @let waiting: u64 = rows.iter().map(|row| row.waiting).sum();
            figure {
                (minutes::last_hour(&rows))
                figcaption {
                    "By minute: what was started in it, on time or more than a second late; and what was due in it and waits still."
                }
            }
            @if late + waiting > 0 {
                p.bad { (count(late)) " started more than a second late; " (count(waiting)) " that were due wait still." }
            }
            @if forecast.overdue > OVERDUE {
                p.bad { "The oldest task that waits was due " (ago(forecast.overdue)) "." }
            } @else if late + waiting == 0 {
                p.good { "Nothing was late, and nothing that was due waits." }
            }
        } @else {
            p { "It is being counted." }
        }
    }
}

fn next_hour(forecast: Option<&(Forecasted, Duration)>) -> Markup {
    html! {
        h2 { "The next hour" }
        @if let Some((forecast, _)) = forecast {
            figure {
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
    let snapshots = || look.reports.iter().map(|one| &one.snapshot);
    let depth: i64 = snapshots().map(|one| one.queue_depth).sum();
    let lag: i64 = snapshots().map(|one| one.queue_lag).sum();
    let oldest_ms = snapshots().map(|one| one.queue_age_ms).max().unwrap_or(0);
    let number = |n: i64| count(u64::try_from(n).unwrap_or(0));
    html! {
        h2 { "Queue" }
        ul.tiles {
            li { strong { (number(depth)) } "submissions in memory" }
            li { strong { (number(lag)) } "records of the topic not stored" }
            @if lag > 0 { li { strong { (duration(Duration::from_millis(oldest_ms).as_secs_f64())) } "age of the oldest" } }
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
        let lateness = Buckets::of([(500, 7), (1_000_000, 2), (2_500_000, 3)]);
        let figures = Figures { lateness, ..Figures::default() };
        let by_minute = [Minute { begun_us: 3_540_000_000, figures }];
        let mut waiting = vec![0; 60];
        waiting[58] = 4;
        let forecast = Forecasted {
            minute: Timestamp::from_micros(3_600_000_000),
            coming: vec![],
            waiting,
            overdue: Duration::ZERO,
        };
        let rows = rows(&by_minute, &forecast);
        assert_eq!((rows.len(), rows[0].minute), (60, Timestamp::from_micros(0)));
        assert_eq!((rows[59].on_time, rows[59].late, rows[59].waiting), (9, 3, 0));
        assert_eq!((rows[58].on_time, rows[58].late, rows[58].waiting), (0, 0, 4));
    }

    #[test]
    fn every_section_has_a_heading_and_alarms_are_links() {
        let look = Look { counts: vec![(State::Unknown, 2)], ..Look::default() };
        let sections = sections(&look, None);
        assert!(sections.iter().all(|(_, _, body)| body.0.starts_with("<h2>")));
        assert!(sections[0].2.0.contains("<a href=\"/tasks?state=unknown\">"), "{}", sections[0].2.0);
        assert!(sections.iter().any(|(id, _, body)| *id == "master" && body.0.contains("no master")));
    }
}
