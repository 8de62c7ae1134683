//! Tickets: the signed right to try to buy (I-5), and the order id that a buyer's wish always maps
//! to (I-4). Promises that only what this shop signed for this buyer opens, and that asking twice
//! for the same thing gives the same order id. It doesn't know the time: whether a ticket is past
//! its end is decided where it is used.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use ids::{ItemId, OrderId, ShardNo, UserId};
use sha2::{Digest, Sha256};

/// Keys shorter than this are refused.
pub(crate) const KEY_LEN_MIN: usize = 32;

/// Longer texts are refused unread.
pub(crate) const TEXT_LEN_MAX: usize = 256;

/// What a buyer's wish consists of; all of it goes into the order id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) user: UserId,
    pub(crate) item: ItemId,
    pub(crate) quantity: u32,
    /// Per unit.
    pub(crate) unit_price: i64,
    /// Chosen by the buyer's client.
    pub(crate) request_id: &'a str,
}

/// What a ticket says. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) order: OrderId,
    pub(crate) user: UserId,
    pub(crate) item: ItemId,
    pub(crate) quantity: u32,
    /// Per unit.
    pub(crate) unit_price: i64,
    pub(crate) not_before_ms: u64,
    pub(crate) expires_ms: u64,
}

/// What a buyer shows. Nothing of it is checked.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) ticket: String,
    /// The client says that it sends the ticket for the first time.
    pub(crate) is_first: bool,
}

/// A ticket that this shop signed, for whomever. Made by [`Tickets::read`] only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signed(Terms);

impl Signed {
    /// What it is for, whoever shows it.
    pub(crate) fn item(&self) -> ItemId {
        self.0.item
    }

    /// What it is known by, however often it is shown.
    pub(crate) fn order(&self) -> OrderId {
        self.0.order
    }

    /// The right of the buyer whom it names, and of nobody else (I-5).
    ///
    /// # Errors
    /// [`Invalid`] unless it was signed for that user.
    pub(crate) fn of(self, user: UserId) -> Result<Ticket, Invalid> {
        if self.0.user == user { Ok(Ticket(self.0)) } else { Err(Invalid) }
    }
}

/// A ticket that this shop signed for the buyer who shows it. Made by [`Signed::of`] only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(Terms);

impl Ticket {
    /// What it says.
    pub(crate) fn terms(&self) -> &Terms {
        &self.0
    }
}

/// Not a ticket of this shop for this buyer. Which of its checks failed is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a ticket that was signed for this buyer")]
pub(crate) struct Invalid;

/// Why keys can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    /// Too easy to guess.
    #[error("a ticket or order id key must have at least 32 bytes")]
    TooShort,
    /// One key must not do two jobs.
    #[error("the ticket keys and the order id key must differ from each other")]
    Reused,
}

/// Signs and opens tickets, and mints order ids.
#[derive(Clone)]
pub(crate) struct Tickets {
    /// The first one signs; all of them verify, so that keys can be rotated under load.
    keys: Vec<SigningKey>,
    /// Not rotated while a sale lasts, or one wish would become two orders.
    order_ids: Hmac<Sha256>,
}

#[derive(Clone)]
struct SigningKey {
    id: [u8; 4],
    mac: Hmac<Sha256>,
}

// The labels keep what is signed for one purpose from being worth anything for another.
const TICKET_LABEL: &[u8] = b"seckill ticket 1";
const ORDER_LABEL: &[u8] = b"seckill order id 1";
const KEY_ID_LABEL: &[u8] = b"seckill ticket key id 1";

const SIGNED_LEN: usize = 4 + 16 + 16 + 16 + 4 + 8 + 8 + 8;
const MAC_LEN: usize = 32;
const LEN: usize = SIGNED_LEN + MAC_LEN;

impl Tickets {
    /// From the key that signs, the one that signed before, and the one for order ids.
    ///
    /// # Errors
    /// [`KeyError`] if a key is too short or does two jobs.
    pub(crate) fn new(
        current: &[u8],
        previous: Option<&[u8]>,
        order_ids: &[u8],
    ) -> Result<Self, KeyError> {
        if previous == Some(current) || current == order_ids || previous == Some(order_ids) {
            return Err(KeyError::Reused);
        }
        let keys = std::iter::once(current).chain(previous);
        let keys = keys.map(SigningKey::new).collect::<Result<_, _>>()?;
        Ok(Self { keys, order_ids: keyed(order_ids)? })
    }

    /// The order that a wish becomes, on the shard that serves its user.
    pub(crate) fn order_id(&self, shard: ShardNo, wish: &Wish<'_>) -> OrderId {
        let mut mac = self.order_ids.clone();
        mac.update(ORDER_LABEL);
        mac.update(wish.user.as_bytes());
        mac.update(wish.item.as_bytes());
        mac.update(&wish.quantity.to_be_bytes());
        mac.update(&wish.unit_price.to_be_bytes());
        // Last, since its length varies.
        mac.update(wish.request_id.as_bytes());
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        let (first, _rest) = hash.split_first_chunk().expect("32 bytes have 12");
        OrderId::mint(shard, *first)
    }

    /// Signs a ticket: text for a URL, at most [`TEXT_LEN_MAX`] characters.
    pub(crate) fn sign(&self, terms: &Terms) -> String {
        let key = self.keys.first().expect("there is always a current key");
        let mut bytes = [0; LEN];
        let (signed, tag) = bytes.split_at_mut(SIGNED_LEN);
        write(signed, key.id, terms);
        tag.copy_from_slice(&key.mac_of(signed).finalize().into_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens a ticket that `user` shows.
    ///
    /// # Errors
    /// [`Invalid`] unless it was signed by one of the keys, unchanged, for that user.
    pub(crate) fn open(&self, text: &str, user: UserId) -> Result<Ticket, Invalid> {
        self.read(text)?.of(user)
    }

    /// Reads a ticket. Compares signatures in constant time.
    ///
    /// # Errors
    /// [`Invalid`] unless it was signed by one of the keys, unchanged.
    pub(crate) fn read(&self, text: &str) -> Result<Signed, Invalid> {
        let bytes = decoded(text).ok_or(Invalid)?;
        let (signed, tag) = bytes.split_at(SIGNED_LEN);
        let key = self.keys.iter().find(|key| signed.starts_with(&key.id)).ok_or(Invalid)?;
        key.mac_of(signed).verify_slice(tag).map_err(|_| Invalid)?;
        read(signed).map(Signed).ok_or(Invalid)
    }
}

/// What a ticket claims, unchecked: good for nothing but to say no early.
pub(crate) fn claimed(text: &str) -> Option<Terms> {
    read(decoded(text)?.split_at(SIGNED_LEN).0)
}

fn decoded(text: &str) -> Option<[u8; LEN]> {
    if text.len() > TEXT_LEN_MAX {
        return None;
    }
    // Room for whatever the longest text decodes to, so that its length can be judged.
    let mut bytes = [0; TEXT_LEN_MAX];
    let len = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    bytes.get(..len)?.try_into().ok()
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tickets").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl SigningKey {
    fn new(key: &[u8]) -> Result<Self, KeyError> {
        let mac = keyed(key)?;
        let hash = Sha256::new().chain_update(KEY_ID_LABEL).chain_update(key).finalize();
        let id = [hash[0], hash[1], hash[2], hash[3]];
        Ok(Self { id, mac })
    }

    fn mac_of(&self, signed: &[u8]) -> Hmac<Sha256> {
        self.mac.clone().chain_update(TICKET_LABEL).chain_update(signed)
    }
}

fn keyed(key: &[u8]) -> Result<Hmac<Sha256>, KeyError> {
    if key.len() < KEY_LEN_MIN {
        return Err(KeyError::TooShort);
    }
    Hmac::new_from_slice(key).map_err(|_| KeyError::TooShort)
}

fn write(signed: &mut [u8], key_id: [u8; 4], terms: &Terms) {
    let fields: [&[u8]; 8] = [
        &key_id,
        terms.order.as_bytes(),
        terms.user.as_bytes(),
        terms.item.as_bytes(),
        &terms.quantity.to_be_bytes(),
        &terms.unit_price.to_be_bytes(),
        &terms.not_before_ms.to_be_bytes(),
        &terms.expires_ms.to_be_bytes(),
    ];
    let mut rest = signed;
    for field in fields {
        let (place, after) = rest.split_at_mut(field.len());
        place.copy_from_slice(field);
        rest = after;
    }
}

fn read(signed: &[u8]) -> Option<Terms> {
    let (_key_id, rest) = signed.split_first_chunk::<4>()?;
    let (order, rest) = rest.split_first_chunk()?;
    let (user, rest) = rest.split_first_chunk()?;
    let (item, rest) = rest.split_first_chunk()?;
    let (quantity, rest) = rest.split_first_chunk()?;
    let (unit_price, rest) = rest.split_first_chunk()?;
    let (not_before, rest) = rest.split_first_chunk()?;
    let (expires, _nothing) = rest.split_first_chunk()?;
    Some(Terms {
        order: OrderId::from_bytes(*order).ok()?,
        user: UserId::from_bytes(*user),
        item: ItemId::from_bytes(*item),
        quantity: u32::from_be_bytes(*quantity),
        unit_price: i64::from_be_bytes(*unit_price),
        not_before_ms: u64::from_be_bytes(*not_before),
        expires_ms: u64::from_be_bytes(*expires),
    })
}

#[cfg(test)]
mod tests;
