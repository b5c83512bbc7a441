//! Writes standard error on a thread of its own, so that a terminal that accepts no output (Ctrl-S, a
//! lost connection) does not block the run.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::printable::Printable;
use super::spinner::Spinner;

/// The number of log lines that may be queued. Later ones are dropped, and counted.
const MAX_LOG_LINES: usize = 4096;

/// How long [`flush`] waits.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The time between two frames of the spinner.
const SPINNER_INTERVAL: Duration = Duration::from_millis(100);

static PRINTER: Printer = Printer { queue: Mutex::new(Queue::new()), changed: Condvar::new() };

/// Queues `printable`, followed by `end`.
pub(super) fn show(printable: Printable, end: &'static str) {
    PRINTER.enqueue(|queue| queue.texts.push_back((queue.enqueued, printable, end)));
}

/// Queues a log line, unless too many are queued already.
pub(crate) fn log(line: &str) {
    let line = Printable::line(line.trim_end_matches('\n'));
    PRINTER.enqueue(|queue| {
        if queue.texts.len() < MAX_LOG_LINES {
            queue.texts.push_back((queue.enqueued, line, "\n"));
        } else {
            queue.dropped += 1;
        }
    });
}

/// Replaces the status that the spinner shows, or removes the spinner.
pub(super) fn show_status(status: Option<&str>) {
    PRINTER.enqueue(|queue| queue.status = status.map(Printable::line));
}

/// Waits until everything in the queue is written, or the terminal is known to be blocked.
pub(crate) fn flush() {
    PRINTER.flush();
}

/// The queue, and the signal that it changed.
struct Printer {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    /// Each text with its number, and with what is printed after it.
    texts: VecDeque<(u64, Printable, &'static str)>,
    status: Option<Printable>,
    dropped: u64,
    /// The number of the last change to the queue.
    enqueued: u64,
    /// The number of the last change that was written.
    written: u64,
    /// Whether the thread was started.
    is_started: bool,
    /// Whether a flush timed out, and nothing was written since.
    is_blocked: bool,
}

impl Queue {
    const fn new() -> Self {
        Self {
            texts: VecDeque::new(),
            status: None,
            dropped: 0,
            enqueued: 0,
            written: 0,
            is_started: false,
            is_blocked: false,
        }
    }

    fn is_idle(&mut self) -> bool {
        self.written == self.enqueued
    }
}

/// The next output of the thread.
struct Work {
    status: Option<Printable>,
    text: Option<(Printable, &'static str)>,
    /// The number of the last change that it contains.
    number: u64,
}

impl Printer {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, change: impl FnOnce(&mut Queue)) {
        let mut queue = self.lock();
        if !queue.is_started {
            let thread = thread::Builder::new().name("standard error".to_owned());
            queue.is_started = thread.spawn(run).is_ok();
        }
        queue.enqueued += 1;
        change(&mut queue);
        drop(queue);
        self.changed.notify_all();
    }

    fn next(&self, is_spinning: bool) -> Work {
        let mut queue = self.lock();
        if is_spinning {
            let waited = self.changed.wait_timeout_while(queue, SPINNER_INTERVAL, Queue::is_idle);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        } else {
            let waited = self.changed.wait_while(queue, Queue::is_idle);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let status = queue.status.clone();
        if let Some((number, text, end)) = queue.texts.pop_front() {
            return Work { status, text: Some((text, end)), number };
        }
        let dropped = std::mem::take(&mut queue.dropped);
        let dropped_lines = || Printable::line(&format!("{dropped} lines of the log were dropped"));
        let text = (dropped > 0).then(|| (dropped_lines(), "\n"));
        Work { status, text, number: queue.enqueued }
    }

    fn done(&self, number: u64) {
        let mut queue = self.lock();
        queue.written = number;
        queue.is_blocked = false;
        drop(queue);
        self.changed.notify_all();
    }

    fn flush(&self) {
        let queue = self.lock();
        let last = queue.enqueued;
        if queue.is_blocked || queue.written >= last {
            return;
        }
        let is_pending = |queue: &mut Queue| queue.written < last;
        let waited = self.changed.wait_timeout_while(queue, FLUSH_TIMEOUT, is_pending);
        let (mut queue, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.is_blocked = timeout.timed_out();
    }
}

fn run() {
    let mut spinner = Spinner::default();
    loop {
        let Work { status, text, number } = PRINTER.next(spinner.is_visible());
        spinner.show(status);
        if let Some((text, end)) = text {
            spinner.suspend(|| {
                // A closed standard error is not an error.
                let _ = write!(anstream::stderr(), "{}{end}", text.as_str());
            });
        }
        PRINTER.done(number);
    }
}
