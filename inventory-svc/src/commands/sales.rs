//! What operators ask: to make a sale, to give it its window, to pause an item and to resume it.
//! Each action is logged with the operator's name.

use crate::{
    catalog::{self, Catalog, Scheduled},
    domain::sale::{Item, Sale, SaleDraft, ScheduleDraft, Violation},
    lease::LeaseView,
    upstream::{Silent, books::Books, operators::Operator},
};
use ids::{ItemId, SaleId};

/// Why a sale wasn't made or changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What is wrong with the request, field by field.
    #[error("the request is wrong")]
    Invalid(Vec<Violation>),
    /// No such thing.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The sale has another window already.
    #[error("the sale has another window already")]
    OtherWindow,
    /// The catalog gave no answer.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// The books didn't say which shard numbers were seen.
    #[error(transparent)]
    Books(#[from] Silent),
}

/// Makes a sale; by (operator, request id) only once. Its shards get numbers above all that books
/// and journal have seen, whatever the catalog remembers: under a number that was given before, one
/// item's buyers would get another's units. So nothing is made while nobody can say.
///
/// # Errors
/// [`Refused::Invalid`], [`Refused::Catalog`], [`Refused::Books`].
pub async fn create(
    catalog: &dyn Catalog,
    books: &Books,
    operator: &Operator,
    draft: SaleDraft,
    now_ms: u64,
) -> Result<Sale, Refused> {
    let new = draft.check().map_err(Refused::Invalid)?;
    let seen = books.highest_shard().await?;
    let sale = catalog.create_sale(&new, operator.subject(), now_ms, seen).await?;
    tracing::info!(operator = operator.name(), sale = %sale.id, "a sale was created");
    Ok(sale)
}

/// Gives a sale its window.
///
/// # Errors
/// All of [`Refused`].
pub async fn schedule(
    catalog: &dyn Catalog,
    operator: &Operator,
    sale: SaleId,
    draft: ScheduleDraft,
) -> Result<Sale, Refused> {
    let schedule = draft.check().map_err(Refused::Invalid)?;
    match catalog.schedule(sale, schedule).await? {
        Scheduled::Done(sale) => {
            tracing::info!(operator = operator.name(), sale = %sale.id, "a sale was scheduled");
            Ok(sale)
        }
        Scheduled::OtherWindow(_) => Err(Refused::OtherWindow),
        Scheduled::NotFound => Err(Refused::NotFound("sale")),
    }
}

/// Whether buyers are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// They are told PAUSED.
    Begins,
    /// They are let in again.
    Ends,
}

/// Pauses an item or ends its pause. This process knows at once, the others with their next read of
/// the epoch lease: whoever can't read loses the lease within L/2, and lets nobody in either.
///
/// # Errors
/// [`Refused::NotFound`], [`Refused::Catalog`].
pub async fn pause(
    catalog: &dyn Catalog,
    leases: &LeaseView,
    operator: &Operator,
    item: ItemId,
    pause: Pause,
) -> Result<Item, Refused> {
    let paused = pause == Pause::Begins;
    let found = catalog.set_paused(item, paused).await?.ok_or(Refused::NotFound("item"))?;
    match pause {
        Pause::Begins => {
            tracing::info!(operator = operator.name(), item = %item, "an item was paused");
        }
        Pause::Ends => {
            tracing::info!(operator = operator.name(), item = %item, "an item was resumed");
        }
    }
    // It is done; a read that fails is made again by the job.
    let _ = leases.refresh(catalog.lease_rows()).await;
    Ok(found)
}
