//! user-svc's public service, offered at the same door. Calls are passed on as they are, and so are
//! its refusals; only what isn't a refusal of the shop becomes UPSTREAM_UNAVAILABLE.

use std::{future::Future, sync::Arc, time::Duration};

use chassis::status::reason_of;
use proto::user::v1::{self as wire, user_service_server::UserService};
use tonic::{Extensions, Request, Response, Status};

use super::{Shop, status::status};
use crate::{domain::refusal::Refusal, layers::client_address::ClientAddress, upstream::Users};

/// Passes calls on to user-svc.
#[derive(Debug)]
pub(crate) struct Reception {
    shop: Arc<Shop>,
    users: Users,
}

impl Reception {
    /// In front of `users`.
    pub(crate) fn new(shop: Arc<Shop>, users: Users) -> Self {
        Self { shop, users }
    }

    fn limit(&self, extensions: &Extensions) -> Duration {
        let margin = self.shop.config.purchase.answer_margin();
        let patience = self.shop.remaining(extensions).saturating_sub(margin);
        patience.min(self.shop.config.upstream.sign_in_limit())
    }
}

async fn pass<T>(call: impl Future<Output = Result<T, Status>>) -> Result<Response<T>, Status> {
    call.await.map(Response::new).map_err(|answer| {
        // A refusal keeps its details. Headers of the call behind aren't anybody's business.
        if reason_of(&answer).is_some() {
            let details = answer.details().to_vec().into();
            return Status::with_details(answer.code(), answer.message(), details);
        }
        tracing::debug!(code = ?answer.code(), "user-svc didn't answer");
        status(Refusal::UpstreamUnavailable)
    })
}

#[tonic::async_trait]
impl UserService for Reception {
    async fn register(
        &self,
        request: Request<wire::RegisterRequest>,
    ) -> Result<Response<wire::RegisterResponse>, Status> {
        let limit = self.limit(request.extensions());
        pass(self.users.register(request.into_inner(), limit)).await
    }

    async fn sign_in(
        &self,
        request: Request<wire::SignInRequest>,
    ) -> Result<Response<wire::SignInResponse>, Status> {
        let limit = self.limit(request.extensions());
        let from = request.extensions().get().map(|ClientAddress(address)| *address);
        pass(self.users.sign_in(request.into_inner(), from, limit)).await
    }

    async fn refresh_session(
        &self,
        request: Request<wire::RefreshSessionRequest>,
    ) -> Result<Response<wire::RefreshSessionResponse>, Status> {
        let limit = self.limit(request.extensions());
        pass(self.users.refresh_session(request.into_inner(), limit)).await
    }

    async fn sign_out(
        &self,
        request: Request<wire::SignOutRequest>,
    ) -> Result<Response<wire::SignOutResponse>, Status> {
        let limit = self.limit(request.extensions());
        pass(self.users.sign_out(request.into_inner(), limit)).await
    }

    async fn list_public_keys(
        &self,
        request: Request<wire::ListPublicKeysRequest>,
    ) -> Result<Response<wire::ListPublicKeysResponse>, Status> {
        let limit = self.limit(request.extensions());
        pass(self.users.list_public_keys(limit)).await
    }
}
