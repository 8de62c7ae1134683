//! What became of an order: the books first, then the ledger (protocol section 8). Unsure is
//! PROCESSING, never NOT_PLACED, and so is what this gateway itself is carrying just now. What
//! other gateways carry is barred by the ledger before NOT_PLACED is said.

use std::sync::Arc;

use chassis::Clock;
use ids::{OrderId, ShardNo, UserId};

use crate::{
    domain::order::{Became, InLedger, Next, Row, after_ledger},
    ledger_time::Reading,
    stock::StockView,
    under_way::UnderWay,
    upstream::{Inventory, Orders, ReadError, Until, inventory::Look},
};

/// Asks books and ledger.
#[derive(Debug, Clone)]
pub(crate) struct Inquiry {
    pub(crate) books: Orders,
    pub(crate) inventory: Inventory,
    pub(crate) under_way: Arc<UnderWay>,
    /// Hears the ledger's time.
    pub(crate) stock: Arc<StockView>,
    pub(crate) clock: Clock,
}

impl Inquiry {
    /// Nothing is under way. The ledger's time is told to `stock`.
    pub(crate) fn new(
        books: Orders,
        inventory: Inventory,
        stock: Arc<StockView>,
        clock: Clock,
    ) -> Self {
        Self { books, inventory, under_way: Arc::new(UnderWay::new()), stock, clock }
    }

    /// For who has shown the ticket: they may be told more than the books know.
    pub(crate) async fn became(&self, order: OrderId, user: UserId, until: Until) -> Became {
        match self.books.row(order, user, until).await {
            Ok(Some(row)) => return Became::Recorded(row),
            Ok(None) => {}
            Err(_) => return Became::Processing,
        }
        match self.beyond_books(order.shard(), &[order], true, until).await.pop() {
            Some(Next::Say(became)) => became,
            None | Some(Next::Nothing) => Became::Processing,
            Some(Next::AskBooksAgain) => match self.books.row(order, user, until).await {
                Ok(Some(row)) => Became::Recorded(row),
                Ok(None) | Err(_) => Became::Processing,
            },
            Some(Next::AskBooksOf { last }) => {
                let Ok(mut found) = self.books.find(&[order], until).await else {
                    return Became::Processing;
                };
                let open = found.open_epoch(order.shard());
                match found.of_user(order, user) {
                    Some(row) => Became::Recorded(row),
                    None => Became::without_row(last, open),
                }
            }
        }
    }

    /// What is to be said of orders of one shard of which the books have just had no row, in their
    /// order. At most [`crate::upstream::inventory::FIND_LEN_MAX`]. Without `bars` nobody is told
    /// NOT_PLACED who wasn't told so before.
    pub(crate) async fn beyond_books(
        &self,
        shard: ShardNo,
        orders: &[OrderId],
        bars: bool,
        until: Until,
    ) -> Vec<Next> {
        // Before the ledger is asked: an order whose batch has ended by now is found there.
        let under_way: Vec<_> = orders.iter().map(|order| self.under_way.has(*order)).collect();
        // What is under way here isn't told to be nothing, so it must not be made so.
        let bars = bars && !under_way.contains(&true);
        let known = self.find(shard, orders, bars, until).await;
        let both = known.into_iter().zip(under_way);
        both.map(|(known, is_under_way)| after_ledger(known, is_under_way, bars)).collect()
    }

    /// Asks the ledger, and hears its time.
    async fn find(
        &self,
        shard: ShardNo,
        orders: &[OrderId],
        bars: bool,
        until: Until,
    ) -> Vec<InLedger> {
        let Look { known, time } = self.inventory.find(shard, orders, bars, until).await;
        if let Some(cell) = self.stock.known(shard) {
            let now = self.clock.now();
            let reading = time.and_then(|(epoch, now_us)| Reading::heard(epoch, now_us, now));
            if let Some(reading) = reading {
                cell.time.hear(reading, now);
            }
            if matches!(known.first(), Some(InLedger::Retired(_))) {
                cell.time.set_over();
            }
        }
        known
    }

    /// Asks a shard's ledger for nothing but its time.
    pub(crate) async fn learn_time(&self, shard: ShardNo, until: Until) {
        // Of no order: ids are hashes, and nobody will ever find one that is all zeroes.
        self.find(shard, &[OrderId::mint(shard, [0; 12])], false, until).await;
    }

    /// For everybody else: the row of this user's, if there is one.
    pub(crate) async fn row(
        &self,
        order: OrderId,
        user: UserId,
        until: Until,
    ) -> Result<Option<Row>, ReadError> {
        self.books.row(order, user, until).await
    }
}
