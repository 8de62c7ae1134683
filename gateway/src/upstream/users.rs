//! user-svc: the public calls are passed on as they are, refusals included; the keys by which
//! access tokens are checked, and what was revoked, are read for ourselves.

use std::{net::IpAddr, time::Duration};

use chassis::{channel::Balanced, token::Revocations};
use proto::user::v1::{
    ListPublicKeysRequest, ListPublicKeysResponse, ListRevocationsRequest, RefreshSessionRequest,
    RefreshSessionResponse, RegisterRequest, RegisterResponse, SignInRequest, SignInResponse,
    SignOutRequest, SignOutResponse, token_service_client::TokenServiceClient,
    user_service_client::UserServiceClient,
};
use tonic::{Status, metadata::MetadataValue};

use super::call;

/// Where user-svc reads a client's address. What a client sends under this name goes no further,
/// since calls are made anew here.
const CLIENT_ADDRESS: &str = "x-seckill-client-address";

/// A public key and its id.
pub(crate) type PublicKey = (String, [u8; 32]);

/// A client of user-svc.
#[derive(Debug, Clone)]
pub(crate) struct Users {
    client: UserServiceClient<Balanced>,
    tokens: TokenServiceClient<Balanced>,
}

impl Users {
    /// Over a channel that connects when it is first used.
    pub(crate) fn new(channel: Balanced) -> Self {
        let tokens = TokenServiceClient::new(channel.clone());
        Self { client: UserServiceClient::new(channel), tokens }
    }

    /// Passes the call on.
    pub(crate) async fn register(
        &self,
        request: RegisterRequest,
        limit: Duration,
    ) -> Result<RegisterResponse, Status> {
        let mut client = self.client.clone();
        call(limit, request, |request| async move { client.register(request).await }).await
    }

    /// Passes the call on, and from where it came: failures are counted by address as well.
    pub(crate) async fn sign_in(
        &self,
        request: SignInRequest,
        from: Option<IpAddr>,
        limit: Duration,
    ) -> Result<SignInResponse, Status> {
        let mut client = self.client.clone();
        let from = from.and_then(|address| MetadataValue::try_from(address.to_string()).ok());
        call(limit, request, |mut request| async move {
            if let Some(from) = from {
                request.metadata_mut().insert(CLIENT_ADDRESS, from);
            }
            client.sign_in(request).await
        })
        .await
    }

    /// Passes the call on.
    pub(crate) async fn refresh_session(
        &self,
        request: RefreshSessionRequest,
        limit: Duration,
    ) -> Result<RefreshSessionResponse, Status> {
        let mut client = self.client.clone();
        call(limit, request, |request| async move { client.refresh_session(request).await }).await
    }

    /// Passes the call on.
    pub(crate) async fn sign_out(
        &self,
        request: SignOutRequest,
        limit: Duration,
    ) -> Result<SignOutResponse, Status> {
        let mut client = self.client.clone();
        call(limit, request, |request| async move { client.sign_out(request).await }).await
    }

    /// Passes the call on.
    pub(crate) async fn list_public_keys(
        &self,
        limit: Duration,
    ) -> Result<ListPublicKeysResponse, Status> {
        let mut client = self.client.clone();
        let request = ListPublicKeysRequest {};
        call(limit, request, |request| async move { client.list_public_keys(request).await }).await
    }

    /// The keys that access tokens may be signed with, and the issuer that those tokens name.
    pub(crate) async fn public_keys(
        &self,
        limit: Duration,
    ) -> Result<(Vec<PublicKey>, String), Status> {
        let answer = self.list_public_keys(limit).await?;
        let keys = answer.keys.into_iter().map(|key| {
            let bytes = <[u8; 32]>::try_from(key.ed25519.as_ref());
            bytes.map(|bytes| (key.key_id, bytes))
        });
        let keys = keys.collect::<Result<Vec<_>, _>>();
        Ok((keys.map_err(|_| Status::internal("a public key hasn't 32 bytes"))?, answer.issuer))
    }

    /// Which operators' tokens are revoked.
    pub(crate) async fn revocations(&self, limit: Duration) -> Result<Revocations, Status> {
        let mut client = self.tokens.clone();
        let request = ListRevocationsRequest {};
        let answer =
            call(limit, request, |request| async move { client.list_revocations(request).await });
        let mut revoked = Revocations::default();
        for told in answer.await?.revocations {
            let before_s = told.issued_before.and_then(|time| u64::try_from(time.seconds).ok());
            let before_s = before_s.ok_or_else(|| Status::internal("a revocation without end"))?;
            revoked.add(told.name, before_s);
        }
        Ok(revoked)
    }
}
