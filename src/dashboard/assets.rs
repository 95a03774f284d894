//! The style sheet, the script and the icon of the pages: the node's own.

use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, web};

use super::frame::Refused;
use crate::api::{Kind, Problem};

const ALL: [(&str, &str, &str); 3] = [
    ("dashboard.css", "text/css; charset=utf-8", include_str!("assets/dashboard.css")),
    ("dashboard.js", "text/javascript; charset=utf-8", include_str!("assets/dashboard.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// `GET /assets/{name}`. Asked for again each time: after an upgrade no page meets an old one.
pub async fn asset(name: web::Path<String>) -> Result<HttpResponse, Refused> {
    let found = ALL.into_iter().find(|(known, ..)| *known == name.as_str());
    let (_, media_type, text) = found.ok_or_else(|| Problem::new(Kind::UnknownPath, "there is no such file"))?;
    let answer = HttpResponse::Ok()
        .content_type(media_type)
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(text);
    Ok(answer)
}
