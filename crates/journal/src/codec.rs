//! A record's bytes: `seckill.journal.v1.Envelope` in protobuf. Decoding checks everything that a
//! record promises, so that what comes out can be folded without a second look, and what doesn't
//! becomes a dead letter with a precise reason. No input makes it panic.

use bytes::Bytes;
use ids::{CommandId, Epoch, ItemId, OrderId, ParseError, SaleId, ShardNo, UserId};
use prost::Message;
use proto::journal::v1 as pb;

use crate::record::{
    Command, Flaw, HOLDS_MAX, ItemOpened, PlacedHold, RECORD_BYTES_MAX, Record, TRACEPARENT_LEN_MAX,
};

/// The version of the schema that this code writes and reads.
const SCHEMA: u32 = 1;

/// Why bytes are not a record. Its text is the reason that stands in a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// More than [`RECORD_BYTES_MAX`].
    #[error("has {0} bytes, more than {RECORD_BYTES_MAX}")]
    TooLarge(usize),
    /// Not protobuf, or cut off.
    #[error("is not an envelope: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A schema that this version doesn't know.
    #[error("has schema {0}, and only {SCHEMA} is known")]
    UnknownSchema(u32),
    /// A field that is not the id that it should be.
    #[error("{field} {reason}")]
    BadId {
        /// The field's name in the schema.
        field: &'static str,
        /// What it must be.
        reason: ParseError,
    },
    /// No command, or one that this version doesn't know.
    #[error("has no command that is known")]
    UnknownCommand,
    /// Well formed, but breaks a rule.
    #[error(transparent)]
    Flawed(#[from] Flaw),
}

/// The bytes of a record. [`decode`] gives the same record again if [`Record::check`] passes, but
/// for a trace context that is too long, which is left out.
pub fn encode(record: &Record) -> Bytes {
    let envelope = pb::Envelope {
        schema: SCHEMA,
        command_id: Bytes::copy_from_slice(record.command_id.as_bytes()),
        shard_no: record.shard.get(),
        command: Some(to_wire(&record.command)),
    };
    envelope.encode_to_vec().into()
}

/// The record that stands in `bytes`.
///
/// # Errors
/// [`Undecodable`] with the first thing that is wrong.
pub fn decode(bytes: &[u8]) -> Result<Record, Undecodable> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(Undecodable::TooLarge(bytes.len()));
    }
    let envelope = pb::Envelope::decode(bytes)?;
    if envelope.schema != SCHEMA {
        return Err(Undecodable::UnknownSchema(envelope.schema));
    }
    let record = Record {
        command_id: id("command_id", CommandId::try_from(&*envelope.command_id))?,
        shard: id("shard_no", ShardNo::new(envelope.shard_no))?,
        command: from_wire(envelope.command.ok_or(Undecodable::UnknownCommand)?)?,
    };
    record.check()?;
    Ok(record)
}

fn to_wire(command: &Command) -> pb::envelope::Command {
    match command {
        Command::ItemOpened(opened) => pb::envelope::Command::ItemOpened(pb::ItemOpened {
            sale_id: Bytes::copy_from_slice(opened.sale.as_bytes()),
            item_id: Bytes::copy_from_slice(opened.item.as_bytes()),
            total: opened.total,
            limit_per_user: opened.limit_per_user,
            unit_price: opened.unit_price,
            currency: opened.currency.clone(),
            pay_within_seconds: opened.pay_within_s,
        }),
        Command::EpochChanged { from, to } => {
            pb::envelope::Command::EpochChanged(pb::EpochChanged {
                from: Epoch::to_wire(*from),
                to: to.get(),
            })
        }
        Command::HoldsPlaced { epoch, item, holds } => {
            let item_id = item.map(|item| Bytes::copy_from_slice(item.as_bytes()));
            pb::envelope::Command::HoldsPlaced(pb::HoldsPlaced {
                epoch: epoch.get(),
                item_id: item_id.unwrap_or_default(),
                holds: holds.iter().map(hold_to_wire).collect(),
            })
        }
    }
}

fn hold_to_wire(hold: &PlacedHold) -> pb::PlacedHold {
    let is_kept = hold.traceparent.len() <= TRACEPARENT_LEN_MAX;
    pb::PlacedHold {
        order_id: Bytes::copy_from_slice(hold.order.as_bytes()),
        user_id: Bytes::copy_from_slice(hold.user.as_bytes()),
        quantity: hold.quantity,
        unit_price: hold.unit_price,
        taken_at_ms: hold.taken_at_ms,
        traceparent: if is_kept { hold.traceparent.clone() } else { String::new() },
    }
}

fn from_wire(command: pb::envelope::Command) -> Result<Command, Undecodable> {
    Ok(match command {
        pb::envelope::Command::ItemOpened(opened) => Command::ItemOpened(ItemOpened {
            sale: id("item_opened.sale_id", SaleId::try_from(&*opened.sale_id))?,
            item: id("item_opened.item_id", ItemId::try_from(&*opened.item_id))?,
            total: opened.total,
            limit_per_user: opened.limit_per_user,
            unit_price: opened.unit_price,
            currency: opened.currency,
            pay_within_s: opened.pay_within_seconds,
        }),
        pb::envelope::Command::EpochChanged(changed) => Command::EpochChanged {
            from: id("epoch_changed.from", Epoch::from_wire(changed.from))?,
            to: id("epoch_changed.to", Epoch::new(changed.to))?,
        },
        pb::envelope::Command::HoldsPlaced(placed) => Command::HoldsPlaced {
            epoch: id("holds_placed.epoch", Epoch::new(placed.epoch))?,
            item: match &placed.item_id[..] {
                [] => None,
                bytes => Some(id("holds_placed.item_id", ItemId::try_from(bytes))?),
            },
            holds: holds_from_wire(placed.holds)?,
        },
    })
}

fn holds_from_wire(holds: Vec<pb::PlacedHold>) -> Result<Vec<PlacedHold>, Undecodable> {
    // Counted before anything is built from them.
    if holds.len() > HOLDS_MAX {
        return Err(Flaw::TooManyHolds(holds.len()).into());
    }
    holds.into_iter().map(hold_from_wire).collect()
}

fn hold_from_wire(hold: pb::PlacedHold) -> Result<PlacedHold, Undecodable> {
    let is_kept = hold.traceparent.len() <= TRACEPARENT_LEN_MAX;
    Ok(PlacedHold {
        order: id("hold.order_id", OrderId::try_from(&*hold.order_id))?,
        user: id("hold.user_id", UserId::try_from(&*hold.user_id))?,
        quantity: hold.quantity,
        unit_price: hold.unit_price,
        taken_at_ms: hold.taken_at_ms,
        traceparent: if is_kept { hold.traceparent } else { String::new() },
    })
}

fn id<T>(field: &'static str, parsed: Result<T, ParseError>) -> Result<T, Undecodable> {
    parsed.map_err(|reason| Undecodable::BadId { field, reason })
}

#[cfg(test)]
mod tests;
