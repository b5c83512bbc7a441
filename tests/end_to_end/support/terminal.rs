//! A terminal to run the program on: its output is recorded, and tests can type into it, stop it and
//! close it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Action, LocalModes, Winsize, tcflow, tcgetattr, tcsetwinsize};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

pub(crate) struct Terminal {
    keyboard: File,
    /// The programs' side.
    line: File,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    pub(crate) fn of_width(columns: u16) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&screen, size).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let line = File::options().read(true).write(true).open(OsStr::from_bytes(name.as_bytes()));
        let mut screen = File::from(screen);
        let keyboard = screen.try_clone().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut some = [0; 4096];
            // A closed terminal is an error, not an end of file.
            while let Ok(read) = screen.read(&mut some) {
                kept.lock().unwrap().extend(&some[..read]);
            }
        });
        Self { keyboard, line: line.unwrap(), shown, reader }
    }

    /// Returns a stream for a program.
    pub(crate) fn stream(&self) -> Stdio {
        Stdio::from(self.line.try_clone().unwrap())
    }

    /// Runs `command` with all its streams on this terminal, without logs.
    pub(crate) fn run(&self, mut command: Command) -> Child {
        command.env_remove("RUST_LOG").env("TERM", "xterm-256color");
        command.stdin(self.stream()).stdout(self.stream()).stderr(self.stream());
        command.spawn().unwrap()
    }

    pub(crate) fn type_in(&self, text: &str) {
        (&self.keyboard).write_all(text.as_bytes()).unwrap();
    }

    /// Accepts no more output, as after Ctrl-S.
    pub(crate) fn stop(&self) {
        tcflow(&self.line, Action::OOff).unwrap();
    }

    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.line).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Returns everything that was shown so far.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until `text` has been shown.
    pub(crate) async fn shows(&self, text: &str) {
        let shown = async {
            while !self.shown().contains(text) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let result = timeout(Duration::from_secs(30), shown).await;
        result.unwrap_or_else(|_| panic!("{text} was not shown:\n{}", self.shown()));
    }

    /// Waits until the programs have ended, and returns everything that was shown.
    pub(crate) fn close(self) -> String {
        let Self { keyboard, line, shown, reader } = self;
        drop((keyboard, line));
        reader.join().unwrap();
        let shown = shown.lock().unwrap();
        String::from_utf8_lossy(&shown).into_owned()
    }
}

/// Removes the styles.
pub(crate) fn without_colour(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|letter: char| letter.is_ascii_alphabetic());
        text + end.map_or("", |end| &part[end + 1..])
    })
}
