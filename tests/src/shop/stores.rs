//! Under the shop: a Redis of its own, which roles reach through a door that can be shut or led
//! elsewhere, and Kafka and MariaDB, shared unless a story breaks them.

use testbed::{Database, Kafka, MariaDb, Proxy, Redis, SmallDisk, running};

/// Which stores a story breaks, and so must have for itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Layout {
    pub(crate) own_kafka: bool,
    pub(crate) own_mariadb: bool,
    /// The books' MariaDB is ours, on a disk of this size.
    pub(crate) mariadb_kib: Option<u32>,
    /// The second inventory-svc has doors of its own, to be shut for it alone.
    pub(crate) one_apart: bool,
}

/// What lies between the second inventory-svc and everybody else.
pub(crate) struct Apart {
    pub(crate) redis: Proxy,
    pub(crate) catalog: Proxy,
    /// From gateways and order-svc to it.
    pub(crate) way: Proxy,
}

/// See the module.
pub(crate) struct Stores {
    pub(crate) redis: Redis,
    pub(crate) redis_door: Proxy,
    pub(crate) apart: Option<Apart>,
    pub(crate) kafka: Option<Kafka>,
    pub(crate) mariadb: Option<MariaDb>,
    /// MariaDB's, which ends before it.
    pub(crate) disk: Option<SmallDisk>,
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
        let disk = layout.mariadb_kib.map(SmallDisk::of_kib);
        let mariadb = match &disk {
            Some(disk) => Some(MariaDb::start_in(disk.path()).await),
            None if layout.own_mariadb => Some(MariaDb::start().await),
            None => None,
        };
        let server = mariadb.as_ref().map_or_else(running::mariadb, MariaDb::url);
        // Only the books are broken: what a catalog does without its database isn't the story.
        let shared = running::mariadb();
        let catalog = Database::create(&shared).await;
        let apart = match layout.one_apart {
            false => None,
            true => Some(Apart {
                redis: Proxy::to(&redis_door.addr()).await,
                catalog: Proxy::to(place(catalog.url())).await,
                // Where that is, is known later.
                way: Proxy::to("127.0.0.1:1").await,
            }),
        };
        Self {
            books: Database::create(&server).await,
            catalog,
            apart,
            accounts: Database::create(&shared).await,
            topic: format!("seckill.test.{}", uuid::Uuid::new_v4().simple()),
            redis,
            redis_door,
            kafka,
            mariadb,
            disk,
        }
    }

    /// The catalog through a door.
    pub(super) fn catalog_behind(&self, door: &Proxy) -> String {
        self.catalog.url().replace(place(self.catalog.url()), &door.addr())
    }

    /// Where the books are, for who damages them.
    pub(crate) fn books_url(&self) -> &str {
        self.books.url()
    }

    pub(super) fn brokers(&self) -> String {
        self.kafka.as_ref().map_or_else(running::kafka, Kafka::brokers)
    }
}

/// `HOST:PORT` of a URL with a user.
fn place(url: &str) -> &str {
    let (_, rest) = url.split_once('@').expect("it has a user");
    rest.split_once('/').expect("it names a database").0
}
