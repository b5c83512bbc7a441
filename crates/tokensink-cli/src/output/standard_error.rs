//! Standard error has a thread of its own: whoever has something to say hands it over, and a
//! terminal that takes no output (Ctrl-S, a lost connection) holds nobody up.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::printable::Printable;
use super::spinner::Spinner;

/// So many lines of the log may wait. What comes after them is dropped, and counted.
const MAX_LOG_LINES: usize = 4096;

/// How long is waited for what was handed over to be shown.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

static DESK: Desk = Desk { queue: Mutex::new(Queue::new()), changed: Condvar::new() };

/// Shows `printable` and then `end`, in its turn.
pub(super) fn show(printable: Printable, end: &'static str) {
    DESK.hand_over(|queue| queue.texts.push_back((queue.handed_over, printable, end)));
}

/// Shows a line of the log, unless too many wait already.
pub(crate) fn log(line: &str) {
    let line = Printable::line(line.trim_end_matches('\n'));
    DESK.hand_over(|queue| {
        if queue.texts.len() < MAX_LOG_LINES {
            queue.texts.push_back((queue.handed_over, line, "\n"));
        } else {
            queue.dropped += 1;
        }
    });
}

/// Lets the spinner say what is going on, or takes it away. Only the latest counts.
pub(super) fn spin(doing: Option<&str>) {
    DESK.hand_over(|queue| queue.doing = doing.map(Printable::line));
}

/// Waits until everything is shown, but not without end.
pub(crate) fn flush() {
    DESK.wait();
}

/// Where texts are handed over.
struct Desk {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    /// Each with its number, and what comes after it.
    texts: VecDeque<(u64, Printable, &'static str)>,
    doing: Option<Printable>,
    dropped: u64,
    /// The number of what was handed over last, and of what was shown last.
    handed_over: u64,
    shown: u64,
    /// There is a thread.
    is_served: bool,
    /// Somebody waited in vain, and nothing has moved since.
    is_stuck: bool,
}

impl Queue {
    const fn new() -> Self {
        Self {
            texts: VecDeque::new(),
            doing: None,
            dropped: 0,
            handed_over: 0,
            shown: 0,
            is_served: false,
            is_stuck: false,
        }
    }

    fn is_idle(&mut self) -> bool {
        self.shown == self.handed_over
    }
}

/// What the thread does next.
struct Work {
    doing: Option<Printable>,
    text: Option<(Printable, &'static str)>,
    /// What is shown when it is done.
    number: u64,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, change: impl FnOnce(&mut Queue)) {
        let mut queue = self.lock();
        if !queue.is_served {
            let thread = thread::Builder::new().name("standard error".to_owned());
            queue.is_served = thread.spawn(serve).is_ok();
        }
        queue.handed_over += 1;
        change(&mut queue);
        drop(queue);
        self.changed.notify_all();
    }

    fn next(&self, spins: bool) -> Work {
        let mut queue = self.lock();
        if spins {
            let waited = self.changed.wait_timeout_while(queue, TURN, Queue::is_idle);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        } else {
            let waited = self.changed.wait_while(queue, Queue::is_idle);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let doing = queue.doing.clone();
        if let Some((number, text, end)) = queue.texts.pop_front() {
            return Work { doing, text: Some((text, end)), number };
        }
        let dropped = std::mem::take(&mut queue.dropped);
        let dropped_lines = || Printable::line(&format!("{dropped} lines of the log were dropped"));
        let text = (dropped > 0).then(|| (dropped_lines(), "\n"));
        Work { doing, text, number: queue.handed_over }
    }

    fn done(&self, number: u64) {
        let mut queue = self.lock();
        queue.shown = number;
        queue.is_stuck = false;
        drop(queue);
        self.changed.notify_all();
    }

    fn wait(&self) {
        let queue = self.lock();
        let last = queue.handed_over;
        if queue.is_stuck || queue.shown >= last {
            return;
        }
        let waited = self.changed.wait_timeout_while(queue, PATIENCE, |queue| queue.shown < last);
        let (mut queue, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.is_stuck = timeout.timed_out();
    }
}

fn serve() {
    let mut spinner = Spinner::default();
    loop {
        let Work { doing, text, number } = DESK.next(spinner.is_there());
        spinner.show(doing);
        if let Some((text, end)) = text {
            spinner.step_aside(|| {
                // A closed standard error is not an error.
                let _ = write!(anstream::stderr(), "{}{end}", text.as_str());
            });
        }
        DESK.done(number);
    }
}
