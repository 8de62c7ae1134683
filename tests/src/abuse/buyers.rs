//! Buyers who mean it: one after the other at a fixed rate, whatever became of those before (open
//! loop), each with a ticket of its own and little patience.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chassis::Clock;
use proto::gateway::v1::PurchaseState;
use tokio::task::JoinSet;

use crate::house::Shopper;

/// Fifty purchases a second, each two calls: well below what a network may do, and what a debug
/// build can do beside everything else on two cores.
const EVERY: Duration = Duration::from_millis(20);
/// Who has no answer by then has left the shop.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Buyers {
    shoppers: Vec<Shopper>,
    item_id: String,
    accepted: Arc<AtomicU64>,
    /// How long each of the present trade waited; who got nothing, for as long as they could.
    waits: Arc<Mutex<Vec<Duration>>>,
}

/// What came of a stretch of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trade {
    /// Purchases a second that were accepted in time.
    pub(super) goodput: f64,
    /// Of a hundred, the slowest but one waited for so long.
    pub(super) p99: Duration,
}

impl Buyers {
    pub(super) fn new(shoppers: Vec<Shopper>, item_id: String) -> Self {
        Self { shoppers, item_id, accepted: Arc::default(), waits: Arc::default() }
    }

    /// Purchases a second that were accepted in time, of those who came while `attack` went on.
    pub(super) async fn goodput(&self, attack: impl Future<Output = ()> + Send) -> f64 {
        self.trade(attack).await.goodput
    }

    /// The same, and how long they waited.
    pub(super) async fn trade(&self, attack: impl Future<Output = ()> + Send) -> Trade {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let clock = Clock::system();
        let (begun_ms, accepted_before) = (clock.wall_ms(), self.accepted());
        let mut inside = JoinSet::new();
        let come = async {
            let mut ticks = tokio::time::interval(EVERY);
            for shopper in self.shoppers.iter().cycle() {
                ticks.tick().await;
                inside.spawn(self.buy(shopper.clone()));
            }
        };
        tokio::select! {
            () = attack => {}
            () = come => {}
        }
        let lasted_ms = clock.wall_ms() - begun_ms;
        inside.join_all().await;
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let goodput = (self.accepted() - accepted_before) as f64 * 1_000.0 / lasted_ms as f64;
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner).clone();
        waits.sort_unstable();
        Trade { goodput, p99: waits.get(waits.len() * 99 / 100).copied().unwrap_or_default() }
    }

    /// All that were ever accepted.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    fn buy(&self, shopper: Shopper) -> impl Future<Output = ()> + use<> {
        let Self { item_id, accepted, waits, .. } = self;
        let (item_id, accepted, waits) = (item_id.clone(), accepted.clone(), waits.clone());
        async move {
            let clock = Clock::system();
            let came_at = clock.now();
            let buying = async {
                let wish = uuid::Uuid::new_v4().to_string();
                let ticket = shopper.ticket(&item_id, 1, &wish).await?;
                shopper.purchase(&ticket, 0).await
            };
            let mut waited = PATIENCE;
            if let Ok(Ok(PurchaseState::Accepted)) = tokio::time::timeout(PATIENCE, buying).await {
                accepted.fetch_add(1, Ordering::SeqCst);
                waited = clock.now().saturating_sub(came_at);
            }
            waits.lock().unwrap_or_else(PoisonError::into_inner).push(waited);
        }
    }
}
