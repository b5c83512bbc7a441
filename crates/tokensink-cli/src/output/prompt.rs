//! The one question: reset now?

use std::io::{BufRead as _, IsTerminal as _, stdin};

use rustix::termios::{QueueSelector, tcflush};
use tokensink_engine::Interrupt;

/// What the person said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// Ctrl-C, or the end of standard input.
    Interrupted,
    /// There is nobody to ask.
    NoTerminal,
}

/// Asks on standard error; anything but a clear yes is a no.
pub(crate) async fn ask(question: &str, interrupt: &Interrupt) -> Answer {
    // What was typed before the question was meant for something else.
    if !stdin().is_terminal() || tcflush(stdin(), QueueSelector::IFlush).is_err() {
        return Answer::NoTerminal;
    }
    super::print_question(&format!("{question} [y/N]"));
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        stdin().lock().read_line(&mut line).map(|_| line)
    });
    let answer = tokio::select! {
        line = line => match line {
            Ok(Ok(line)) => understood(&line),
            _ => Answer::Interrupted,
        },
        () = interrupt.interrupted() => Answer::Interrupted,
    };
    if answer == Answer::Interrupted {
        // Nobody pressed Enter: the cursor stands behind the question still.
        super::print_stderr("");
    }
    answer
}

fn understood(line: &str) -> Answer {
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Answer::Yes,
        // Not even Enter: Ctrl-D.
        "" if !line.ends_with('\n') => Answer::Interrupted,
        _ => Answer::No,
    }
}
