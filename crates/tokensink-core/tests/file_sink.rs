//! Tests of the example plugin on real files.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use tokensink_core::{
    BuildContext, Content, Environment, HeldValue, Preparation, Registry, SinkErrorKind, Token,
    TokenSink,
};

#[allow(dead_code, reason = "the example has its own main function")]
#[path = "../examples/file_sink.rs"]
mod file_sink;

fn sink_in(context: &BuildContext) -> Box<dyn TokenSink> {
    let table = serde_json::json!({"path": "token"}).as_object().unwrap().clone();
    Registry::linked().unwrap().get("file").unwrap().build(table, context).unwrap().remove(0)
}

fn sink(directory: &Path) -> Box<dyn TokenSink> {
    sink_in(&BuildContext::new(directory, Environment::default()))
}

async fn prepare(directory: &Path) -> Preparation {
    sink(directory).prepare().await.unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_write_replaces_the_value_and_keeps_the_mode() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    for mode in [0o600, 0o640, 0o644] {
        fs::write(&file, "old\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let prepared = prepare(directory.path()).await;
        assert_eq!(fs::read_to_string(&file).unwrap(), "old\n");
        prepared.writer.write(&Token::new("new")).await.unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, mode);
        assert_eq!(names(directory.path()), ["token"]);
    }
    let content = sink(directory.path()).inspect(None).await.unwrap().content;
    assert_eq!(content, Content::Value(HeldValue::of("new")));
}

#[tokio::test]
async fn a_reader_sees_the_old_value_or_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let values = ["a".repeat(10_000), "b".repeat(20_000)];
    fs::write(&file, &values[0]).unwrap();
    let prepared = prepare(directory.path()).await;
    let done = Arc::new(AtomicBool::new(false));
    let (expected, is_done) = (values.clone(), Arc::clone(&done));
    let reader = std::thread::spawn(move || {
        while !is_done.load(Ordering::SeqCst) {
            let read = fs::read_to_string(&file).unwrap();
            assert!(expected.contains(&read), "{} bytes", read.len());
        }
    });
    for value in values.iter().cycle().take(20) {
        prepared.writer.write(&Token::new(value.clone())).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    reader.join().unwrap();
}

#[tokio::test]
async fn a_failed_rename_leaves_no_file_behind() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "old").unwrap();
    let prepared = prepare(directory.path()).await;
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let error = prepared.writer.write(&Token::new("new")).await.unwrap_err();
    assert!(error.to_string().contains("cannot replace"), "{error}");
    assert_eq!(names(directory.path()), ["token"]);
    assert!(file.is_dir());
}

#[test]
fn a_write_that_was_dropped_does_not_block_the_thread_or_replace_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "old").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let prepared = prepare(directory.path()).await;
        let token = Token::new("new");
        let mut write = pin!(prepared.writer.write(&token));
        let polled = write.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    });
    // Waits for the blocking threads.
    drop(runtime);
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(names(directory.path()), ["token"]);
}

#[tokio::test]
async fn a_write_keeps_a_symbolic_link() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("real")).unwrap();
    fs::write(directory.path().join("real/token"), "old").unwrap();
    symlink("real/token", directory.path().join("token")).unwrap();
    prepare(directory.path()).await.writer.write(&Token::new("new")).await.unwrap();
    assert!(directory.path().join("token").is_symlink());
    assert_eq!(fs::read_to_string(directory.path().join("real/token")).unwrap(), "new");
    assert_eq!(names(&directory.path().join("real")), ["token"]);
}

#[tokio::test]
async fn a_reference_is_replaced_only_on_request() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("token"), "op://dev/qstash/token\n").unwrap();
    let error = sink(directory.path()).prepare().await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::Rejected, "{error}");
    let context = BuildContext::new(directory.path(), Environment::default()).replacing_anything();
    sink_in(&context).prepare().await.unwrap();
}

#[tokio::test]
async fn the_error_for_a_missing_file_has_a_help() {
    let directory = tempfile::tempdir().unwrap();
    let error = sink(directory.path()).prepare().await.unwrap_err();
    assert_eq!((error.kind(), error.help()), (SinkErrorKind::NotFound, Some("create it")));
}
