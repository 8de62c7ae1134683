//! What pages may do: those of the origins that are allowed, by JSON and by gRPC-web.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use prost::Message;
use proto::gateway::v1::{
    GetSaleRequest, GetSaleResponse, IssueTicketRequest, IssueTicketResponse, PurchaseRequest,
    PurchaseResponse, PurchaseState, WatchItemRequest,
};

use super::client::{Answer, Ask};
use crate::stage::{Plan, Stage};

const ORIGIN: &str = "https://shop.example";
const GATEWAY: &str = "/seckill.gateway.v1.GatewayService";

async fn allowing(origins: &'static [&'static str]) -> Stage {
    let allow = |config: &mut gateway::Config| {
        config.cors.allowed_origins = origins.iter().map(|&origin| origin.to_owned()).collect();
    };
    Stage::with(Plan { config: Box::new(allow), ..Plan::default() }).await
}

/// What a browser asks before a page may send.
async fn preflight(stage: &Stage, origin: &str, path: &str) -> Answer {
    let ask = Ask::new("OPTIONS", path).header("origin", origin);
    let ask = ask.header("access-control-request-method", "POST");
    let ask = ask.header("access-control-request-headers", "authorization,content-type");
    ask.send_unchecked(stage).await
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call() {
    let stage = allowing(&["https://other.example", ORIGIN]).await;
    for path in ["/v1/purchases", &format!("{GATEWAY}/Purchase")] {
        let may = preflight(&stage, ORIGIN, path).await;
        assert_eq!(may.status, 200);
        let says = |name| may.header(name).unwrap_or_default();
        assert_eq!(says("access-control-allow-origin"), ORIGIN);
        assert_eq!(says("access-control-allow-methods"), "GET,POST");
        assert_eq!(says("access-control-max-age"), "7200");
        let allowed: Vec<_> = says("access-control-allow-headers").split(',').collect();
        let own = ["authorization", "content-type", "seckill-ticket", "x-grpc-web"];
        let of_libraries = [
            "baggage",
            "cache-control",
            "idempotency-key",
            "last-event-id",
            "traceparent",
            "x-requested-with",
        ];
        for name in own.into_iter().chain(of_libraries) {
            assert!(allowed.contains(&name), "{name}: {allowed:?}");
        }
        assert_eq!(may.header("access-control-allow-credentials"), None, "no cookies");

        let may_not = preflight(&stage, "https://evil.example", path).await;
        assert_eq!(may_not.header("access-control-allow-origin"), None);
    }
    // Refusals must be readable, too.
    for path in ["/v1/sales", "/v1/orders"] {
        let answer = Ask::get(path).header("origin", ORIGIN).send(&stage).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
        let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
        for name in ["date", "location", "retry-after", "grpc-status", "grpc-status-details-bin"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
}

#[tokio::test]
async fn no_page_of_another_origin_may_call_by_default() {
    let stage = Stage::open().await;
    for path in ["/v1/purchases", &format!("{GATEWAY}/Purchase")] {
        let refused = preflight(&stage, ORIGIN, path).await;
        assert_ne!(refused.status, 200, "{path}");
        assert_eq!(refused.header("access-control-allow-origin"), None);
    }
    let answer = Ask::get("/v1/sales").header("origin", ORIGIN).send(&stage).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
}

/// A call as gRPC-web frames it.
fn web(method: &str, message: &impl Message) -> Ask {
    let message = message.encode_to_vec();
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&message);
    let ask = Ask::new("POST", format!("{GATEWAY}/{method}")).header("x-grpc-web", "1");
    ask.body("application/grpc-web+proto", body)
}

/// The message, and the trailers that follow it in the body.
fn read<M: Message + Default>(answer: &Answer) -> (M, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/grpc-web+proto"));
    let (message, rest) = frame(&answer.body, 0);
    let (trailers, rest) = frame(rest, 0x80);
    assert!(rest.is_empty());
    (M::decode(message).unwrap(), String::from_utf8(trailers.to_vec()).unwrap())
}

/// The next frame, which must be of this kind, and what follows.
fn frame(body: &[u8], kind: u8) -> (&[u8], &[u8]) {
    assert_eq!(body[0], kind);
    let length = u32::from_be_bytes(body[1..5].try_into().unwrap());
    body[5..].split_at(length as usize)
}

#[tokio::test]
async fn grpc_web_buys_over_http1() {
    let stage = allowing(&[ORIGIN]).await;
    let buyer = stage.buyer().await;
    let wish = IssueTicketRequest {
        item_id: stage.item.to_string(),
        quantity: 1,
        request_id: "mine".into(),
    };
    let issued = web("IssueTicket", &wish).by(&buyer).header("origin", ORIGIN);
    let issued = issued.send_unchecked(&stage).await;
    assert_eq!(issued.header("access-control-allow-origin"), Some(ORIGIN));
    let (ticket, trailers): (IssueTicketResponse, _) = read(&issued);
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
    let send = PurchaseRequest { ticket: ticket.ticket, attempt: 1 };
    let bought = web("Purchase", &send).by(&buyer).send_unchecked(&stage).await;
    let (bought, _): (PurchaseResponse, _) = read(&bought);
    assert_eq!((bought.state(), bought.order_id), (PurchaseState::Accepted, ticket.order_id));
}

#[tokio::test]
async fn grpc_web_reads_refusals_wherever_they_come_from() {
    let stage = allowing(&[ORIGIN]).await;
    let nobody = web("IssueTicket", &IssueTicketRequest::default()).send_unchecked(&stage).await;
    let nonsense = GetSaleRequest { sale_id: "nonsense".into() };
    let nonsense = web("GetSale", &nonsense).send_unchecked(&stage).await;
    // From outside of gRPC-web's own layer.
    let late = web("GetSale", &GetSaleRequest::default()).header("grpc-timeout", "0m");
    let late = late.header("origin", ORIGIN).send_unchecked(&stage).await;
    assert_eq!(late.header("access-control-allow-origin"), Some(ORIGIN));
    for (refused, code) in [(nobody, "16"), (nonsense, "3"), (late, "4")] {
        assert_eq!(refused.status, 200);
        assert_eq!(refused.header("content-type"), Some("application/grpc-web+proto"));
        assert_eq!(refused.header("grpc-status"), Some(code), "{refused:?}");
    }
    let sale = GetSaleRequest { sale_id: stage.sale.to_string() };
    let (sale, _): (GetSaleResponse, _) = read(&web("GetSale", &sale).send_unchecked(&stage).await);
    assert_eq!(sale.sale.unwrap().sale_id, stage.sale.to_string());
}

#[tokio::test]
async fn grpc_web_comes_as_text_too() {
    let stage = Stage::open().await;
    let ask = async |body: &str| {
        let path = format!("{GATEWAY}/GetSale");
        let ask = Ask::new("POST", path).body("application/grpc-web-text", body);
        let ask = ask.header("accept", "application/grpc-web-text");
        ask.send_unchecked(&stage).await
    };
    let message = GetSaleRequest { sale_id: stage.sale.to_string() }.encode_to_vec();
    let mut frame = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    frame.extend_from_slice(&message);
    let good = BASE64_STANDARD.encode(&frame);
    let shown = ask(&good).await;
    assert_eq!(shown.header("content-type"), Some("application/grpc-web-text+proto"));
    let first = BASE64_STANDARD.decode(&shown.body[..8]).unwrap();
    assert_eq!((shown.header("grpc-status"), first[0]), (None, 0), "a frame with a message");
    for bad in [format!("{good}\n"), "a".into(), "~~~~".into()] {
        let refused = ask(&bad).await;
        assert_eq!(refused.header("grpc-status"), Some("3"), "{bad}: {refused:?}");
    }
}

#[tokio::test]
async fn grpc_web_streams() {
    let short = |config: &mut gateway::Config| config.watch.stream_ms_max = 50;
    let stage = Stage::with(Plan { config: Box::new(short), ..Plan::default() }).await;
    let watch = WatchItemRequest { item_id: stage.item.to_string() };
    let told = web("WatchItem", &watch).send_unchecked(&stage).await;
    let (told, trailers): (proto::gateway::v1::WatchItemResponse, _) = read(&told);
    assert_eq!(told.units_left, 0);
    assert!(trailers.contains("grpc-status:0"), "the stream ended in order: {trailers}");
}
