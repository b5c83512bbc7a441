//! Processes that are killed or interrupted at a given step.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokensink_engine::Interrupter;
use tokensink_testkit::{Call, World};

/// The moment at which a process is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KillPoint {
    /// After this number of polls.
    After(u32),
    /// As soon as the reset was sent.
    WhenResetSent,
}

/// A process that is killed. The output is `None` if it did not finish.
pub(crate) struct KilledProcess<F> {
    pub(crate) inner: F,
    pub(crate) world: World,
    pub(crate) kill_point: KillPoint,
}

impl<F: Future + Unpin> Future for KilledProcess<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let KillPoint::After(steps) = &mut self.kill_point {
            let Some(left) = steps.checked_sub(1) else { return Poll::Ready(None) };
            *steps = left;
        }
        match Pin::new(&mut self.inner).poll(context) {
            Poll::Pending
                if matches!(self.kill_point, KillPoint::WhenResetSent) && self.has_sent() =>
            {
                Poll::Ready(None)
            }
            polled => polled.map(Some),
        }
    }
}

impl<F> KilledProcess<F> {
    fn has_sent(&self) -> bool {
        self.world.calls().iter().any(|called| called.call == Call::Reset)
    }
}

/// A process that is interrupted before one of its polls.
pub(crate) struct InterruptedProcess<F> {
    pub(crate) inner: F,
    /// The number of polls until the interrupt. `None` after it, or if there is none.
    pub(crate) steps: Option<u32>,
    pub(crate) interrupt: InterruptLog,
}

impl<F: Future + Unpin> Future for InterruptedProcess<F> {
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

/// Sends interrupts and records the first one.
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

    /// Returns the number of calls before the first interrupt.
    pub(crate) fn first(&self) -> Option<usize> {
        self.first.get().copied()
    }
}
