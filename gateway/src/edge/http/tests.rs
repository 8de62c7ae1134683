//! The document of OpenAPI and the table of routes say the same; calls are named by their routes.

use std::collections::BTreeSet;

use serde_json::Value;
use tower::ServiceExt as _;

use super::*;

#[test]
fn the_document_has_every_route_and_no_other() {
    let document: Value = serde_json::from_str(&openapi::document().to_json().unwrap()).unwrap();
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let served = table().into_iter().map(|route| format!("{} {}", route.method, route.path));
    assert_eq!(described, served.collect());
}

#[test]
fn what_the_document_refers_to_is_there() {
    fn look(value: &Value, document: &Value, seen: &mut usize) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(place)) = fields.get("$ref") {
                    *seen += 1;
                    let place = place.strip_prefix('#').unwrap();
                    assert!(document.pointer(place).is_some(), "{place}");
                }
                fields.values().for_each(|value| look(value, document, seen));
            }
            Value::Array(values) => values.iter().for_each(|value| look(value, document, seen)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document: Value = serde_json::from_str(&openapi::document().to_json().unwrap()).unwrap();
    let mut seen = 0;
    look(&document, &document, &mut seen);
    assert!(seen > 40, "{seen} references");
    let needs_token = |path: &str, method: &str| {
        document["paths"][path][method]["security"][0]["token"].is_array()
    };
    assert!(needs_token("/v1/purchases", "post") && needs_token("/v1/orders", "get"));
    assert!(!needs_token("/v1/sales", "get") && !needs_token("/v1/sessions", "post"));
}

#[tokio::test]
async fn calls_are_named_by_the_pattern_of_their_path() {
    let routes = routes(Routes::default(), Duration::ZERO);
    let name = async |method: &str, path: &str| {
        let request = http::Request::builder().method(method).uri(path);
        let request = request.body(tonic::body::Body::empty()).unwrap();
        let Ok(answer) = routes.clone().oneshot(request).await;
        answer.extensions().get::<telemetry::Route>().map(|route| route.0.clone())
    };
    assert_eq!(name("GET", "/v1/sales/17").await.as_deref(), Some("/v1/sales/{sale_id}"));
    assert_eq!(name("GET", "/openapi.json").await.as_deref(), Some("/openapi.json"));
    for (method, path) in [("GET", "/17"), ("INVENTED", "/v1/sales/17"), ("GET", "/v1/sales/1/2")] {
        assert_eq!(name(method, path).await, None, "{method} {path}");
    }
}
