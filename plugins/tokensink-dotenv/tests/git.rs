//! A warning about a file that git tracks: the token would be in the next commit.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tokensink_core::{BuildContext, Environment, Registry};
use tokensink_dotenv as _;

/// Whether it worked; never where there is no git.
fn git(directory: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    // The tests may be run by a hook, which names the repository it is run for.
    for variable in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
        command.env_remove(variable);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.status().is_ok_and(|status| status.success())
}

fn put(file: &Path) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "QSTASH_TOKEN=old\n").unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

async fn warnings(directory: &Path, path: &str) -> Vec<String> {
    let context = BuildContext::new(directory, Environment::default());
    let table = serde_json::json!({"path": path}).as_object().unwrap().clone();
    let sink = Registry::linked().unwrap().get("dotenv").unwrap().build(table, &context).unwrap();
    sink[0].prepare().await.unwrap().warnings
}

const TRACKED: &str = "git tracks it, and the token would be in the next commit: \
                       remove it with `git rm --cached`, and ignore it";

#[tokio::test]
async fn a_tracked_file_causes_a_warning_and_an_ignored_one_does_not() {
    let directory = tempfile::tempdir().unwrap();
    if !git(directory.path(), &["init", "--quiet"]) {
        return;
    }
    // Names of several lengths, because entries are padded.
    let tracked = ["web/.env", "web/.env.a", "web/.env.ab", "web/.env.abc", "web/deeper/.env.abcd"];
    for name in tracked.iter().chain(&[".env", "web/.env.x"]) {
        put(&directory.path().join(name));
    }
    put(&directory.path().join("web/.env.0"));
    let add: Vec<&str> = ["add", "--force", "--"].into_iter().chain(tracked).collect();
    // The second makes a flag that version 2 has no room for.
    let steps = [add.as_slice(), &["add", "--intent-to-add", "web/.env.0"]];
    for (step, version) in steps.into_iter().zip(2..) {
        assert!(git(directory.path(), step));
        assert_eq!(fs::read(directory.path().join(".git/index")).unwrap()[7], version);
        for name in tracked {
            assert_eq!(
                warnings(directory.path(), name).await,
                [TRACKED],
                "{name}, version {version}"
            );
        }
        for name in [".env", "web/.env.x"] {
            assert_eq!(
                warnings(directory.path(), name).await,
                [""; 0],
                "{name}, version {version}"
            );
        }
    }
}

#[tokio::test]
async fn an_index_that_is_not_understood_causes_no_warning() {
    let directory = tempfile::tempdir().unwrap();
    put(&directory.path().join(".env"));
    fs::create_dir(directory.path().join(".git")).unwrap();
    let truncated = [b"DIRC".as_slice(), &[0, 0, 0, 2, 0, 0, 0, 9, 1, 2, 3]].concat();
    for index in [b"".as_slice(), b"DIRC", b"neither of both", &truncated] {
        fs::write(directory.path().join(".git/index"), index).unwrap();
        assert_eq!(warnings(directory.path(), ".env").await, [""; 0], "{index:?}");
    }
}
