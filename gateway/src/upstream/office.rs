//! What operators ask of inventory-svc and user-svc: passed on as it is, with the operator's token
//! and nothing else of the call's head, refusals included.

use std::time::Duration;

use chassis::channel::Balanced;
use futures::{Stream, StreamExt as _};
use proto::{
    inventory::v1::{
        CreateSaleRequest, CreateSaleResponse, GetItemRequest, GetItemResponse, GetSaleRequest,
        GetSaleResponse, ListSalesRequest, ListSalesResponse, PauseItemRequest, PauseItemResponse,
        ResumeItemRequest, ResumeItemResponse, ScheduleSaleRequest, ScheduleSaleResponse,
        catalog_service_client::CatalogServiceClient,
    },
    user::v1::{
        GrantRehearsalRequest, GrantRehearsalResponse, IssueOperatorTokenRequest,
        IssueOperatorTokenResponse, ListOperatorEventsRequest, ListOperatorEventsResponse,
        RevokeOperatorTokensRequest, RevokeOperatorTokensResponse,
        operator_service_client::OperatorServiceClient,
    },
};
use tonic::{Request, Status};

use super::forward;

/// Clients of both services, for operators.
#[derive(Debug, Clone)]
pub(crate) struct Office {
    catalog: CatalogServiceClient<Balanced>,
    people: OperatorServiceClient<Balanced>,
}

/// Calls of one client that are passed on alike.
macro_rules! passed_on {
    ($($client:ident.$rpc:ident($request:ident) -> $response:ident;)+) => {
        $(
            pub(crate) async fn $rpc(
                &self,
                request: Request<$request>,
                limit: Duration,
            ) -> Result<$response, Status> {
                let mut client = self.$client.clone();
                forward(limit, request, |request| async move { client.$rpc(request).await }).await
            }
        )+
    };
}

impl Office {
    /// Over channels that connect when they are first used.
    pub(crate) fn new(inventory: Balanced, user: Balanced) -> Self {
        Self {
            catalog: CatalogServiceClient::new(inventory),
            people: OperatorServiceClient::new(user),
        }
    }

    passed_on! {
        catalog.create_sale(CreateSaleRequest) -> CreateSaleResponse;
        catalog.schedule_sale(ScheduleSaleRequest) -> ScheduleSaleResponse;
        catalog.pause_item(PauseItemRequest) -> PauseItemResponse;
        catalog.resume_item(ResumeItemRequest) -> ResumeItemResponse;
        catalog.list_sales(ListSalesRequest) -> ListSalesResponse;
        catalog.get_sale(GetSaleRequest) -> GetSaleResponse;
        catalog.get_item(GetItemRequest) -> GetItemResponse;
        people.issue_operator_token(IssueOperatorTokenRequest) -> IssueOperatorTokenResponse;
        people.revoke_operator_tokens(RevokeOperatorTokensRequest) -> RevokeOperatorTokensResponse;
        people.list_operator_events(ListOperatorEventsRequest) -> ListOperatorEventsResponse;
    }

    /// Passes the call on, and what it streams. Its end is the grant's; whoever leaves ends it.
    pub(crate) async fn grant_rehearsal(
        &self,
        request: Request<GrantRehearsalRequest>,
        limit: Duration,
    ) -> Result<impl Stream<Item = Result<GrantRehearsalResponse, Status>> + use<>, Status> {
        let mut client = self.people.clone();
        let stream =
            forward(limit, request, |request| async move { client.grant_rehearsal(request).await });
        Ok(stream.await?.fuse())
    }
}
