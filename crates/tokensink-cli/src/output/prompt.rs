//! The one question: reset now?

use std::io::{BufRead as _, IsTerminal as _, stdin};

use tokensink_engine::Interrupt;

/// What the person said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// There is nobody to ask.
    NoTerminal,
}

/// Asks on standard error; anything but a clear yes is a no, Ctrl-C too.
pub(crate) async fn ask(question: &str, interrupt: &Interrupt) -> Answer {
    if !stdin().is_terminal() {
        return Answer::NoTerminal;
    }
    super::question(&format!("{question} [y/N]"));
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        stdin().lock().read_line(&mut line).map(|_| line)
    });
    tokio::select! {
        line = line => match line {
            Ok(Ok(line)) if matches!(line.trim().to_lowercase().as_str(), "y" | "yes") => Answer::Yes,
            _ => Answer::No,
        },
        () = interrupt.interrupted() => Answer::No,
    }
}
