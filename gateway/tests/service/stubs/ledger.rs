//! A ledger with the rules that a gateway can see.

use std::collections::HashMap;

use bytes::Bytes;
use proto::inventory::v1 as inventory;

/// Stock, and what was taken from it.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) stock: u32,
    pub(crate) open: HashMap<Bytes, inventory::Hold>,
    pub(crate) settled: HashMap<Bytes, inventory::SettledState>,
    /// When somebody was told that there is nothing of an order.
    pub(crate) barred: HashMap<Bytes, u64>,
    pub(crate) lease_lapsed: bool,
}

/// A batch's answer in epoch 7.
pub(crate) fn batch(answers: Vec<inventory::EntryAnswer>) -> inventory::ReserveResponse {
    let batch = inventory::ReservedBatch {
        epoch: 7,
        left: 0,
        version: 1,
        lease_lapsed: false,
        answers,
        // The stub tells it.
        now_us: 0,
    };
    inventory::ReserveResponse { answer: Some(inventory::reserve_response::Answer::Batch(batch)) }
}

pub(crate) fn held(entry: &inventory::ReserveEntry) -> inventory::Hold {
    inventory::Hold {
        order_id: entry.order_id.clone(),
        user_id: entry.user_id.clone(),
        quantity: entry.quantity,
        unit_price: entry.unit_price,
        // Nothing that a gateway could make up by itself.
        taken_at_ms: 4711,
        traceparent: entry.traceparent.clone(),
    }
}

impl Ledger {
    pub(crate) fn reserve(
        &mut self,
        request: &inventory::ReserveRequest,
        now_us: u64,
        closes_us: u64,
    ) -> inventory::ReserveResponse {
        use inventory::entry_answer::Answer;
        let mut answers = Vec::new();
        for entry in &request.entries {
            let answer = if let Some(state) = self.settled.get(&entry.order_id) {
                Answer::Settled((*state).into())
            } else if let Some(hold) = self.open.get(&entry.order_id) {
                Answer::Open(hold.clone())
            } else if closes_us <= now_us {
                Answer::Refusal(inventory::EntryRefusal::Closed.into())
            } else if entry.ticket_expires_ms * 1000 <= now_us {
                Answer::Refusal(inventory::EntryRefusal::TicketExpired.into())
            } else if self.stock < entry.quantity {
                Answer::Refusal(inventory::EntryRefusal::SoldOut.into())
            } else if self.is_too_late(entry) {
                Answer::Refusal(inventory::EntryRefusal::TooLate.into())
            } else {
                self.stock -= entry.quantity;
                self.open.insert(entry.order_id.clone(), held(entry));
                Answer::Held(held(entry))
            };
            answers.push(inventory::EntryAnswer { answer: Some(answer) });
        }
        let mut response = batch(answers);
        if let Some(inventory::reserve_response::Answer::Batch(batch)) = &mut response.answer {
            batch.left = self.stock;
            batch.lease_lapsed = self.lease_lapsed;
        }
        response
    }

    fn is_too_late(&self, entry: &inventory::ReserveEntry) -> bool {
        let placed = entry.placed_at.expect("a gateway says when an attempt was placed");
        let barred_us = self.barred.get(&entry.order_id).copied().unwrap_or(0);
        placed.epoch != 7 || placed.us <= barred_us
    }

    pub(super) fn find(&self, id: &Bytes) -> Option<inventory::FoundState> {
        if self.settled.contains_key(id) {
            return Some(inventory::FoundState::Settled);
        }
        self.open.contains_key(id).then_some(inventory::FoundState::Open)
    }
}
