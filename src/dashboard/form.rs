//! What a form sends.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use url::form_urlencoded;

use super::frame::Refused;
use crate::api::{BodyReader, Kind, Problem};
use crate::domain::limits::SUBMISSION_BYTES_MAX;

/// Most bytes of a form: a record of the largest size, each of its bytes written as three.
const BYTES_MAX: usize = 3 * SUBMISSION_BYTES_MAX + 4_096;

/// Its fields, as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a body.
    pub fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// The first field of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// The same without white space around it; `None` where nothing was filled in.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }
}

impl FromRequest for Form {
    type Error = Refused;
    type Future = LocalBoxFuture<'static, Result<Self, Refused>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        async move {
            let internal = || Problem::new(Kind::Internal, "the node has no room for forms");
            let bodies = request.app_data::<web::Data<BodyReader>>().ok_or_else(internal)?;
            let payload = web::Payload::from_request(&request, &mut payload).await.map_err(|_| internal())?;
            Ok(Self::read(&bodies.read(&request, payload, BYTES_MAX).await?.bytes))
        }
        .boxed_local()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_sent() {
        let form = Form::read(b"token=a%2Bb&label=+tenant%3Dacme+&reason=&label=x");
        assert_eq!(
            (form.get("token"), form.get("label"), form.get("none")),
            (Some("a+b"), Some(" tenant=acme "), None)
        );
        assert_eq!((form.filled("label"), form.filled("reason")), (Some("tenant=acme"), None));
    }
}
