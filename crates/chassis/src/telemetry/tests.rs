//! Settings and readiness, and spans up to an OTLP collector.

use super::*;

#[derive(Debug, Deserialize)]
struct Table {
    telemetry: TelemetrySettings,
}

fn listen(text: &str) -> Result<Option<SocketAddr>, String> {
    let json = serde_json::json!({ "telemetry": { "listen": text } });
    let table = serde_json::from_value::<Table>(json).map_err(|error| error.to_string())?;
    Ok(table.telemetry.listen)
}

#[test]
fn an_empty_address_is_none_and_a_bad_one_is_named() {
    assert_eq!(listen(""), Ok(None));
    assert_eq!(listen("127.0.0.1:9464"), Ok(Some(([127, 0, 0, 1], 9464).into())));
    let refused = listen("localhost").expect_err("it has no port");
    assert!(refused.contains("\"localhost\""), "{refused}");
}

#[test]
fn a_ratio_is_from_none_to_all() {
    let ratio = |sample_ratio| TelemetrySettings { sample_ratio, ..TelemetrySettings::default() };
    assert!(ratio(0.0).check().is_ok());
    assert!(ratio(1.0).check().is_ok());
    for wrong in [-0.1, 1.1, f64::NAN] {
        assert!(ratio(wrong).check().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_process_is_ready_when_all_of_its_services_are() {
    let readiness = Readiness::default();
    assert_eq!(readiness.first_unready(), Some("the process"));
    readiness.expect("bakery");
    assert_eq!(readiness.first_unready(), Some("bakery"), "it may wait for its store");
    let bakery = Health::new();
    let mill = Health::new();
    readiness.add("bakery", bakery.clone());
    readiness.add("mill", mill.clone());
    bakery.set_ready(true).await;
    assert_eq!(readiness.first_unready(), Some("mill"));
    assert_eq!(readiness.of("bakery").len(), 1, "the one that was expected");
    mill.set_ready(true).await;
    assert_eq!(readiness.first_unready(), None);
}
