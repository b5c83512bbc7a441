//! A token that a person hands over: through a pipe, or pasted into a terminal that does not show it.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Read as _, stdin};
use std::os::fd::AsFd as _;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokensink_core::Secret;
use zeroize::Zeroizing;

use crate::output::{print_stderr, warn};

/// The longest text that is read as a token.
const MAX_BYTES: usize = 64 * 1024;

/// Reads standard input: one line of a terminal, all of anything else.
pub(crate) async fn read() -> Result<Secret, String> {
    // Not in the thread that reads: nobody can end its wait, but whoever is interrupted drops this.
    let hidden = stdin().is_terminal().then(Hidden::start).transpose();
    let hidden = hidden.map_err(|error| failed(&error))?;
    let is_enough: fn(&[u8]) -> bool = if hidden.is_some() { ends_a_line } else { never };
    if hidden.is_some() {
        print_stderr(
            "paste the token (not the read-only one), which is not shown, and press Enter",
        );
    }
    let read = tokio::task::spawn_blocking(move || read_until(is_enough));
    let bytes = match read.await {
        Ok(read) => read.map_err(|error| failed(&error))?,
        Err(_) => return Err("could not read standard input".to_owned()),
    };
    if bytes.len() > MAX_BYTES {
        return Err("standard input holds far more than a token".to_owned());
    }
    let text = str::from_utf8(&bytes);
    text.map(Secret::new).map_err(|_| "standard input holds no token: it is not UTF-8".to_owned())
}

fn failed(error: &io::Error) -> String {
    format!("could not read standard input: {error}")
}

fn ends_a_line(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n")
}

fn never(_: &[u8]) -> bool {
    false
}

/// Reads until it is enough, too much, or the end. The buffer never moves: no copy is left behind.
fn read_until(is_enough: fn(&[u8]) -> bool) -> io::Result<Zeroizing<Vec<u8>>> {
    // The handle of the standard library keeps what it reads in a buffer of its own.
    let mut input = File::from(stdin().as_fd().try_clone_to_owned()?);
    let mut bytes = Zeroizing::new(vec![0; MAX_BYTES + 1]);
    let mut end = 0;
    loop {
        match input.read(&mut bytes[end..]) {
            Ok(0) => break,
            Ok(read) => end += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if is_enough(&bytes[..end]) {
            break;
        }
    }
    bytes.truncate(end);
    Ok(bytes)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // What else was pasted must not reach the shell.
        if let Err(error) = tcsetattr(stdin(), OptionalActions::Flush, &self.0) {
            warn(&format!("the terminal does not show what is typed ({error}): run `stty echo`"));
        }
    }
}
