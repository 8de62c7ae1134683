//! Buyers over gRPC.

use std::sync::Arc;

use bytes::Bytes;
use proto::user::v1::{
    ListPublicKeysRequest, ListPublicKeysResponse, PublicKey, RefreshSessionRequest,
    RefreshSessionResponse, RegisterRequest, RegisterResponse, SignInRequest, SignInResponse,
    SignOutRequest, SignOutResponse, user_service_server::UserService,
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::status;
use crate::{
    commands::{People, Refusal},
    domain::{Credentials, Neighbourhood, Violation},
    keys,
    refresh_tokens::RefreshToken,
};

/// Where a gateway says who asks it. Believed, since only gateways reach this service; they don't
/// pass on what a client says there.
const CLIENT_ADDRESS: &str = "x-seckill-client-address";

/// Handles `seckill.user.v1.UserService`.
#[derive(Clone)]
pub(crate) struct UserHandlers {
    people: Arc<People>,
    public_keys: ListPublicKeysResponse,
}

impl UserHandlers {
    pub(crate) fn new(people: Arc<People>, issuer: String, keys: &[keys::PublicKey]) -> Self {
        let keys = keys
            .iter()
            .map(|key| PublicKey {
                key_id: key.key_id.clone(),
                ed25519: Bytes::copy_from_slice(&key.ed25519),
            })
            .collect();
        Self { people, public_keys: ListPublicKeysResponse { keys, issuer } }
    }
}

#[tonic::async_trait]
impl UserService for UserHandlers {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let RegisterRequest { email, password } = request.into_inner();
        let credentials =
            Credentials::parse(&email, password).map_err(|broken| status::of(broken.into()))?;
        let user = self.people.register(credentials).await.map_err(status::of)?;
        Ok(Response::new(RegisterResponse { user_id: user.to_string() }))
    }

    async fn sign_in(
        &self,
        request: Request<SignInRequest>,
    ) -> Result<Response<SignInResponse>, Status> {
        let from = neighbourhood(request.metadata());
        let SignInRequest { email, password } = request.into_inner();
        let credentials =
            Credentials::parse(&email, password).map_err(|broken| status::of(broken.into()))?;
        let granted = self.people.sign_in(credentials, from).await.map_err(status::of)?;
        Ok(Response::new(SignInResponse {
            access_token: granted.access.token.expose().to_owned(),
            expires_at: Some(super::timestamp(granted.access.expires_at_s)),
            user_id: granted.user.to_string(),
            refresh_token: granted.refresh.expose(),
            session_expires_at: Some(super::timestamp(granted.session_expires_at_ms / 1000)),
        }))
    }

    async fn refresh_session(
        &self,
        request: Request<RefreshSessionRequest>,
    ) -> Result<Response<RefreshSessionResponse>, Status> {
        let shown = refresh_token(&request.get_ref().refresh_token)?;
        let granted = self.people.desk.refresh(&shown).await.map_err(status::of)?;
        Ok(Response::new(RefreshSessionResponse {
            access_token: granted.access.token.expose().to_owned(),
            expires_at: Some(super::timestamp(granted.access.expires_at_s)),
            user_id: granted.user.to_string(),
            refresh_token: granted.refresh.expose(),
            session_expires_at: Some(super::timestamp(granted.session_expires_at_ms / 1000)),
        }))
    }

    async fn sign_out(
        &self,
        request: Request<SignOutRequest>,
    ) -> Result<Response<SignOutResponse>, Status> {
        let shown = refresh_token(&request.get_ref().refresh_token)?;
        self.people.desk.end(&shown).await.map_err(status::of)?;
        Ok(Response::new(SignOutResponse {}))
    }

    async fn list_public_keys(
        &self,
        _: Request<ListPublicKeysRequest>,
    ) -> Result<Response<ListPublicKeysResponse>, Status> {
        Ok(Response::new(self.public_keys.clone()))
    }
}

fn refresh_token(text: &str) -> Result<RefreshToken, Status> {
    RefreshToken::parse(text).map_err(|broken| {
        let violation = Violation { field: "refresh_token", description: broken.to_string() };
        status::of_refusal(Refusal::InvalidInput(vec![violation]))
    })
}

fn neighbourhood(metadata: &MetadataMap) -> Option<Neighbourhood> {
    let address = metadata.get(CLIENT_ADDRESS)?.to_str().ok()?.parse().ok()?;
    Some(Neighbourhood::of(address))
}
