//! Every way in which a secret comes in by HTTP, for whoever then looks where it went.

use serde_json::json;

use super::client::Ask;
use crate::stage::{Buyer, Stage, Ticket};

/// Shows the address, the password, the token and the ticket wherever they may be shown, and where
/// they may not.
pub(crate) async fn show(
    stage: &Stage,
    buyer: &Buyer,
    ticket: &Ticket,
    (email, password): (&str, &str),
) {
    let credentials = json!({ "email": email, "password": password });
    for path in ["/v1/accounts", "/v1/sessions"] {
        Ask::post(path, &credentials).send(stage).await;
    }
    let token = json!({ "refresh_token": password });
    for path in ["/v1/sessions/refresh", "/v1/sessions/end"] {
        Ask::post(path, &token).send(stage).await;
    }
    let order = format!("/v1/orders/{}", ticket.order);
    for path in [order.clone(), "/v1/orders".to_owned()] {
        let ask = Ask::get(path).by(buyer).header("seckill-ticket", &ticket.text);
        ask.send(stage).await;
    }
    let purchase = json!({ "ticket": ticket.text, "attempt": 2 });
    Ask::post("/v1/purchases", &purchase).by(buyer).send(stage).await;
    // In wrong places, and as wrong values.
    for body in [
        json!({ "ticket": { "is": ticket.text } }),
        json!({ "ticket": "x", "attempt": ticket.text }),
        json!({ &ticket.text: 1 }),
    ] {
        let refused = Ask::post("/v1/purchases", &body).by(buyer).send(stage).await;
        let told = format!("{refused:?}");
        assert!(!told.contains(&ticket.text[..40]), "{told}");
    }
    let events = Ask::get(format!("{order}/events")).by(buyer);
    events.header("seckill-ticket", &ticket.text).watch(stage).await;
}
