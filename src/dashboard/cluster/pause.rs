//! Forms that pause: what has a label at once, everything after another look.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::refused;
use crate::api::Problem;
use crate::api::pauses::{Wanted, begin};
use crate::dashboard::Dashboard;
use crate::dashboard::done::tell;
use crate::dashboard::form::Form;
use crate::dashboard::frame::{Place, Refused, see};
use crate::dashboard::token::{Token, Unproven, checked};

const EVERYTHING: &str = "Pause everything";
const LABELLED: &str = "Pause what has a label";

/// The part of the cluster's page that has the form. Its stream leaves it alone: somebody may be writing in it.
pub fn section(token: &Token) -> Markup {
    html! {
        section aria-label="Pause" {
            h2 { "Pause" }
            p { "What is paused is not claimed any more: when it is due it waits. Calls under way go on to their end." }
            (labelled(token, &Form::read(b"")))
            p { a.button href="/cluster/pause" { (EVERYTHING) "…" } }
        }
    }
}

/// `GET /cluster/pause`: is really everything to be paused?
pub async fn ask(request: HttpRequest) -> HttpResponse {
    let token = Token::of(&request);
    token.page(Place::Cluster, &format!("{EVERYTHING}?"), &everything(&token, &Form::read(b"")), None)
}

/// `GET /cluster/pauses`, where a form that was refused leaves the browser: on to the page that has it.
pub async fn to_form() -> HttpResponse {
    see("/cluster")
}

/// `POST /cluster/pauses`.
pub async fn pause(dashboard: web::Data<Dashboard>, request: HttpRequest, form: Form) -> Result<HttpResponse, Refused> {
    let begun = match checked(&request, &form) {
        Ok(()) => begun(&dashboard, &form).await,
        Err(Unproven::Foreign(problem)) => return Err(refused(problem)),
        Err(Unproven::Old(problem)) => Err(problem),
    };
    Ok(match begun {
        Ok(()) => tell(&request, "/cluster", "paused"),
        Err(problem) => again(&Token::of(&request), &form, &problem),
    })
}

async fn begun(dashboard: &Dashboard, form: &Form) -> Result<(), Problem> {
    begin(&dashboard.api, wanted(form)?).await?;
    Ok(())
}

fn is_everything(form: &Form) -> bool {
    form.get("everything") == Some("yes")
}

/// Only one form means everything: an empty label is a slip.
fn wanted(form: &Form) -> Result<Wanted, Problem> {
    let label = (!is_everything(form)).then(|| form.filled("label").unwrap_or_default());
    Ok(Wanted::of(label, form.filled("reason"))?)
}

/// The form once more, as it was filled in, and why it was refused.
fn again(token: &Token, form: &Form, problem: &Problem) -> HttpResponse {
    let is_everything = is_everything(form);
    let title = if is_everything { EVERYTHING } else { LABELLED };
    let body = html! {
        @if is_everything {
            (everything(token, form))
        } @else {
            (labelled(token, form))
            p { a href="/cluster" { "Back to the cluster" } }
        }
    };
    token.page(Place::Cluster, title, &body, Some(problem))
}

fn labelled(token: &Token, filled: &Form) -> Markup {
    html! {
        form method="post" action="/cluster/pauses" {
            (token.field())
            div.fields {
                div {
                    label for="pause-label" { "Label, as name=value" }
                    input #pause-label name="label" required autocomplete="off"
                        value=(filled.get("label").unwrap_or_default());
                }
                (reason(filled))
                button type="submit" { (LABELLED) }
            }
        }
    }
}

fn everything(token: &Token, filled: &Form) -> Markup {
    html! {
        p {
            "No task of this cluster is claimed any more, whoever has submitted it, until you resume it. Submissions are "
            "taken all the same; what comes due waits. Calls under way go on to their end."
        }
        form method="post" action="/cluster/pauses" {
            (token.field())
            input type="hidden" name="everything" value="yes";
            div.fields {
                (reason(filled))
                button type="submit" { (EVERYTHING) }
            }
        }
        p { a href="/cluster" { "Back to the cluster" } }
    }
}

fn reason(filled: &Form) -> Markup {
    html! {
        div {
            label for="pause-reason" { "Reason, for whoever wonders" }
            input #pause-reason name="reason" autocomplete="off" value=(filled.get("reason").unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;

    use super::*;

    fn token() -> Token {
        Token::of(&TestRequest::default().to_http_request())
    }

    #[test]
    fn only_who_says_so_pauses_everything() {
        let read = |form: &[u8]| wanted(&Form::read(form)).ok();
        assert_eq!(read(b"everything=yes&reason=+night+"), Wanted::of(None, Some("night")).ok());
        assert_eq!(read(b"label=tenant%3Dacme&reason="), Wanted::of(Some("tenant=acme"), None).ok());
        for slip in [b"".as_slice(), b"label=", b"label=+&everything=no", b"label=acme"] {
            assert_eq!(read(slip), None, "{slip:?}");
        }
    }

    #[actix_web::test]
    async fn what_is_refused_keeps_what_was_filled_in() {
        let form = Form::read(b"label=%22%3E%3Cb%3E&reason=why");
        let problem = wanted(&form).unwrap_err();
        let answer = again(&token(), &form, &problem);
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let html = String::from_utf8(to_bytes(answer.into_body()).await.unwrap().to_vec()).unwrap();
        assert!(html.contains("<p role=\"alert\">/label is ") && !html.contains("\"><b>"), "{html}");
        assert!(html.contains("value=\"&quot;&gt;&lt;b&gt;\"") && html.contains("value=\"why\""), "{html}");
        assert!(html.contains("name=\"token\""), "{html}");
    }

    #[test]
    fn every_field_has_its_label() {
        for html in [section(&token()).0, everything(&token(), &Form::read(b"")).0] {
            for field in html.split("<input id=\"").skip(1) {
                let id = field.split('"').next().unwrap();
                assert!(html.contains(&format!("<label for=\"{id}\">")), "{id}");
            }
            assert_eq!(html.matches("<button").count(), 1);
        }
    }
}
