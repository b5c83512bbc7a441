//! Ctrl-C, as the protocol understands it. Catching the signal is the command line's business.

use tokio::sync::watch;

/// The sending side: call [`interrupt`](Self::interrupt) for every signal.
#[derive(Debug)]
pub struct Interrupter(watch::Sender<u32>);

/// The receiving side. Before the reset leaves, one interrupt stops the run. After it, the first
/// one lets the fan-out finish, because that is the quickest way out of the outage; the second
/// abandons it.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<u32>);

impl Interrupter {
    /// A connected pair.
    pub fn new() -> (Self, Interrupt) {
        let (sender, receiver) = watch::channel(0);
        (Self(sender), Interrupt(receiver))
    }

    /// Counts one signal. Returns how many there have been.
    pub fn interrupt(&self) -> u32 {
        self.0.send_modify(|count| *count += 1);
        *self.0.borrow()
    }
}

impl Interrupt {
    /// Waits for the first signal; returns at once if there has been one.
    pub async fn interrupted(&self) {
        self.after(0).await;
    }

    /// How many signals there have been.
    pub(crate) fn count(&self) -> u32 {
        *self.0.borrow()
    }

    /// Waits for the next signal after the `seen` first ones; forever, if none can come any more.
    pub(crate) async fn after(&self, seen: u32) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|count| *count > seen).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
