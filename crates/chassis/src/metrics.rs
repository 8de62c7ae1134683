//! Metrics: the instruments of a process, and the text in which they are read (OpenMetrics).
//!
//! An instrument is registered once by name and asked for as often as one likes: whoever asks again
//! gets the same one, so several cores and several instances count together. Every set of labels is
//! bounded: beyond [`SERIES_MAX`] what is new is counted under `other`, and memory stays as it is.
//! What a label says is the promise of who sets it: no person, no token, no free text.

mod histogram;
mod plain_text;
mod port;
mod process;

use std::{
    any::Any,
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use prometheus_client::{
    encoding::text,
    metrics::{TypedMetric, counter, family::Family, gauge},
    registry::{Metric, Registry},
};

pub use histogram::Histogram;
pub use port::{MetricsPort, PortError};

/// Only goes up.
pub type Counter = counter::Counter;
/// Goes up and down.
pub type Gauge = gauge::Gauge<f64, AtomicU64>;
/// Counters that differ in `N` labels.
pub type Counters<const N: usize> = Series<Counter, N>;
/// Gauges that differ in `N` labels.
pub type Gauges<const N: usize> = Series<Gauge, N>;
/// Histograms that differ in `N` labels.
pub type Histograms<const N: usize> = Series<Histogram, N>;

/// The most label sets of one instrument. A thousand: more than there are items, methods or reasons
/// on one process, and still read within a moment.
pub const SERIES_MAX: usize = 1000;

/// What the labels say once there are [`SERIES_MAX`] sets.
const OTHER: &str = "other";

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// Where the instruments of a process are registered and read. Clones are the same registry.
#[derive(Clone, Default)]
pub struct Metrics {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    registry: Registry,
    /// By name, to be found again.
    known: BTreeMap<&'static str, Box<dyn Any + Send>>,
    /// Bring gauges up to date that are only worth it when somebody reads.
    samples: Vec<Arc<dyn Fn() + Send + Sync>>,
}

impl Metrics {
    /// A registry without instruments.
    pub fn new() -> Self {
        Self::default()
    }

    /// A counter. Its name is read with `_total` at the end.
    ///
    /// # Panics
    /// Here as in all that register: if the name is already one of another kind.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.registered(name, help, Counter::default)
    }

    /// A counter for each value of the labels.
    pub fn counters<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Counters<N> {
        self.registered(name, help, || Series::new(labels, Counter::default))
    }

    /// A gauge.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        self.registered(name, help, Gauge::default)
    }

    /// A gauge for each value of the labels.
    pub fn gauges<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Gauges<N> {
        self.registered(name, help, || Series::new(labels, Gauge::default))
    }

    /// A histogram of times in seconds, from a quarter of a millisecond to 10 s.
    pub fn latency(&self, name: &'static str, help: &'static str) -> Histogram {
        self.registered(name, help, Histogram::latency)
    }

    /// The same for each value of the labels.
    pub fn latencies<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Histograms<N> {
        self.registered(name, help, || Series::new(labels, Histogram::latency))
    }

    /// A histogram of sizes, from 1 to 4096.
    pub fn sizes(&self, name: &'static str, help: &'static str) -> Histogram {
        self.registered(name, help, Histogram::sizes)
    }

    /// Has `sample` run before each reading. It must not wait for anything.
    pub fn before_reading(&self, sample: impl Fn() + Send + Sync + 'static) {
        self.locked(|inner| inner.samples.push(Arc::new(sample)));
    }

    /// Everything, as OpenMetrics text.
    pub fn text(&self) -> String {
        // Outside of the lock: a sample may register.
        let samples = self.locked(|inner| inner.samples.clone());
        samples.iter().for_each(|sample| sample());
        let mut text = String::new();
        self.locked(|inner| text::encode(&mut text, &inner.registry))
            .expect("a String takes everything");
        text
    }

    fn registered<M>(&self, name: &'static str, help: &'static str, make: impl FnOnce() -> M) -> M
    where
        M: Metric + Clone,
    {
        self.locked(|inner| {
            if let Some(known) = inner.known.get(name) {
                let known = known.downcast_ref::<M>();
                return known.unwrap_or_else(|| panic!("{name} is of another kind")).clone();
            }
            let made = make();
            inner.registry.register(name, help.trim_end_matches('.'), made.clone());
            inner.known.insert(name, Box::new(made.clone()));
            made
        })
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.locked(|inner| inner.known.keys().copied().collect::<Vec<_>>());
        f.debug_tuple("Metrics").field(&names).finish()
    }
}

/// One instrument for each value of `N` labels. Clones count together.
#[derive(Debug)]
pub struct Series<M, const N: usize> {
    names: [&'static str; N],
    family: Family<Labels<N>, M, fn() -> M>,
    len: Arc<AtomicUsize>,
}

impl<M, const N: usize> Clone for Series<M, N> {
    fn clone(&self) -> Self {
        Self { names: self.names, family: self.family.clone(), len: Arc::clone(&self.len) }
    }
}

impl<M: Clone, const N: usize> Series<M, N> {
    fn new(names: [&'static str; N], make: fn() -> M) -> Self {
        Self { names, family: Family::new_with_constructor(make), len: Arc::default() }
    }

    /// The instrument of these values, in the order of the labels' names. Looks it up: on a hot
    /// path, ask once and keep it.
    pub fn with(&self, values: [impl Into<Cow<'static, str>>; N]) -> M {
        let labels = self.labels(values);
        if let Some(known) = self.family.get(&labels) {
            return known.clone();
        }
        // Threads that ask for new ones at the same moment may exceed the bound by their number.
        if self.len.fetch_add(1, Ordering::Relaxed) >= SERIES_MAX {
            self.len.fetch_sub(1, Ordering::Relaxed);
            let rest = self.names.map(|name| (name, OTHER.into()));
            return self.family.get_or_create(&rest).clone();
        }
        self.family.get_or_create(&labels).clone()
    }

    /// Forgets the instrument of these values: what it was about is over. Its place is free again.
    pub fn remove(&self, values: [impl Into<Cow<'static, str>>; N]) {
        if self.family.remove(&self.labels(values)) {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn labels(&self, values: [impl Into<Cow<'static, str>>; N]) -> Labels<N> {
        let mut values = values.into_iter().map(Into::into);
        self.names.map(|name| (name, values.next().unwrap_or_default()))
    }

    /// Forgets all of them: before they are set anew from what there is.
    pub fn clear(&self) {
        self.family.clear();
        self.len.store(0, Ordering::Relaxed);
    }
}

impl<M, const N: usize> prometheus_client::encoding::EncodeMetric for Series<M, N>
where
    M: prometheus_client::encoding::EncodeMetric + TypedMetric,
{
    fn encode(
        &self,
        encoder: prometheus_client::encoding::MetricEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        self.family.encode(encoder)
    }

    fn metric_type(&self) -> prometheus_client::metrics::MetricType {
        M::TYPE
    }
}

#[cfg(test)]
mod tests;
