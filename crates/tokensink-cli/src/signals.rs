//! Ctrl-C, SIGTERM and SIGHUP, handed to the coordinator.

use tokensink_engine::{Interrupt, Interrupter};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// From now on signals no longer end the process: the coordinator decides.
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
    /// Until it came: the shell and the kernel both tell that one terminal is gone.
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

/// Whether somebody said `nohup`, as far as the system tells: proc_pid_status(5).
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok());
    ignored.is_some_and(|signals| signals & 1 != 0)
}
