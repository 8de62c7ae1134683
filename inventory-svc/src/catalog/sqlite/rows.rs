//! Between rows and the domain's values.

use std::time::Duration;

use ids::{Epoch, ItemId, SaleId};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::super::{
    Error, ItemKey, LeaseRow, LeaseRows, Page,
    columns::{self, item_id, sale_id, shard_no},
};
use crate::domain::sale::{Item, Phase, Sale, Schedule, Shard, State};

fn phase(row: &SqliteRow) -> Result<Phase, Error> {
    columns::phase(row.try_get("phase")?)
}

fn epoch(row: &SqliteRow) -> Result<Option<Epoch>, Error> {
    columns::epoch(row.try_get("epoch")?)
}

fn from_db(row: &SqliteRow, column: &str) -> Result<u64, Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| Error::damaged("a negative number"))
}

fn state(row: &SqliteRow) -> Result<State, Error> {
    let opens_ms: Option<i64> = row.try_get("opens_ms")?;
    Ok(match opens_ms {
        None => State::Draft,
        Some(_) => State::Scheduled(Schedule {
            opens_ms: from_db(row, "opens_ms")?,
            closes_ms: from_db(row, "closes_ms")?,
            warm_up_s: row.try_get("warm_up_s")?,
        }),
    })
}

pub(super) fn sale_head(row: &SqliteRow) -> Result<(Page, Sale), Error> {
    let sale = Sale {
        id: sale_id(row.try_get("sale_id")?)?,
        title: row.try_get("title")?,
        state: state(row)?,
        created_at_ms: from_db(row, "created_at_ms")?,
        items: Vec::new(),
    };
    Ok((Page(row.try_get("seq")?), sale))
}

fn item(row: &SqliteRow) -> Result<Item, Error> {
    Ok(Item {
        id: item_id(row.try_get("item_id")?)?,
        sale: sale_id(row.try_get("sale_id")?)?,
        sku: row.try_get("sku")?,
        title: row.try_get("title")?,
        currency: row.try_get("currency")?,
        unit_price: row.try_get("unit_price")?,
        total_units: row.try_get("total_units")?,
        limit_per_user: row.try_get("limit_per_user")?,
        pay_within_s: row.try_get("pay_within_s")?,
        shards: Vec::new(),
    })
}

pub(super) fn shard(row: &SqliteRow) -> Result<Shard, Error> {
    Ok(Shard {
        no: shard_no(row.try_get("shard_no")?)?,
        partition: row.try_get("partition_id")?,
        total_units: row.try_get("total_units")?,
        lease: Duration::from_millis(from_db(row, "lease_ms")?),
        phase: phase(row)?,
        epoch: epoch(row)?,
        paused: row.try_get("paused")?,
    })
}

pub(super) fn lease_rows(rows: &[SqliteRow]) -> Result<LeaseRows, Error> {
    let mut answer = LeaseRows::default();
    for row in rows {
        answer.highest = row.try_get("highest")?;
        // The row that carries the highest number alone.
        if row.try_get::<Option<u32>, _>("shard_no")?.is_none() {
            continue;
        }
        answer.rows.push(LeaseRow {
            shard: shard_no(row.try_get("shard_no")?)?,
            partition: row.try_get("partition_id")?,
            item: item_id(row.try_get("item_id")?)?,
            epoch: epoch(row)?,
            phase: phase(row)?,
            paused: row.try_get("paused")?,
            lease: Duration::from_millis(from_db(row, "lease_ms")?),
            unit_price: row.try_get("unit_price")?,
        });
    }
    Ok(answer)
}

pub(super) async fn read_sale(
    tx: &mut SqliteConnection,
    id: SaleId,
) -> Result<Option<Sale>, Error> {
    let row = sqlx::query("SELECT * FROM sale WHERE sale_id = ?")
        .bind(id.as_bytes().as_slice())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (_, mut sale) = sale_head(&row)?;
    let items = sqlx::query("SELECT * FROM item WHERE sale_id = ? ORDER BY position")
        .bind(id.as_bytes().as_slice())
        .fetch_all(&mut *tx)
        .await?;
    for row in &items {
        let mut item = item(row)?;
        item.shards = read_shards(&mut *tx, item.id).await?;
        sale.items.push(item);
    }
    Ok(Some(sale))
}

pub(super) async fn read_item(
    tx: &mut SqliteConnection,
    by: ItemKey,
) -> Result<Option<(Item, State)>, Error> {
    let query = match &by {
        ItemKey::Id(id) => sqlx::query(
            "SELECT item.*, opens_ms, closes_ms, warm_up_s FROM item JOIN sale USING (sale_id) \
             WHERE item_id = ?",
        )
        .bind(id.as_bytes().as_slice()),
        ItemKey::Shard(shard) => sqlx::query(
            "SELECT item.*, opens_ms, closes_ms, warm_up_s FROM item JOIN sale USING (sale_id) \
             WHERE item_id = (SELECT item_id FROM shard WHERE shard_no = ?)",
        )
        .bind(shard.get()),
    };
    let Some(row) = query.fetch_optional(&mut *tx).await? else { return Ok(None) };
    let mut item = item(&row)?;
    item.shards = read_shards(&mut *tx, item.id).await?;
    Ok(Some((item, state(&row)?)))
}

async fn read_shards(tx: &mut SqliteConnection, item: ItemId) -> Result<Vec<Shard>, Error> {
    let rows = sqlx::query("SELECT * FROM shard WHERE item_id = ? ORDER BY position")
        .bind(item.as_bytes().as_slice())
        .fetch_all(&mut *tx)
        .await?;
    rows.iter().map(shard).collect()
}
