//! What the start refuses, and what a drop of the running service leaves behind.

use journal::embedded::Broker;

use super::*;

mod instances;

const PATIENCE: Duration = Duration::from_secs(30);

/// A service's surroundings, which outlive it.
struct Place {
    config: Config,
    broker: Broker,
    cores: Arc<Cores>,
    _data: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::load(None).unwrap();
        config.books.url = format!("sqlite:{}", data.path().join("order.db").display());
        let cores = Arc::new(Cores::start(1).unwrap());
        Self { config, broker: Broker::start(2).unwrap(), cores, _data: data }
    }

    async fn build(&self) -> Result<App, BuildError> {
        let seams = Seams {
            clock: Clock::system(),
            pause: PausePoints::default(),
            cores: Arc::clone(&self.cores),
            journal: self.broker.journal(&journal::Settings::default()).unwrap(),
            telemetry: chassis::Telemetry::off("order-svc"),
        };
        let listeners = Listeners::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        build(self.config.clone(), listeners, seams).await
    }
}

#[tokio::test]
async fn books_without_their_schema_are_refused_until_they_are_migrated() {
    let database = testbed::Database::create(&testbed::running::mariadb()).await;
    for server in [None, Some(database.url())] {
        let mut place = Place::new();
        if let Some(url) = server {
            place.config.books.url = url.to_owned();
            place.config.books.replica_url = url.to_owned();
        }
        let refused = place.build().await.err().unwrap();
        assert!(matches!(refused, BuildError::Schema(_)), "{refused}");
        for _ in 0..2 {
            migrate(&place.config).await.unwrap();
        }
        place.build().await.unwrap();
    }
}

#[tokio::test]
async fn a_start_may_bring_the_schema_up_to_date() {
    let database = testbed::Database::create(&testbed::running::mariadb()).await;
    let mut place = Place::new();
    place.config.books.url = database.url().to_owned();
    place.config.books.migrate_on_start = true;
    for _ in 0..2 {
        place.build().await.unwrap();
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    let mut place = Place::new();
    place.config.books.migrate_on_start = true;
    place.config.inventory_url = "nowhere".to_owned();
    let refused = place.build().await.err().unwrap();
    assert!(refused.to_string().contains("nowhere"), "{refused}");
}

#[tokio::test]
async fn a_service_that_was_dropped_can_be_started_again_beside_its_remains() {
    let mut place = Place::new();
    place.config.books.migrate_on_start = true;
    for _ in 0..3 {
        let app = place.build().await.unwrap();
        let address = format!("http://{}", app.addr());
        let running = app.run(Stopper::new());
        let asking = async {
            let channel = tonic::transport::Endpoint::from_shared(address).unwrap();
            while channel.connect().await.is_err() {}
        };
        tokio::select! {
            _ = running => panic!("nobody stopped it"),
            asked = tokio::time::timeout(PATIENCE, asking) => asked.unwrap(),
        }
    }
}
