//! Accounts and sessions. Passwords and tokens stand in bodies only.

use axum::extract::State;
use http::StatusCode;
use proto::user::v1 as wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Counter,
    call::{Call, Json},
    errors::{Refused, RpcStatus},
    sales::time,
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    /// Compared without regard to case.
    #[schema(max_length = 254, example = "me@example.org")]
    email: String,
    #[schema(min_length = 8, max_length = 128, format = Password)]
    password: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Account {
    #[schema(format = "uuid")]
    user_id: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// Goes into `authorization: Bearer …`.
    access_token: String,
    /// Of the access token.
    #[schema(format = DateTime)]
    expires_at: String,
    #[schema(format = "uuid")]
    user_id: String,
    /// For the next refresh, and nobody else's eyes. Good once.
    refresh_token: String,
    /// When the session ends unless it is refreshed before.
    #[schema(format = DateTime)]
    session_expires_at: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshToken {
    /// From the answer before.
    refresh_token: String,
}

/// Makes an account.
#[utoipa::path(post, path = "/v1/accounts",
    operation_id = "register", tag = "people", request_body = Credentials,
    responses(
        (status = 201, body = Account, description = "The account"),
        (status = 400, body = RpcStatus, description = "INVALID_INPUT"),
        (status = 409, body = RpcStatus, description = "ALREADY_EXISTS"),
        (status = 503, body = RpcStatus, description = "UPSTREAM_UNAVAILABLE, OVERLOADED"),
    ))]
pub(super) async fn register(
    State(mut counter): State<Counter>,
    call: Call,
    Json(credentials): Json<Credentials>,
) -> Result<(StatusCode, axum::Json<Account>), Refused> {
    let Credentials { email, password } = credentials;
    let message = wire::RegisterRequest { email, password };
    let made = counter.users.register(call.with(message)).await?.into_inner();
    Ok((StatusCode::CREATED, axum::Json(Account { user_id: made.user_id })))
}

/// Signs in: opens a session. An unknown e-mail and a wrong password get the same answer.
#[utoipa::path(post, path = "/v1/sessions",
    operation_id = "signIn", tag = "people", request_body = Credentials,
    responses(
        (status = 201, body = Session, description = "A session and its tokens"),
        (status = 400, body = RpcStatus, description = "INVALID_INPUT"),
        (status = 401, body = RpcStatus, description = "BAD_CREDENTIALS"),
        (status = 503, body = RpcStatus, description = "UPSTREAM_UNAVAILABLE, OVERLOADED"),
    ))]
pub(super) async fn sign_in(
    State(mut counter): State<Counter>,
    call: Call,
    Json(credentials): Json<Credentials>,
) -> Result<(StatusCode, axum::Json<Session>), Refused> {
    let Credentials { email, password } = credentials;
    let message = wire::SignInRequest { email, password };
    let answer = counter.users.sign_in(call.with(message)).await?.into_inner();
    let session = Session {
        access_token: answer.access_token,
        expires_at: answer.expires_at.map(time).unwrap_or_default(),
        user_id: answer.user_id,
        refresh_token: answer.refresh_token,
        session_expires_at: answer.session_expires_at.map(time).unwrap_or_default(),
    };
    Ok((StatusCode::CREATED, axum::Json(session)))
}

/// Gives the next tokens of a session. The refresh token is spent by that; one that comes back
/// later ends the session, since somebody has copied it.
#[utoipa::path(post, path = "/v1/sessions/refresh",
    operation_id = "refreshSession", tag = "people", request_body = RefreshToken,
    responses(
        (status = 200, body = Session, description = "The session with new tokens"),
        (status = 400, body = RpcStatus, description = "INVALID_INPUT"),
        (status = 401, body = RpcStatus, description = "SESSION_ENDED"),
        (status = 503, body = RpcStatus, description = "UPSTREAM_UNAVAILABLE, OVERLOADED"),
    ))]
pub(super) async fn refresh(
    State(mut counter): State<Counter>,
    call: Call,
    Json(RefreshToken { refresh_token }): Json<RefreshToken>,
) -> Result<axum::Json<Session>, Refused> {
    let message = wire::RefreshSessionRequest { refresh_token };
    let answer = counter.users.refresh_session(call.with(message)).await?.into_inner();
    Ok(axum::Json(Session {
        access_token: answer.access_token,
        expires_at: answer.expires_at.map(time).unwrap_or_default(),
        user_id: answer.user_id,
        refresh_token: answer.refresh_token,
        session_expires_at: answer.session_expires_at.map(time).unwrap_or_default(),
    }))
}

/// Ends the session that a refresh token is of. Access tokens that it gave hold until they expire.
/// No DELETE: the token is what names the session, it has no place in a URL, and the body of a
/// DELETE may get lost on the way.
#[utoipa::path(post, path = "/v1/sessions/end",
    operation_id = "signOut", tag = "people", request_body = RefreshToken,
    responses(
        (status = 204, description = "It is over"),
        (status = 400, body = RpcStatus, description = "INVALID_INPUT"),
        (status = 503, body = RpcStatus, description = "UPSTREAM_UNAVAILABLE, OVERLOADED"),
    ))]
pub(super) async fn sign_out(
    State(mut counter): State<Counter>,
    call: Call,
    Json(RefreshToken { refresh_token }): Json<RefreshToken>,
) -> Result<StatusCode, Refused> {
    counter.users.sign_out(call.with(wire::SignOutRequest { refresh_token })).await?;
    Ok(StatusCode::NO_CONTENT)
}
