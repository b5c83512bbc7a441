//! Questions to the user.

use std::io::{BufRead as _, IsTerminal as _, stdin};

use rustix::termios::{QueueSelector, tcflush};
use tokensink_engine::Interrupt;

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// Ctrl-C, or the end of standard input.
    Interrupted,
    /// Standard input is not a terminal.
    NoTerminal,
}

/// Asks on standard error. Any answer but `y` or `yes` is a no.
pub(crate) async fn ask(question: &str, interrupt: &Interrupt) -> Answer {
    // Text that was typed before the question is not an answer to it.
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
            Ok(Ok(line)) => parse(&line),
            _ => Answer::Interrupted,
        },
        () = interrupt.interrupted() => Answer::Interrupted,
    };
    if answer == Answer::Interrupted {
        // Without Enter, the cursor is still behind the question.
        super::print_stderr("");
    }
    answer
}

fn parse(line: &str) -> Answer {
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Answer::Yes,
        // The end of input, Ctrl-D.
        "" if !line.ends_with('\n') => Answer::Interrupted,
        _ => Answer::No,
    }
}
