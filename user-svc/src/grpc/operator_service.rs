//! Operators over gRPC. Each call proves first who asks.

use std::{pin::Pin, sync::Arc};

use chassis::token::bearer;
use futures::{Stream, StreamExt as _};
use proto::user::v1::{
    GrantRehearsalRequest, GrantRehearsalResponse, IssueOperatorTokenRequest,
    IssueOperatorTokenResponse, RehearsalShopper, operator_service_server::OperatorService,
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::status;
use crate::{
    commands::{Operator, Operators, Shopper},
    domain::{OperatorGrant, RehearsalGrant},
};

/// Handles `seckill.user.v1.OperatorService`.
#[derive(Clone)]
pub(crate) struct OperatorHandlers {
    operators: Arc<Operators>,
}

impl OperatorHandlers {
    pub(crate) fn new(operators: Arc<Operators>) -> Self {
        Self { operators }
    }

    fn operator(&self, metadata: &MetadataMap) -> Result<Operator, Status> {
        self.operators.authenticate(bearer(metadata)).map_err(status::of_refusal)
    }
}

#[tonic::async_trait]
impl OperatorService for OperatorHandlers {
    async fn issue_operator_token(
        &self,
        request: Request<IssueOperatorTokenRequest>,
    ) -> Result<Response<IssueOperatorTokenResponse>, Status> {
        let operator = self.operator(request.metadata())?;
        let IssueOperatorTokenRequest { name, lifetime_seconds } = request.into_inner();
        let grant = OperatorGrant::parse(&name, lifetime_seconds)
            .map_err(|broken| status::of(broken.into()))?;
        let issued = self.operators.issue(&operator, &grant).map_err(status::of)?;
        Ok(Response::new(IssueOperatorTokenResponse {
            operator_token: issued.token.expose().to_owned(),
            expires_at: Some(super::timestamp(issued.expires_at_s)),
        }))
    }

    type GrantRehearsalStream =
        Pin<Box<dyn Stream<Item = Result<GrantRehearsalResponse, Status>> + Send>>;

    async fn grant_rehearsal(
        &self,
        request: Request<GrantRehearsalRequest>,
    ) -> Result<Response<Self::GrantRehearsalStream>, Status> {
        let operator = self.operator(request.metadata())?;
        let GrantRehearsalRequest { shoppers, lifetime_seconds } = request.into_inner();
        let grant = RehearsalGrant::parse(shoppers, lifetime_seconds)
            .map_err(|broken| status::of(broken.into()))?;
        let batches = self.operators.grant(&operator, &grant).map_err(status::of_refusal)?;
        let messages = batches.map(|batch| batch.map(message).map_err(status::of));
        Ok(Response::new(Box::pin(messages)))
    }
}

fn message(batch: Vec<Shopper>) -> GrantRehearsalResponse {
    let shoppers = batch
        .into_iter()
        .map(|shopper| RehearsalShopper {
            user_id: shopper.user.to_string(),
            access_token: shopper.access.expose().to_owned(),
        })
        .collect();
    GrantRehearsalResponse { shoppers }
}
