//! `GET /actors`: what every actor of this node reports.

use std::fmt::Write as _;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::domain::figures::ActorFigures;
use crate::metrics::Metrics;

/// An actor that has shown no sign of life for this long is shown as silent, in milliseconds.
const SILENT_AFTER_MS: u64 = 5_000;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}\
h1{font-size:1.3rem}\
.scroll{overflow-x:auto}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{padding:.4rem .7rem;text-align:right;border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent)}\
th:first-child,td:first-child{text-align:left}\
.alive{color:light-dark(#187a3a,#6fd08c)}\
.silent{color:light-dark(#b3261e,#ff8a80);font-weight:600}\
p{opacity:.75}";

/// The page.
pub async fn page(metrics: web::Data<Metrics>) -> HttpResponse {
    // Nothing but this very style sheet may be applied or loaded, whatever text gets onto the page.
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, policy))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(html(&metrics.actor_figures()))
}

fn html(actors: &[ActorFigures]) -> String {
    let rows: String = actors.iter().map(row).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Actors</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"5\">\
         <style>{STYLE}</style></head>\n<body><h1>Actors of this node</h1>\n<div class=\"scroll\"><table>\n<thead><tr>\
         <th scope=\"col\">Actor</th><th scope=\"col\">State</th><th scope=\"col\">Mailbox</th>\
         <th scope=\"col\">Messages</th><th scope=\"col\">p50</th><th scope=\"col\">p99</th>\
         <th scope=\"col\">Errors</th><th scope=\"col\">Restarts</th><th scope=\"col\">Last sign of life</th>\
         </tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n\
         <p>p50 and p99: time per message since the start. The page renews itself every 5 s.</p></body></html>\n"
    )
}

fn row(actor: &ActorFigures) -> String {
    let silence = actor.silence_ms;
    let state = if silence < SILENT_AFTER_MS { "alive" } else { "silent" };
    let time = |q| actor.handling.quantile(q).map_or_else(|| "–".to_owned(), duration);
    let cells = [
        actor.mailbox.to_string(),
        actor.messages.to_string(),
        time(0.5),
        time(0.99),
        actor.errors.to_string(),
        actor.restarts.to_string(),
        format!("{} ago", duration(f64::from(u32::try_from(silence).unwrap_or(u32::MAX)) / 1_000.0)),
    ];
    let mut row = format!("<tr><td>{}</td><td class=\"{state}\">{state}</td>", escaped(&actor.name));
    for cell in cells {
        // Writing to a string does not fail.
        let _ok = write!(row, "<td>{}</td>", escaped(&cell));
    }
    row.push_str("</tr>\n");
    row
}

fn duration(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ActorName;

    #[test]
    fn shows_every_actor_and_who_is_silent() {
        let actor = |name: ActorName| ActorFigures {
            name: name.word().to_owned(),
            silence_ms: if name == ActorName::Executor { 0 } else { 60_000 },
            ..ActorFigures::default()
        };
        let html = html(&ActorName::ALL.map(actor));
        for name in ActorName::ALL {
            assert!(html.contains(&format!("<td>{}</td>", name.word())), "{html}");
        }
        assert!(html.contains("<td>executor</td><td class=\"alive\">"), "{html}");
        assert!(html.contains("<td>heartbeat</td><td class=\"silent\">"), "{html}");
    }

    #[test]
    fn text_is_no_markup() {
        assert_eq!(escaped("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    }

    #[test]
    fn durations_are_written_for_people() {
        assert_eq!(["250 µs", "3.0 ms", "12.5 s"], [0.000_25, 0.003, 12.5].map(duration));
    }
}
