//! What opens a ticket and what doesn't: every edit of one byte, foreign buyers, rotated keys.

use super::*;

const NOW: &[u8] = b"a key of the present, 32 bytes !!";
const BEFORE: &[u8] = b"a key of the past, also 32 bytes!";
const LATER: &[u8] = b"a key of the future, also 32 byte";
const ORDERS: &[u8] = b"a key for order ids, with 32 bytes";

fn tickets() -> Tickets {
    Tickets::new(NOW, Some(BEFORE), ORDERS).unwrap()
}

fn user() -> UserId {
    UserId::from_bytes([5; 16])
}

fn wish() -> Wish<'static> {
    Wish {
        user: user(),
        item: ItemId::from_bytes([6; 16]),
        quantity: 2,
        unit_price: 1999,
        request_id: "mine",
    }
}

fn terms() -> Terms {
    let Wish { user, item, quantity, unit_price, .. } = wish();
    let order = tickets().order_id(ShardNo::new(9).unwrap(), &wish());
    Terms { order, user, item, quantity, unit_price, not_before_ms: 1000, expires_ms: 2000 }
}

#[test]
fn what_was_signed_opens_for_its_buyer_alone() {
    let text = tickets().sign(&terms());
    assert!(text.len() <= TEXT_LEN_MAX);
    assert_eq!(tickets().open(&text, user()).map(|ticket| *ticket.terms()), Ok(terms()));
    assert_eq!(tickets().open(&text, UserId::from_bytes([4; 16])), Err(Invalid));
}

#[test]
fn every_edit_of_one_byte_is_refused() {
    let text = tickets().sign(&terms());
    let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut edited = bytes.clone();
            edited[place] ^= 1 << bit;
            // The buyer in the ticket is whoever shows it, so only the signature can refuse.
            let shown_by = UserId::try_from(&edited[20..36]).unwrap();
            let edited = URL_SAFE_NO_PAD.encode(edited);
            assert_eq!(tickets().open(&edited, shown_by), Err(Invalid), "byte {place}, bit {bit}");
        }
    }
}

#[test]
fn every_edit_of_one_character_is_refused() {
    let text = tickets().sign(&terms());
    for place in 0..text.len() {
        for other in "Aa0-_=+/ é".chars().filter(|other| !text[place..].starts_with(*other)) {
            let mut edited = text.clone();
            edited.replace_range(place..=place, other.encode_utf8(&mut [0; 4]));
            assert_eq!(tickets().open(&edited, user()), Err(Invalid), "{other} at {place}");
        }
    }
}

#[test]
fn other_texts_are_refused() {
    let text = tickets().sign(&terms());
    let long = "A".repeat(100_000);
    for other in [
        "",
        "x",
        &text[1..],
        &text[..text.len() - 1],
        &format!("{text}A"),
        &format!("{text}=="),
        &long,
    ] {
        assert_eq!(tickets().open(other, user()), Err(Invalid));
    }
}

#[test]
fn a_ticket_outlives_one_rotation_of_keys() {
    let text = Tickets::new(BEFORE, None, ORDERS).unwrap().sign(&terms());
    let rotated = tickets();
    assert!(rotated.open(&text, user()).is_ok());
    assert_ne!(rotated.sign(&terms()), text, "the current key signs");
    let rotated_again = Tickets::new(LATER, Some(NOW), ORDERS).unwrap();
    assert_eq!(rotated_again.open(&text, user()), Err(Invalid));
    assert!(rotated_again.open(&rotated.sign(&terms()), user()).is_ok());
}

#[test]
fn one_wish_is_one_order_whatever_the_ticket_key() {
    let shard = ShardNo::new(9).unwrap();
    let order = tickets().order_id(shard, &wish());
    let rotated = Tickets::new(LATER, Some(NOW), ORDERS).unwrap();
    assert_eq!(rotated.order_id(shard, &wish()), order);
    assert_eq!(order.shard(), shard);
}

#[test]
fn everything_in_a_wish_counts() {
    let shard = ShardNo::new(9).unwrap();
    let order = tickets().order_id(shard, &wish());
    let others = [
        Wish { user: UserId::from_bytes([4; 16]), ..wish() },
        Wish { item: ItemId::from_bytes([4; 16]), ..wish() },
        Wish { quantity: 3, ..wish() },
        Wish { unit_price: 1998, ..wish() },
        Wish { request_id: "yours", ..wish() },
    ];
    for other in others {
        assert_ne!(tickets().order_id(shard, &other), order, "{other:?}");
    }
    let other_shop = Tickets::new(NOW, None, LATER).unwrap();
    assert_ne!(other_shop.order_id(shard, &wish()), order);
}

#[test]
fn weak_or_reused_keys_are_refused() {
    let refused = |current: &[u8], previous: Option<&[u8]>, orders: &[u8]| {
        Tickets::new(current, previous, orders).err()
    };
    assert_eq!(refused(&NOW[..31], None, ORDERS), Some(KeyError::TooShort));
    assert_eq!(refused(NOW, Some(b""), ORDERS), Some(KeyError::TooShort));
    assert_eq!(refused(NOW, None, b"short"), Some(KeyError::TooShort));
    assert_eq!(refused(NOW, Some(NOW), ORDERS), Some(KeyError::Reused));
    assert_eq!(refused(NOW, None, NOW), Some(KeyError::Reused));
    assert_eq!(refused(NOW, Some(ORDERS), ORDERS), Some(KeyError::Reused));
}
