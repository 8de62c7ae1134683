//! The operators' door: inventory-svc's catalog and user-svc's operator calls, at a port of their
//! own. Each call shows an operator's token with the call's right, which is looked at here before
//! anything is asked and again by the service that acts; that one also logs who did what. Reads of
//! the catalog need no token behind this door, so here it is asked for. Buyers' tokens name another
//! audience, so they open nothing here.

use std::{sync::Arc, time::Duration};

use chassis::{ServerSettings, reflection::Offered};
use futures::{StreamExt as _, stream::BoxStream};
use proto::{
    inventory::v1::{
        self as catalog,
        catalog_service_server::{CatalogService, CatalogServiceServer},
    },
    right_text,
    user::v1::{
        self as people,
        OperatorRight::{self, MakeOperators, Read, RunSales},
        operator_service_server::{OperatorService, OperatorServiceServer},
    },
};
use tonic::{Request, Response, Status, metadata::AsciiMetadataValue};

use super::{
    Shop,
    people::{passed_on, told},
    status::status,
};
use crate::upstream::Office;

/// A hundred items with the longest titles: as long as inventory-svc takes.
const REQUEST_LEN_MAX: usize = 256 * 1024;

/// What reflection tells operators: both services, and the reasons of refusals.
pub(crate) const OFFERED: Offered<'static> = Offered {
    contract: proto::DESCRIPTORS,
    services: &["seckill.inventory.v1.CatalogService", "seckill.user.v1.OperatorService"],
    packages: &["seckill.error.v1"],
};

/// Passes operators' calls on.
#[derive(Debug, Clone)]
pub(crate) struct OperatorDesk {
    shop: Arc<Shop>,
    office: Office,
}

/// Both services, ready to be put behind the layers.
pub(crate) fn services(
    desk: OperatorDesk,
) -> (CatalogServiceServer<OperatorDesk>, OperatorServiceServer<OperatorDesk>) {
    let catalog =
        CatalogServiceServer::new(desk.clone()).max_decoding_message_size(REQUEST_LEN_MAX);
    let people = OperatorServiceServer::new(desk).max_decoding_message_size(REQUEST_LEN_MAX);
    (catalog, people)
}

/// How operators' connections are treated: as the public's, but that their requests are longer.
pub(crate) fn server(public: ServerSettings) -> ServerSettings {
    // With the frame around the message.
    ServerSettings { request_bytes_max: Some(REQUEST_LEN_MAX + 5), ..public }
}

impl OperatorDesk {
    /// In front of `office`.
    pub(crate) fn new(shop: Arc<Shop>, office: Office) -> Self {
        Self { shop, office }
    }

    /// The call as it is passed on: its message and the operator's token. And how long it may take.
    async fn by_operator<T>(
        &self,
        needs: OperatorRight,
        request: Request<T>,
    ) -> Result<(Request<T>, Duration), Status> {
        let needs = right_text(needs);
        let token = self.shop.identity.check_operator(request.metadata(), needs).await;
        let token = token.map_err(status)?;
        let mut token = AsciiMetadataValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Status::internal("a token that was read can't be written"))?;
        token.set_sensitive(true);
        let patience = self.shop.remaining(request.extensions());
        let limit = patience.saturating_sub(self.shop.config.purchase.answer_margin());
        let mut passed_on = Request::new(request.into_inner());
        passed_on.metadata_mut().insert("authorization", token);
        Ok((passed_on, limit.min(self.shop.config.upstream.operator_limit())))
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl CatalogService for OperatorDesk {
    async fn create_sale(
        &self,
        request: Request<catalog::CreateSaleRequest>,
    ) -> Answer<catalog::CreateSaleResponse> {
        let (request, limit) = self.by_operator(RunSales, request).await?;
        told(self.office.create_sale(request, limit).await)
    }

    async fn schedule_sale(
        &self,
        request: Request<catalog::ScheduleSaleRequest>,
    ) -> Answer<catalog::ScheduleSaleResponse> {
        let (request, limit) = self.by_operator(RunSales, request).await?;
        told(self.office.schedule_sale(request, limit).await)
    }

    async fn pause_item(
        &self,
        request: Request<catalog::PauseItemRequest>,
    ) -> Answer<catalog::PauseItemResponse> {
        let (request, limit) = self.by_operator(RunSales, request).await?;
        told(self.office.pause_item(request, limit).await)
    }

    async fn resume_item(
        &self,
        request: Request<catalog::ResumeItemRequest>,
    ) -> Answer<catalog::ResumeItemResponse> {
        let (request, limit) = self.by_operator(RunSales, request).await?;
        told(self.office.resume_item(request, limit).await)
    }

    async fn list_sales(
        &self,
        request: Request<catalog::ListSalesRequest>,
    ) -> Answer<catalog::ListSalesResponse> {
        let (request, limit) = self.by_operator(Read, request).await?;
        told(self.office.list_sales(request, limit).await)
    }

    async fn get_sale(
        &self,
        request: Request<catalog::GetSaleRequest>,
    ) -> Answer<catalog::GetSaleResponse> {
        let (request, limit) = self.by_operator(Read, request).await?;
        told(self.office.get_sale(request, limit).await)
    }

    async fn get_item(
        &self,
        request: Request<catalog::GetItemRequest>,
    ) -> Answer<catalog::GetItemResponse> {
        let (request, limit) = self.by_operator(Read, request).await?;
        told(self.office.get_item(request, limit).await)
    }
}

#[tonic::async_trait]
impl OperatorService for OperatorDesk {
    async fn issue_operator_token(
        &self,
        request: Request<people::IssueOperatorTokenRequest>,
    ) -> Answer<people::IssueOperatorTokenResponse> {
        let (request, limit) = self.by_operator(MakeOperators, request).await?;
        told(self.office.issue_operator_token(request, limit).await)
    }

    async fn revoke_operator_tokens(
        &self,
        request: Request<people::RevokeOperatorTokensRequest>,
    ) -> Answer<people::RevokeOperatorTokensResponse> {
        let (request, limit) = self.by_operator(MakeOperators, request).await?;
        told(self.office.revoke_operator_tokens(request, limit).await)
    }

    async fn list_operator_events(
        &self,
        request: Request<people::ListOperatorEventsRequest>,
    ) -> Answer<people::ListOperatorEventsResponse> {
        let (request, limit) = self.by_operator(Read, request).await?;
        told(self.office.list_operator_events(request, limit).await)
    }

    type GrantRehearsalStream = BoxStream<'static, Result<people::GrantRehearsalResponse, Status>>;

    async fn grant_rehearsal(
        &self,
        request: Request<people::GrantRehearsalRequest>,
    ) -> Answer<Self::GrantRehearsalStream> {
        let (request, limit) = self.by_operator(RunSales, request).await?;
        let granted = told(self.office.grant_rehearsal(request, limit).await)?.into_inner();
        let granted = granted.map(|batch| batch.map_err(|answer| passed_on(&answer)));
        Ok(Response::new(granted.boxed()))
    }
}
