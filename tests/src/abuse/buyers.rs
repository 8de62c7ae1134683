//! Buyers who mean it: one after the other at a fixed rate, whatever became of those before (open
//! loop), each with a ticket of its own and little patience.

use std::{
    sync::{
        Arc,
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
}

impl Buyers {
    pub(super) fn new(shoppers: Vec<Shopper>, item_id: String) -> Self {
        Self { shoppers, item_id, accepted: Arc::default() }
    }

    /// Purchases a second that were accepted in time, of those who came while `attack` went on.
    pub(super) async fn goodput(&self, attack: impl Future<Output = ()> + Send) -> f64 {
        let clock = Clock::system();
        let (begun_ms, accepted_before) = (clock.wall_ms(), self.accepted());
        let mut inside = JoinSet::new();
        let come = async {
            let mut ticks = tokio::time::interval(EVERY);
            for shopper in self.shoppers.iter().cycle() {
                ticks.tick().await;
                inside.spawn(buy(shopper.clone(), self.item_id.clone(), self.accepted.clone()));
            }
        };
        tokio::select! {
            () = attack => {}
            () = come => {}
        }
        let lasted_ms = clock.wall_ms() - begun_ms;
        inside.join_all().await;
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let rate = (self.accepted() - accepted_before) as f64 * 1_000.0 / lasted_ms as f64;
        rate
    }

    /// All that were ever accepted.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn buy(shopper: Shopper, item_id: String, accepted: Arc<AtomicU64>) {
    let buying = async {
        let wish = uuid::Uuid::new_v4().to_string();
        let ticket = shopper.ticket(&item_id, 1, &wish).await?;
        shopper.purchase(&ticket, 0).await
    };
    if let Ok(Ok(PurchaseState::Accepted)) = tokio::time::timeout(PATIENCE, buying).await {
        accepted.fetch_add(1, Ordering::SeqCst);
    }
}
