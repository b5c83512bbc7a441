//! The sink on real files.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::time::Duration;

use tokensink_core::{
    BuildContext, Content, Environment, Fingerprint, Registry, SinkErrorKind, Token, TokenSink,
};
use tokensink_dotenv as _;

const TOKEN: &str = "bmV3LXRva2Vu==";

fn sink(directory: &Path, table: serde_json::Value) -> Box<dyn TokenSink> {
    let context = BuildContext::new(directory, Environment::default());
    let serde_json::Value::Object(table) = table else { panic!("a table") };
    let mut sinks =
        Registry::linked().unwrap().get("dotenv").unwrap().build(table, &context).unwrap();
    sinks.remove(0)
}

fn env_sink(directory: &Path) -> Box<dyn TokenSink> {
    sink(directory, serde_json::json!({"path": ".env"}))
}

async fn write(sink: &dyn TokenSink, token: &str) {
    sink.prepare().await.unwrap().writer.write(&Token::new(token)).await.unwrap();
}

/// What an inspection found, compared with `TOKEN`.
#[derive(Debug, PartialEq)]
enum Found {
    Token,
    OtherValue,
    Mixed,
    Absent,
}

async fn found(sink: &dyn TokenSink) -> Found {
    match sink.inspect(None).await.unwrap().content {
        Content::Value(held) if held.fingerprint == Fingerprint::of(TOKEN) => Found::Token,
        Content::Value(_) => Found::OtherValue,
        Content::Mixed(_) => Found::Mixed,
        Content::Absent => Found::Absent,
        other => panic!("a file shows its value: {other:?}"),
    }
}

async fn refusal(sink: &dyn TokenSink) -> String {
    let error = sink.prepare().await.unwrap_err();
    format!("{error}")
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_write_changes_the_value_and_keeps_the_mode() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(".env");
    fs::write(&file, "A=1\nQSTASH_TOKEN='old' # note\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let sink = env_sink(directory.path());
    let prepared = sink.prepare().await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "A=1\nQSTASH_TOKEN='old' # note\n");
    assert_eq!(names(directory.path()), [".env"]);
    prepared.writer.write(&Token::new(TOKEN)).await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("A=1\nQSTASH_TOKEN='{TOKEN}' # note\n"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(names(directory.path()), [".env"]);
    assert_eq!(found(sink.as_ref()).await, Found::Token);
}

#[tokio::test]
async fn a_symbolic_link_stays_and_its_target_is_edited() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("real")).unwrap();
    let target = directory.path().join("real/env");
    fs::write(&target, "QSTASH_TOKEN=old").unwrap();
    symlink("real/env", directory.path().join(".env")).unwrap();
    write(env_sink(directory.path()).as_ref(), TOKEN).await;
    assert!(directory.path().join(".env").is_symlink());
    assert_eq!(fs::read_to_string(target).unwrap(), format!("QSTASH_TOKEN={TOKEN}"));
}

#[tokio::test]
async fn temporary_files_of_a_killed_run_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "QSTASH_TOKEN=old").unwrap();
    fs::write(directory.path().join(".env.tokensink-not-ours"), "").unwrap();
    fs::write(directory.path().join(".env.tokensink-aB3xYz.env"), "QSTASH_TOKEN=half").unwrap();
    write(env_sink(directory.path()).as_ref(), TOKEN).await;
    assert_eq!(names(directory.path()), [".env", ".env.tokensink-not-ours"]);
}

#[tokio::test]
async fn each_file_that_cannot_be_written_is_refused_with_its_reason() {
    type Arrange = fn(&Path);
    let cases: [(Arrange, &str); 11] = [
        (|_| {}, "there is no such file"),
        (
            |file| {
                fs::write(file.with_file_name("file"), "").unwrap();
                symlink("file/below", file).unwrap();
            },
            "cannot find it",
        ),
        (|file| fs::create_dir(file).unwrap(), "is a directory"),
        (|file| symlink("nowhere", file).unwrap(), "a file that does not exist"),
        (|file| symlink(".env", file).unwrap(), "in a loop"),
        (|file| fs::write(file, "A=1").unwrap(), "contains no QSTASH_TOKEN"),
        (
            |file| fs::write(file, "A=\"\nQSTASH_TOKEN=x\"y\nB=1\"\n").unwrap(),
            "would not be read back",
        ),
        (|file| fs::write(file, vec![b'#'; 11 << 20]).unwrap(), "larger than 10 MB"),
        (
            |file| {
                fs::write(file, "QSTASH_TOKEN=1").unwrap();
                fs::set_permissions(file, fs::Permissions::from_mode(0o444)).unwrap();
            },
            "read-only by its mode",
        ),
        (
            |file| {
                fs::write(file, "QSTASH_TOKEN=1").unwrap();
                fs::hard_link(file, file.with_file_name("twin")).unwrap();
            },
            "2 hard links",
        ),
        (
            |file| {
                let made = std::process::Command::new("mkfifo").arg(file).status().unwrap();
                assert!(made.success());
            },
            "pipe or socket",
        ),
    ];
    for (arrange, words) in cases {
        let directory = tempfile::tempdir().unwrap();
        arrange(&directory.path().join(".env"));
        let error = refusal(env_sink(directory.path()).as_ref()).await;
        assert!(error.contains(words), "{error} should contain {words}");
    }
}

#[tokio::test]
async fn a_value_that_readers_disagree_about_is_mixed() {
    let directory = tempfile::tempdir().unwrap();
    let sink = sink(directory.path(), serde_json::json!({"path": ".env", "key": "K"}));
    for (text, expected) in [
        ("K=@\n", Found::Token),
        // An application may use the reader that sees something else.
        ("K=@\nK: later\n", Found::Mixed),
        ("K: @\n", Found::Mixed),
        ("A=`\nK=later\n`\nK=@\n", Found::Mixed),
        ("K=old\nK: later\n", Found::Mixed),
        ("A=\"\nK: text\n\"\nK=@\n", Found::Token),
        ("K=old\n", Found::OtherValue),
        ("A: 1\n", Found::Absent),
    ] {
        fs::write(directory.path().join(".env"), text.replace('@', TOKEN)).unwrap();
        assert_eq!(found(sink.as_ref()).await, expected, "{text:?}");
    }
}

#[tokio::test]
async fn a_missing_file_is_created_on_request() {
    let directory = tempfile::tempdir().unwrap();
    let made = sink(directory.path(), serde_json::json!({"path": "new.env", "create": true}));
    assert_eq!(found(made.as_ref()).await, Found::Absent);
    write(made.as_ref(), TOKEN).await;
    let file = directory.path().join("new.env");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("QSTASH_TOKEN={TOKEN}\n"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_different_keys_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "A=0\nB=0\n").unwrap();
    let writer = |key: &'static str| {
        let sink = sink(directory.path(), serde_json::json!({"path": ".env", "key": key}));
        tokio::spawn(async move {
            for round in 1..=100 {
                write(sink.as_ref(), &format!("{key}{round}")).await;
            }
        })
    };
    let (a, b) = (writer("A"), writer("B"));
    a.await.unwrap();
    b.await.unwrap();
    assert_eq!(fs::read_to_string(directory.path().join(".env")).unwrap(), "A=A100\nB=B100\n");
}

/// Another program's lock on the directory of `file`.
fn locked(directory: &Path) -> File {
    let directory = File::open(directory).unwrap();
    directory.lock().unwrap();
    directory
}

#[tokio::test]
async fn a_write_fails_while_another_process_locks_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "QSTASH_TOKEN=old").unwrap();
    let context = BuildContext::new(directory.path(), Environment::default())
        .with_attempt_timeout(Duration::from_millis(50));
    let table = serde_json::json!({"path": ".env"});
    let factory = Registry::linked().unwrap().get("dotenv").unwrap();
    let sink = factory.build(table.as_object().unwrap().clone(), &context).unwrap().remove(0);
    let prepared = sink.prepare().await.unwrap();
    let _lock = locked(directory.path());
    let error = prepared.writer.write(&Token::new(TOKEN)).await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::Transient, "{error}");
    assert!(error.to_string().contains("locked"), "{error}");
}

#[tokio::test]
async fn an_abandoned_write_does_not_land() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(".env");
    fs::write(&file, "QSTASH_TOKEN=old").unwrap();
    let prepared = env_sink(directory.path()).prepare().await.unwrap();
    let lock = locked(directory.path());
    let token = Token::new(TOKEN);
    let write = prepared.writer.write(&token);
    tokio::time::timeout(Duration::from_millis(50), write).await.unwrap_err();
    drop(lock);
    // The writing thread goes on as soon as it sees the lock free; ours queues behind it.
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(5));
        drop(locked(directory.path()));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "QSTASH_TOKEN=old");
}

#[tokio::test]
async fn the_owner_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(".env");
    fs::write(&file, "QSTASH_TOKEN=old").unwrap();
    // Only root may give a file away, and only root may then edit it.
    let sink = env_sink(directory.path());
    if chown(&file, Some(12), Some(34)).is_ok() {
        write(sink.as_ref(), TOKEN).await;
        let found = fs::metadata(&file).unwrap();
        assert_eq!((found.uid(), found.gid()), (12, 34));
    }
}

#[test]
fn all_errors_of_a_table_are_reported_together() {
    for (table, expected) in [
        (
            serde_json::json!({"path": "a", "paths": ["b"], "key": "1x"}),
            &[
                "`path` and `paths` exclude each other",
                "option `key`: `1x` is not the name of a variable",
            ][..],
        ),
        (
            serde_json::json!({"paths": [], "keys": []}),
            &["option `paths` is empty", "option `keys` is empty"],
        ),
        (serde_json::json!({"keys": ["A", "B"]}), &["missing option `path`"]),
        (serde_json::json!({"path": ""}), &["option `path` is empty"]),
        (serde_json::json!({"paths": [".env", ""]}), &["option `paths` is empty"]),
        (
            serde_json::json!({"path": "a", "keys": ["A", "B", "A", "", "A"]}),
            &[
                "option `keys`: `` is not the name of a variable",
                "option `keys` names A more than once",
            ],
        ),
    ] {
        let context = BuildContext::new("/", Environment::default());
        let factory = Registry::linked().unwrap().get("dotenv").unwrap();
        let errors = factory.build(table.as_object().unwrap().clone(), &context).unwrap_err();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors, expected);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn extended_attributes_are_kept() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(".env");
    fs::write(&file, "QSTASH_TOKEN=old\n").unwrap();
    // Not every file system has them.
    if setxattr(&file, "user.note", b"ours", XattrFlags::empty()).is_err() {
        return;
    }
    write(env_sink(directory.path()).as_ref(), TOKEN).await;
    let mut value = [0; 16];
    let length = getxattr(&file, "user.note", &mut value).unwrap();
    assert_eq!(&value[..length], b"ours");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_new_file_is_not_readable_by_more_users_than_the_old_one() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(".env");
    fs::write(&file, "QSTASH_TOKEN=old\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    // Version 2; then kind, permissions and number of the owner, user 12, the group, the mask, others.
    let everyone = u32::MAX;
    let entries =
        [(1, 7, everyone), (2, 4, 12), (4, 4, everyone), (16, 4, everyone), (32, 0, everyone)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (kind, permissions, number) in entries {
        list.extend([kind, 0, permissions, 0]);
        list.extend(number.to_le_bytes());
    }
    // What a new file in this directory gets. Not every file system has such lists.
    if setxattr(directory.path(), "system.posix_acl_default", &list, XattrFlags::empty()).is_err() {
        return;
    }
    write(env_sink(directory.path()).as_ref(), TOKEN).await;
    let inherited = getxattr(&file, "system.posix_acl_access", &mut [0; 64]);
    assert_eq!(inherited, Err(rustix::io::Errno::NODATA));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
}

#[tokio::test]
async fn other_variables_that_look_like_tokens_are_nearby() {
    const COPY: &str = "eyJVc2VySUQiOiJhIn0=";
    let directory = tempfile::tempdir().unwrap();
    let text = format!("QSTASH_TOKEN={COPY}\nOLD_TOKEN='{COPY}'\nPORT=3000\n#X={COPY}\n");
    fs::write(directory.path().join(".env"), text).unwrap();
    let nearby = env_sink(directory.path()).inspect(None).await.unwrap().nearby;
    let [copy] = nearby.as_slice() else { panic!("{nearby:?}") };
    assert_eq!(copy.place, "variable OLD_TOKEN");
    assert_eq!(copy.fingerprint, Some(Fingerprint::of(COPY)));
}
