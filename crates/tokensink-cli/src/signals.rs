//! Ctrl-C, SIGTERM and SIGHUP, as an [`Interrupt`] for the coordinator.

use tokensink_engine::{Interrupt, Interrupter};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Handles signals from now on: they no longer end the process, and the coordinator reacts to them.
pub(crate) fn listen() -> std::io::Result<Interrupt> {
    let (interrupter, interrupt) = Interrupter::new();
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        loop {
            signals.next().await;
            interrupter.interrupt();
        }
    });
    Ok(interrupt)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` after the first one: the shell and the kernel both send it when the terminal is closed.
    hangup: Option<Signal>,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let hangup = if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
        })
    }

    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => self.hangup = None,
        }
    }
}

/// Returns whether SIGHUP is ignored, as after `nohup`: proc_pid_status(5).
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok());
    ignored.is_some_and(|signals| signals & 1 != 0)
}
