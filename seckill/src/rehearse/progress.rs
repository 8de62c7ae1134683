//! Shows how far a step is: a bar on a terminal, nothing elsewhere. The workers only count; the
//! drawing happens here, ten times a second.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::fleet::Done;

const REDRAW: Duration = Duration::from_millis(100);

/// Runs `work`, which counts up to `len` in the [`Done`] that it is given.
pub(super) async fn during<F: Future>(
    label: &'static str,
    len: usize,
    work: impl FnOnce(Done) -> F,
) -> F::Output {
    let style = ProgressStyle::with_template("{msg:>22} {wide_bar} {human_pos}/{human_len}")
        .expect("the template is a constant that a test renders");
    let bar = ProgressBar::new(len as u64).with_style(style).with_message(label);
    let done = Done::default();
    let work = work(Arc::clone(&done));
    tokio::pin!(work);
    let output = loop {
        tokio::select! {
            biased;
            output = &mut work => break output,
            () = tokio::time::sleep(REDRAW) => bar.set_position(done.load(Ordering::Relaxed)),
        }
    };
    bar.finish_and_clear();
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_output_of_the_work_comes_back() {
        assert_eq!(
            during("counting", 3, async |done| done.fetch_add(1, Ordering::Relaxed)).await,
            0
        );
    }
}
