//! Between rows and the domain's values.

use std::time::Duration;

use ids::{Epoch, ItemId, SaleId, ShardNo};
use sqlx::{MySqlConnection, Row, mysql::MySqlRow};

use super::super::{
    Error, ItemKey, LeaseRow, LeaseRows, Page,
    columns::{self, item_id, sale_id},
};
use crate::domain::sale::{Item, Phase, Sale, Schedule, Shard, State};

fn phase(row: &MySqlRow) -> Result<Phase, Error> {
    columns::phase(row.try_get("phase")?)
}

fn epoch(row: &MySqlRow) -> Result<Option<Epoch>, Error> {
    columns::epoch(row.try_get("epoch")?)
}

fn number<N: TryFrom<i64>>(row: &MySqlRow, column: &str) -> Result<N, Error> {
    let number: i64 = row.try_get(column)?;
    N::try_from(number).map_err(|_| Error::damaged("a number"))
}

/// A text that is kept as bytes.
fn text(row: &MySqlRow, column: &str) -> Result<String, Error> {
    String::from_utf8(row.try_get(column)?).map_err(|_| Error::damaged("a text"))
}

pub(super) fn shard_no(number: i64) -> Result<ShardNo, Error> {
    columns::shard_no(u32::try_from(number).map_err(|_| Error::damaged("a shard number"))?)
}

fn state(row: &MySqlRow) -> Result<State, Error> {
    let opens_ms: Option<i64> = row.try_get("opens_ms")?;
    Ok(match opens_ms {
        None => State::Draft,
        Some(_) => State::Scheduled(Schedule {
            opens_ms: number(row, "opens_ms")?,
            closes_ms: number(row, "closes_ms")?,
            warm_up_s: number(row, "warm_up_s")?,
        }),
    })
}

pub(super) fn sale_head(row: &MySqlRow) -> Result<(Page, Sale), Error> {
    let sale = Sale {
        id: sale_id(row.try_get("sale_id")?)?,
        title: row.try_get("title")?,
        state: state(row)?,
        created_at_ms: number(row, "created_at_ms")?,
        items: Vec::new(),
    };
    Ok((Page(row.try_get("seq")?), sale))
}

fn item(row: &MySqlRow) -> Result<Item, Error> {
    Ok(Item {
        id: item_id(row.try_get("item_id")?)?,
        sale: sale_id(row.try_get("sale_id")?)?,
        sku: text(row, "sku")?,
        title: row.try_get("title")?,
        currency: row.try_get("currency")?,
        unit_price: row.try_get("unit_price")?,
        total_units: number(row, "total_units")?,
        limit_per_user: number(row, "limit_per_user")?,
        pay_within_s: number(row, "pay_within_s")?,
        shards: Vec::new(),
    })
}

pub(super) fn shard(row: &MySqlRow) -> Result<Shard, Error> {
    Ok(Shard {
        no: shard_no(row.try_get("shard_no")?)?,
        partition: number(row, "partition_id")?,
        total_units: number(row, "total_units")?,
        lease: Duration::from_millis(number(row, "lease_ms")?),
        phase: phase(row)?,
        epoch: epoch(row)?,
        paused: row.try_get("paused")?,
    })
}

pub(super) fn lease_rows(rows: &[MySqlRow]) -> Result<LeaseRows, Error> {
    let mut answer = LeaseRows::default();
    for row in rows {
        answer.highest = number(row, "highest")?;
        // The row that carries the highest number alone.
        if row.try_get::<Option<i64>, _>("shard_no")?.is_none() {
            continue;
        }
        answer.rows.push(LeaseRow {
            shard: shard_no(row.try_get("shard_no")?)?,
            partition: number(row, "partition_id")?,
            item: item_id(row.try_get("item_id")?)?,
            epoch: epoch(row)?,
            phase: phase(row)?,
            paused: row.try_get("paused")?,
            lease: Duration::from_millis(number(row, "lease_ms")?),
            unit_price: row.try_get("unit_price")?,
        });
    }
    Ok(answer)
}

pub(super) async fn read_sale(tx: &mut MySqlConnection, id: SaleId) -> Result<Option<Sale>, Error> {
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
    tx: &mut MySqlConnection,
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

async fn read_shards(tx: &mut MySqlConnection, item: ItemId) -> Result<Vec<Shard>, Error> {
    let rows = sqlx::query("SELECT * FROM shard WHERE item_id = ? ORDER BY position")
        .bind(item.as_bytes().as_slice())
        .fetch_all(&mut *tx)
        .await?;
    rows.iter().map(shard).collect()
}
