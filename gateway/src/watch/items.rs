//! What is left of watched items, told on from the view of the stock. Nobody else is asked, so a
//! crowd that watches costs the services behind the door nothing. As long as somebody watches an
//! item its stock is listened for.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use super::News;
use crate::{items::KnownItem, rates::Network};

/// An item that is watched.
#[derive(Debug, Clone)]
pub(crate) struct Key(Arc<KnownItem>);

/// Who watches items, from where: nobody has to say who they are. Those of whom that isn't known
/// count as one.
pub(crate) type Watchers = super::Watchers<Key, Left, Option<Network>>;

/// Units left; `None` while that isn't known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left(pub(crate) Option<u32>);

impl Key {
    /// Of an item.
    pub(crate) fn of(item: Arc<KnownItem>) -> Self {
        Self(item)
    }

    /// What is known of it now.
    pub(crate) fn left(&self, now: Duration, fresh: Duration) -> Left {
        Left(self.0.units_left(now, fresh))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.facts.id == other.0.facts.id
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.facts.id.hash(state);
    }
}

impl News for Left {
    fn may_become(&self, next: &Self) -> bool {
        self != next
    }

    /// Units come back: sold out isn't the end.
    fn is_final(&self) -> bool {
        false
    }
}

/// Tells everybody what has changed.
pub(crate) fn tell(watchers: &Watchers, now: Duration, fresh: Duration) {
    for key in watchers.keys() {
        let left = key.left(now, fresh);
        watchers.tell(&key, left);
    }
}
