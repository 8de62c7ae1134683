//! What operators ask: to make a sale, and to give it its window. Each action is logged with the
//! operator's name.

use crate::{
    catalog::{self, Catalog, Scheduled},
    domain::sale::{Sale, SaleDraft, ScheduleDraft, Violation},
    upstream::operators::Operator,
};
use ids::SaleId;

/// Why a sale wasn't made or changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What is wrong with the request, field by field.
    #[error("the request is wrong")]
    Invalid(Vec<Violation>),
    /// No such sale.
    #[error("no such sale")]
    NotFound,
    /// The sale has another window already.
    #[error("the sale has another window already")]
    OtherWindow,
    /// The catalog gave no answer.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
}

/// Makes a sale; by (operator, request id) only once.
///
/// # Errors
/// [`Refused::Invalid`], [`Refused::Catalog`].
pub async fn create(
    catalog: &dyn Catalog,
    operator: &Operator,
    draft: SaleDraft,
    now_ms: u64,
) -> Result<Sale, Refused> {
    let new = draft.check().map_err(Refused::Invalid)?;
    let sale = catalog.create_sale(&new, operator.subject(), now_ms).await?;
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
        Scheduled::NotFound => Err(Refused::NotFound),
    }
}
