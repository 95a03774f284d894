//! `GET /cluster`: who is there, who is master and who was, and what is paused.

#[cfg(test)]
pub mod forms_test;
mod nodes;
mod pause;
mod paused;
mod resume;
mod standing;
mod terms;
mod warnings;

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::Dashboard;
use super::done::{forget, word};
use super::frame::{Place, Refused, Section, live, live_page};
use super::look::Look;
use super::token::Token;
use super::words::{ago, clipped, instant};
use crate::api::Problem;

pub use pause::{ask, pause, to_form};
pub use resume::{ask as ask_resume, resume};

/// Longest name of a node that is shown, in characters.
const NAME_CHARS: usize = 60;
/// Longest version and address that is shown, in characters.
const WORD_CHARS: usize = 60;

/// `GET /cluster`.
pub async fn page(dashboard: web::Data<Dashboard>, request: HttpRequest) -> Result<HttpResponse, Refused> {
    let done = word(&request).and_then(said);
    // What was just done is to be seen.
    let look = if done.is_some() { dashboard.live.look_anew().await } else { dashboard.live.look().await };
    let look = look.map_err(refused)?;
    let token = Token::of(&request);
    let body = html! {
        @if let Some(done) = done { p role="status" { (done) } }
        @for (id, label, section) in sections(&look) { (live(id, label, &section)) }
        (pause::section(&token))
    };
    let mut answer = live_page(Place::Cluster, "Cluster", body);
    token.set(&mut answer);
    forget(&request, &mut answer);
    Ok(answer)
}

/// What the page shows and its stream sends.
pub fn sections(look: &Look) -> Vec<Section> {
    vec![
        ("master", "Master", master(look)),
        ("nodes", "Nodes", nodes::section(look)),
        ("paused", "What is paused", paused::section(look)),
        ("terms", "Masters so far", terms::section(look)),
    ]
}

/// What a deed that brought the browser here has done.
fn said(done: &str) -> Option<&'static str> {
    match done {
        "paused" => Some("It is paused: nothing of it is claimed from now on."),
        "resumed" => Some("It is resumed: what waits for its end is let go, the oldest first."),
        _ => None,
    }
}

fn refused(problem: Problem) -> Refused {
    Refused { problem, place: Place::Cluster }
}

/// Who is master and since when, as a sentence; `None`: nobody.
pub fn reign(look: &Look) -> Option<Markup> {
    let (term, master) = (look.term()?, look.master()?);
    Some(html! {
        "Node " strong #master-name { (clipped(&master.node, NAME_CHARS)) }
        " is master, in epoch " (term.epoch.0) ", since " (instant(term.elected_at))
        " (" (ago(look.at.since(term.elected_at))) ")."
    })
}

fn master(look: &Look) -> Markup {
    html! {
        h2 { "Master" }
        @match reign(look) {
            Some(reign) => { p { (reign) } }
            None => {
                p.bad { "There is no master: nothing is claimed until another is found." }
                @if let Some(last) = look.terms.first() {
                    p { "The last one was node " (clipped(&last.node, NAME_CHARS)) ", in epoch " (last.epoch.0) "." }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::api::fake;
    use crate::domain::{Epoch, GenerationId, Timestamp};
    use crate::store::{Standing, Term};

    const A: GenerationId = GenerationId(Uuid::from_u128(1));

    fn look(standing: Standing) -> Look {
        let node = "a\u{202e}<b>".to_owned();
        let elected_at = Timestamp::from_micros(1_000_000);
        let term =
            Term { epoch: Epoch(7), generation: A, node: node.clone(), elected_at, ended_at: None, end_reason: None };
        let mut generation = fake::generation(A, standing);
        generation.node = node;
        let at = Timestamp::from_micros(5_000_000);
        Look { at, terms: vec![term], generations: vec![generation], ..Look::default() }
    }

    #[test]
    fn the_master_is_named_as_long_as_it_lives() {
        let html = master(&look(Standing::Alive)).0;
        assert!(html.contains("a‹U+202E›&lt;b&gt;</strong> is master, in epoch 7"), "{html}");
        assert!(html.contains("(4.0 s ago)"), "{html}");
        let html = master(&look(Standing::Dead)).0;
        assert!(html.contains("There is no master") && html.contains("The last one was node a‹U+202E›"), "{html}");
        assert!(master(&Look::default()).0.contains("There is no master"));
    }

    #[test]
    fn every_section_has_a_heading_and_an_id_of_its_own() {
        let sections = sections(&look(Standing::Alive));
        assert!(sections.iter().all(|(_, _, body)| body.0.starts_with("<h2>")));
        let ids: std::collections::BTreeSet<_> = sections.iter().map(|(id, ..)| id).collect();
        assert_eq!(ids.len(), sections.len());
    }

    #[test]
    fn only_known_deeds_are_said() {
        assert!(said("paused").is_some_and(|done| done.contains("paused")));
        assert!(said("resumed").is_some_and(|done| done.contains("resumed")));
        assert_eq!((said(""), said("<b>")), (None, None));
    }
}
