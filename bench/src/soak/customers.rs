//! The customers of a long day: they browse, take tickets, buy, try again, ask and watch, in fixed
//! proportions, at times that no answer moves. A few register. What they carry is bounded, and
//! refusals are what a shop is expected to say; only a call without a proper answer has failed.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::{Clock, status::reason_of};
use futures::{StreamExt as _, stream::FuturesUnordered};
use hdrhistogram::Histogram;
use proto::{
    gateway::v1::{
        GetOrderRequest, GetSaleRequest, IssueTicketRequest, ListOrdersRequest, ListSalesRequest,
        PurchaseRequest, WatchOrderRequest, gateway_service_client::GatewayServiceClient,
    },
    user::v1::{RegisterRequest, SignInRequest, user_service_client::UserServiceClient},
};
use tonic::{Code, Status, transport::Channel};
use uuid::Uuid;

use crate::{
    failure::Failure,
    load::Caller,
    sale::{Crowd, Offer},
    shop::{Shop, connect},
};

const CONNECTIONS: usize = 4;
const UNDER_WAY_MAX: usize = 2_000;
/// Tickets that somebody still holds; the oldest are thrown away.
const HELD_MAX: usize = 2_000;
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// Who watches looks away after this.
const WATCH_FOR: Duration = Duration::from_secs(5);

/// What a customer may do, and how many of a thousand do it.
const HABITS: [(Act, u32); 9] = [
    (Act::Browse, 250),
    (Act::ListSales, 50),
    (Act::TakeTicket, 220),
    (Act::Buy, 220),
    (Act::TryAgain, 60),
    (Act::Ask, 120),
    (Act::Watch, 48),
    (Act::ListOrders, 30),
    // Each hashes a password twice.
    (Act::Register, 2),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Browse,
    ListSales,
    TakeTicket,
    Buy,
    TryAgain,
    Ask,
    Watch,
    ListOrders,
    Register,
}

/// What was seen since somebody asked before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) calls: u64,
    pub(super) failed: u64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// See the module.
pub(super) struct Customers {
    gateways: Vec<GatewayServiceClient<Channel>>,
    users: UserServiceClient<Channel>,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    crowd: Arc<Crowd>,
    offers: VecDeque<Offer>,
    /// Not used yet.
    tickets: VecDeque<Held>,
    used: VecDeque<Held>,
    answers: BTreeMap<(Act, String), u64>,
    latency: Histogram<u64>,
    failed: u64,
}

#[derive(Clone)]
struct Held {
    caller: Caller,
    ticket: String,
}

impl Customers {
    /// Connects them.
    pub(super) async fn arrive(shop: &Shop, crowd: Crowd) -> Result<Self, Failure> {
        let url = format!("http://{}", shop.gateway);
        let mut gateways = Vec::new();
        for _ in 0..CONNECTIONS {
            gateways.push(GatewayServiceClient::new(connect(&url).await?));
        }
        let state = State {
            crowd: Arc::new(crowd),
            offers: VecDeque::new(),
            tickets: VecDeque::new(),
            used: VecDeque::new(),
            answers: BTreeMap::new(),
            latency: histogram(),
            failed: 0,
        };
        let users = UserServiceClient::new(connect(&url).await?);
        Ok(Self { gateways, users, clock: Clock::system(), state: Mutex::new(state) })
    }

    /// Others take their places.
    pub(super) fn replace(&self, crowd: Crowd) {
        self.state().crowd = Arc::new(crowd);
    }

    /// Tells them of a sale; they know the latest `known` of them.
    pub(super) fn show(&self, offer: Offer, known: usize) {
        let offers = &mut self.state().offers;
        offers.push_back(offer);
        while offers.len() > known {
            offers.pop_front();
        }
    }

    /// Acts `rate` times a second. Answers how often nobody could, since too many were busy.
    pub(super) async fn drive(&self, rate: u32, lasting: Duration) -> u64 {
        let step = Duration::from_secs(1) / rate;
        let from = self.clock.now();
        let (mut due, mut skipped, mut acts) = (from, 0, FuturesUnordered::new());
        while due < from + lasting {
            let now = self.clock.now();
            while due <= now {
                if acts.len() < UNDER_WAY_MAX {
                    acts.push(self.act());
                } else {
                    skipped += 1;
                }
                due += step;
            }
            tokio::select! {
                Some(()) = acts.next(), if !acts.is_empty() => {}
                () = tokio::time::sleep(due.saturating_sub(now)) => {}
            }
        }
        while acts.next().await.is_some() {}
        skipped
    }

    /// What was seen since the call before.
    pub(super) fn window(&self) -> Window {
        let mut state = self.state();
        let latency = std::mem::replace(&mut state.latency, histogram());
        let ms = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        let failed = std::mem::take(&mut state.failed);
        Window { calls: latency.len(), failed, p50_ms: ms(0.5), p99_ms: ms(0.99) }
    }

    /// What was answered, a line for each.
    pub(super) fn report(&self) -> Vec<String> {
        let state = self.state();
        let lines = state.answers.iter().map(|((act, answer), count)| {
            let act = format!("{act:?}");
            format!("{act:<12}{count:>10}  {answer}")
        });
        lines.collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn act(&self) {
        let act = habit(rand::random_range(0..1_000));
        let from = self.clock.now();
        let answer = self.carry_out(act).await;
        let took = self.clock.now().saturating_sub(from);
        let mut state = self.state();
        let (name, has_failed) = match answer {
            Ok(None) => return,
            Ok(Some(name)) => (name, false),
            Err(status) => named(&status),
        };
        state.failed += u64::from(has_failed);
        *state.answers.entry((act, name)).or_default() += 1;
        if act != Act::Watch {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            state.latency.record(micros.max(1)).expect("the histogram grows as it needs to");
        }
    }

    /// Answers `None` if there is nothing to act on.
    async fn carry_out(&self, act: Act) -> Result<Option<String>, Status> {
        match act {
            Act::Browse => self.browse().await,
            Act::ListSales => {
                let request = ListSalesRequest::default();
                self.gateway().list_sales(request).await?;
                Ok(Some("listed".into()))
            }
            Act::TakeTicket => self.take_ticket().await,
            Act::Buy => self.buy(1).await,
            Act::TryAgain => self.buy(2).await,
            Act::Ask => self.ask().await,
            Act::Watch => self.watch().await,
            Act::ListOrders => {
                let request = self.caller().request(ListOrdersRequest::default(), CALL_WITHIN);
                self.gateway().list_orders(request).await?;
                Ok(Some("listed".into()))
            }
            Act::Register => self.register().await,
        }
    }

    async fn browse(&self) -> Result<Option<String>, Status> {
        let Some(offer) = self.offer() else { return Ok(None) };
        let request = self.caller().request(GetSaleRequest { sale_id: offer.sale_id }, CALL_WITHIN);
        self.gateway().get_sale(request).await?;
        Ok(Some("shown".into()))
    }

    async fn take_ticket(&self) -> Result<Option<String>, Status> {
        let Some(offer) = self.offer() else { return Ok(None) };
        let caller = self.caller();
        let wish = IssueTicketRequest {
            item_id: offer.item_id,
            quantity: 1,
            request_id: Uuid::new_v4().simple().to_string(),
        };
        let issued = self.gateway().issue_ticket(caller.request(wish, CALL_WITHIN)).await?;
        let held = Held { caller, ticket: issued.into_inner().ticket };
        keep(&mut self.state().tickets, held);
        Ok(Some("issued".into()))
    }

    async fn buy(&self, attempt: u32) -> Result<Option<String>, Status> {
        let held = if attempt == 1 { self.state().tickets.pop_front() } else { self.used() };
        let Some(Held { caller, ticket }) = held else { return Ok(None) };
        if attempt == 1 {
            let used = Held { caller: caller.clone(), ticket: ticket.clone() };
            keep(&mut self.state().used, used);
        }
        let request = caller.request(PurchaseRequest { ticket, attempt }, CALL_WITHIN);
        let answer = self.gateway().purchase(request).await?.into_inner();
        Ok(Some(answer.state().as_str_name().to_owned()))
    }

    async fn ask(&self) -> Result<Option<String>, Status> {
        let Some(Held { caller, ticket }) = self.used() else { return Ok(None) };
        let request = GetOrderRequest { order_id: String::new(), ticket };
        let answer = self.gateway().get_order(caller.request(request, CALL_WITHIN)).await?;
        let order = answer.into_inner().order.unwrap_or_default();
        Ok(Some(order.state().as_str_name().to_owned()))
    }

    async fn watch(&self) -> Result<Option<String>, Status> {
        let Some(Held { caller, ticket }) = self.used() else { return Ok(None) };
        let request = WatchOrderRequest { order_id: String::new(), ticket };
        let request = caller.request(request, CALL_WITHIN);
        let mut news = self.gateway().watch_order(request).await?.into_inner();
        let watching = async {
            while news.message().await?.is_some() {}
            Ok::<_, Status>(())
        };
        match tokio::time::timeout(WATCH_FOR, watching).await {
            Ok(ended) => ended.map(|()| Some("watched to its end".into())),
            Err(_) => Ok(Some("looked away".into())),
        }
    }

    async fn register(&self) -> Result<Option<String>, Status> {
        let (caller, mut users) = (self.caller(), self.users.clone());
        let email = format!("{}@example.org", Uuid::new_v4().simple());
        let password = "correct horse battery".to_owned();
        let account = RegisterRequest { email: email.clone(), password: password.clone() };
        users.register(caller.request(account, CALL_WITHIN)).await?;
        users.sign_in(caller.request(SignInRequest { email, password }, CALL_WITHIN)).await?;
        Ok(Some("signed in".into()))
    }

    fn gateway(&self) -> GatewayServiceClient<Channel> {
        self.gateways[rand::random_range(0..self.gateways.len())].clone()
    }

    fn caller(&self) -> Caller {
        self.state().crowd.caller(rand::random_range(0..usize::from(u16::MAX)))
    }

    fn offer(&self) -> Option<Offer> {
        any(&self.state().offers)
    }

    fn used(&self) -> Option<Held> {
        any(&self.state().used)
    }
}

fn habit(mut number: u32) -> Act {
    for (act, share) in HABITS {
        if number < share {
            return act;
        }
        number -= share;
    }
    Act::Browse
}

fn any<T: Clone>(of: &VecDeque<T>) -> Option<T> {
    if of.is_empty() { None } else { of.get(rand::random_range(0..of.len())).cloned() }
}

fn keep(places: &mut VecDeque<Held>, held: Held) {
    if places.len() >= HELD_MAX {
        places.pop_front();
    }
    places.push_back(held);
}

/// What a status is called, and whether it is no answer that a shop should give.
fn named(status: &Status) -> (String, bool) {
    match reason_of(status) {
        Some(reason) => (reason, status.code() == Code::Unavailable),
        None => (format!("{:?}: {}", status.code(), status.message()), true),
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_numbers_are_a_thousand_acts() {
        assert_eq!(HABITS.iter().map(|(_, share)| share).sum::<u32>(), 1_000);
        let registers = (0..1_000).filter(|&number| habit(number) == Act::Register).count();
        assert_eq!(registers, 2);
    }
}
