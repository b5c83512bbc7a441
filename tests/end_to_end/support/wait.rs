//! Waiting for a condition, with a deadline.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

/// Far longer than any condition takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(1);

/// Waits until `condition` holds. `what` names it in the panic after the deadline.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let holds = async {
        while !condition() {
            sleep(POLL).await;
        }
    };
    timeout(DEADLINE, holds).await.unwrap_or_else(|_| panic!("timed out waiting for: {what}"));
}

/// Waits for the end of a program. Returns its exit code.
pub(crate) async fn exit_code(mut child: Child) -> i32 {
    let ended = timeout(DEADLINE, child.wait()).await;
    ended.expect("the program should end").unwrap().code().unwrap()
}

/// Reads `stream` until it contains `text`, and returns what was read so far.
pub(crate) async fn until_printed(stream: &mut (impl AsyncRead + Unpin), text: &str) -> String {
    let mut printed = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&printed).contains(text) {
            match stream.read_buf(&mut printed).await {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => panic!("cannot read the output: {error}"),
            }
        }
        true
    };
    let was_printed = timeout(DEADLINE, reading).await;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(was_printed == Ok(true), "{text:?} was not printed:\n{printed}");
    printed
}
