//! What there is, as a document of OpenAPI 3.1, made from the handlers and the messages themselves.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderValue, header};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, Header, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response,
        ResponseBuilder, Type,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{events, orders, people, purchases, sales, tickets};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "seckill",
        version = "v1",
        description = "A flash sale by JSON over HTTP; the same calls as gRPC and gRPC-web at the \
            same address. Every refusal is a `google.rpc.Status` whose `ErrorInfo` has a reason \
            for programs; those that pass say when to come back (`retry-after`)."
    ),
    paths(
        get,
        sales::list, sales::get, events::of_item,
        people::register, people::sign_in, people::refresh, people::sign_out,
        tickets::issue, purchases::purchase,
        orders::list, orders::get, events::of_order,
    ),
    servers((url = "/", description = "The gateway that this document comes from")),
    tags(
        (name = "sales", description = "The shop window"),
        (name = "people", description = "Accounts and sessions"),
        (name = "buying", description = "A ticket, and what it buys"),
        (name = "orders", description = "What became of purchases"),
        (name = "about", description = "This document"),
    ),
    modifiers(&Token, &Anywhere),
)]
struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// What every call may be told, whatever it asks for.
struct Anywhere;

impl Modify for Anywhere {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut document.paths.paths {
            if path == "/openapi.json" {
                continue;
            }
            for operation in [&mut item.get, &mut item.post] {
                operation.iter_mut().for_each(tell_refusals);
            }
        }
    }
}

fn tell_refusals(operation: &mut Operation) {
    let mut told = vec![
        ("429", "RATE_LIMITED: too many calls, or open streams, of this buyer, network or sale"),
        ("500", "A defect"),
        ("504", "DEADLINE_EXCEEDED: what came of the call is unknown"),
    ];
    if operation.security.is_some() {
        told.push(("403", "PERMISSION_DENIED: the token doesn't allow this"));
    }
    if operation.request_body.is_some() {
        told.push(("413", "INVALID_INPUT: the body is too long"));
        told.push(("415", "INVALID_INPUT: the body is no JSON by its content type"));
    }
    for (status, why) in told {
        operation.responses.responses.insert(status.to_owned(), refusal(why));
    }
    for (status, answer) in &mut operation.responses.responses {
        let (header, told) = match &**status {
            "429" | "503" => ("retry-after", when_to_come_back()),
            "401" => ("www-authenticate", asks_for_a_token()),
            _ => continue,
        };
        if let RefOr::T(answer) = answer {
            answer.headers.insert(header.to_owned(), told.into());
        }
    }
}

fn when_to_come_back() -> Header {
    header(Type::Integer, "Whole seconds; RetryInfo says it more exactly")
}

fn asks_for_a_token() -> Header {
    header(Type::String, "Bearer")
}

fn header(of: Type, says: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(of);
    HeaderBuilder::new().schema(Some(schema)).description(Some(says)).build()
}

fn refusal(why: &str) -> RefOr<Response> {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("RpcStatus"))).build();
    let refusal = ResponseBuilder::new().description(why).content("application/json", body);
    refusal.build().into()
}

/// The document.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "getOpenApi", tag = "about", responses(
    (status = 200, content_type = "application/json", description = "This document"),
))]
pub(super) async fn get() -> ([(header::HeaderName, HeaderValue); 2], Bytes) {
    static TEXT: LazyLock<Bytes> =
        LazyLock::new(|| document().to_json().expect("texts and numbers").into());
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60")),
    ];
    (head, TEXT.clone())
}
