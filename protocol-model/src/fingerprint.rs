//! What worlds are told apart by: 64 bits of a hash in which epochs have no names. Ids of epochs
//! are random, so two worlds that differ only in them are one; here they are numbered by their
//! first appearance. An epoch is the only thing in a world that is hashed as an `i64`, but for
//! prices.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::World;

/// See the module. With `names_matter`, epochs keep their names.
pub(crate) fn fingerprint(world: &World, names_matter: bool) -> u64 {
    if names_matter {
        return hash(DefaultHasher::new(), world);
    }
    hash(WithoutNames { inner: DefaultHasher::new(), seen: [0; EPOCHS_MAX], count: 0 }, world)
}

fn hash(mut hasher: impl Hasher, world: &World) -> u64 {
    world.hash(&mut hasher);
    hasher.finish()
}

/// More than a search ever makes; the rest keep their names.
const EPOCHS_MAX: usize = 24;

struct WithoutNames {
    inner: DefaultHasher,
    seen: [i64; EPOCHS_MAX],
    count: usize,
}

impl Hasher for WithoutNames {
    fn finish(&self) -> u64 {
        self.inner.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.inner.write(bytes);
    }

    fn write_i64(&mut self, name: i64) {
        let known = self.seen[..self.count].iter().position(|seen| *seen == name);
        match known {
            Some(index) => self.inner.write_usize(index),
            None if self.count < EPOCHS_MAX => {
                self.inner.write_usize(self.count);
                self.seen[self.count] = name;
                self.count += 1;
            }
            None => self.inner.write_i64(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::epoch;

    fn of(epochs: &[u8]) -> u64 {
        let mut hasher =
            WithoutNames { inner: DefaultHasher::new(), seen: [0; EPOCHS_MAX], count: 0 };
        epochs.iter().map(|number| epoch(*number)).for_each(|epoch| epoch.hash(&mut hasher));
        hasher.finish()
    }

    #[test]
    fn epochs_are_alike_by_their_places() {
        assert_eq!(of(&[1, 2, 1]), of(&[7, 4, 7]));
        assert_ne!(of(&[1, 2, 1]), of(&[1, 2, 2]));
        assert_ne!(of(&[1, 2, 1]), of(&[1, 2, 3]));
    }
}
