//! Every instrument of order-svc, named once. Calls by method and status are the chassis's.

use chassis::{
    Metrics,
    metrics::{Counter, Counters, Gauges, Histogram},
};

/// What order-svc counts and measures. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Instruments {
    /// Records of each partition that the books don't have yet.
    pub(crate) unread: Gauges<1>,
    /// Times that reading began anew since nothing came, although there was something.
    pub(crate) standstills: Counter,
    /// Times that the books were found to be an older copy.
    pub(crate) put_back: Counter,
    /// From a batch of records to its end in the books.
    pub(crate) commit: Histogram,
    /// Holds that went into one transaction.
    pub(crate) batch_holds: Histogram,
    /// Holds that the books decided, by what they decided.
    pub(crate) decided: Counters<1>,
    /// Holds of open epochs that the books refused, by why. Each is an alarm.
    pub(crate) refused: Counters<1>,
    /// Records that can't be understood.
    pub(crate) dead_letters: Counter,
    /// Connections to the books, open and idle.
    pub(crate) connections: Gauges<1>,
    /// A Settle call's answer.
    pub(crate) settle: Histogram,
    /// Decisions that the ledger wasn't told, and has to find out.
    pub(crate) left_over: Counter,
}

impl Instruments {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            unread: metrics.gauges(
                "seckill_order_journal_unread",
                "Records that the books don't have yet",
                ["partition"],
            ),
            standstills: metrics.counter(
                "seckill_order_journal_standstills",
                "Times that nothing was read although there was something, and reading began anew",
            ),
            put_back: metrics.counter(
                "seckill_order_books_put_back",
                "Times that the books of a partition were found to be an older copy",
            ),
            commit: metrics
                .latency("seckill_order_commit_seconds", "A batch of records into the books"),
            batch_holds: metrics.sizes("seckill_order_batch_holds", "Holds of one transaction"),
            decided: metrics.counters(
                "seckill_order_holds_decided",
                "Holds that the books have decided",
                ["decision"],
            ),
            refused: metrics.counters(
                "seckill_order_holds_refused",
                "Holds of open epochs that the books refused, which can't be",
                ["reason"],
            ),
            dead_letters: metrics
                .counter("seckill_order_dead_letters", "Records that can't be understood"),
            connections: metrics.gauges(
                "seckill_order_sql_connections",
                "Connections to the books",
                ["state"],
            ),
            settle: metrics.latency("seckill_order_settle_seconds", "Telling the ledger"),
            left_over: metrics.counter(
                "seckill_order_settles_left_over",
                "Decisions that are left to the roll-forward",
            ),
        }
    }
}
