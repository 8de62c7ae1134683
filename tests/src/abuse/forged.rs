//! A million calls, each in the name of another client. From who isn't trusted, that is one client
//! who talks; from a proxy of ours, a million clients, each with an allowance of its own. Neither
//! may cost memory for long, nor give anybody a whole allowance who has used theirs up.

use std::{convert::Infallible, io, net::Ipv4Addr, ops::AddAssign, time::Duration};

use chassis::Clock;
use futures::future::join_all;
use tokio::{io::AsyncWriteExt, time::interval};

use super::{
    attacks::{LIST_SALES, STREAMS},
    figures::Figures,
    ground::Places,
    wire::{DATA, END_STREAM, Wire, frame, head, hideout},
};

const FORGED: usize = 1_000_000;
const FORGERS: usize = 8;
/// Of each batch, in the name of one client who has far more to ask than it may.
const EAGER: usize = 4;
/// Where that client is: in a network of its own.
const EAGER_AT: &str = "203.0.113.7";

/// The gateway's defaults for a network.
const BURST: f64 = 2_000.0;
const PER_S: f64 = 500.0;
/// And for how many names it remembers.
const KEYS_MAX: f64 = 200_000.0;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What became of calls.
#[derive(Default)]
struct Told {
    calls: usize,
    answered: usize,
    /// Of these, in the name of the eager one.
    eager_calls: usize,
    eager_answered: usize,
}

impl AddAssign for Told {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.eager_calls += other.eager_calls;
        self.eager_answered += other.eager_answered;
    }
}

/// What an attack by name came to.
struct Outcome {
    told: Told,
    seconds: f64,
    /// The most networks that were remembered at a time.
    remembered_max: f64,
}

/// From eight networks that nobody trusts.
pub(super) async fn by_strangers(at: Places) {
    let Outcome { told, seconds, remembered_max } = forge(at, hideout, "").await;
    #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
    let (answered, forgers) = (told.answered as f64, FORGERS as f64);
    let allowed = forgers * (BURST + PER_S * seconds);
    assert!(answered <= allowed, "{answered} calls were answered, and {allowed} had been allowed");
    // Their own eight, and the buyers' one.
    assert!(remembered_max <= forgers + 1.0, "{remembered_max} networks are remembered");
}

/// Through a proxy that is trusted.
pub(super) async fn through_a_proxy(at: Places) {
    let Outcome { told, seconds, remembered_max } = forge(at, |_| at.proxy, "198.51.100.9, ").await;
    #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
    let (eager_answered, eager_calls) = (told.eager_answered as f64, told.eager_calls as f64);
    let allowed = BURST + PER_S * seconds;
    assert!(eager_calls > 1.5 * allowed, "{eager_calls} calls prove nothing");
    assert!(eager_answered <= allowed, "{eager_answered} of one client, who may have {allowed}");
    let (calls, answered) = (told.calls - told.eager_calls, told.answered - told.eager_answered);
    assert!(answered > calls / 10 * 9, "{answered} of {calls} clients were answered");
    assert!(remembered_max > 1_000.0, "{remembered_max} networks: nobody was believed");
    assert!(remembered_max <= KEYS_MAX, "{remembered_max} networks are remembered");
}

/// Each name follows what a client `wrote` itself before its proxy added what it saw.
async fn forge(at: Places, from: impl Fn(usize) -> Ipv4Addr, wrote: &str) -> Outcome {
    let clock = Clock::system();
    let begun_ms = clock.wall_ms();
    let forging = join_all((0..FORGERS).map(|number| calls(at, from(number), number, wrote)));
    let mut remembered_max = 0.0;
    let all = tokio::select! {
        all = forging => all,
        never = watch_names(at, &mut remembered_max) => match never {},
    };
    let mut told = Told::default();
    for one in all {
        told += one.expect("each is answered");
    }
    #[expect(clippy::cast_precision_loss, reason = "minutes")]
    let seconds = (clock.wall_ms() - begun_ms) as f64 / 1_000.0;
    Outcome { told, seconds, remembered_max }
}

/// Notes the most networks that the shop remembers.
async fn watch_names(at: Places, max: &mut f64) -> Infallible {
    let mut looks = interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let networks = ["whose=\"network\""];
        let figures = Figures::read(at.metrics).await;
        *max = max.max(figures.sum("seckill_gateway_allowances_remembered", &networks));
    }
}

/// One forger's part of them, in batches of what a connection may have under way.
async fn calls(at: Places, from: Ipv4Addr, number: usize, wrote: &str) -> io::Result<Told> {
    let mut wire = Wire::open(from, at.public).await?;
    let (mut told, mut frames) = (Told::default(), Vec::new());
    let distinct = STREAMS - EAGER;
    let names = (number * FORGED / FORGERS..(number + 1) * FORGED / FORGERS).collect::<Vec<_>>();
    for batch in names.chunks(distinct) {
        frames.clear();
        let eager_from = wire.stream;
        let mut call = |forged: &str| {
            let stream = wire.next_stream();
            frames.extend(head(stream, 0, LIST_SALES, &[("x-forwarded-for", forged)]));
            frames.extend(frame(DATA, END_STREAM, stream, &[0; 5]));
        };
        (0..EAGER).for_each(|_| call(EAGER_AT));
        let eager_until = eager_from + 2 * u32::try_from(EAGER).expect("few");
        batch.iter().for_each(|name| call(&format!("{wrote}{}", in_its_own_network(*name))));
        wire.io.write_all(&frames).await?;
        let answered = wire.until_ended(EAGER + batch.len()).await?;
        let eager = |stream: &&u32| (eager_from..eager_until).contains(*stream);
        told += Told {
            calls: EAGER + batch.len(),
            answered: answered.len(),
            eager_calls: EAGER,
            eager_answered: answered.iter().filter(eager).count(),
        };
    }
    Ok(told)
}

/// Another /24 for each name.
fn in_its_own_network(name: usize) -> String {
    let [.., a, b, c] = name.to_be_bytes();
    format!("{}.{b}.{c}.1", 11 + a)
}
