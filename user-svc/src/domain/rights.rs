//! What an operator's token allows. Rights are a set, and none contains another; a token made with
//! another one has no right that the other hasn't.

use std::{collections::BTreeSet, fmt};

/// One thing that an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// See sales, items and events.
    Read,
    /// Create, schedule, pause and resume; have shoppers for a rehearsal.
    RunSales,
    /// Make tokens for operators, and revoke them.
    MakeOperators,
}

impl Right {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Read, Self::RunSales, Self::MakeOperators];

    /// As the contract names it, in tokens and refusals.
    pub fn text(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::RunSales => "RUN_SALES",
            Self::MakeOperators => "MAKE_OPERATORS",
        }
    }

    /// The right of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.text() == text)
    }
}

/// Rights of one token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights(BTreeSet<Right>);

impl Rights {
    /// Every right there is.
    pub fn all() -> Self {
        Right::ALL.into_iter().collect()
    }

    /// What these words name; those that are no right allow nothing.
    pub(crate) fn named<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        words.into_iter().filter_map(Right::parse).collect()
    }

    pub(crate) fn contains(&self, right: Right) -> bool {
        self.0.contains(&right)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Right> {
        self.0.iter().copied()
    }

    /// The first right that the others lack.
    pub(crate) fn beyond(&self, others: &Self) -> Option<Right> {
        self.iter().find(|right| !others.contains(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().collect())
    }
}

/// Names with spaces between, as in the claim `scope`.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Right::text).collect();
        f.write_str(&names.join(" "))
    }
}
