//! Operators here: each writing call needs its right, and a token that user-svc has revoked opens
//! nothing, though user-svc be silent from then on.

use chassis::status::{meta_of, retry_after_of};
use prost::Message as _;
use proto::inventory::v1::PauseItemRequest;
use tonic::{Code, Request, Status, body::Body};
use tower::ServiceExt as _;

use crate::house::{House, eventually};

/// Every call of the catalog, and the right that it needs here; reads are open inside the house.
const TABLE: [(&str, Option<&str>); 7] = [
    ("CreateSale", Some("RUN_SALES")),
    ("GetItem", None),
    ("GetSale", None),
    ("ListSales", None),
    ("PauseItem", Some("RUN_SALES")),
    ("ResumeItem", Some("RUN_SALES")),
    ("ScheduleSale", Some("RUN_SALES")),
];

/// The calls that the contract has.
fn methods() -> Vec<String> {
    let files = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap().file;
    let services = files.iter().flat_map(|file| &file.service);
    let service = services.into_iter().find(|it| it.name() == "CatalogService").unwrap();
    let mut methods: Vec<_> = service.method.iter().map(|it| it.name().to_owned()).collect();
    methods.sort();
    methods
}

#[tokio::test]
async fn each_call_has_its_right_and_none_is_forgotten() {
    assert_eq!(methods(), TABLE.map(|(method, _)| method), "give it a row");
    let house = House::open().await;
    for (method, right) in TABLE {
        let call = async |scope: &str| {
            let token = house.token_with("seckill-operator", scope);
            let path = format!("/seckill.inventory.v1.CatalogService/{method}");
            let request = http::Request::post(path)
                .header("content-type", "application/grpc")
                .header("authorization", format!("Bearer {token}"))
                .body(Body::new("\0\0\0\0\0".to_owned()));
            let answer = house.channel().oneshot(request.unwrap()).await.unwrap();
            Status::from_header_map(answer.headers())
        };
        for scope in ["", "READ MAKE_OPERATORS"] {
            let answer = call(scope).await;
            let lacks = answer.filter(|status| status.code() == Code::PermissionDenied);
            let lacks = lacks.map(|status| meta_of(&status, "right").unwrap());
            assert_eq!(lacks.as_deref(), right, "{method} with {scope:?}");
        }
        let answer = call("RUN_SALES").await;
        let is_refused = answer.is_some_and(|it| it.code() == Code::PermissionDenied);
        assert!(!is_refused, "{method}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_void_within_the_interval_and_stays_so() {
    for whose in ["operator-1", "Root", ""] {
        let house = House::open().await;
        let token = house.token("seckill-operator");
        let pause = async || {
            let mut request = Request::new(PauseItemRequest::default());
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
            house.catalog().pause_item(request).await.unwrap_err().code()
        };
        assert_eq!(pause().await, Code::InvalidArgument, "it gets as far as the message");
        let before_s = i64::try_from(house.now_ms() / 1_000).unwrap() + 1;
        house.books.tell_revocations(Some(&[("somebody", before_s), (whose, before_s)]));
        let what = format!("tokens of {whose:?} are void");
        eventually(&what, async || pause().await == Code::Unauthenticated).await;

        house.books.tell_revocations(Some(&[]));
        house.books.tell_revocations(None);
        for _ in 0..20 {
            assert_eq!(pause().await, Code::Unauthenticated, "nothing is taken back");
        }
    }
}

#[tokio::test]
async fn before_it_is_known_what_is_revoked_nobody_is_judged() {
    let house = House::open_untold().await;
    let refused = house.catalog().pause_item(house.operators(PauseItemRequest::default())).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(retry_after_of(&refused).is_some());
    house.books.tell_revocations(Some(&[]));
    let asked = house.catalog().pause_item(house.operators(PauseItemRequest::default())).await;
    assert_eq!(asked.unwrap_err().code(), Code::InvalidArgument, "it asks at once");
}
