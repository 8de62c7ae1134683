//! Trouble that lasts and is met again and again: said when it begins, now and then while it lasts,
//! and when it is over. So a loop that fails three times a second is a few lines, not thousands.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::boot_time;

/// How often trouble is said that doesn't end. 30 s: who begins to read in the middle soon knows.
const REPEAT_EVERY: Duration = Duration::from_secs(30);

/// One kind of trouble of one thing. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Lasting {
    bout: Arc<Mutex<Option<Bout>>>,
}

#[derive(Clone, Copy, Debug)]
struct Bout {
    began: Duration,
    said: Duration,
    unsaid: u64,
}

impl Lasting {
    /// It has failed. If that is to be said: how often it wasn't since it was said last.
    pub fn again(&self) -> Option<u64> {
        self.again_at(boot_time())
    }

    /// It has worked. If it had failed before: for how long.
    pub fn over(&self) -> Option<Duration> {
        self.over_at(boot_time())
    }

    fn again_at(&self, now: Duration) -> Option<u64> {
        let mut bout = self.bout.lock().unwrap_or_else(PoisonError::into_inner);
        match bout.as_mut() {
            None => {
                *bout = Some(Bout { began: now, said: now, unsaid: 0 });
                Some(0)
            }
            Some(bout) if now.saturating_sub(bout.said) >= REPEAT_EVERY => {
                bout.said = now;
                Some(std::mem::take(&mut bout.unsaid))
            }
            Some(bout) => {
                bout.unsaid += 1;
                None
            }
        }
    }

    fn over_at(&self, now: Duration) -> Option<Duration> {
        let bout = self.bout.lock().unwrap_or_else(PoisonError::into_inner).take();
        bout.map(|bout| now.saturating_sub(bout.began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_said_when_it_begins_now_and_then_and_when_it_ends() {
        let oven = Lasting::default();
        let at = Duration::from_secs;
        assert_eq!(oven.over_at(at(1)), None, "nothing was wrong");
        assert_eq!(oven.again_at(at(2)), Some(0));
        for second in 3..32 {
            assert_eq!(oven.again_at(at(second)), None);
        }
        assert_eq!(oven.again_at(at(32)), Some(29));
        assert_eq!(oven.again_at(at(33)), None);
        assert_eq!(oven.over_at(at(34)), Some(at(32)));
        assert_eq!(oven.over_at(at(35)), None, "that was said");
        assert_eq!(oven.again_at(at(36)), Some(0), "it begins anew");
    }
}
