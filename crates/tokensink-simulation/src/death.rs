//! A process that is killed, or interrupted, at some moment.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokensink_engine::Interrupter;
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

/// A process that gets Ctrl-C before one of its steps, whatever it awaits there.
pub(crate) struct Interrupted<F> {
    pub(crate) inner: F,
    /// The steps until then; `None` where it came, or never comes.
    pub(crate) steps: Option<u32>,
    pub(crate) interrupt: InterruptLog,
}

impl<F: Future + Unpin> Future for Interrupted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.steps {
            Some(0) => {
                self.steps = None;
                self.interrupt.interrupt();
            }
            Some(steps) => self.steps = Some(steps - 1),
            None => {}
        }
        Pin::new(&mut self.inner).poll(context)
    }
}

/// Sends interrupts, and remembers when the first one came.
#[derive(Clone, Debug)]
pub(crate) struct InterruptLog {
    interrupter: Arc<Interrupter>,
    world: World,
    first: Arc<OnceLock<usize>>,
}

impl InterruptLog {
    pub(crate) fn new(interrupter: Interrupter, world: World) -> Self {
        Self { interrupter: Arc::new(interrupter), world, first: Arc::default() }
    }

    pub(crate) fn interrupt(&self) {
        self.first.get_or_init(|| self.world.calls().len());
        self.interrupter.interrupt();
    }

    /// How many calls had been made when the first interrupt came.
    pub(crate) fn first(&self) -> Option<usize> {
        self.first.get().copied()
    }
}
