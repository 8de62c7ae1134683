//! What became of an order: the books first, then the ledger (protocol section 8). Unsure is
//! PROCESSING, never NOT_PLACED, and so is what this gateway itself is carrying just now.

use std::sync::Arc;

use ids::{OrderId, ShardNo, UserId};

use crate::{
    domain::order::{Became, Next, Row, after_ledger},
    under_way::UnderWay,
    upstream::{Inventory, Orders, ReadError, Until},
};

/// Asks books and ledger.
#[derive(Debug, Clone)]
pub(crate) struct Inquiry {
    pub(crate) books: Orders,
    pub(crate) inventory: Inventory,
    pub(crate) under_way: Arc<UnderWay>,
}

impl Inquiry {
    /// For who has shown the ticket: they may be told more than the books know.
    pub(crate) async fn became(&self, order: OrderId, user: UserId, until: Until) -> Became {
        match self.books.row(order, user, until).await {
            Ok(Some(row)) => return Became::Recorded(row),
            Ok(None) => {}
            Err(_) => return Became::Processing,
        }
        match self.beyond_books(order.shard(), &[order], until).await.pop() {
            Some(Next::Say(became)) => became,
            None => Became::Processing,
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
    /// order. At most [`crate::upstream::inventory::FIND_LEN_MAX`].
    pub(crate) async fn beyond_books(
        &self,
        shard: ShardNo,
        orders: &[OrderId],
        until: Until,
    ) -> Vec<Next> {
        // Before the ledger is asked: an order whose batch has ended by now is found there.
        let under_way: Vec<_> = orders.iter().map(|order| self.under_way.has(*order)).collect();
        let known = self.inventory.find(shard, orders, until).await;
        let both = known.into_iter().zip(under_way);
        both.map(|(known, is_under_way)| after_ledger(known, is_under_way)).collect()
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
