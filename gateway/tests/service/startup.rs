//! What keeps a gateway from starting is one sentence.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use chassis::{Clock, Cores, Listeners, PausePoints};
use gateway::{Config, Seams};
use journal::embedded::Broker;

use crate::stage::write_secret;

async fn refused(spoil: impl FnOnce(&mut Config)) -> String {
    let dir = tempfile::TempDir::new().unwrap();
    let mut config = Config::load(None).unwrap();
    let write = |name: &str, text: String| {
        let path = dir.path().join(name);
        write_secret(&path, &text);
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
    let open_to_all = refused(|config| {
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&config.tickets.order_id_key_file, mode).unwrap();
        let checked = config.check_files().unwrap_err().to_string();
        assert!(checked.contains("order.key can't be used: it has mode 0644"), "{checked}");
    });
    let open_to_all = open_to_all.await;
    assert!(open_to_all.contains("order.key can't be used: it has mode 0644"), "{open_to_all}");
    let reused = refused(|config| {
        config.tickets.previous_key_file = config.tickets.order_id_key_file.clone();
    });
    assert!(reused.await.contains("must differ"));
    let address = refused(|config| config.upstream.order = "ftp://books".into()).await;
    assert!(address.contains("ftp://books"), "{address}");
    let knob = refused(|config| config.purchase.batch_len_max = 0).await;
    assert!(knob.starts_with("purchase.batch_len_max"), "{knob}");
}
