//! What was taken back: all tokens of a subject, or of everybody, that were made before a moment. A
//! token falls with its maker's: who holds a stolen one could otherwise go on under another name.

use std::collections::HashMap;

use super::Claims;

/// Far more than an issuer has. Beyond it what is told anew stands alone, so that memory is bounded
/// by this and one answer's length.
const SUBJECTS_MAX: usize = 10_000;

/// Revocations, by subject. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    everybody_before_s: u64,
    before_s: HashMap<String, u64>,
}

impl Revocations {
    /// Adds that every token made before is void.
    pub fn of_everybody(&mut self, issued_before_s: u64) {
        self.everybody_before_s = self.everybody_before_s.max(issued_before_s);
    }

    /// Adds that those of one subject are, and those made with them.
    pub fn of(&mut self, subject: String, issued_before_s: u64) {
        let before = self.before_s.entry(subject).or_default();
        *before = (*before).max(issued_before_s);
    }

    /// Adds one as it was told: of everybody, if it names nobody.
    pub fn add(&mut self, name: String, before_s: u64) {
        if name.is_empty() {
            self.of_everybody(before_s);
        } else {
            self.of(name, before_s);
        }
    }

    /// Whether a token was revoked.
    pub fn void(&self, claims: &Claims) -> bool {
        let line = claims.makers.iter().chain([&claims.subject]);
        claims.issued_at_s < self.made_before_s(line.map(String::as_str))
    }

    /// Before which moment a token of this line, its subject and all makers, is void. 0: none was
    /// revoked.
    pub fn made_before_s<'a>(&self, line: impl IntoIterator<Item = &'a str>) -> u64 {
        let named = line.into_iter().filter_map(|subject| self.before_s.get(subject));
        named.copied().max().unwrap_or_default().max(self.everybody_before_s)
    }

    /// Of each, the later moment.
    pub(super) fn merge(&mut self, told: Self) {
        let new = told.before_s.keys().filter(|name| !self.before_s.contains_key(*name)).count();
        if self.before_s.len() + new > SUBJECTS_MAX {
            self.before_s.clear();
        }
        self.of_everybody(told.everybody_before_s);
        for (subject, issued_before_s) in told.before_s {
            self.of(subject, issued_before_s);
        }
    }
}
