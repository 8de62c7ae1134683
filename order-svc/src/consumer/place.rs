//! Where the books' position lies in the log that there is, and what has to be looked at before
//! reading goes on from it.

/// The position, against the log's watermarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Below the start of the log: something that the books have not read is gone.
    UnreadGone,
    /// At the start of the log: there is nothing to compare with.
    NothingBefore,
    /// Behind the end of the log: it has lost its tail.
    BehindTheEnd,
    /// Behind this record, which must be the one that the books have read.
    After(u64),
}

/// `low` is the offset of the oldest record that is still there, `high` that of the next one to be
/// written.
pub const fn place(next_offset: u64, low: u64, high: u64) -> Place {
    if next_offset < low {
        Place::UnreadGone
    } else if next_offset == low {
        Place::NothingBefore
    } else if next_offset > high {
        Place::BehindTheEnd
    } else {
        Place::After(next_offset - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_compared_wherever_it_can_be() {
        for (next_offset, low, high, expected) in [
            (0, 0, 0, Place::NothingBefore),
            (0, 0, 9, Place::NothingBefore),
            (4, 5, 9, Place::UnreadGone),
            (0, 5, 5, Place::UnreadGone),
            (5, 5, 9, Place::NothingBefore),
            (5, 5, 5, Place::NothingBefore),
            (6, 5, 9, Place::After(5)),
            (9, 5, 9, Place::After(8)),
            (10, 5, 9, Place::BehindTheEnd),
            (1, 0, 0, Place::BehindTheEnd),
        ] {
            assert_eq!(place(next_offset, low, high), expected, "{next_offset} in {low}..{high}");
        }
    }
}
