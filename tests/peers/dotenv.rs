//! The dotenv sink against the readers that applications use: a reader that read the old token from a
//! file reads the new one after the edit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tokensink_core::{BuildContext, Environment, SinkErrorKind, Token};

use crate::process::{here, installed, python};
use crate::sink;

const KEY: &str = "QSTASH_TOKEN";
const OLD: &str = "b2xkL3Rva2VuK29mLXRoZS5hcHA_LXg==";
const NEW: &str = "bmV3L3Rva2VuK29mLXRoZS5hcHA_LXg=.-_";

/// The values that each reader read, by file.
type Seen = BTreeMap<String, Vec<Option<String>>>;

/// Forms in which applications store a value, with `OLD` in it. Readers for which a form is not valid
/// are not compared.
const SHAPES: &[&str] = &[
    "QSTASH_TOKEN=OLD\n",
    "QSTASH_TOKEN=\"OLD\"\n",
    "QSTASH_TOKEN='OLD'\n",
    "QSTASH_TOKEN=`OLD`\n",
    "export QSTASH_TOKEN=OLD\n",
    "export  QSTASH_TOKEN=\"OLD\"\n",
    "QSTASH_TOKEN = OLD\n",
    "QSTASH_TOKEN=OLD # prod\n",
    "QSTASH_TOKEN=\"OLD\" # prod\n",
    "QSTASH_TOKEN='OLD' # it's \"prod\"\n",
    "QSTASH_TOKEN=OLD#prod\n",
    "QSTASH_TOKEN=OLD\r\nB=2\r\n",
    "A=1\r\nQSTASH_TOKEN=\"OLD\"\r\n",
    "\u{feff}QSTASH_TOKEN=OLD\n",
    "\u{feff}A=1\nQSTASH_TOKEN=OLD\n",
    "QSTASH_TOKEN=OLD\nQSTASH_TOKEN=OLD\n",
    "QSTASH_TOKEN=first\nB=2\nexport QSTASH_TOKEN='OLD'\n",
    "A=1\nQSTASH_TOKEN=OLD",
    "A=\"x$HOMEX\"\nQSTASH_TOKEN=OLD\n",
    "A=\"one\nQSTASH_TOKEN=fake\ntwo\"\nQSTASH_TOKEN=OLD\n",
    "A='one\nQSTASH_TOKEN=fake\ntwo'\nQSTASH_TOKEN=\"OLD\"\n",
    "  QSTASH_TOKEN=OLD\n",
    "C='it\\'s'\nQSTASH_TOKEN=OLD\n",
    "QSTASH_TOKEN_2=a\nMY_QSTASH_TOKEN=b\nQSTASH_TOKEN=OLD\nQSTASH_TOKEN.x=c\n",
    "C=it's\nQSTASH_TOKEN=OLD\n",
    "C=don't stop\nQSTASH_TOKEN=OLD\nD=can't\n",
    "# QSTASH_TOKEN=commented\nQSTASH_TOKEN=OLD\n#QSTASH_TOKEN=\"commented\"\n",
    "QSTASH_TOKEN=\nQSTASH_TOKEN=OLD\n",
    "GREETING=\"grüß dich\"\nQSTASH_TOKEN=OLD\n",
    "\n\n   \nQSTASH_TOKEN=OLD\n\n\n",
];

/// Lines that some readers read as the value, and others as text or not at all.
const DISPUTED: &[&str] = &[
    "QSTASH_TOKEN=OLD\nQSTASH_TOKEN: later\n",
    "QSTASH_TOKEN: OLD\n",
    "A='don\\'t\nQSTASH_TOKEN=OLD\nx'\n",
    "A=\"x\\\"\nQSTASH_TOKEN=OLD\ny\"\n",
    "A=`x\nQSTASH_TOKEN=OLD\ny`\n",
    "A: \"x\nQSTASH_TOKEN=OLD\ny\"\n",
    "QSTASH_TOKEN='OLD\\'\ny'\n",
];

/// Lines that a shell reads as several words, and every other reader as one value.
const MORE_TO_A_SHELL: &[&str] = &[
    "export QSTASH_TOKEN=OLD B=keep\n",
    "QSTASH_TOKEN=OLD B=keep\n",
    "QSTASH_TOKEN=OLD; export B=2\n",
    "QSTASH_TOKEN=OLD;B=2\n",
    "QSTASH_TOKEN=OL\\\nD\n",
];

/// Lines from which files are generated.
const NEIGHBOURS: &[&str] = &[
    "",
    "# a comment with QSTASH_TOKEN=x in it",
    "PORT=3000",
    "URL=https://example.com/?a=b#c",
    "NAME=\"two words\" # why",
    "MOTTO='single $quoted'",
    "TEXT=\"one\ntwo=2\nthree\"",
    "MY_QSTASH_TOKEN=near",
    "QSTASH_TOKEN_2=near",
    "export PATHS=a:b",
    "EMPTY=",
    "  INDENTED=yes",
];

fn generated() -> impl Iterator<Item = String> {
    (0..300).map(|seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let end = if rng.u8(..4) == 0 { "\r\n" } else { "\n" };
        let mut lines: Vec<String> =
            (0..rng.usize(..8)).map(|_| (*rng.choice(NEIGHBOURS).unwrap()).to_owned()).collect();
        for _ in 0..rng.usize(1..3) {
            let shape = rng.choice(&SHAPES[..10]).unwrap().trim_end();
            lines.insert(rng.usize(..=lines.len()), shape.to_owned());
        }
        let last = if rng.bool() { end } else { "" };
        format!("{}{last}", lines.join("\n").replace('\n', end))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_the_old_token_read_the_new_one() {
    let directories = tempfile::tempdir().unwrap();
    let shapes = SHAPES.iter().map(|shape| (*shape).to_owned()).chain(generated());
    let texts: Vec<String> = shapes.map(|shape| shape.replace("OLD", OLD)).collect();
    put(&texts, directories.path());
    let before = read(directories.path());
    assert!(before.len() >= 10, "{:?}", before.keys());
    for (index, text) in texts.iter().enumerate() {
        let directory = directories.path().join(index.to_string());
        let context = BuildContext::new(directory, Environment::default());
        let sink = sink("dotenv", &json!({"path": ".env"}), &context);
        let prepared = sink.prepare().await.unwrap_or_else(|error| panic!("{error}: {text:?}"));
        prepared.writer.write(&Token::new(NEW)).await.unwrap();
    }
    let after = read(directories.path());
    let mut compared = 0;
    for (reader, values) in &before {
        let readable = values.iter().filter(|value| value.as_deref() == Some(OLD)).count();
        assert!(readable * 2 > texts.len(), "{reader} read only {readable} of {}", texts.len());
        for (index, value) in values.iter().enumerate() {
            if value.as_deref() == Some(OLD) {
                let now = after[reader][index].as_deref();
                assert_eq!(now, Some(NEW), "{reader} of {:?}", texts[index]);
                compared += 1;
            }
        }
    }
    assert!(compared > texts.len() * 8, "{compared} readings");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_readers_disagree_about_are_refused() {
    let directories = tempfile::tempdir().unwrap();
    put(DISPUTED, directories.path());
    let seen = read(directories.path());
    for (index, text) in DISPUTED.iter().enumerate() {
        // Most of these are syntax errors to a shell.
        let programs = ["dotenv", "node --env-file", "python-dotenv"];
        let values: BTreeSet<_> = programs.iter().map(|reader| &seen[*reader][index]).collect();
        assert!(values.len() > 1, "all see {values:?} in {text:?}");
        let directory = directories.path().join(index.to_string());
        let context = BuildContext::new(directory, Environment::default());
        let error = sink("dotenv", &json!({"path": ".env"}), &context).prepare().await.unwrap_err();
        assert_eq!(error.kind(), SinkErrorKind::Rejected, "{error}: {text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_a_shell_would_lose_is_refused() {
    let directories = tempfile::tempdir().unwrap();
    put(MORE_TO_A_SHELL, directories.path());
    let seen = read(directories.path());
    for (index, text) in MORE_TO_A_SHELL.iter().enumerate() {
        for (reader, is_shell) in [("bash", true), ("sh", true), ("dotenv", false)] {
            let sees_token = seen[reader][index].as_deref() == Some("OLD");
            assert_eq!(sees_token, is_shell, "{reader} of {text:?}");
        }
        let directory = directories.path().join(index.to_string());
        let context = BuildContext::new(directory, Environment::default());
        let error = sink("dotenv", &json!({"path": ".env"}), &context).prepare().await.unwrap_err();
        assert_eq!(error.kind(), SinkErrorKind::Rejected, "{error}: {text:?}");
    }
}

fn put(texts: &[impl AsRef<[u8]>], directories: &Path) {
    for (index, text) in texts.iter().enumerate() {
        let directory = directories.join(index.to_string());
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join(".env"), text).unwrap();
    }
}

fn read(directories: &Path) -> Seen {
    let mut seen = Seen::new();
    let modules = installed("node_modules");
    let mut node = Command::new("node");
    node.arg(here("readers.mjs")).args([&modules, directories]).arg(KEY).env_remove(KEY);
    let mut python = python("python");
    python.arg(here("readers.py")).arg(directories).arg(KEY).env_remove(KEY);
    for mut readers in [node, python] {
        let output = readers.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Some readers print a greeting before the values.
        let text = String::from_utf8(output.stdout).unwrap();
        let seen_by: Seen = serde_json::from_str(text.trim().lines().last().unwrap()).unwrap();
        seen.extend(seen_by);
    }
    seen.insert("dotenvy".to_owned(), with_dotenvy(directories));
    seen
}

fn with_dotenvy(directories: &Path) -> Vec<Option<String>> {
    let files = (0..).map(|index| directories.join(index.to_string()).join(".env"));
    let existing = files.take_while(|file| file.exists());
    existing
        .map(|file| {
            let pairs: Result<Vec<_>, _> = dotenvy::from_path_iter(file).ok()?.collect();
            let found = pairs.ok()?.into_iter().find(|(name, _)| name == KEY);
            found.map(|(_, value)| value)
        })
        .collect()
}
