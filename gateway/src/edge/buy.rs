//! Purchase: from the wire to the stack and back. What is decided is decided in the layers and at
//! the till.

use proto::gateway::v1::{PurchaseRequest, PurchaseResponse, PurchaseState};
use tonic::Request;
use tower::ServiceExt as _;

use crate::{
    call::Call,
    domain::refusal::Refusal,
    metrics::Instruments,
    stack::Stack,
    tickets::Shown,
    till::{Stands, Told},
};

pub(super) async fn purchase(
    stack: &Stack,
    instruments: &Instruments,
    request: Request<PurchaseRequest>,
) -> Result<PurchaseResponse, Refusal> {
    let call = Call::from(request.map(|PurchaseRequest { ticket, attempt }| Shown {
        ticket,
        // Unset counts as a retry: whoever doesn't say may have sent it before.
        is_first: attempt == 1,
    }));
    let Told { order, stands } = stack.purchase().oneshot(call).await?;
    let state = match stands {
        Stands::Accepted => PurchaseState::Accepted,
        Stands::Processing => PurchaseState::Processing,
    };
    // Its line in the log is found by its trace; at this level because there are so many.
    tracing::debug!(%order, state = state.as_str_name(), "a purchase is answered");
    instruments.purchases.with([state.as_str_name()]).inc();
    Ok(PurchaseResponse { state: state.into(), order_id: order.to_string() })
}
