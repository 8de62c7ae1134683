//! The shop window: sales and their items, at most a second old. However many look at once, the
//! catalog is asked once for each page and each id, also for an id of nothing. It doesn't know
//! drafts: nobody is shown those.

use std::{sync::Arc, time::Duration};

use ids::SaleId;

use crate::{
    expiry::Spread,
    items::{Items, KnownItem},
    upstream::{Inventory, ReadError, inventory::Sale},
};

/// A sale and what is known of its items.
#[derive(Debug)]
pub(crate) struct SaleView {
    /// Without its items.
    pub(crate) sale: Sale,
    pub(crate) items: Vec<Arc<KnownItem>>,
}

/// A page of sales.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) sales: Vec<Sale>,
    pub(crate) next_token: String,
}

/// What can be looked at.
#[derive(Debug)]
pub(crate) struct Sales {
    pages: moka::future::Cache<(u32, String), Arc<Page>>,
    /// `None` for what is no sale that has a window.
    views: moka::future::Cache<SaleId, Option<Arc<SaleView>>>,
    items: Arc<Items>,
    inventory: Inventory,
    read_limit: Duration,
}

impl Sales {
    /// Remembers at most `known_max` sales and as many pages, each for `known_for` or a little
    /// less.
    pub(crate) fn new(
        inventory: Inventory,
        items: Arc<Items>,
        known_max: u64,
        known_for: Duration,
        read_limit: Duration,
    ) -> Self {
        let spread = Spread { at_most: known_for };
        let pages = moka::future::Cache::builder().max_capacity(known_max).expire_after(spread);
        let views = moka::future::Cache::builder().max_capacity(known_max).expire_after(spread);
        Self { pages: pages.build(), views: views.build(), items, inventory, read_limit }
    }

    /// A page of sales that have a window.
    pub(crate) async fn page(&self, size: u32, token: String) -> Result<Arc<Page>, ReadError> {
        let key = (size, token.clone());
        let ask = async {
            let (sales, next_token) = self.inventory.sales(size, token, self.read_limit).await?;
            Ok(Arc::new(Page { sales, next_token }))
        };
        self.pages.try_get_with(key, ask).await.map_err(|error: Arc<ReadError>| (*error).clone())
    }

    /// One sale that has a window.
    pub(crate) async fn sale(&self, id: SaleId) -> Result<Arc<SaleView>, ReadError> {
        let ask = async {
            let mut sale = match self.inventory.sale(id, self.read_limit).await {
                Ok(sale) => sale,
                Err(ReadError::NotFound) => return Ok(None),
                Err(error @ (ReadError::BadInput | ReadError::Unavailable)) => return Err(error),
            };
            let mut items = Vec::with_capacity(sale.items.len());
            for item in std::mem::take(&mut sale.items) {
                items.push(self.items.adopt(item).await);
            }
            Ok(Some(Arc::new(SaleView { sale, items })))
        };
        let view = self.views.try_get_with(id, ask).await;
        view.map_err(|error: Arc<ReadError>| (*error).clone())?.ok_or(ReadError::NotFound)
    }
}
