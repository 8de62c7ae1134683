//! Refusals of plain HTTP: passed on as the handlers behind said them, or made here where a request
//! doesn't come as far. All have one form, `google.rpc.Status`.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::status as edge;
use crate::domain::refusal::Refusal;

/// A refusal on its way out.
pub(super) struct Refused {
    status: tonic::Status,
    /// Where HTTP has a better word than that of the code.
    http: StatusCode,
}

impl Refused {
    /// A part of the request that can't be accepted, and what would be right.
    pub(super) fn field(field: impl Into<String>, says: impl Into<String>) -> Self {
        edge::invalid(field, says).into()
    }

    /// The same with a status of HTTP that says more.
    pub(super) fn under(self, http: StatusCode) -> Self {
        Self { http, ..self }
    }
}

impl From<tonic::Status> for Refused {
    fn from(status: tonic::Status) -> Self {
        Self { status, http: StatusCode::OK }
    }
}

impl IntoResponse for Refused {
    /// In gRPC's shape; what comes out of it, [`chassis::plain_http`] says.
    fn into_response(self) -> Response {
        let Self { status, http } = self;
        // Headers of the call behind aren't anybody's business.
        let details = status.details().to_vec().into();
        let status = tonic::Status::with_details(status.code(), status.message(), details);
        let mut answer = status.into_http::<Body>();
        *answer.status_mut() = http;
        answer
    }
}

/// Where no route leads.
pub(super) async fn unknown_path(request: Request) -> Response {
    let content_type = request.headers().get(CONTENT_TYPE);
    let is_grpc = content_type.is_some_and(|it| it.as_bytes().starts_with(b"application/grpc"));
    if is_grpc {
        // As gRPC wants it of a method that isn't there; the chassis adds the reason.
        return Refused::from(tonic::Status::unimplemented("")).into_response();
    }
    Refused::from(edge::status(Refusal::NotFound("path"))).into_response()
}

/// A path that can be asked in another way. The router adds `allow`.
pub(super) async fn wrong_method() -> Refused {
    let says = "must be one of those that the header `allow` names";
    Refused::field("method", says).under(StatusCode::METHOD_NOT_ALLOWED)
}

/// Why a request is refused: `google.rpc.Status` in the JSON of proto3. Programs read the reason in
/// the `ErrorInfo`.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RpcStatus {
    /// Of `google.rpc.Code`.
    #[schema(example = 9)]
    code: i32,
    /// For people.
    #[schema(example = "fewer units are left than the ticket asks for")]
    message: String,
    /// An `ErrorInfo`, and what fits the reason.
    details: Vec<Detail>,
}

/// One of the messages of `google/rpc/error_details.proto`; `@type` says which.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(discriminator(property_name = "@type", mapping(
    ("type.googleapis.com/google.rpc.ErrorInfo" = "#/components/schemas/ErrorInfo"),
    ("type.googleapis.com/google.rpc.RetryInfo" = "#/components/schemas/RetryInfo"),
    ("type.googleapis.com/google.rpc.BadRequest" = "#/components/schemas/BadRequest"),
    ("type.googleapis.com/google.rpc.QuotaFailure" = "#/components/schemas/QuotaFailure"),
)))]
enum Detail {
    ErrorInfo(ErrorInfo),
    RetryInfo(RetryInfo),
    BadRequest(BadRequest),
    QuotaFailure(QuotaFailure),
}

/// Why, for programs.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ErrorInfo {
    #[serde(rename = "@type")]
    #[schema(inline)]
    kind: ErrorInfoType,
    /// Of `seckill.error.v1.ErrorReason`, without its prefix. More may be added.
    #[schema(example = "SOLD_OUT")]
    reason: String,
    #[schema(example = "seckill")]
    domain: String,
    /// Such as `opens_at` of NOT_OPEN, `limit` of LIMIT_REACHED.
    metadata: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
enum ErrorInfoType {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    It,
}

/// When to come back; the header `retry-after` says the same in whole seconds.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RetryInfo {
    #[serde(rename = "@type")]
    #[schema(inline)]
    kind: RetryInfoType,
    /// Seconds, as proto3 writes a duration.
    #[schema(example = "0.300s")]
    retry_delay: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
enum RetryInfoType {
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo")]
    It,
}

/// What of the request is wrong.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BadRequest {
    #[serde(rename = "@type")]
    #[schema(inline)]
    kind: BadRequestType,
    field_violations: Vec<FieldViolation>,
}

#[derive(Serialize, Deserialize, ToSchema)]
enum BadRequestType {
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest")]
    It,
}

/// Which limit was reached.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuotaFailure {
    #[serde(rename = "@type")]
    #[schema(inline)]
    kind: QuotaFailureType,
    violations: Vec<QuotaViolation>,
}

#[derive(Serialize, Deserialize, ToSchema)]
enum QuotaFailureType {
    #[serde(rename = "type.googleapis.com/google.rpc.QuotaFailure")]
    It,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FieldViolation {
    /// A field of the message, or `body`, `query`, `method`, a header.
    field: String,
    /// What would be right.
    description: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuotaViolation {
    /// Whose limit.
    subject: String,
    /// Which.
    description: String,
}
