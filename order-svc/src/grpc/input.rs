//! Reads what requests say, and says precisely what is wrong with it: all fields at once.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use ids::{OrderId, ShardNo};
use proto::error::v1::ErrorReason;
use tonic::{Code, Status};

use super::refusal::refusal;
use crate::books::PageEnd;

const PAGE_SIZE_DEFAULT: u32 = 50;
const PAGE_SIZE_MAX: u32 = 200;
const ORDER_IDS_MAX: usize = 4096;
/// A time and an order id.
const PAGE_TOKEN_LEN: usize = 8 + 16;
/// Flaws that are told. A list of 4,096 bad ids isn't repeated to whoever sent it.
const FLAWS_MAX: usize = 16;

/// Collects what is wrong with a request.
#[derive(Default)]
pub(super) struct Input {
    flaws: Vec<(String, String)>,
}

impl Input {
    /// The value, or `None` and the field is noted.
    pub(super) fn read<T, E: ToString>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.flaws.push((field.to_owned(), error.to_string()))).ok()
    }

    /// INVALID_ARGUMENT with a violation for each field noted.
    pub(super) fn refuse(self) -> Status {
        let fields: Vec<_> = self.flaws.iter().map(|(field, _)| field.as_str()).collect();
        let fields = fields[..fields.len().min(FLAWS_MAX)].join(", ");
        let message = format!("the request can't be used: see {fields}");
        let refusal = refusal(Code::InvalidArgument, ErrorReason::InvalidInput, message);
        let flaws = self.flaws.into_iter().take(FLAWS_MAX);
        flaws.fold(refusal, |refusal, (field, flaw)| refusal.field(field, flaw)).into_status()
    }
}

pub(super) fn shard(number: u32) -> Result<ShardNo, Status> {
    let mut input = Input::default();
    input.read("shard_no", ShardNo::new(number)).ok_or_else(|| input.refuse())
}

pub(super) fn order_ids(raw: &[Bytes]) -> Result<Vec<OrderId>, Status> {
    let mut input = Input::default();
    let is_sized = (1..=ORDER_IDS_MAX).contains(&raw.len());
    let size = is_sized
        .then_some(())
        .ok_or_else(|| format!("must be 1 to {ORDER_IDS_MAX} ids, not {}", raw.len()));
    if input.read("order_ids", size).is_none() {
        return Err(input.refuse());
    }
    let ids = raw.iter().enumerate().filter_map(|(index, id)| {
        input.read(&format!("order_ids[{index}]"), OrderId::try_from(&**id))
    });
    let mut ids: Vec<_> = ids.collect();
    if ids.len() < raw.len() {
        return Err(input.refuse());
    }
    // Asked for twice, an order is answered once.
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

pub(super) fn page_size(asked: u32) -> Result<u32, String> {
    match asked {
        0 => Ok(PAGE_SIZE_DEFAULT),
        1..=PAGE_SIZE_MAX => Ok(asked),
        _ => Err(format!("must be at most {PAGE_SIZE_MAX}")),
    }
}

/// The empty token is the beginning.
pub(super) fn page_token(token: &str) -> Result<Option<PageEnd>, &'static str> {
    const NOT_OURS: &str = "must be empty or the next_page_token of an earlier answer";
    if token.is_empty() {
        return Ok(None);
    }
    let mut bytes = [0; PAGE_TOKEN_LEN];
    let len = URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).map_err(|_| NOT_OURS)?;
    let (time, id) = bytes[..len].split_first_chunk().ok_or(NOT_OURS)?;
    let placed_at_ms = u64::from_be_bytes(*time);
    // Times in rows are of 63 bits.
    i64::try_from(placed_at_ms).map_err(|_| NOT_OURS)?;
    let order = OrderId::try_from(id).map_err(|_| NOT_OURS)?;
    Ok(Some(PageEnd { placed_at_ms, order }))
}

pub(super) fn write_page_token(end: PageEnd) -> String {
    let mut bytes = [0; PAGE_TOKEN_LEN];
    bytes[..8].copy_from_slice(&end.placed_at_ms.to_be_bytes());
    bytes[8..].copy_from_slice(end.order.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_read_back_and_others_are_refused() {
        let order = OrderId::mint(ShardNo::new(7).unwrap(), [9; 12]);
        let end = PageEnd { placed_at_ms: 1_700_000_000_000, order };
        let token = write_page_token(end);
        assert_eq!(page_token(&token), Ok(Some(end)));
        assert_eq!(page_token(""), Ok(None));
        let too_late = write_page_token(PageEnd { placed_at_ms: u64::MAX, order });
        for bad in ["x", "AAAA", &token[1..], &format!("{token}AAAA"), "§§§§", &too_late] {
            assert!(page_token(bad).is_err(), "{bad}");
        }
    }
}
