//! Counts and times every request.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web;

use crate::metrics::Metrics;

/// What stands for the route where there is none.
const NO_ROUTE: &str = "none";

/// The middleware that does so. Time ends with the answer's head.
pub async fn measured<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> actix_web::Result<ServiceResponse<B>> {
    let Some(metrics) = request.app_data::<web::Data<Metrics>>().cloned() else { return next.call(request).await };
    let (began, method) = (metrics.clock().mono(), word(request.method()));
    // Never the path: whoever asks could make labels without end.
    let route = request.match_pattern();
    let answer = next.call(request).await;
    let status = match &answer {
        Ok(answer) => answer.status(),
        Err(cause) => cause.as_response_error().status_code(),
    };
    let took = metrics.clock().mono().since(began);
    metrics.request(method, route.as_deref().unwrap_or(NO_ROUTE), class(status), took);
    answer
}

/// A method's own word, if it is one that a route takes.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}
