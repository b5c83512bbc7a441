//! The effect of Ctrl-C on a run. The CLI catches the signal.

use tokio::sync::watch;

/// The sending side. Call [`interrupt`](Self::interrupt) for every signal.
#[derive(Debug)]
pub struct Interrupter(watch::Sender<u32>);

/// The receiving side. Before the reset is sent, an interrupt stops the run. After it, the run finishes the
/// fan-out after the first interrupt, because that ends the outage soonest, and the second one aborts it.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<u32>);

impl Interrupter {
    /// Creates a connected pair.
    pub fn new() -> (Self, Interrupt) {
        let (sender, receiver) = watch::channel(0);
        (Self(sender), Interrupt(receiver))
    }

    /// Counts one signal. Returns the number of signals so far.
    pub fn interrupt(&self) -> u32 {
        self.0.send_modify(|count| *count += 1);
        *self.0.borrow()
    }
}

impl Interrupt {
    /// Waits for the first signal. Returns at once if there was one.
    pub async fn interrupted(&self) {
        self.after(0).await;
    }

    /// Returns the number of signals so far.
    pub(crate) fn count(&self) -> u32 {
        *self.0.borrow()
    }

    /// Waits until there were more than `seen` signals. Never returns if the sender is dropped.
    pub(crate) async fn after(&self, seen: u32) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|count| *count > seen).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
