//! Problems of those who ask for a page. How a page looks is not the API's to know: whoever mounts pages gives it a
//! [`ForPeople`].

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse};

use super::problem::Problem;

/// Words a problem with a request as a page; `None` where the request is a program's.
#[derive(Clone, Copy)]
pub struct ForPeople(pub fn(&HttpRequest, &Problem) -> Option<HttpResponse>);

/// The middleware that does so. Status and headers stay, and those that a page needs are added; without a [`ForPeople`], and
/// for programs, nothing is changed.
pub async fn worded<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> actix_web::Result<ServiceResponse<EitherBody<B, BoxBody>>> {
    let answer = next.call(request).await?;
    let request = answer.request();
    let page = answer.response().extensions().get::<Problem>().and_then(|problem| {
        let ForPeople(page) = request.app_data::<ForPeople>()?;
        page(request, problem)
    });
    let Some(page) = page else { return Ok(answer.map_into_left_body()) };
    let (page, html) = page.into_parts();
    let (request, answer) = answer.into_parts();
    let (mut head, _) = answer.into_parts();
    for (name, value) in page.headers() {
        head.headers_mut().insert(name.clone(), value.clone());
    }
    Ok(ServiceResponse::new(request, head.set_body(html)).map_into_right_body())
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;
    use actix_web::http::header::{ACCEPT, ALLOW, CONTENT_TYPE, RETRY_AFTER};
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, Resource, web};

    use super::super::problem::{Kind, MEDIA_TYPE, in_words};
    use super::*;

    fn page(request: &HttpRequest, problem: &Problem) -> Option<HttpResponse> {
        let is_asked = request.headers().contains_key(ACCEPT);
        is_asked.then(|| HttpResponse::Ok().content_type("text/html").body(format!("<p>{problem}</p>")))
    }

    async fn busy() -> Problem {
        Problem::new(Kind::Unavailable, "busy")
    }

    #[actix_web::test]
    async fn a_page_differs_by_its_words_alone() {
        let app = App::new().wrap(from_fn(in_words)).wrap(from_fn(worded)).app_data(ForPeople(page));
        let app = init_service(app.service(Resource::new("/busy").route(web::get().to(busy)))).await;
        for (method, status, header) in [(Method::GET, 503, RETRY_AFTER), (Method::PUT, 405, ALLOW)] {
            let ask = || TestRequest::with_uri("/busy").method(method.clone());
            let json = call_service(&app, ask().to_request()).await;
            let html = call_service(&app, ask().insert_header((ACCEPT, "text/html")).to_request()).await;
            assert_eq!((json.status().as_u16(), html.status().as_u16()), (status, status));
            assert!(json.headers().contains_key(&header), "{header}");
            assert_eq!(json.headers().get(&header), html.headers().get(&header));
            assert_eq!(json.headers().get(CONTENT_TYPE).unwrap(), MEDIA_TYPE);
            assert_eq!(html.headers().get(CONTENT_TYPE).unwrap(), "text/html");
            let (json, html) = (read_body(json).await, read_body(html).await);
            assert!(json.starts_with(b"{\"type\":") && html.starts_with(b"<p>"), "{json:?} {html:?}");
        }
    }

    #[actix_web::test]
    async fn without_pages_everybody_gets_the_same() {
        let app = App::new().wrap(from_fn(worded)).service(Resource::new("/busy").route(web::get().to(busy)));
        let app = init_service(app).await;
        let html = TestRequest::with_uri("/busy").insert_header((ACCEPT, "text/html")).to_request();
        assert_eq!(call_service(&app, html).await.headers().get(CONTENT_TYPE).unwrap(), MEDIA_TYPE);
    }
}
