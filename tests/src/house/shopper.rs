//! A buyer with a token and a connection: what a client application would do, a method a step.

use proto::gateway::v1::{
    GetOrderRequest, IssueTicketRequest, OrderState, PurchaseRequest, PurchaseState,
    gateway_service_client::GatewayServiceClient,
};
use tonic::{Code, Request, Status, transport::Channel};

use super::{PATIENCE, eventually};

/// See the module.
#[derive(Clone)]
pub(crate) struct Shopper {
    pub(crate) token: String,
    pub(crate) channel: Channel,
}

/// A ticket and the order id that it fixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) text: String,
    pub(crate) order_id: String,
}

impl Shopper {
    /// With the shopper's token in its head.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = format!("Bearer {}", self.token).parse().expect("tokens are ASCII");
        request.metadata_mut().insert("authorization", value);
        request
    }

    pub(crate) fn client(&self) -> GatewayServiceClient<Channel> {
        GatewayServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn ticket(
        &self,
        item_id: &str,
        quantity: u32,
        request_id: &str,
    ) -> Result<Ticket, Status> {
        let message = IssueTicketRequest {
            item_id: item_id.to_owned(),
            quantity,
            request_id: request_id.to_owned(),
        };
        let issued = self.client().issue_ticket(self.request(message)).await?.into_inner();
        Ok(Ticket { text: issued.ticket, order_id: issued.order_id })
    }

    pub(crate) async fn purchase(
        &self,
        ticket: &Ticket,
        attempt: u32,
    ) -> Result<PurchaseState, Status> {
        let message = PurchaseRequest { ticket: ticket.text.clone(), attempt };
        let answer = self.client().purchase(self.request(message)).await?.into_inner();
        assert_eq!(answer.order_id, ticket.order_id, "the answer is of another order");
        Ok(answer.state())
    }

    /// Sends the ticket until it is accepted, beginning with that attempt: as a client does that is
    /// told to come back, or that nothing is known yet. For stories whose lease is so short that a
    /// busy machine may miss it.
    pub(crate) async fn buy(&self, ticket: &Ticket, mut attempt: u32) {
        eventually("the ticket is accepted", PATIENCE, async || {
            let answer = self.purchase(ticket, attempt).await;
            attempt += 1;
            match answer {
                Ok(PurchaseState::Accepted) => Some(()),
                Ok(PurchaseState::Processing) => None,
                Err(status) if status.code() == Code::Unavailable => None,
                other => panic!("{other:?}"),
            }
        })
        .await;
    }

    /// The order's state, shown the ticket.
    pub(crate) async fn order(&self, ticket: &Ticket) -> Result<OrderState, Status> {
        let message =
            GetOrderRequest { order_id: ticket.order_id.clone(), ticket: ticket.text.clone() };
        let answer = self.client().get_order(self.request(message)).await?.into_inner();
        Ok(answer.order.expect("an answer has an order").state())
    }
}
