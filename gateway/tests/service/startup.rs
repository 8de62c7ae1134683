//! What keeps a gateway from starting is one sentence.

use std::sync::Arc;

use chassis::{Clock, Cores, Listeners, PausePoints};
use gateway::{Config, Seams};
use journal::embedded::Broker;

async fn refused(spoil: impl FnOnce(&mut Config)) -> String {
    let dir = tempfile::TempDir::new().unwrap();
    let mut config = Config::load(None).unwrap();
    let write = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    config.tickets.key_file = write("ticket.key", "t".repeat(32));
    config.tickets.order_id_key_file = write("order.key", "o".repeat(32));
    spoil(&mut config);
    let listeners = Listeners::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
    let journal = Broker::start(1).unwrap().journal(&journal::Settings::default()).unwrap();
    let cores = Arc::new(Cores::start(1).unwrap());
    let telemetry = chassis::Telemetry::off("gateway");
    let (clock, pause) = (Clock::system(), PausePoints::default());
    let seams = Seams { clock, pause, cores, journal, telemetry };
    match gateway::build(config, listeners, seams).await {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn keys_and_addresses_must_be_good() {
    assert_eq!(refused(|_| {}).await, "nothing", "no other service needs to be up");
    let missing = refused(|config| config.tickets.key_file = "/nowhere/ticket.key".into()).await;
    assert!(missing.contains("/nowhere/ticket.key"), "{missing}");
    let short = refused(|config| {
        std::fs::write(&config.tickets.key_file, "t".repeat(31)).unwrap();
    });
    assert!(short.await.contains("at least 32 bytes"));
    let reused = refused(|config| {
        config.tickets.previous_key_file = config.tickets.order_id_key_file.clone();
    });
    assert!(reused.await.contains("must differ"));
    let address = refused(|config| config.upstream.order = "ftp://books".into()).await;
    assert!(address.contains("ftp://books"), "{address}");
    let knob = refused(|config| config.purchase.batch_len_max = 0).await;
    assert!(knob.starts_with("purchase.batch_len_max"), "{knob}");
}
