//! Pages of operators' events as messages.

use proto::user::v1::{
    ListOperatorEventsRequest, ListOperatorEventsResponse, OperatorEvent as Message, OperatorRight,
    OperatorTokenIssued, OperatorTokensRevoked, operator_event,
};

use super::timestamp;
use crate::domain::{Deed, OperatorEvent, Right, Violation, Whose, both};

const SIZE_DEFAULT: u32 = 50;
const SIZE_MAX: u32 = 200;

/// Which events are asked for.
pub(super) struct Page {
    /// The number of the last event of the page before.
    pub(super) before: Option<i64>,
    size: u32,
}

impl Page {
    pub(super) fn of(request: &ListOperatorEventsRequest) -> Result<Self, Vec<Violation>> {
        let size = match request.page_size {
            0 => Ok(SIZE_DEFAULT),
            size @ 1..=SIZE_MAX => Ok(size),
            _ => Err(broken("page_size", format!("must be at most {SIZE_MAX}"))),
        };
        let before = match request.page_token.as_str() {
            "" => Ok(None),
            token => token.parse().ok().filter(|number| *number > 0).map(Some).ok_or_else(|| {
                let says = "must be a next_page_token of an answer before";
                broken("page_token", says.to_owned())
            }),
        };
        both(size, before).map(|(size, before)| Self { before, size })
    }

    /// One more than asked for tells whether there is a next page.
    pub(super) fn with_next(&self) -> u32 {
        self.size + 1
    }

    pub(super) fn message(
        &self,
        mut found: Vec<(i64, OperatorEvent)>,
    ) -> ListOperatorEventsResponse {
        let kept = usize::try_from(self.size).unwrap_or(usize::MAX);
        let has_more = found.len() > kept;
        found.truncate(kept);
        let last = found.last().filter(|_| has_more);
        let next_page_token = last.map(|(number, _)| number.to_string()).unwrap_or_default();
        let events = found.into_iter().map(|(_, event)| message(event)).collect();
        ListOperatorEventsResponse { events, next_page_token }
    }
}

/// Whose tokens, as messages name them.
pub(super) fn name_of(whose: &Whose) -> String {
    match whose {
        Whose::Operator(name) => name.to_string(),
        Whose::Everyone => String::new(),
    }
}

fn message(event: OperatorEvent) -> Message {
    let deed = match event.deed {
        Deed::Issued { to, token, rights, expires_at_s } => {
            operator_event::Deed::Issued(OperatorTokenIssued {
                name: to.to_string(),
                token_id: token,
                rights: rights.iter().map(|right| named(right).into()).collect(),
                expires_at: Some(timestamp(expires_at_s)),
            })
        }
        Deed::Revoked(revocation) => operator_event::Deed::Revoked(OperatorTokensRevoked {
            name: name_of(&revocation.whose),
            issued_before: Some(timestamp(revocation.issued_before_s)),
        }),
    };
    let millis = i32::try_from(event.at_ms % 1_000).unwrap_or_default();
    let at = prost_types::Timestamp { nanos: millis * 1_000_000, ..timestamp(event.at_ms / 1_000) };
    let (by, by_token_id) = (event.by.to_string(), event.by_token);
    Message { at: Some(at), by, by_token_id, deed: Some(deed) }
}

fn named(right: Right) -> OperatorRight {
    match right {
        Right::Read => OperatorRight::Read,
        Right::RunSales => OperatorRight::RunSales,
        Right::MakeOperators => OperatorRight::MakeOperators,
    }
}

fn broken(field: &'static str, description: String) -> Violation {
    Violation { field, description }
}
