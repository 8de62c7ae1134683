//! user-svc: the public calls are passed on as they are, refusals included; the keys by which
//! access tokens are checked are read for ourselves.

use std::time::Duration;

use chassis::channel::Balanced;
use proto::user::v1::{
    ListPublicKeysRequest, ListPublicKeysResponse, RegisterRequest, RegisterResponse,
    SignInRequest, SignInResponse, user_service_client::UserServiceClient,
};
use tonic::Status;

use super::call;

/// A public key and its id.
pub(crate) type PublicKey = (String, [u8; 32]);

/// A client of user-svc.
#[derive(Debug, Clone)]
pub(crate) struct Users {
    client: UserServiceClient<Balanced>,
}

impl Users {
    /// Over a channel that connects when it is first used.
    pub(crate) fn new(channel: Balanced) -> Self {
        Self { client: UserServiceClient::new(channel) }
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

    /// Passes the call on.
    pub(crate) async fn sign_in(
        &self,
        request: SignInRequest,
        limit: Duration,
    ) -> Result<SignInResponse, Status> {
        let mut client = self.client.clone();
        call(limit, request, |request| async move { client.sign_in(request).await }).await
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
}
