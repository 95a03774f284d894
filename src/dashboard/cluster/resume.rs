//! A form that resumes a pause, or changes the pace at which it is being resumed.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::paused::{about, counted, state};
use super::refused;
use crate::api::Problem;
use crate::api::pauses::{let_go, number, one, per_second};
use crate::dashboard::Dashboard;
use crate::dashboard::done::tell;
use crate::dashboard::form::Form;
use crate::dashboard::frame::{Place, Refused};
use crate::dashboard::token::{Token, Unproven, checked};
use crate::dashboard::words::clipped;
use crate::domain::limits::{PAUSE_REASON_CHARS_MAX, PER_SECOND, PER_SECOND_DEFAULT};
use crate::domain::{Invalid, Pause};

/// `GET /cluster/pauses/{id}/resume`: how fast?
pub async fn ask(
    dashboard: web::Data<Dashboard>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let id = number(&id).map_err(refused)?;
    let (pause, waiting) = one(&dashboard.api, id).await.map_err(refused)?;
    let token = Token::of(&request);
    Ok(token.page(Place::Cluster, &title(&pause), &body(&pause, waiting, &token, &Form::read(b"")), None))
}

/// `POST /cluster/pauses/{id}/resume`.
pub async fn resume(
    dashboard: web::Data<Dashboard>,
    request: HttpRequest,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Refused> {
    let pace = match checked(&request, &form) {
        Ok(()) => pace(&form).map_err(Problem::from),
        Err(Unproven::Foreign(problem)) => return Err(refused(problem)),
        Err(Unproven::Old(problem)) => Err(problem),
    };
    let id = number(&id).map_err(refused)?;
    match pace {
        Ok(pace) => {
            let_go(&dashboard.api, id, pace).await.map_err(refused)?;
            Ok(tell(&request, "/cluster", "resumed"))
        }
        Err(problem) => {
            let (pause, waiting) = one(&dashboard.api, id).await.map_err(refused)?;
            let token = Token::of(&request);
            Ok(token.page(Place::Cluster, &title(&pause), &body(&pause, waiting, &token, &form), Some(&problem)))
        }
    }
}

/// Tasks a second; `None`: all at once.
fn pace(form: &Form) -> Result<Option<u32>, Invalid> {
    if is_at_once(form) {
        return Ok(None);
    }
    per_second(form.filled("per_second").unwrap_or_default()).map(Some)
}

fn is_at_once(form: &Form) -> bool {
    form.get("how") == Some("at-once")
}

fn title(pause: &Pause) -> String {
    format!("Resume {}?", about(pause))
}

fn body(pause: &Pause, waiting: u64, token: &Token, filled: &Form) -> Markup {
    let default = PER_SECOND_DEFAULT.to_string();
    html! {
        dl {
            dt { "State" } dd { (state(pause)) }
            dt { "Waiting tasks" } dd { (counted(waiting)) }
            @if let Some(reason) = &pause.reason {
                dt { "Reason" } dd { (clipped(reason, PAUSE_REASON_CHARS_MAX)) }
            }
        }
        p { "What waits is let go, the oldest first. All at once it is in front of what comes due meanwhile." }
        form method="post" action={ "/cluster/pauses/" (pause.id) "/resume" } {
            (token.field())
            fieldset {
                legend { "How fast?" }
                p {
                    input #at-a-pace type="radio" name="how" value="at-a-pace" checked[!is_at_once(filled)];
                    " " label for="at-a-pace" { "At a pace" }
                }
                p {
                    label for="per-second" { "Tasks a second" }
                    input #per-second type="number" name="per_second" min=(PER_SECOND.start()) max=(PER_SECOND.end())
                        value=(filled.get("per_second").unwrap_or(&default));
                }
                p {
                    input #at-once type="radio" name="how" value="at-once" checked[is_at_once(filled)];
                    " " label for="at-once" { "All at once" }
                }
            }
            p { button type="submit" { "Resume" } }
        }
        p { a href="/cluster" { "Back to the cluster" } }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn a_pace_is_a_number_or_all_at_once() {
        let read = |form: &[u8]| pace(&Form::read(form)).map_err(|invalid| invalid.pointer);
        assert_eq!(read(b"how=at-a-pace&per_second=200"), Ok(Some(200)));
        assert_eq!(read(b"how=at-once&per_second=nonsense"), Ok(None));
        for wrong in [b"".as_slice(), b"how=at-a-pace&per_second=", b"per_second=0", b"how=x&per_second=1e3"] {
            assert_eq!(read(wrong), Err("/per_second".to_owned()), "{wrong:?}");
        }
    }

    #[test]
    fn the_form_says_what_waits_and_keeps_what_was_filled_in() {
        let pause = Pause {
            id: 7,
            label: Some(("<b>".to_owned(), "x".to_owned())),
            reason: Some("they asked".to_owned()),
            paused_at: Timestamp::from_micros(1_000_000),
            resumed_at: None,
            per_second: None,
        };
        let token = Token::of(&TestRequest::default().to_http_request());
        let html = |form: &[u8]| body(&pause, 12, &token, &Form::read(form)).0;
        let fresh = html(b"");
        assert!(fresh.contains("action=\"/cluster/pauses/7/resume\"") && fresh.contains("<dd>12</dd>"), "{fresh}");
        assert!(fresh.contains("value=\"at-a-pace\" checked") && fresh.contains("value=\"1000\""), "{fresh}");
        let filled = html(b"how=at-once&per_second=x%22");
        assert!(filled.contains("value=\"at-once\" checked") && filled.contains("value=\"x&quot;\""), "{filled}");
        assert_eq!(title(&pause), "Resume <b>=x?");
    }
}
