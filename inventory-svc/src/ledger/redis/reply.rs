//! What the functions are told and what they answer, byte by byte: the heads of the `.lua` files
//! are the contract. An answer that can't be understood is [`Error::Unknown`], and is logged: the
//! call may have been done.

use std::{str::FromStr, vec};

use ids::{Epoch, OrderId, UserId};
use redis::Value;

use crate::ledger::{
    Count, EntryAnswer, Error, Found, Hold, KnownOrder, OpenHold, Peek, Place, Refusal,
    ReserveEntry, Settled, StagedOrder,
};

/// The length of a row in the order of waiting, see `waiting.lua`.
const ROW: u64 = 1 << 44;

/// The first word of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Ok,
    MarkLost,
    IdentityChanged,
    AlreadyActive,
    Incomplete,
    Lower,
    OtherEpoch,
    Open,
    Closed,
    Fenced,
    Stale,
    ClockBack,
    NoMaster,
}

/// A page of `known.lua`.
pub(super) struct KnownPage {
    pub(super) epoch: Epoch,
    pub(super) limit_per_user: u32,
    /// The cursor of the next one.
    pub(super) next: String,
    pub(super) orders: Vec<KnownOrder>,
}

/// What follows the first word.
pub(super) struct Reply(vec::IntoIter<Value>);

impl Reply {
    /// Splits an answer after its first word.
    pub(super) fn of(answer: Value) -> Result<(Word, Self), Error> {
        let Value::Array(values) = answer else { return Err(strange("no list")) };
        let mut reply = Self(values.into_iter());
        let word = match &reply.bytes()?[..] {
            b"ok" => Word::Ok,
            b"mark lost" => Word::MarkLost,
            b"identity changed" => Word::IdentityChanged,
            b"already active" => Word::AlreadyActive,
            b"incomplete" => Word::Incomplete,
            b"lower" => Word::Lower,
            b"other epoch" => Word::OtherEpoch,
            b"open" => Word::Open,
            b"closed" => Word::Closed,
            b"fenced" => Word::Fenced,
            b"stale" => Word::Stale,
            b"clock back" => Word::ClockBack,
            b"no master" => Word::NoMaster,
            _ => return Err(strange("a word that isn't known")),
        };
        Ok((word, reply))
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        match self.0.next() {
            Some(Value::BulkString(bytes)) => Ok(bytes),
            Some(_) | None => Err(strange("no bytes where some should be")),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, Error> {
        String::from_utf8(self.bytes()?).map_err(|_| strange("bytes that are no text"))
    }

    /// Small ones are numbers of Redis, those of 64 bits are text.
    pub(super) fn number<N: FromStr + TryFrom<i64>>(&mut self) -> Result<N, Error> {
        let number = match self.0.next() {
            Some(Value::Int(number)) => number.try_into().ok(),
            Some(Value::BulkString(bytes)) => parse(&bytes),
            Some(_) | None => None,
        };
        number.ok_or_else(|| strange("no number where one should be"))
    }

    pub(super) fn epoch(&mut self) -> Result<Epoch, Error> {
        Epoch::new(self.number()?).map_err(|_| strange("a number that is no epoch"))
    }

    /// The holds of `due.lua` and `holds.lua`, to the end.
    pub(super) fn open_holds(mut self) -> Result<Vec<OpenHold>, Error> {
        let mut holds = Vec::with_capacity(self.0.len() / 3);
        while self.0.len() > 0 {
            let order = order(&self.bytes()?)?;
            let score: u64 = self.number()?;
            let hold = hold(order, &self.bytes()?)?;
            let attempts = u8::try_from(score / ROW).map_err(|_| strange("no such row"))?;
            holds.push(OpenHold { hold, attempts, since_ms: score % ROW });
        }
        Ok(holds)
    }

    /// The answers of `reserve.lua` to `orders`, to the end.
    pub(super) fn answers(mut self, orders: &[OrderId]) -> Result<Vec<EntryAnswer>, Error> {
        let letters = self.bytes()?;
        if letters.len() != orders.len() {
            return Err(strange("not one answer for each entry"));
        }
        let answers = letters.into_iter().zip(orders).map(|(letter, order)| {
            Ok(match letter {
                b'H' => EntryAnswer::Held(hold(*order, &self.bytes()?)?),
                b'O' => EntryAnswer::Open(hold(*order, &self.bytes()?)?),
                b'n' => EntryAnswer::Refused(Refusal::NotOpen),
                b'c' => EntryAnswer::Refused(Refusal::Closed),
                b'e' => EntryAnswer::Refused(Refusal::TicketExpired),
                b'p' => EntryAnswer::Refused(Refusal::Paused),
                b'l' => EntryAnswer::Refused(Refusal::LimitReached),
                b's' => EntryAnswer::Refused(Refusal::SoldOut),
                b't' => EntryAnswer::Refused(Refusal::TooLate),
                letter => EntryAnswer::Settled(settled(letter)?),
            })
        });
        answers.collect()
    }

    /// The looks of `peek.lua` at as many `shards`.
    pub(super) fn peeks(self, shards: usize) -> Result<Vec<Peek>, Error> {
        if self.0.len() != shards {
            return Err(strange("not one look at each shard"));
        }
        let looks = self.0.map(|look| match Self::of(look)? {
            (Word::Open, mut look) => Ok(Peek::Open {
                epoch: look.epoch()?,
                version: look.number()?,
                left: look.number()?,
            }),
            (Word::Closed, mut look) => Ok(Peek::Closed { mark: look.epoch()? }),
            (Word::Fenced, _) => Ok(Peek::Fenced),
            (word, _) => Err(strange_word(word)),
        });
        looks.collect()
    }

    /// The answers of `find.lua` to as many `orders`.
    pub(super) fn found(mut self, orders: usize) -> Result<Vec<Found>, Error> {
        let letters = self.bytes()?;
        if letters.len() != orders {
            return Err(strange("not one answer for each order"));
        }
        let found = letters.into_iter().map(|letter| match letter {
            b'-' => Ok(Found::Nothing),
            b'?' => Ok(Found::Unsure),
            b'O' => Ok(Found::Open),
            letter => settled(letter).map(Found::Settled),
        });
        found.collect()
    }

    /// The answer of `known.lua`.
    pub(super) fn known_page(mut self) -> Result<KnownPage, Error> {
        let (epoch, limit_per_user, next) = (self.epoch()?, self.number()?, self.text()?);
        let mut orders = Vec::with_capacity(self.0.len() / 2);
        while self.0.len() > 0 {
            let order = order(&self.bytes()?)?;
            orders.push(known(order, &self.bytes()?)?);
        }
        Ok(KnownPage { epoch, limit_per_user, next, orders })
    }

    /// The answer of `count.lua`.
    pub(super) fn count(mut self) -> Result<Count, Error> {
        Ok(Count {
            epoch: self.epoch()?,
            stock: self.number()?,
            open_holds: self.number()?,
            open_units: self.number()?,
            placed_orders: self.number()?,
            placed_units: self.number()?,
            tombstones: self.number()?,
            user_units: self.number()?,
            user_units_max: self.number()?,
            movement_watermark: self.number()?,
            oldest_open_ms: self.number()?,
        })
    }
}

/// An entry as `reserve.lua` reads it.
pub(super) fn entry(entry: &ReserveEntry) -> Vec<u8> {
    let ReserveEntry {
        order,
        user,
        quantity,
        unit_price,
        ticket_expires_ms,
        placed_us,
        traceparent,
    } = entry;
    [
        order.as_bytes(),
        user.as_bytes(),
        &quantity.to_be_bytes()[..],
        &unit_price.to_be_bytes(),
        &ticket_expires_ms.to_be_bytes(),
        &placed_us.to_be_bytes(),
        traceparent.as_bytes(),
    ]
    .concat()
}

/// An order as `stage.lua` reads it.
pub(super) fn staged(order: &StagedOrder) -> Vec<u8> {
    let StagedOrder { order, user, quantity, state } = order;
    let state = [letter(*state)];
    [&state, &order.as_bytes()[..], user.as_bytes(), &quantity.to_be_bytes()].concat()
}

/// A decision as `settle.lua` reads it.
pub(super) fn decision((order, decision): &(OrderId, Settled)) -> Vec<u8> {
    [&[letter(*decision)], &order.as_bytes()[..]].concat()
}

/// Where an open hold waits, as `holds.lua` reads it.
pub(super) fn score(place: &Place) -> u64 {
    u64::from(place.attempts) * ROW + place.since_ms
}

fn letter(state: Settled) -> u8 {
    match state {
        Settled::Placed => b'P',
        Settled::Rejected => b'R',
        Settled::Released => b'L',
    }
}

fn settled(letter: u8) -> Result<Settled, Error> {
    match letter {
        b'P' => Ok(Settled::Placed),
        b'R' => Ok(Settled::Rejected),
        b'L' => Ok(Settled::Released),
        _ => Err(strange("a letter that isn't known")),
    }
}

/// The record of an open hold, see `shard.lua`.
fn hold(order: OrderId, record: &[u8]) -> Result<Hold, Error> {
    fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
        let (taken, rest) = from.split_first_chunk()?;
        *from = rest;
        Some(*taken)
    }
    let read = |mut record: &[u8]| {
        let [b'O'] = take(&mut record)? else { return None };
        Some(Hold {
            order,
            user: UserId::from_bytes(take(&mut record)?),
            quantity: u32::from_be_bytes(take(&mut record)?),
            unit_price: i64::from_be_bytes(take(&mut record)?),
            taken_at_ms: u64::from_be_bytes(take(&mut record)?),
            traceparent: String::from_utf8(record.to_vec()).ok()?,
        })
    };
    read(record).ok_or_else(|| strange("no record of an open hold"))
}

/// The beginning of a record, see `shard.lua`.
fn known(order: OrderId, record: &[u8]) -> Result<KnownOrder, Error> {
    let (letter, rest) = record.split_first().ok_or_else(|| strange("an empty record"))?;
    let state = match letter {
        b'O' => Found::Open,
        letter => Found::Settled(settled(*letter)?),
    };
    let units = rest.split_first_chunk().and_then(|(user, rest)| {
        Some((UserId::from_bytes(*user), u32::from_be_bytes(*rest.first_chunk()?)))
    });
    Ok(KnownOrder { order, state, units })
}

fn order(bytes: &[u8]) -> Result<OrderId, Error> {
    OrderId::try_from(bytes).map_err(|_| strange("no order id"))
}

fn parse<N: FromStr>(digits: &[u8]) -> Option<N> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// For a first word that the function doesn't answer.
pub(super) fn strange_word(word: Word) -> Error {
    tracing::error!(?word, "redis answered what can't be understood");
    Error::Unknown
}

fn strange(what: &str) -> Error {
    tracing::error!(what, "redis answered what can't be understood");
    Error::Unknown
}
