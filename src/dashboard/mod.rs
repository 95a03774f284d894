//! Pages for people, rendered on the server, without scripts.

mod actors;

use actix_web::web;

/// Adds the pages. They read the node's metrics, which whoever serves them has put beside.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(web::resource("/actors").route(web::get().to(actors::page)).route(web::head().to(actors::page)));
}
