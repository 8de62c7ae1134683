//! Operators over gRPC. Each call proves first who asks, and that they may.

use std::{pin::Pin, sync::Arc};

use chassis::token::bearer;
use futures::{Stream, StreamExt as _};
use proto::user::v1::{
    GrantRehearsalRequest, GrantRehearsalResponse, IssueOperatorTokenRequest,
    IssueOperatorTokenResponse, ListOperatorEventsRequest, ListOperatorEventsResponse,
    OperatorRight, RehearsalShopper, RevokeOperatorTokensRequest, RevokeOperatorTokensResponse,
    operator_service_server::OperatorService, revoke_operator_tokens_request as revoke,
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{events, status};
use crate::{
    commands::{Operator, Operators, Shopper},
    domain::{OperatorGrant, OperatorName, RehearsalGrant, Right, Rights, Violation, Whose, both},
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

    async fn operator(&self, metadata: &MetadataMap, needs: Right) -> Result<Operator, Status> {
        self.operators.authenticate(bearer(metadata), needs).await.map_err(status::of)
    }
}

#[tonic::async_trait]
impl OperatorService for OperatorHandlers {
    async fn issue_operator_token(
        &self,
        request: Request<IssueOperatorTokenRequest>,
    ) -> Result<Response<IssueOperatorTokenResponse>, Status> {
        let operator = self.operator(request.metadata(), Right::MakeOperators).await?;
        let IssueOperatorTokenRequest { name, lifetime_seconds, rights } = request.into_inner();
        let rights = rights.into_iter().map(right).collect::<Option<Rights>>();
        let grant = OperatorGrant::parse(&name, lifetime_seconds, rights)
            .map_err(|broken| status::of(broken.into()))?;
        let token = self.operators.issue(&operator, &grant).await.map_err(status::of)?;
        Ok(Response::new(IssueOperatorTokenResponse {
            operator_token: token.issued.token.expose().to_owned(),
            expires_at: Some(super::timestamp(token.issued.expires_at_s)),
            is_shortened: token.is_shortened,
            token_id: token.issued.id,
        }))
    }

    async fn revoke_operator_tokens(
        &self,
        request: Request<RevokeOperatorTokensRequest>,
    ) -> Result<Response<RevokeOperatorTokensResponse>, Status> {
        let operator = self.operator(request.metadata(), Right::MakeOperators).await?;
        let (whose, before_s) =
            revocation(request.into_inner()).map_err(|broken| status::of(broken.into()))?;
        let revoked = self.operators.revoke(&operator, whose, before_s).await;
        let issued_before = Some(super::timestamp(revoked.map_err(status::of)?));
        Ok(Response::new(RevokeOperatorTokensResponse { issued_before }))
    }

    async fn list_operator_events(
        &self,
        request: Request<ListOperatorEventsRequest>,
    ) -> Result<Response<ListOperatorEventsResponse>, Status> {
        self.operator(request.metadata(), Right::Read).await?;
        let page = events::Page::of(&request.into_inner());
        let page = page.map_err(|broken| status::of(broken.into()))?;
        let found = self.operators.events(page.before, page.with_next()).await;
        Ok(Response::new(page.message(found.map_err(status::of)?)))
    }

    type GrantRehearsalStream =
        Pin<Box<dyn Stream<Item = Result<GrantRehearsalResponse, Status>> + Send>>;

    async fn grant_rehearsal(
        &self,
        request: Request<GrantRehearsalRequest>,
    ) -> Result<Response<Self::GrantRehearsalStream>, Status> {
        let operator = self.operator(request.metadata(), Right::RunSales).await?;
        let GrantRehearsalRequest { shoppers, lifetime_seconds } = request.into_inner();
        let grant = RehearsalGrant::parse(shoppers, lifetime_seconds)
            .map_err(|broken| status::of(broken.into()))?;
        let batches = self.operators.grant(&operator, &grant).map_err(status::of_refusal)?;
        let messages = batches.map(|batch| batch.map(message).map_err(status::of));
        Ok(Response::new(Box::pin(messages)))
    }
}

/// Whose tokens, and those made before which second.
fn revocation(
    request: RevokeOperatorTokensRequest,
) -> Result<(Whose, Option<u64>), Vec<Violation>> {
    let broken = |field, description: &str| Violation { field, description: description.into() };
    let whose = match request.whose {
        Some(revoke::Whose::Name(name)) => OperatorName::parse(&name)
            .map(Whose::Operator)
            .map_err(|error| broken("name", &error.to_string())),
        Some(revoke::Whose::Everyone(true)) => Ok(Whose::Everyone),
        Some(revoke::Whose::Everyone(false)) => Err(broken("everyone", "must be true, or absent")),
        None => Err(broken("whose", "name or everyone is required")),
    };
    let before_s = request.issued_before.map(|time| {
        // Of a second that had begun by then, no token is spared.
        let begun = i64::from(time.nanos > 0);
        u64::try_from(time.seconds.saturating_add(begun))
            .map_err(|_| broken("issued_before", "must not be before 1970"))
    });
    both(whose, before_s.transpose())
}

fn right(number: i32) -> Option<Right> {
    let right = OperatorRight::try_from(number).ok()?;
    Right::parse(proto::right_text(right))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_of_the_contract_is_one_of_ours() {
        let numbers = (1..).map_while(|number| OperatorRight::try_from(number).ok());
        let ours: Vec<_> = numbers.map(|named| right(named.into())).collect();
        assert_eq!(ours, Right::ALL.map(Some));
        assert_eq!(right(OperatorRight::Unspecified.into()), None);
    }
}
