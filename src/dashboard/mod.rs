//! Pages for people, rendered on the server. What a page does goes the way of the API's calls; what it shows comes from one
//! look at the task database, so that any node shows the whole cluster.

mod act;
mod actors;
mod assets;
mod astray;
mod cluster;
mod cookie;
mod done;
mod forecast;
mod form;
mod frame;
mod kept_thread;
mod letters;
mod live;
mod look;
mod many;
#[cfg(test)]
mod old_page_test;
mod overview;
mod pictures;
mod task;
mod tasks;
mod token;
mod words;

use std::sync::Arc;

use actix_web::web;

use crate::api::{ApiState, ForPeople, reading};
use forecast::Forecast;
use live::Live;

/// What the pages work with. One for all threads.
pub struct Dashboard {
    /// What the API works with.
    api: ApiState,
    live: Live,
    forecast: Forecast,
}

impl Dashboard {
    /// Nobody looks yet.
    pub fn new(api: &ApiState) -> Arc<Self> {
        Arc::new(Self { api: api.clone(), live: Live::new(api.clone()), forecast: Forecast::new(api.clone()) })
    }
}

/// Adds the pages to the API's server. Whatever takes a form has something for `GET` too: a form that was refused leaves the
/// browser there, and whoever then loads the address anew is to see a page.
pub fn routes(config: &mut web::ServiceConfig, dashboard: &Arc<Dashboard>) {
    config
        .app_data(web::Data::from(Arc::clone(dashboard)))
        .app_data(ForPeople(astray::page))
        .service(reading(web::resource("/"), overview::page))
        .service(reading(web::resource("/tasks"), tasks::page))
        .service(reading(web::resource("/tasks/all/{deed}"), many::ask).route(web::post().to(many::act)))
        .service(reading(web::resource("/tasks/{id}"), task::page))
        .service(reading(web::resource("/tasks/{id}/{deed}"), act::ask).route(web::post().to(act::act)))
        .service(reading(web::resource("/cluster"), cluster::page))
        .service(reading(web::resource("/cluster/pause"), cluster::ask))
        .service(reading(web::resource("/cluster/pauses"), cluster::to_form).route(web::post().to(cluster::pause)))
        .service(
            reading(web::resource("/cluster/pauses/{id}/resume"), cluster::ask_resume)
                .route(web::post().to(cluster::resume)),
        )
        .service(reading(web::resource("/actors"), actors::page))
        .service(reading(web::resource("/dead-letters"), letters::list))
        .service(reading(web::resource("/dead-letters/{id}"), letters::page))
        .service(
            reading(web::resource("/dead-letters/{id}/replay"), letters::to_form)
                .route(web::post().to(letters::replay)),
        )
        .service(web::resource("/live/{page}").route(web::get().to(live::stream)))
        .service(reading(web::resource("/assets/{name}"), assets::asset));
}
