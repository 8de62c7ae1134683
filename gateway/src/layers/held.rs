//! A future that holds something for as long as it runs, finished or dropped.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project_lite::pin_project! {
    /// `inner`, which holds `guard` until it is done.
    #[derive(Debug)]
    pub(crate) struct Held<F, G> {
        #[pin]
        inner: F,
        guard: Option<G>,
    }
}

impl<F, G> Held<F, G> {
    /// Lets go of `guard` when `inner` is done.
    pub(crate) fn new(inner: F, guard: G) -> Self {
        Self { inner, guard: Some(guard) }
    }
}

impl<F: Future, G> Future for Held<F, G> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx));
        // At once: who has the answer may ask again before this future is dropped.
        *this.guard = None;
        Poll::Ready(answer)
    }
}
