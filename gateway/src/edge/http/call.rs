//! From the parts of a request to a gRPC call: its head, its message, what stands in its path and
//! its query. What can't be read is refused by field; nothing of what was sent comes back.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Path, Query},
};
use http::{
    Extensions, HeaderName, Request, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::{Deserialize, de::DeserializeOwned};
use tonic::metadata::MetadataMap;
use utoipa::IntoParams;

use super::errors::Refused;

/// The ticket, where there is no body for it. Not in the URL: those stand in access logs, in
/// histories and in `Referer`, and a ticket is a secret.
pub(in crate::edge) const TICKET: HeaderName = HeaderName::from_static("seckill-ticket");

/// The longest body that is read: as long as the longest message of a gRPC call.
const BODY_LEN_MAX: usize = super::super::REQUEST_LEN_MAX;

/// Headers that are about this request's body, or about gRPC's own framing, and not the call.
const OF_BODY: [HeaderName; 4] = [
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-accept-encoding"),
];

/// Who asks, until when, and all else that isn't the message.
pub(super) struct Call {
    metadata: MetadataMap,
    extensions: Extensions,
    ticket: Option<String>,
}

impl Call {
    /// The gRPC call with this message.
    pub(super) fn with<T>(self, message: T) -> tonic::Request<T> {
        tonic::Request::from_parts(self.metadata, self.extensions, message)
    }

    /// The ticket that was shown beside the body; empty if none was.
    pub(super) fn take_ticket(&mut self) -> String {
        self.ticket.take().unwrap_or_default()
    }
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let mut headers = parts.headers.clone();
        for name in OF_BODY {
            headers.remove(name);
        }
        let ticket = headers.remove(TICKET).map(|value| value.to_str().map(str::to_owned));
        let ticket =
            ticket.transpose().map_err(|_| Refused::field(TICKET.as_str(), "must be a ticket"))?;
        let metadata = MetadataMap::from_headers(headers);
        Ok(Self { metadata, extensions: parts.extensions.clone(), ticket })
    }
}

/// The id in a path. Whether it is one, the handler of the call says.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Refused::field("path", "must be UTF-8 where it is percent-encoded"))?;
        Ok(Self(id))
    }
}

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Entries of the page. Absent or 0: 50.
    #[param(maximum = 200)]
    pub(super) page_size: Option<u32>,
    /// `next_page_token` of the page before.
    #[param(max_length = 256)]
    pub(super) page_token: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Page {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let Query(page) = Query::try_from_uri(&parts.uri).map_err(|_| {
            Refused::field("query", "may have page_size (a whole number) and page_token")
        })?;
        Ok(page)
    }
}

/// A message in JSON.
pub(super) struct Json<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refused;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Refused> {
        let content_type = request.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let refused = Refused::field(CONTENT_TYPE.as_str(), "must be application/json");
            return Err(refused.under(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let body = Limited::new(request.into_body(), BODY_LEN_MAX).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let says = format!("must have at most {BODY_LEN_MAX} bytes");
                Refused::field("body", says).under(StatusCode::PAYLOAD_TOO_LARGE)
            } else {
                Refused::field("body", "broke off")
            }
        })?;
        parse(&body.to_bytes()).map(Self).map_err(|(field, says)| Refused::field(field, says))
    }
}

/// The message, or the field that is wrong and what would be right.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, (String, String)> {
    let no_json = || ("body".to_owned(), "must be one JSON object".to_owned());
    // Serde would take a list for an object, field by field.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(no_json());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let message = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() { explain(&path, &error.to_string()) } else { no_json() }
    })?;
    json.end().map_err(|_| no_json())?;
    Ok(message)
}

/// Serde's own sentence also says what was sent. What it expected, which is ours, comes last.
fn explain(path: &str, sentence: &str) -> (String, String) {
    let named = |prefix| {
        let rest = sentence.strip_prefix(prefix)?;
        rest.split('`').next().map(str::to_owned)
    };
    if let Some(field) = named("missing field `") {
        return (field, "must be given".into());
    }
    if let Some(field) = named("duplicate field `") {
        return (field, "must be given once".into());
    }
    let expected = sentence.rsplit_once(", expected ").map_or("", |(_, expected)| expected);
    let expected = expected.rsplit_once(" at line ").map_or(expected, |(expected, _)| expected);
    if sentence.starts_with("unknown field `") {
        return ("body".into(), format!("has a field that isn't known; there is {expected}"));
    }
    let expected = match expected {
        "a string" => "a text",
        "u32" => "a whole number of 0 to 4294967295",
        other => other,
    };
    let field = if path == "." { "body" } else { path };
    (field.to_owned(), format!("must be {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its reading matters")]
    struct Wish {
        item_id: String,
        quantity: u32,
        note: Option<String>,
    }

    #[test]
    fn what_cannot_be_read_is_told_by_field_and_never_repeated() {
        let number = "quantity: must be a whole number of 0 to 4294967295";
        let table = [
            ("", "body: must be one JSON object"),
            ("canary", "body: must be one JSON object"),
            (r#"["a",1,null]"#, "body: must be one JSON object"),
            ("\"canary\"", "body: must be one JSON object"),
            ("7", "body: must be one JSON object"),
            (r#"{"item_id":"canary"#, "body: must be one JSON object"),
            (r#"{"item_id":"a","quantity":1} canary"#, "body: must be one JSON object"),
            ("{}", "item_id: must be given"),
            (r#"{"item_id":"a"}"#, "quantity: must be given"),
            (r#"{"item_id":7,"quantity":1}"#, "item_id: must be a text"),
            (r#"{"item_id":null,"quantity":1}"#, "item_id: must be a text"),
            (r#"{"item_id":"a","quantity":"canary, expected u64"}"#, number),
            (r#"{"item_id":"a","quantity":-1}"#, number),
            (r#"{"item_id":"a","quantity":1.5}"#, number),
            (r#"{"item_id":"a","quantity":4294967296}"#, number),
            (r#"{"item_id":"a","item_id":"b","quantity":1}"#, "item_id: must be given once"),
            (
                r#"{"item_id":"a","quantity":1,"canary, expected":2}"#,
                "body: has a field that isn't known; there is one of \
                 `item_id`, `quantity`, `note`",
            ),
        ];
        for (body, expected) in table {
            let (field, says) = parse::<Wish>(body.as_bytes()).unwrap_err();
            assert_eq!(format!("{field}: {says}"), expected, "{body}");
        }
        parse::<Wish>(br#" {"item_id":"a","quantity":1,"note":null} "#).unwrap();
    }
}
