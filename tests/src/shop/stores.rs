//! Under the shop: a Redis of its own, which roles reach through a door that can be shut or led
//! elsewhere, and Kafka and MariaDB, shared unless a story breaks them.

use testbed::{Database, Kafka, MariaDb, Proxy, Redis, SmallDisk, running};

/// Which stores a story breaks, and so must have for itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Layout {
    pub(crate) own_kafka: bool,
    pub(crate) own_mariadb: bool,
    /// Whose disk is ours, and small.
    pub(crate) on_small_disk: Option<OnSmallDisk>,
    /// The second inventory-svc has doors of its own, to be shut for it alone.
    pub(crate) one_apart: bool,
}

/// The one store that has a small disk for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnSmallDisk {
    Redis,
    Kafka,
    /// Books, catalog and accounts.
    MariaDb,
}

impl OnSmallDisk {
    /// As much as it takes by itself, and some room.
    fn kib(self) -> u32 {
        match self {
            Self::Redis => 4 * 1024,
            Self::Kafka => 64 * 1024,
            Self::MariaDb => 400 * 1024,
        }
    }
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
    /// Of one of these, which ends before it.
    pub(crate) disk: Option<SmallDisk>,
    pub(super) books: Database,
    pub(super) catalog: Database,
    pub(super) accounts: Database,
    pub(super) topic: String,
}

impl Stores {
    pub(super) async fn start(layout: Layout) -> Self {
        let disk = layout.on_small_disk.map(|store| SmallDisk::of_kib(store.kib()));
        let place_of = |store| {
            disk.as_ref().filter(|_| layout.on_small_disk == Some(store)).map(SmallDisk::path)
        };
        let redis = match place_of(OnSmallDisk::Redis) {
            Some(place) => Redis::start_in(place).await,
            None => Redis::start().await,
        };
        let redis_door = Proxy::to(&format!("127.0.0.1:{}", redis.port())).await;
        let kafka = match place_of(OnSmallDisk::Kafka) {
            Some(place) => Some(Kafka::start_in(place).await),
            None if layout.own_kafka => Some(Kafka::start().await),
            None => None,
        };
        let (mariadb, others) = match place_of(OnSmallDisk::MariaDb) {
            Some(place) => {
                let mariadb = MariaDb::start_in(place).await;
                let url = mariadb.url();
                (Some(mariadb), url)
            }
            // Only the books are broken: what a catalog does without its database isn't the story.
            None if layout.own_mariadb => (Some(MariaDb::start().await), running::mariadb()),
            None => (None, running::mariadb()),
        };
        let server = mariadb.as_ref().map_or_else(running::mariadb, MariaDb::url);
        let catalog = Database::create(&others).await;
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
            accounts: Database::create(&others).await,
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
