//! user-svc's public service, offered at the same door. Calls are passed on as they are, and so are
//! its refusals; only what isn't a refusal of the shop becomes UPSTREAM_UNAVAILABLE.

use std::{future::Future, sync::Arc, time::Duration};

use chassis::status::reason_of;
use proto::user::v1::{self as wire, user_service_server::UserService};
use tonic::{Extensions, Request, Response, Status};
use tower::{ServiceExt as _, service_fn};

use super::{Shop, status::status};
use crate::{
    call::Call, domain::refusal::Refusal, layers::adaptive::Class, stack::Stack, upstream::Users,
};

/// Passes calls on to user-svc.
#[derive(Debug)]
pub(crate) struct Reception {
    shop: Arc<Shop>,
    stack: Stack,
    users: Users,
}

impl Reception {
    /// In front of `users`.
    pub(crate) fn new(shop: Arc<Shop>, stack: Stack, users: Users) -> Self {
        Self { shop, stack, users }
    }

    fn limit(&self, extensions: &Extensions) -> Duration {
        let margin = self.shop.config.purchase.answer_margin();
        let patience = self.shop.remaining(extensions).saturating_sub(margin);
        patience.min(self.shop.config.upstream.sign_in_limit())
    }

    /// Lets a call through the stack and passes it on by `send`, who is told how long it may take.
    async fn pass<M, A, F>(
        &self,
        class: Class,
        request: Request<M>,
        send: impl Fn(Call<M>, Duration) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<A, Status>>,
    {
        let service = self.stack.for_everybody(
            class,
            service_fn(|call: Call<M>| {
                let limit = self.limit(call.caller.extensions());
                let answer = send(call, limit);
                async { Ok(told(answer.await)) }
            }),
        );
        service.oneshot(Call::from(request)).await.unwrap_or_else(|why| Err(status(why)))
    }
}

/// The answer of the service behind.
pub(super) fn told<T>(answer: Result<T, Status>) -> Result<Response<T>, Status> {
    answer.map(Response::new).map_err(|answer| passed_on(&answer))
}

/// A refusal keeps its details. Headers of the call behind aren't anybody's business.
pub(super) fn passed_on(answer: &Status) -> Status {
    if reason_of(answer).is_some() {
        let details = answer.details().to_vec().into();
        return Status::with_details(answer.code(), answer.message(), details);
    }
    tracing::debug!(code = ?answer.code(), "a call that was passed on was not answered");
    status(Refusal::NO_ANSWER)
}

#[tonic::async_trait]
impl UserService for Reception {
    async fn register(
        &self,
        request: Request<wire::RegisterRequest>,
    ) -> Result<Response<wire::RegisterResponse>, Status> {
        let send = |call: Call<_>, limit| self.users.register(call.message, limit);
        self.pass(Class::SignIn, request, send).await
    }

    async fn sign_in(
        &self,
        request: Request<wire::SignInRequest>,
    ) -> Result<Response<wire::SignInResponse>, Status> {
        let send =
            |Call { caller, message }, limit| self.users.sign_in(message, caller.address(), limit);
        self.pass(Class::SignIn, request, send).await
    }

    async fn refresh_session(
        &self,
        request: Request<wire::RefreshSessionRequest>,
    ) -> Result<Response<wire::RefreshSessionResponse>, Status> {
        let send = |call: Call<_>, limit| self.users.refresh_session(call.message, limit);
        // Whoever is in the shop already goes before those who want to come in.
        self.pass(Class::Ticket, request, send).await
    }

    async fn sign_out(
        &self,
        request: Request<wire::SignOutRequest>,
    ) -> Result<Response<wire::SignOutResponse>, Status> {
        let send = |call: Call<_>, limit| self.users.sign_out(call.message, limit);
        self.pass(Class::SignIn, request, send).await
    }

    async fn list_public_keys(
        &self,
        request: Request<wire::ListPublicKeysRequest>,
    ) -> Result<Response<wire::ListPublicKeysResponse>, Status> {
        let send = |_: Call<_>, limit| self.users.list_public_keys(limit);
        self.pass(Class::Browse, request, send).await
    }
}
