//! Whether a reader that gives nothing has nothing to give. Kafka's client may wait for good where
//! a broker came back with another end of its log (librdkafka#4492), and says nothing about it. The
//! books would stand still, and every load that waits for them.

/// What was seen when the log's end was last looked at. Looks are seconds apart.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    /// Where reading stood, if the log ended elsewhere.
    at: Option<u64>,
}

impl Standstill {
    /// Reading stands at `next_offset`, and the log ends at `high`. True if it stood there at the
    /// last look too, and the log ended elsewhere then already.
    pub(super) fn saw(&mut self, next_offset: u64, high: u64) -> bool {
        let at = (high != next_offset).then_some(next_offset);
        let stands = at.is_some() && at == self.at;
        self.at = at;
        stands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_moves_or_has_read_everything_does_not_stand_still() {
        let mut standstill = Standstill::default();
        for (next_offset, high) in [(0, 0), (0, 9), (5, 20), (20, 20), (20, 25), (25, 25)] {
            assert!(!standstill.saw(next_offset, high), "{next_offset} of {high}");
        }
    }

    #[test]
    fn who_is_twice_at_the_same_place_stands_still_ahead_of_the_end_and_behind_it() {
        for high in [6, 4] {
            let mut standstill = Standstill::default();
            assert!(!standstill.saw(5, high), "it may be about to read");
            assert!(standstill.saw(5, high));
        }
    }
}
