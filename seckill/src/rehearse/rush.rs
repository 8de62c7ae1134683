//! The rush: shoppers arrive by the schedule whether or not those before them were answered, and
//! each pursues its order until it knows. One timer a worker; a shopper costs a future and no task.

use std::{sync::atomic::Ordering, time::Duration};

use chassis::{
    Clock,
    status::{reason_of, retry_after_of},
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use hdrhistogram::Histogram;
use proto::gateway::v1::{
    GetOrderRequest, OrderState, PurchaseRequest, PurchaseState,
    gateway_service_client::GatewayServiceClient,
};
use tonic::{Code, Status, transport::Channel};

use super::{
    fleet::{Done, Lane, Shopper},
    plan::Plan,
    pursuit::{Ending, Next, Pursuit, Seen},
};

/// What a shopper waits for one answer; the shop says PROCESSING long before.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What one worker saw.
#[derive(Debug)]
pub(super) struct LaneRush {
    pub(super) lane: Lane,
    /// In the order of the lane's shoppers.
    pub(super) endings: Vec<Ending>,
    pub(super) figures: Figures,
}

/// Times of one worker, or of all together.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    /// Scheduled arrival to the answer that ended the pursuit, in microseconds.
    pub(super) all: Histogram<u64>,
    /// The same of those who were accepted.
    pub(super) accepted: Histogram<u64>,
    /// From the opening to the last of those answers.
    pub(super) last_answer: Duration,
    pub(super) last_accepted: Duration,
    /// Accepted in the end, though an answer before was PROCESSING or lost.
    pub(super) late_promises: u64,
}

impl Figures {
    pub(super) fn new() -> Self {
        let histogram = Histogram::new(3).expect("three digits are allowed");
        Self {
            all: histogram.clone(),
            accepted: histogram,
            last_answer: Duration::ZERO,
            last_accepted: Duration::ZERO,
            late_promises: 0,
        }
    }

    /// Adds those of another worker.
    pub(super) fn add(&mut self, other: &Self) {
        self.all.add(&other.all).expect("both grow as they need to");
        self.accepted.add(&other.accepted).expect("both grow as they need to");
        self.last_answer = self.last_answer.max(other.last_answer);
        self.last_accepted = self.last_accepted.max(other.last_accepted);
        self.late_promises += other.late_promises;
    }

    fn count(&mut self, ended: &Ended) {
        let micros = u64::try_from(ended.took.as_micros()).unwrap_or(u64::MAX);
        self.all.record(micros.max(1)).expect("the histogram grows as it needs to");
        self.last_answer = self.last_answer.max(ended.at);
        if ended.ending == Ending::Accepted {
            self.accepted.record(micros.max(1)).expect("the histogram grows as it needs to");
            self.last_accepted = self.last_accepted.max(ended.at);
            self.late_promises += u64::from(ended.was_unknown);
        }
    }
}

struct Ended {
    place: usize,
    ending: Ending,
    took: Duration,
    /// After the opening.
    at: Duration,
    was_unknown: bool,
}

/// Lets the lane's shoppers in. The doors open at `opening` by `clock.now()`.
pub(super) async fn rush(
    lane: Lane,
    plan: Plan,
    opening: Duration,
    clock: Clock,
    done: Done,
) -> LaneRush {
    let mut figures = Figures::new();
    let mut endings = vec![Ending::Unknown; lane.shoppers.len()];
    let mut under_way = FuturesUnordered::new();
    let mut arrivals = lane.shoppers.iter().enumerate().peekable();
    let arrival = |shopper: &Shopper| opening + plan.arrival(shopper.number);
    let timer = tokio::time::sleep(Duration::ZERO);
    tokio::pin!(timer);
    loop {
        let now = clock.now();
        while let Some((place, shopper)) = arrivals.next_if(|(_, shopper)| arrival(shopper) <= now)
        {
            let (lane, clock) = (&lane, &clock);
            let scheduled = arrival(shopper);
            under_way.push(async move {
                let (ending, pursuit) = pursue(lane, place, clock, scheduled).await;
                let ended_at = clock.now();
                Ended {
                    place,
                    ending,
                    took: ended_at.saturating_sub(scheduled),
                    at: ended_at.saturating_sub(opening),
                    was_unknown: pursuit.was_unknown,
                }
            });
        }
        let next = arrivals.peek().map(|(_, shopper)| arrival(shopper));
        if let Some(next) = next
            && timer.is_elapsed()
        {
            timer.set(tokio::time::sleep(next.saturating_sub(now)));
        }
        tokio::select! {
            Some(ended) = under_way.next() => {
                figures.count(&ended);
                endings[ended.place] = ended.ending;
                done.fetch_add(1, Ordering::Relaxed);
            }
            () = &mut timer, if next.is_some() => {}
            else => break,
        }
    }
    drop((under_way, arrivals));
    LaneRush { lane, endings, figures }
}

/// One shopper, until it knows.
async fn pursue(
    lane: &Lane,
    place: usize,
    clock: &Clock,
    scheduled: Duration,
) -> (Ending, Pursuit) {
    let shopper = &lane.shoppers[place];
    let (mut pursuit, mut turn) = (Pursuit::begin(), 0);
    let mut client = lane.client(place, turn);
    let mut seen = purchase(shopper, &mut client, 1).await;
    loop {
        if seen == Seen::Lost {
            turn += 1;
            client = lane.client(place, turn);
        }
        match pursuit.saw(seen, clock.now().saturating_sub(scheduled)) {
            Next::Purchase { attempt, after } => {
                tokio::time::sleep(after).await;
                seen = purchase(shopper, &mut client, attempt).await;
            }
            Next::Ask { after } => {
                tokio::time::sleep(after).await;
                seen = ask(shopper, &mut client).await.0;
            }
            Next::End(ending) => return (ending, pursuit),
        }
    }
}

async fn purchase(
    shopper: &Shopper,
    client: &mut GatewayServiceClient<Channel>,
    attempt: u32,
) -> Seen {
    let message = PurchaseRequest { ticket: shopper.ticket.clone(), attempt };
    match client.purchase(shopper.request(message, ANSWER_WITHIN)).await {
        Ok(answer) => match answer.into_inner().state() {
            PurchaseState::Accepted => Seen::Accepted,
            PurchaseState::Processing | PurchaseState::Unspecified => Seen::Processing,
        },
        Err(status) => seen_in(&status),
    }
}

/// Asks what became of the order; with the moment at which its row was written, if there is one
/// (milliseconds since the Unix epoch).
pub(super) async fn ask(
    shopper: &Shopper,
    client: &mut GatewayServiceClient<Channel>,
) -> (Seen, Option<u64>) {
    let message =
        GetOrderRequest { order_id: shopper.order_id.clone(), ticket: shopper.ticket.clone() };
    let Ok(answer) = client.get_order(shopper.request(message, ANSWER_WITHIN)).await else {
        return (Seen::Lost, None);
    };
    let Some(order) = answer.into_inner().order else {
        return (Seen::Lost, None);
    };
    let seen = match order.state() {
        OrderState::Placed | OrderState::Paid => Seen::Row,
        OrderState::Unspecified | OrderState::Processing => Seen::Processing,
        OrderState::NotPlaced => Seen::NotPlaced,
        OrderState::Cancelled => Seen::Gone("CANCELLED".into()),
        OrderState::Expired => Seen::Gone("EXPIRED".into()),
        OrderState::Rejected => Seen::Gone("REJECTED".into()),
    };
    let placed_ms = order.placed_at.map(|at| {
        u64::try_from(at.seconds).unwrap_or(0) * 1_000
            + u64::try_from(at.nanos).unwrap_or(0) / 1_000_000
    });
    (seen, placed_ms)
}

/// A status with a delay means later, one with a reason means no. Without either, the code tells
/// whether the call may have been carried out.
fn seen_in(status: &Status) -> Seen {
    let reason = reason_of(status);
    if let Some(delay) = retry_after_of(status) {
        return Seen::Later(reason.unwrap_or_else(|| name(status.code())), delay);
    }
    if let Some(reason) = reason {
        return Seen::Refused(reason);
    }
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => Seen::Refused(name(status.code())),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Seen::Lost,
    }
}

fn name(code: Code) -> String {
    format!("{code:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_without_details_is_lost_unless_nothing_can_have_happened() {
        assert_eq!(seen_in(&Status::unavailable("gone")), Seen::Lost);
        assert_eq!(seen_in(&Status::deadline_exceeded("late")), Seen::Lost);
        assert_eq!(seen_in(&Status::internal("?")), Seen::Lost);
        let refused = Seen::Refused("Unauthenticated".into());
        assert_eq!(seen_in(&Status::unauthenticated("who?")), refused);
    }
}
