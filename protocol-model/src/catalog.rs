//! The catalog's row of the shard, and what older copies show that it may be restored from. Each
//! change is a compare-and-set, as in the adapters.

use ids::{Epoch, ItemId};
use inventory_svc::domain::sale::Phase;
use inventory_svc::loading::attempt::Answer;

use crate::names;

/// What the row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) item: ItemId,
    pub(crate) phase: Phase,
    pub(crate) epoch: Option<Epoch>,
}

impl Row {
    fn new(item: ItemId) -> Self {
        Self { item, phase: Phase::New, epoch: None }
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.phase == Phase::Retired
    }

    /// The epoch that may be used.
    pub(crate) fn open_epoch(&self) -> Option<Epoch> {
        self.epoch.filter(|_| self.phase == Phase::Open)
    }
}

/// The row, and the rows before it that a copy may show.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Catalog {
    row: Row,
    /// None if no copy is ever restored.
    copies: Option<Vec<Row>>,
}

impl Catalog {
    pub(crate) fn new() -> Self {
        Self { row: Row::new(names::ITEM), copies: None }
    }

    pub(crate) fn row(&self) -> Row {
        self.row
    }

    /// (LOADING, `to`), if it shows `seen`; whoever is blind doesn't look at the item.
    pub(crate) fn claim(&mut self, seen: Row, to: Epoch, is_blind: bool) -> Answer {
        let item = if is_blind { self.row.item } else { seen.item };
        if self.row != (Row { item, ..seen }) {
            return Answer::Refused;
        }
        self.overwrite(Phase::Loading, to);
        Answer::Done
    }

    /// (`then`, `to`), if it shows (LOADING, `to`).
    pub(crate) fn go_on(&mut self, to: Epoch, then: Phase) -> Answer {
        if (self.row.phase, self.row.epoch) != (Phase::Loading, Some(to)) {
            return Answer::Refused;
        }
        self.overwrite(then, to);
        Answer::Done
    }

    pub(crate) fn overwrite(&mut self, phase: Phase, to: Epoch) {
        self.put(Row { phase, epoch: Some(to), ..self.row });
    }

    /// A copy from before the number was given, which gives it to another item.
    pub(crate) fn give_again(&mut self) {
        self.put(Row::new(names::LATER_ITEM));
    }

    fn put(&mut self, then: Row) {
        let before = std::mem::replace(&mut self.row, then);
        if let Some(copies) = &mut self.copies
            && !copies.contains(&before)
        {
            copies.push(before);
        }
    }

    /// Whether copies are made from now on.
    pub(crate) fn keep_copies(&mut self, keeps: bool) {
        self.copies = keeps.then(Vec::new);
    }

    pub(crate) fn copies(&self) -> &[Row] {
        self.copies.as_deref().unwrap_or_default()
    }

    pub(crate) fn restore(&mut self, copy: usize) -> Option<()> {
        self.row = *self.copies().get(copy)?;
        Some(())
    }
}
