//! The load generator: a closed loop of prepared calls over a few HTTP/2 connections, on threads of
//! its own. It speaks gRPC over `h2` itself, as it shares the machine with what it measures: what a
//! full client costs would be counted as the server's slowness. It doesn't know what it calls.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chassis::{Clock, Cores, Kind, Stopper, TaskOwner, Tasks};
use futures::{StreamExt as _, future::try_join_all, stream::FuturesUnordered};
use h2::client::SendRequest;
use hdrhistogram::Histogram;
use tokio::{net::TcpStream, runtime::Handle, sync::oneshot};

use crate::failure::{Failure, failed};

mod call;

pub(crate) use call::{Answer, Call, Caller, framed};
use call::{Path, Reasons, send};

/// A round takes some seconds; one that hangs is a finding.
const ROUND_WITHIN: Duration = Duration::from_secs(120);

/// Where calls go, and how many at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// `/package.Service/Method`.
    pub(crate) method: &'static str,
    pub(crate) in_flight: usize,
    pub(crate) connections: usize,
}

/// What came of a round.
#[derive(Debug)]
pub(crate) struct Round {
    /// From the first call's beginning to the last one's end.
    pub(crate) took: Duration,
    /// Of all answers, in microseconds.
    pub(crate) latency: Histogram<u64>,
    /// Answers by name.
    pub(crate) counts: BTreeMap<Cow<'static, str>, u64>,
}

impl Round {
    /// Answers of that name.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// So many a second.
    pub(crate) fn per_s(&self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// A quantile in milliseconds.
    pub(crate) fn ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// Names what was answered to the call of that number.
pub(crate) type Read = dyn Fn(usize, &Answer) -> Cow<'static, str> + Send + Sync;

/// The threads.
#[derive(Debug)]
pub(crate) struct Fleet {
    cores: Cores,
    owner: TaskOwner,
}

impl Fleet {
    /// Starts `workers` threads.
    pub(crate) fn start(workers: usize) -> Result<Self, Failure> {
        let cores = Cores::start(workers).map_err(failed("can't start threads"))?;
        Ok(Self { cores, owner: TaskOwner::new("load", Stopper::new()) })
    }

    /// Makes all calls once, with `target.in_flight` under way at any time, over connections of
    /// this round's own.
    pub(crate) async fn round(
        &self,
        target: Target,
        calls: Arc<[Call]>,
        read: Arc<Read>,
    ) -> Result<Round, Failure> {
        let workers = self.cores.serving();
        let connect = workers.iter().enumerate().map(|(number, handle)| {
            let count = share(target.connections, workers.len(), number);
            let tasks = self.owner.tasks();
            self.on(handle, connect(target.address, count, tasks, handle.clone()))
        });
        let connected = try_join_all(connect).await?;
        let next = Arc::new(AtomicUsize::new(0));
        let work =
            workers.iter().zip(connected).enumerate().map(|(number, (handle, connected))| {
                let in_flight = share(target.in_flight, workers.len(), number);
                let work = Work {
                    connections: connected?,
                    path: Path::new(target.address, target.method)?,
                    calls: Arc::clone(&calls),
                    next: Arc::clone(&next),
                    read: Arc::clone(&read),
                    clock: Clock::system(),
                    seen: Mutex::new(Seen::new()),
                };
                Ok(self.on(handle, work.run(in_flight)))
            });
        let work = work.collect::<Result<Vec<_>, Failure>>()?;
        let done = tokio::time::timeout(ROUND_WITHIN, try_join_all(work)).await;
        let done = done.map_err(|_| Failure(format!("{} did not end", target.method)))??;
        merged(done)
    }

    /// Threads that don't send calls of a round.
    pub(crate) fn background(&self) -> &Handle {
        self.cores.background()
    }

    /// Runs `work` on a thread of the fleet.
    pub(crate) async fn on<T: Send + 'static>(
        &self,
        handle: &Handle,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (tx, rx) = oneshot::channel();
        self.owner.tasks().spawn_on(handle, Kind::Drained, "worker", async move {
            // Nobody waits any more only if the program is ending.
            let _ = tx.send(work.await);
        });
        rx.await.map_err(|_| Failure("a worker of the load generator has died".into()))
    }
}

async fn connect(
    address: SocketAddr,
    count: usize,
    tasks: Tasks,
    handle: Handle,
) -> Result<Vec<SendRequest<Bytes>>, Failure> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        let io = TcpStream::connect(address).await.map_err(failed("can't connect"))?;
        io.set_nodelay(true).map_err(failed("can't connect"))?;
        let shaken = h2::client::Builder::new().enable_push(false).handshake(io).await;
        let (client, connection) = shaken.map_err(failed("no HTTP/2"))?;
        tasks.spawn_on(&handle, Kind::Disposable, "connection", async move {
            // Its end is seen by the calls that it carries.
            let _ = connection.await;
        });
        connections.push(client);
    }
    Ok(connections)
}

/// How many of `all` fall to `worker`: at least one, and together `all` if there are enough.
fn share(all: usize, workers: usize, worker: usize) -> usize {
    (all / workers + usize::from(worker < all % workers)).max(1)
}

/// What one thread does in a round.
struct Work {
    connections: Vec<SendRequest<Bytes>>,
    path: Path,
    calls: Arc<[Call]>,
    /// The next call that nobody has begun.
    next: Arc<AtomicUsize>,
    read: Arc<Read>,
    clock: Clock,
    /// Only this thread comes here.
    seen: Mutex<Seen>,
}

struct Seen {
    from: Duration,
    to: Duration,
    latency: Histogram<u64>,
    counts: BTreeMap<Cow<'static, str>, u64>,
    reasons: Reasons,
}

impl Seen {
    fn new() -> Self {
        Self {
            from: Duration::MAX,
            to: Duration::ZERO,
            latency: Histogram::new(3).expect("three digits are allowed"),
            counts: BTreeMap::new(),
            reasons: Reasons::default(),
        }
    }
}

impl Work {
    async fn run(self, in_flight: usize) -> Seen {
        let slots = (0..in_flight).map(|slot| {
            let connection = &self.connections[slot % self.connections.len()];
            self.slot(connection)
        });
        let mut slots: FuturesUnordered<_> = slots.collect();
        while slots.next().await.is_some() {}
        drop(slots);
        self.seen.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call after the other, as long as there are some.
    async fn slot(&self, connection: &SendRequest<Bytes>) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(call) = self.calls.get(number) else { return };
            let from = self.clock.now();
            let sent = send(connection, &self.path, call).await;
            let to = self.clock.now();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = seen.reasons.answer(sent);
            let name = (self.read)(number, &answer);
            match seen.counts.get_mut(&*name) {
                Some(count) => *count += 1,
                None => drop(seen.counts.insert(name, 1)),
            }
            let micros = u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(u64::MAX);
            seen.latency.record(micros.max(1)).expect("the histogram grows as it needs to");
            seen.from = seen.from.min(from);
            seen.to = seen.to.max(to);
        }
    }
}

fn merged(all: Vec<Seen>) -> Result<Round, Failure> {
    let mut sum = Seen::new();
    for seen in all {
        sum.from = sum.from.min(seen.from);
        sum.to = sum.to.max(seen.to);
        sum.latency.add(&seen.latency).map_err(failed("latencies"))?;
        for (name, count) in seen.counts {
            *sum.counts.entry(name).or_default() += count;
        }
    }
    let took = sum.to.saturating_sub(sum.from);
    Ok(Round { took, latency: sum.latency, counts: sum.counts })
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn everything_is_dealt_out_and_nobody_goes_without() {
        for (all, workers) in [(256, 2), (33, 2), (7, 3), (1, 1)] {
            let dealt: usize = (0..workers).map(|worker| share(all, workers, worker)).sum();
            assert_eq!(dealt, all, "{all} over {workers}");
        }
        assert_eq!(share(1, 4, 3), 1);
    }
}
