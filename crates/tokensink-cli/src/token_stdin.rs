//! Reads a token from standard input: from a pipe, or from a terminal with echo turned off.

use std::io::{self, ErrorKind, IsTerminal as _, Read as _, stdin};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokensink_core::Secret;
use zeroize::Zeroizing;

use crate::bounded_io::standard_input;
use crate::output::{print_stderr, warn};

/// The maximum size of the input.
const MAX_BYTES: usize = 64 * 1024;

/// Reads one line of a terminal, or all of any other input.
pub(crate) async fn read() -> Result<Secret, String> {
    // Owned by this future, not by the reading thread: an interrupt drops the future and so turns the echo
    // on again, while the thread cannot be stopped.
    let no_echo = stdin().is_terminal().then(NoEcho::start).transpose();
    let no_echo = no_echo.map_err(|error| read_error(&error))?;
    let is_enough: fn(&[u8]) -> bool = if no_echo.is_some() { ends_a_line } else { never };
    if no_echo.is_some() {
        print_stderr("paste the token (not the read-only one; it is not shown) and press Enter");
    }
    let read = tokio::task::spawn_blocking(move || read_until(is_enough));
    let bytes = match read.await {
        Ok(read) => read.map_err(|error| read_error(&error))?,
        Err(error) => return Err(read_error(&io::Error::other(error))),
    };
    if bytes.len() > MAX_BYTES {
        return Err("standard input is not a token: it is larger than 64 KB".to_owned());
    }
    let text = str::from_utf8(&bytes);
    text.map(Secret::new).map_err(|_| "standard input is not a token: it is not UTF-8".to_owned())
}

fn read_error(error: &io::Error) -> String {
    format!("cannot read standard input: {error}")
}

fn ends_a_line(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n")
}

fn never(_: &[u8]) -> bool {
    false
}

/// Reads until `is_enough`, the size limit or the end of the input. The buffer is never reallocated,
/// which would leave copies of the token.
fn read_until(is_enough: fn(&[u8]) -> bool) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut input = standard_input()?;
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

/// Turns off the echo of the terminal until it is dropped.
struct NoEcho(Termios);

impl NoEcho {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut settings = before.clone();
        settings.local_modes.remove(LocalModes::ECHO);
        settings.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(stdin(), OptionalActions::Flush, &settings)?;
        Ok(Self(before))
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        // Flush: the rest of the pasted text must not reach the shell.
        if let Err(error) = tcsetattr(stdin(), OptionalActions::Flush, &self.0) {
            warn(&format!("cannot turn the terminal's echo on again: {error}: run `stty echo`"));
        }
    }
}
