//! What services that check tokens ask, over gRPC. Nothing is proven: only services reach this one.

use std::sync::Arc;

use proto::user::v1::{
    ListRevocationsRequest, ListRevocationsResponse, Revocation, token_service_server::TokenService,
};
use tonic::{Request, Response, Status};

use super::{events::name_of, status};
use crate::commands::Operators;

/// Handles `seckill.user.v1.TokenService`.
#[derive(Clone)]
pub(crate) struct TokenHandlers {
    operators: Arc<Operators>,
}

impl TokenHandlers {
    pub(crate) fn new(operators: Arc<Operators>) -> Self {
        Self { operators }
    }
}

#[tonic::async_trait]
impl TokenService for TokenHandlers {
    async fn list_revocations(
        &self,
        _: Request<ListRevocationsRequest>,
    ) -> Result<Response<ListRevocationsResponse>, Status> {
        let known = self.operators.revocations().await.map_err(status::of)?;
        let revocations = known.into_iter().map(|known| Revocation {
            name: name_of(&known.whose),
            issued_before: Some(super::timestamp(known.issued_before_s)),
        });
        Ok(Response::new(ListRevocationsResponse { revocations: revocations.collect() }))
    }
}
