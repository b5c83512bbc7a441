//! A process that is killed at some moment.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokensink_testkit::{Call, World};

/// When a process is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Death {
    /// After so many of its steps.
    After(u32),
    /// The moment the reset has left.
    OnceSent,
}

/// A process that is killed. `None` where it did not get to its end.
pub(crate) struct Killed<F> {
    pub(crate) inner: F,
    pub(crate) world: World,
    pub(crate) death: Death,
}

impl<F: Future + Unpin> Future for Killed<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Death::After(steps) = &mut self.death {
            let Some(left) = steps.checked_sub(1) else { return Poll::Ready(None) };
            *steps = left;
        }
        match Pin::new(&mut self.inner).poll(context) {
            Poll::Pending if matches!(self.death, Death::OnceSent) && self.has_sent() => {
                Poll::Ready(None)
            }
            polled => polled.map(Some),
        }
    }
}

impl<F> Killed<F> {
    fn has_sent(&self) -> bool {
        self.world.calls().iter().any(|called| called.call == Call::Reset)
    }
}
