//! The rounds over the wire: the bare echo, answers from a sold-out item, purchases that are
//! accepted. Distinct tickets of distinct buyers in first attempts, nothing switched off; what
//! counts as accepted is what is a row in the books afterwards.

use std::{borrow::Cow, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use chassis::Clock;
use prost::Message as _;
use proto::gateway::v1::{
    Availability, GetSaleRequest, PurchaseResponse, PurchaseState,
    gateway_service_client::GatewayServiceClient,
};

use crate::{
    echo,
    failure::{Failure, failed, refused},
    figures::Figures,
    load::{Answer, Call, Fleet, Round, Target, framed},
    process::{Process, own_cpu},
    sale::{Crowd, OPEN_FOR, Offer, PURCHASE, SaleTerms},
    shop::{Shop, connect},
};

/// As many as a small edge has to a gateway; over each of them several calls are under way.
const CONNECTIONS: usize = 8;
/// What a ticket has.
const PAYLOAD_LEN: usize = 150;
/// Who was hired longer ago than this is let go: their tokens end after an hour, and are known to
/// the gateway from their tickets, as they are in a sale.
const CROWD_LASTS: Duration = Duration::from_secs(25);
const CUT_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

const ACCEPTED: &str = "ACCEPTED";
const PROCESSING: &str = "PROCESSING";
const SOLD_OUT: &str = "SOLD_OUT";

/// The echo's process.
pub(crate) struct Echo {
    process: Process,
    address: SocketAddr,
    calls: usize,
}

impl Echo {
    /// Starts this program once more, as the server.
    pub(crate) async fn start(dir: PathBuf, calls: usize) -> Result<Self, Failure> {
        std::fs::create_dir_all(&dir).map_err(failed(dir.display()))?;
        let program = std::env::current_exe().map_err(failed("this program"))?;
        let arguments = ["echo".to_owned()];
        let (process, address) =
            Process::start(&program, &arguments, &[], dir.join("echo.log")).await?;
        let address = address.parse().map_err(failed("the echo's address"))?;
        Ok(Self { process, address, calls })
    }

    /// One round, written down as `name`.
    pub(crate) async fn round(
        &self,
        fleet: &Fleet,
        figures: &mut Figures,
        name: &str,
        crowd: Option<&Crowd>,
    ) -> Result<(), Failure> {
        let body = framed(&echo::Payload { bytes: Bytes::from(vec![b'x'; PAYLOAD_LEN]) });
        let call =
            |at: usize| Call { caller: crowd.map(|crowd| crowd.caller(at)), body: body.clone() };
        let calls = (0..self.calls).map(call).collect();
        let read = |_: usize, answer: &Answer| match answer {
            Answer::Message(_) => Cow::Borrowed("echoed"),
            Answer::Refused(why) | Answer::Lost(why) => Cow::Owned(why.clone()),
        };
        let target = target(self.address, echo::METHOD, 256);
        let before = (self.process.cpu(), own_cpu());
        let round = fleet.round(target, calls, Arc::new(read)).await?;
        expect_only(&round, "echoed", "the echo")?;
        figures.note(&format!("{name}_per_s"), round.per_s(round.latency.len()));
        let after = (self.process.cpu(), own_cpu());
        cpu(figures, name, &round, (after.0 - before.0, after.1 - before.1));
        Ok(())
    }

    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.process.stop().await
    }
}

/// A shop, and who buys in it.
pub(crate) struct Market {
    pub(crate) shop: Shop,
    shoppers: u32,
    open_for: Duration,
    crowd: Option<(Crowd, Duration)>,
    clock: Clock,
}

impl Market {
    pub(crate) fn new(shop: Shop, shoppers: u32) -> Self {
        Self { shop, shoppers, open_for: OPEN_FOR, crowd: None, clock: Clock::system() }
    }

    /// The same with sales that are over after so long.
    pub(crate) fn open_for(self, open_for: Duration) -> Self {
        Self { open_for, ..self }
    }

    async fn open(&mut self, units: u32) -> Result<Offer, Failure> {
        let terms = SaleTerms { units, limit_per_user: 1, open_for: self.open_for };
        self.shop.open(terms).await
    }

    /// Those who buy in the next round.
    pub(crate) async fn crowd(&mut self) -> Result<&Crowd, Failure> {
        let now = self.clock.now();
        if self.crowd.as_ref().is_none_or(|(_, hired)| now.saturating_sub(*hired) > CROWD_LASTS) {
            let hired = Crowd::hire(&mut self.shop, self.shoppers).await?;
            self.crowd = Some((hired, self.clock.now()));
        }
        let crowd = self.crowd.as_ref().map(|(crowd, _)| crowd);
        crowd.ok_or_else(|| Failure("nobody was hired".into()))
    }

    async fn tickets(&mut self, fleet: &Fleet, offer: &Offer) -> Result<Arc<[Call]>, Failure> {
        self.crowd().await?;
        let Some((crowd, _)) = &self.crowd else { return Err(Failure("no crowd".into())) };
        crowd.purchases(fleet, &self.shop, offer).await
    }

    /// Answers to those who come too late. Each ticket is sent once.
    pub(crate) async fn sold_out(
        &mut self,
        fleet: &Fleet,
        figures: &mut Figures,
    ) -> Result<(), Failure> {
        let offer = self.open(1).await?;
        let calls = self.tickets(fleet, &offer).await?;
        let first: Arc<[Call]> = calls.iter().take(1).cloned().collect();
        let rest: Arc<[Call]> = calls.iter().skip(1).cloned().collect();
        let target = target(self.shop.gateway, PURCHASE, 256);
        let bought =
            fleet.round(Target { in_flight: 1, connections: 1, ..target }, first, Arc::new(read));
        expect_only(&bought.await?, ACCEPTED, "the only unit")?;
        self.await_cut(&offer).await?;

        let before = (self.shop.cpu(), own_cpu());
        let round = fleet.round(target, rest, Arc::new(read)).await?;
        let after = (self.shop.cpu(), own_cpu());
        figures.refusals("sold_out", &round, SOLD_OUT);
        figures.note("sold_out_per_s", round.per_s(round.count(SOLD_OUT)));
        figures.note("sold_out_p99_ms", round.ms(0.99));
        cpu(figures, "sold_out", &round, (after.0 - before.0, after.1 - before.1));
        Ok(())
    }

    /// Until the gateway says by itself that there is nothing left.
    async fn await_cut(&self, offer: &Offer) -> Result<(), Failure> {
        let channel = connect(&format!("http://{}", self.shop.gateway)).await?;
        let mut gateway = GatewayServiceClient::new(channel);
        let give_up = self.clock.now() + CUT_WITHIN;
        loop {
            let request = GetSaleRequest { sale_id: offer.sale_id.clone() };
            let sale = gateway.get_sale(request).await.map_err(refused("GetSale"))?.into_inner();
            let items = sale.sale.map(|sale| sale.items).unwrap_or_default();
            if items.iter().all(|item| item.availability() == Availability::SoldOut) {
                return Ok(());
            }
            if self.clock.now() > give_up {
                return Err(Failure("the gateway did not hear that all is sold".into()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Purchases of an item that has a unit for each. Written down as `{name}_per_s` and, with
    /// their latency, as `{name}_p99_ms` and so on.
    pub(crate) async fn accepted(
        &mut self,
        fleet: &Fleet,
        figures: &mut Figures,
        name: &str,
        in_flight: usize,
    ) -> Result<(), Failure> {
        let offer = self.open(self.shoppers).await?;
        let calls = self.tickets(fleet, &offer).await?;
        let target = target(self.shop.gateway, PURCHASE, in_flight);
        let before = (self.shop.cpu(), own_cpu());
        let round = fleet.round(target, calls, Arc::new(read)).await?;
        let after = (self.shop.cpu(), own_cpu());
        let from = self.clock.now();
        let rows = self.shop.rows_at_rest(&offer).await?;
        let lag = self.clock.now().saturating_sub(from);
        let (accepted, unsure) = (round.count(ACCEPTED), round.count(PROCESSING));
        if rows < accepted || rows > accepted + unsure {
            let says = format!("{accepted} accepted, {unsure} unsure, {rows} rows");
            return Err(Failure(format!("a promise is broken: {says}")));
        }
        figures.refusals(name, &round, ACCEPTED);
        figures.note(&format!("{name}_per_s"), round.per_s(accepted));
        for (label, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            figures.note(&format!("{name}_{label}_ms"), round.ms(quantile));
        }
        figures.note(&format!("{name}_rows_behind_ms"), lag.as_secs_f64() * 1e3);
        cpu(figures, name, &round, (after.0 - before.0, after.1 - before.1));
        Ok(())
    }
}

fn target(address: SocketAddr, method: &'static str, in_flight: usize) -> Target {
    Target { address, method, in_flight, connections: CONNECTIONS }
}

fn read(_: usize, answer: &Answer) -> Cow<'static, str> {
    match answer {
        Answer::Message(message) => match PurchaseResponse::decode(Bytes::clone(message)) {
            Ok(response) => Cow::Borrowed(match response.state() {
                PurchaseState::Accepted => ACCEPTED,
                PurchaseState::Processing | PurchaseState::Unspecified => PROCESSING,
            }),
            Err(_) => Cow::Borrowed("unreadable"),
        },
        Answer::Refused(why) if why == SOLD_OUT => Cow::Borrowed(SOLD_OUT),
        Answer::Refused(why) | Answer::Lost(why) => Cow::Owned(why.clone()),
    }
}

fn expect_only(round: &Round, name: &str, what: &str) -> Result<(), Failure> {
    if round.count(name) == round.latency.len() {
        return Ok(());
    }
    Err(Failure(format!("{what} was answered {:?}", round.counts)))
}

/// CPU time a call, in microseconds: of the server, and of this program.
fn cpu(figures: &mut Figures, name: &str, round: &Round, took: (Duration, Duration)) {
    let calls = round.latency.len().max(1) as f64;
    figures.note(&format!("{name}_server_cpu_us"), took.0.as_secs_f64() * 1e6 / calls);
    figures.note(&format!("{name}_client_cpu_us"), took.1.as_secs_f64() * 1e6 / calls);
}
