//! The catalog's row of the shard, and what older copies show that it may be restored from. Each
//! change is a compare-and-set, as in the adapters.

use ids::Epoch;
use inventory_svc::domain::sale::Phase;
use inventory_svc::loading::attempt::Answer;

/// What the row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) phase: Phase,
    pub(crate) epoch: Option<Epoch>,
}

impl Row {
    pub(crate) fn loading(to: Epoch) -> Self {
        Self { phase: Phase::Loading, epoch: Some(to) }
    }

    pub(crate) fn open(to: Epoch) -> Self {
        Self { phase: Phase::Open, epoch: Some(to) }
    }

    pub(crate) fn retired(to: Epoch) -> Self {
        Self { phase: Phase::Retired, epoch: Some(to) }
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
        Self { row: Row { phase: Phase::New, epoch: None }, copies: None }
    }

    pub(crate) fn row(&self) -> Row {
        self.row
    }

    /// Writes `then`, if it shows `seen`.
    pub(crate) fn set(&mut self, seen: Row, then: Row) -> Answer {
        if self.row != seen {
            return Answer::Refused;
        }
        self.overwrite(then);
        Answer::Done
    }

    pub(crate) fn overwrite(&mut self, then: Row) {
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
