//! One call of the ledger as data, made on either keeper; its answer as text.

use std::{collections::HashMap, fmt::Debug};

use ids::{Epoch, OrderId, ShardNo};

use crate::{
    domain::ShardKeeper,
    ledger::{
        ActivateError, Activation, Error, ForgetError, Holds, Identity, KnownOrders, Ledger,
        OpenHold, Place, ReserveEntry, Settled, StageError, StagedOrder,
    },
};

#[derive(Debug)]
pub(super) enum Operation {
    Reserve {
        shard: ShardNo,
        epoch: Epoch,
        paused: bool,
        entries: Vec<ReserveEntry>,
    },
    Settle {
        shard: ShardNo,
        epoch: Epoch,
        generation: Option<u64>,
        decisions: Vec<(OrderId, Settled)>,
    },
    Close {
        shard: ShardNo,
        mark: Epoch,
    },
    Begin {
        shard: ShardNo,
        to: Epoch,
    },
    Stage {
        shard: ShardNo,
        to: Epoch,
        identity: Identity,
        orders: Vec<StagedOrder>,
    },
    Activate {
        shard: ShardNo,
        activation: Activation,
    },
    Forget {
        shard: ShardNo,
        mark: Epoch,
    },
    Peek {
        shards: Vec<ShardNo>,
    },
    Find {
        shard: ShardNo,
        epoch: Epoch,
        bars: bool,
        orders: Vec<OrderId>,
    },
    Due {
        shard: ShardNo,
        limit: usize,
    },
    Postpone {
        shard: ShardNo,
        epoch: Epoch,
        places: Vec<Place>,
    },
    Holds {
        shard: ShardNo,
        after: Option<OpenHold>,
        limit: usize,
    },
    Count {
        shard: ShardNo,
    },
    Known {
        shard: ShardNo,
    },
}

fn sorted(mut known: KnownOrders) -> KnownOrders {
    known.orders.sort_unstable();
    known
}

/// An answer.
pub(super) struct Told {
    pub(super) text: String,
    /// The holds in it.
    pub(super) shown: Vec<OpenHold>,
}

impl Told {
    fn of(answer: impl Debug) -> Self {
        Self { text: format!("{answer:?}"), shown: Vec::new() }
    }

    fn holds(answer: Result<Holds, Error>) -> Self {
        let text = format!("{answer:?}");
        Self { text, shown: answer.map(|holds| holds.holds).unwrap_or_default() }
    }
}

impl Operation {
    pub(super) async fn on_redis(&self, ledger: &dyn Ledger) -> Told {
        match self {
            Self::Reserve { shard, epoch, paused, entries } => {
                Told::of(ledger.reserve(*shard, *epoch, *paused, entries.clone()).await)
            }
            Self::Settle { shard, epoch, generation, decisions } => {
                Told::of(ledger.settle(*shard, *epoch, *generation, decisions).await)
            }
            Self::Close { shard, mark } => Told::of(ledger.close(*shard, *mark).await),
            Self::Begin { shard, to } => Told::of(ledger.begin_staging(*shard, *to).await),
            Self::Stage { shard, to, identity, orders } => {
                Told::of(ledger.stage(*shard, *to, identity, orders.clone()).await)
            }
            Self::Activate { shard, activation } => {
                Told::of(ledger.activate(*shard, activation.clone()).await)
            }
            Self::Forget { shard, mark } => Told::of(ledger.forget(*shard, *mark).await),
            Self::Peek { shards } => Told::of(ledger.peek(shards).await),
            Self::Find { shard, epoch, bars, orders } => {
                Told::of(ledger.find(*shard, *epoch, *bars, orders).await)
            }
            Self::Due { shard, limit } => Told::holds(ledger.due(*shard, *limit).await),
            Self::Postpone { shard, epoch, places } => {
                Told::of(ledger.postpone(*shard, *epoch, places).await)
            }
            Self::Holds { shard, after, limit } => {
                Told::holds(ledger.holds(*shard, after.as_ref(), *limit).await)
            }
            Self::Count { shard } => Told::of(ledger.count(*shard).await),
            Self::Known { shard } => Told::of(ledger.known(*shard).await.map(sorted)),
        }
    }

    pub(super) fn on_twin(
        &self,
        shards: &mut HashMap<ShardNo, ShardKeeper>,
        me: &Identity,
        now_ms: u64,
    ) -> Told {
        let mut at = |shard: &ShardNo| shards.remove(shard).unwrap_or_default();
        let (shard, mut keeper) = match self {
            Self::Peek { shards: asked } => {
                let peeks: Vec<_> = asked
                    .iter()
                    .map(|shard| shards.get(shard).unwrap_or(&ShardKeeper::default()).peek(me))
                    .collect();
                return Told::of(Ok::<_, Error>(peeks));
            }
            Self::Reserve { shard, .. }
            | Self::Settle { shard, .. }
            | Self::Close { shard, .. }
            | Self::Begin { shard, .. }
            | Self::Stage { shard, .. }
            | Self::Activate { shard, .. }
            | Self::Forget { shard, .. }
            | Self::Find { shard, .. }
            | Self::Due { shard, .. }
            | Self::Postpone { shard, .. }
            | Self::Holds { shard, .. }
            | Self::Count { shard }
            | Self::Known { shard } => (*shard, at(shard)),
        };
        let told = self.on_keeper(&mut keeper, me, now_ms);
        shards.insert(shard, keeper);
        told
    }

    fn on_keeper(&self, keeper: &mut ShardKeeper, me: &Identity, now_ms: u64) -> Told {
        match self {
            Self::Reserve { epoch, paused, entries, .. } => {
                let answer = keeper.reserve(me, *epoch, now_ms * 1000, *paused, entries.clone());
                Told::of(answer.map_err(Error::from))
            }
            Self::Settle { epoch, generation, decisions, .. } => {
                let answer = keeper.settle(me, *epoch, *generation, decisions);
                Told::of(answer.map_err(Error::from))
            }
            Self::Close { mark, .. } => {
                keeper.close(*mark);
                Told::of(Ok::<_, Error>(()))
            }
            Self::Begin { to, .. } => {
                let begun = keeper.begin_staging(*to).map(|()| me.clone());
                Told::of(begun.map_err(StageError::from))
            }
            Self::Stage { to, identity, orders, .. } => {
                let staged = keeper.stage(me, *to, identity, orders.clone());
                Told::of(staged.map_err(StageError::from))
            }
            Self::Activate { activation, .. } => {
                let activated = keeper.activate(me, activation).map(drop);
                Told::of(activated.map_err(ActivateError::from))
            }
            Self::Forget { mark, .. } => {
                let forgotten = keeper.forget(*mark).map(drop);
                Told::of(forgotten.map_err(ForgetError::from))
            }
            Self::Peek { .. } => Told::of(keeper.peek(me)),
            Self::Find { epoch, bars, orders, .. } => {
                let look = keeper.find(me, *epoch, now_ms * 1000, *bars, orders);
                Told::of(look.map_err(Error::from))
            }
            Self::Due { limit, .. } => {
                Told::holds(keeper.due(me, now_ms, *limit).map_err(Error::from))
            }
            Self::Postpone { epoch, places, .. } => {
                Told::of(keeper.postpone(me, *epoch, now_ms, places).map_err(Error::from))
            }
            Self::Holds { after, limit, .. } => {
                Told::holds(keeper.holds(me, after.as_ref(), *limit).map_err(Error::from))
            }
            Self::Count { .. } => Told::of(keeper.count(me, now_ms).map_err(Error::from)),
            Self::Known { .. } => Told::of(keeper.known(me).map(sorted).map_err(Error::from)),
        }
    }
}
