//! Every instrument of inventory-svc, named once. Calls by method and status are the chassis's.

use chassis::{
    Metrics,
    metrics::{Counter, Counters, Gauges, Histogram},
};
use ids::ShardNo;

/// What inventory-svc counts and measures. Clones count together.
#[derive(Debug, Clone)]
pub struct Instruments {
    /// Units left of each shard, as the ledger last said.
    pub stock_left: Gauges<1>,
    /// From a batch's call of the ledger to its answer.
    pub ledger_reserve: Histogram,
    /// Holds that were taken; open are these less the settled ones.
    pub held: Counter,
    /// Entries of an order that had a hold already.
    pub open: Counter,
    /// Entries that the ledger knew as decided.
    pub known: Counter,
    /// Entries that the ledger refused.
    pub refused: Counter,
    /// Decisions of the books that were told to the ledger.
    pub settled: Counter,
    /// Holds of each shard that are open for longer than the books ever need.
    pub overdue_holds: Gauges<1>,
    /// How long the oldest of those is open.
    pub oldest_hold_age: Gauges<1>,
    /// Connections to the catalog, open and idle.
    pub connections: Gauges<1>,
    /// Loads and retirements of shards that came to an end, by what it was.
    pub loads: Counters<1>,
    /// Shards whose number the books know as another item's.
    pub foreign_shards: Gauges<1>,
}

impl Instruments {
    /// Forgets what is counted of a shard that is retired: there are only so many places.
    pub(crate) fn forget(&self, shard: ShardNo) {
        let Self { stock_left, overdue_holds, oldest_hold_age, .. } = self;
        for of_shards in [stock_left, overdue_holds, oldest_hold_age] {
            of_shards.remove([shard.to_string()]);
        }
    }

    /// Registers all of them.
    pub fn new(metrics: &Metrics) -> Self {
        let entries = metrics.counters(
            "seckill_inventory_reserve_entries",
            "Entries of Reserve calls, by what the ledger said",
            ["answer"],
        );
        Self {
            stock_left: metrics.gauges(
                "seckill_inventory_stock_left",
                "Units left, as the ledger last said",
                ["shard"],
            ),
            ledger_reserve: metrics.latency(
                "seckill_inventory_ledger_reserve_seconds",
                "The ledger's answer to a batch",
            ),
            held: entries.with(["held"]),
            open: entries.with(["open"]),
            known: entries.with(["decided"]),
            refused: entries.with(["refused"]),
            settled: metrics.counter(
                "seckill_inventory_settled",
                "Decisions of the books that the ledger was told",
            ),
            overdue_holds: metrics.gauges(
                "seckill_inventory_overdue_holds",
                "Holds that are open for longer than the books ever need",
                ["shard"],
            ),
            oldest_hold_age: metrics.gauges(
                "seckill_inventory_oldest_hold_age_seconds",
                "How long the oldest overdue hold is open",
                ["shard"],
            ),
            connections: metrics.gauges(
                "seckill_inventory_sql_connections",
                "Connections to the catalog",
                ["state"],
            ),
            loads: metrics.counters(
                "seckill_inventory_loads",
                "Loads and retirements of a shard that came to an end",
                ["outcome"],
            ),
            foreign_shards: metrics.gauges(
                "seckill_inventory_foreign_shards",
                "Shards that aren't loaded, since their number is another item's in the books",
                ["shard"],
            ),
        }
    }
}
