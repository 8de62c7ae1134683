//! Redis: the process that answers, the one that a split left alive, and the replica that lags.
//! The shard in each is the code's own [`ShardKeeper`]; a process that took over a state has an
//! identity of its own, so that state is behind the fence.

use std::sync::Arc;

use inventory_svc::domain::{Identity, ShardKeeper};

/// Which process a connection leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Connection {
    /// The one that the address names now.
    Now,
    /// The one that it named before the split.
    Before,
}

/// A process and what it has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) me: Identity,
    shard: Arc<ShardKeeper>,
}

impl Process {
    pub(crate) fn shard(&self) -> &ShardKeeper {
        &self.shard
    }

    pub(crate) fn shard_mut(&mut self) -> (&Identity, &mut ShardKeeper) {
        (&self.me, Arc::make_mut(&mut self.shard))
    }
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Redis {
    pub(crate) now: Process,
    pub(crate) before: Option<Process>,
    /// What the replica has that would take over.
    pub(crate) replica: Option<Arc<ShardKeeper>>,
    losses: u8,
}

/// What a process calls itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By a name that no other ever had.
    Fresh,
    /// By the name of its machine, of which there are two.
    ByMachine,
    /// All alike: there is no fence.
    Alike,
}

fn identity(losses: u8, naming: Naming) -> Identity {
    let number = match naming {
        Naming::Fresh => losses,
        Naming::ByMachine => losses % 2,
        Naming::Alike => 0,
    };
    Identity::new(&format!("redis {number}"))
}

impl Redis {
    pub(crate) fn new() -> Self {
        let now = Process { me: identity(0, Naming::Fresh), shard: Arc::default() };
        Self { now, before: None, replica: None, losses: 0 }
    }

    pub(crate) fn at(&self, connection: Connection) -> &Process {
        match (connection, &self.before) {
            (Connection::Before, Some(before)) => before,
            (Connection::Before | Connection::Now, _) => &self.now,
        }
    }

    pub(crate) fn at_mut(&mut self, connection: Connection) -> &mut Process {
        match (connection, &mut self.before) {
            (Connection::Before, Some(before)) => before,
            (Connection::Before | Connection::Now, _) => &mut self.now,
        }
    }

    pub(crate) fn catch_up(&mut self) {
        self.replica = None;
    }

    /// Whether the replica has fallen behind and misses nothing yet.
    pub(crate) fn misses_nothing(&self) -> bool {
        self.replica.as_ref().is_some_and(|replica| *replica == self.now.shard)
    }

    /// What a process that takes over finds: what the replica has, or all if it doesn't lag.
    pub(crate) fn take_replica(&mut self) -> Arc<ShardKeeper> {
        self.replica.take().unwrap_or_else(|| Arc::clone(&self.now.shard))
    }

    /// The replica has this much, and no more comes until it takes over.
    pub(crate) fn lag(&mut self) {
        self.replica = Some(Arc::clone(&self.now.shard));
    }

    /// Another process takes over with `shard`.
    pub(crate) fn replace(&mut self, shard: Arc<ShardKeeper>, is_split: bool, naming: Naming) {
        self.losses += 1;
        let next = Process { me: identity(self.losses, naming), shard };
        let old = std::mem::replace(&mut self.now, next);
        self.before = is_split.then_some(old);
    }
}
