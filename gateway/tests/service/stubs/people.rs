//! What the stub of user-svc answers buyers, and services that check tokens.

use std::sync::atomic::Ordering;

use proto::user::v1::{
    self as user, token_service_server::TokenService, user_service_server::UserService,
};
use tonic::{Request, Response, Status};

use super::{Stub, lock, up};

/// Of somebody, for some time.
fn session() -> user::RefreshSessionResponse {
    user::RefreshSessionResponse {
        user_id: ids::UserId::from_bytes([7; 16]).to_string(),
        expires_at: Some(prost_types::Timestamp::default()),
        session_expires_at: Some(prost_types::Timestamp::default()),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl TokenService for Stub {
    async fn list_revocations(
        &self,
        _: Request<user::ListRevocationsRequest>,
    ) -> Result<Response<user::ListRevocationsResponse>, Status> {
        up(&self.0.is_user_down)?;
        if self.0.hides_revocations.load(Ordering::SeqCst) {
            return Err(Status::unimplemented("as an older one"));
        }
        let revocations = lock(&self.0.revocations).clone();
        Ok(Response::new(user::ListRevocationsResponse { revocations }))
    }
}

#[tonic::async_trait]
impl UserService for Stub {
    async fn register(
        &self,
        _: Request<user::RegisterRequest>,
    ) -> Result<Response<user::RegisterResponse>, Status> {
        up(&self.0.is_user_down)?;
        let refusal = chassis::status::Refusal::new(
            tonic::Code::AlreadyExists,
            "ALREADY_EXISTS",
            proto::ERROR_DOMAIN,
            "the address has an account",
        );
        Err(refusal.field("email", "has an account").into_status())
    }

    async fn sign_in(
        &self,
        request: Request<user::SignInRequest>,
    ) -> Result<Response<user::SignInResponse>, Status> {
        up(&self.0.is_user_down)?;
        let from = request.metadata().get_all("x-seckill-client-address");
        let from = from.iter().map(|address| address.to_str().unwrap().to_owned());
        *lock(&self.0.signed_in_from) = from.collect();
        let access_token = format!("token of {}", request.get_ref().email);
        let user::RefreshSessionResponse { expires_at, user_id, session_expires_at, .. } =
            session();
        let refresh_token = "the first".into();
        let session = user::SignInResponse {
            access_token,
            expires_at,
            user_id,
            refresh_token,
            session_expires_at,
        };
        Ok(Response::new(session))
    }

    async fn refresh_session(
        &self,
        request: Request<user::RefreshSessionRequest>,
    ) -> Result<Response<user::RefreshSessionResponse>, Status> {
        up(&self.0.is_user_down)?;
        let refresh_token = format!("after {}", request.get_ref().refresh_token);
        Ok(Response::new(user::RefreshSessionResponse { refresh_token, ..session() }))
    }

    async fn sign_out(
        &self,
        request: Request<user::SignOutRequest>,
    ) -> Result<Response<user::SignOutResponse>, Status> {
        up(&self.0.is_user_down)?;
        lock(&self.0.signed_out).push(request.into_inner().refresh_token);
        Ok(Response::new(user::SignOutResponse {}))
    }

    async fn list_public_keys(
        &self,
        _: Request<user::ListPublicKeysRequest>,
    ) -> Result<Response<user::ListPublicKeysResponse>, Status> {
        self.0.key_reads.fetch_add(1, Ordering::SeqCst);
        up(&self.0.is_user_down)?;
        let keys = lock(&self.0.keys).clone();
        Ok(Response::new(user::ListPublicKeysResponse { keys, issuer: "seckill".into() }))
    }
}
