//! How strictly figures are judged that depend on what else the machine does: tails, rates, and
//! how they compare. A shared machine is never quiet, so `make test` refuses only what is grossly
//! wrong, by a factor of three; `make overload` judges by the bounds themselves, on a machine that
//! is asked to be quiet. Invariants and what a caller is told are judged alike in both.

/// By so much a bound may be missed where the machine may have other work.
const GROSS: f64 = 3.0;

/// Whether the machine is asked to be quiet, and bounds are judged by themselves.
pub(crate) fn is_strict() -> bool {
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration to enter through")]
    let strict = std::env::var_os("SECKILL_STRICT");
    strict.is_some_and(|strict| strict == "1")
}

/// What must not be exceeded, for a figure that `bound` is meant for.
pub(crate) fn at_most(bound: f64) -> f64 {
    if is_strict() { bound } else { bound * GROSS }
}

/// What must be reached, for a figure that `bound` is meant for.
pub(crate) fn at_least(bound: f64) -> f64 {
    if is_strict() { bound } else { bound / GROSS }
}
