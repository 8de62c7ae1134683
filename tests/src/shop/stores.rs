//! Under the shop: a Redis of its own, which roles reach through a door that can be shut or led
//! elsewhere, and Kafka and MariaDB, shared unless a story breaks them.

use testbed::{Database, Kafka, MariaDb, Proxy, Redis, running};

/// Which stores a story breaks, and so must have for itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Layout {
    pub(crate) own_kafka: bool,
    pub(crate) own_mariadb: bool,
}

/// See the module.
pub(crate) struct Stores {
    pub(crate) redis: Redis,
    pub(crate) redis_door: Proxy,
    pub(crate) kafka: Option<Kafka>,
    pub(crate) mariadb: Option<MariaDb>,
    pub(super) books: Database,
    pub(super) catalog: Database,
    pub(super) accounts: Database,
    pub(super) topic: String,
}

impl Stores {
    pub(super) async fn start(layout: Layout) -> Self {
        let redis = Redis::start().await;
        let redis_door = Proxy::to(&format!("127.0.0.1:{}", redis.port())).await;
        let kafka = if layout.own_kafka { Some(Kafka::start().await) } else { None };
        let mariadb = if layout.own_mariadb { Some(MariaDb::start().await) } else { None };
        let server = mariadb.as_ref().map_or_else(running::mariadb, MariaDb::url);
        // Only the books are broken: what a catalog does without its database isn't the story.
        let shared = running::mariadb();
        Self {
            books: Database::create(&server).await,
            catalog: Database::create(&shared).await,
            accounts: Database::create(&shared).await,
            topic: format!("seckill.test.{}", uuid::Uuid::new_v4().simple()),
            redis,
            redis_door,
            kafka,
            mariadb,
        }
    }

    pub(super) fn brokers(&self) -> String {
        self.kafka.as_ref().map_or_else(running::kafka, Kafka::brokers)
    }
}
