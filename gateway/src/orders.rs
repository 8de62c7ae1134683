//! What became of an order: the books first, then the ledger (protocol section 8). Unsure is
//! PROCESSING, never NOT_PLACED.

use ids::{OrderId, UserId};

use crate::{
    domain::order::{Became, Next, Row, after_ledger},
    upstream::{Inventory, Orders, ReadError, Until},
};

/// Asks books and ledger.
#[derive(Debug, Clone)]
pub(crate) struct Inquiry {
    pub(crate) books: Orders,
    pub(crate) inventory: Inventory,
}

impl Inquiry {
    /// For who has shown the ticket: they may be told more than the books know.
    pub(crate) async fn became(&self, order: OrderId, user: UserId, until: Until) -> Became {
        match self.books.row(order, user, until).await {
            Ok(Some(row)) => return Became::Recorded(row),
            Ok(None) => {}
            Err(_) => return Became::Processing,
        }
        let known = self.inventory.find(order.shard(), &[order], until).await;
        match known.first().copied().map(after_ledger) {
            Some(Next::Say(became)) => became,
            None => Became::Processing,
            Some(Next::AskBooksAgain) => match self.books.row(order, user, until).await {
                Ok(Some(row)) => Became::Recorded(row),
                Ok(None) | Err(_) => Became::Processing,
            },
        }
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
