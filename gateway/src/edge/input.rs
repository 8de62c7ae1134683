//! Requests are parsed once, here; inside, values are what their types say.

use std::str::FromStr;

use ids::ParseError;

use crate::domain::refusal::Refusal;

/// Of a page token: ours are much shorter.
const PAGE_TOKEN_LEN_MAX: usize = 256;
const PAGE_SIZE_DEFAULT: u32 = 50;
const PAGE_SIZE_MAX: u32 = 200;
const REQUEST_ID_LEN_MAX: usize = 64;

/// An id in its text form.
pub(super) fn id<T: FromStr<Err = ParseError>>(
    field: &'static str,
    text: &str,
) -> Result<T, Refusal> {
    text.parse().map_err(|error: ParseError| Refusal::field(field, error.to_string()))
}

/// The size of a page, and where it begins.
pub(super) fn page(size: u32, token: String) -> Result<(u32, String), Refusal> {
    if size > PAGE_SIZE_MAX {
        return Err(Refusal::field("page_size", format!("must be 0 to {PAGE_SIZE_MAX}")));
    }
    if token.len() > PAGE_TOKEN_LEN_MAX {
        return Err(bad_token());
    }
    Ok((if size == 0 { PAGE_SIZE_DEFAULT } else { size }, token))
}

/// The token of a page of sales: the catalog writes places, which count from 1. What it can't have
/// written isn't asked for, and one place has one spelling, so that it is remembered once.
pub(super) fn place(token: String) -> Result<String, Refusal> {
    let is_place =
        |text: &str| text.parse().is_ok_and(|place: i64| place > 0 && place.to_string() == text);
    if token.is_empty() || is_place(&token) { Ok(token) } else { Err(bad_token()) }
}

fn bad_token() -> Refusal {
    Refusal::field("page_token", "must be empty or from an answer before")
}

/// A buyer's own name for a wish.
pub(super) fn request_id(text: &str) -> Result<&str, Refusal> {
    // No character has more than four bytes, so the long ones need not be counted.
    let is_good = !text.is_empty()
        && text.len() <= 4 * REQUEST_ID_LEN_MAX
        && text.chars().count() <= REQUEST_ID_LEN_MAX;
    if is_good {
        Ok(text)
    } else {
        Err(Refusal::field("request_id", "must have 1 to 64 characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
        match result {
            Ok(value) => format!("{value:?}"),
            Err(Refusal::InvalidInput(bad)) => format!("{} {}", bad.field, bad.says),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn pages_have_bounds() {
        assert_eq!(says(page(0, String::new())), "(50, \"\")");
        assert_eq!(says(page(200, "x".into())), "(200, \"x\")");
        assert_eq!(says(page(201, String::new())), "page_size must be 0 to 200");
        let long = says(page(1, "x".repeat(257)));
        assert_eq!(long, "page_token must be empty or from an answer before");
    }

    #[test]
    fn sales_are_listed_from_a_place_with_one_spelling() {
        let last = i64::MAX.to_string();
        for good in ["", "1", "907", &last] {
            assert_eq!(place(good.into()), Ok(good.to_owned()));
        }
        for bad in ["0", "-1", "+1", "01", " 1", "1.0", "x", "9223372036854775808"] {
            let bad_token = "page_token must be empty or from an answer before";
            assert_eq!(says(place(bad.into())), bad_token, "{bad}");
        }
    }

    #[test]
    fn request_ids_are_counted_in_characters() {
        assert_eq!(request_id(&"ü".repeat(64)), Ok("ü".repeat(64).as_str()));
        for bad in ["", &"ü".repeat(65), &"x".repeat(100_000)] {
            assert_eq!(says(request_id(bad)), "request_id must have 1 to 64 characters");
        }
    }

    #[test]
    fn ids_are_hyphenated_uuids() {
        let bad = says(id::<ids::SaleId>("sale_id", "nonsense"));
        assert!(bad.starts_with("sale_id must be a UUID"), "{bad}");
    }
}
