//! `GET /actors`: what the actors of every node do, how they are wired, and what is wrong with them.

mod figures;
mod table;
mod wrong;

use std::time::Duration;

use actix_web::{HttpResponse, web};
use maud::{Markup, html};

use super::Dashboard;
use super::frame::{Place, Refused, Section, live, live_page};
use super::look::Look;
use super::pictures::wiring::wiring;
use super::words::ago;

use figures::{Node, nodes};

/// An actor that has shown no sign of life for this long is silent, and so is a node that has not reported for as long.
const SILENT: Duration = Duration::from_secs(5);
/// Longest name that is shown, in characters.
const NAME_CHARS: usize = 60;

/// `GET /actors`.
pub async fn page(dashboard: web::Data<Dashboard>) -> Result<HttpResponse, Refused> {
    let look = dashboard.live.look().await.map_err(|problem| Refused { problem, place: Place::Actors })?;
    let body = html! {
        @for (id, label, section) in sections(&look) { (live(id, label, &section)) }
    };
    Ok(live_page(Place::Actors, "Actors", body))
}

/// What the page shows and its stream sends.
pub fn sections(look: &Look) -> Vec<Section> {
    let nodes = nodes(look);
    vec![
        ("wrong", "What is wrong", wrong::section(look, &nodes)),
        ("wiring", "How they are wired", pictures(&nodes)),
        ("actors", "Actors of every node", tables(&nodes)),
    ]
}

/// Something is wrong with the actors of a node now.
pub fn is_any_wrong(look: &Look) -> bool {
    nodes(look).iter().any(|node| !wrong::wrong(node).is_empty())
}

fn pictures(nodes: &[Node<'_>]) -> Markup {
    html! {
        h2 { "How they are wired" }
        @for node in nodes.iter().filter(|node| node.is_reported()) {
            figure tabindex="0" {
                (wiring(&node.wires()))
                figcaption { "The actors of node " (node.name()) ", and how many messages each handles." }
            }
        }
        @if !nodes.iter().any(Node::is_reported) { p { "No node has reported yet; each does so every 2 s." } }
    }
}

fn tables(nodes: &[Node<'_>]) -> Markup {
    html! {
        h2 { "Actors of every node" }
        @for node in nodes {
            h3 { "Node " (node.name()) }
            @match node.report {
                Some(report) => {
                    (table::table(node, report))
                    p.soft { "Reported " (ago(report.age)) ". Counts and times are those since its process began." }
                }
                None => { p { "It has not reported yet." } }
            }
        }
        @if nodes.is_empty() { p { "No node is known yet." } }
    }
}
