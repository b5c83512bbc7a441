//! Tests of replacing and rejecting stored values, and of finding copies.

use proptest::prelude::*;
use serde_json::{Value, json};
use tokensink_core::{Content, Fingerprint, SinkErrorKind, Token};
use tokensink_sandbox::Aws;

use crate::{NAME, content, held, json_sink, refusal, replacing_anything, sink};

const TOKEN: &str = "eyJVc2VySUQiOiJhIiwiUGFzc3dvcmQiOiJiIn0=";

#[tokio::test]
async fn the_error_for_a_value_that_is_not_a_token_names_its_kind() {
    let aws = Aws::start().await.unwrap();
    for (value, seems, help) in [
        (r#"{"token":"x","url":"y"}"#, "JSON document with the keys token, url", "`json_key`"),
        ("[1]", "a JSON document", "`replace = \"anything\"`"),
        (r#"{"token":"x","url":"y""#, "damaged JSON", "repair it"),
        (
            "{\"token\": \"x\",\n}",
            "damaged JSON",
            "name the key that holds the token with `json_key`",
        ),
        ("op://dev/qstash/token", "a reference to another place", "that it refers to"),
        ("${UPSTASH_TOKEN}", "a reference to another place", "that it refers to"),
        ("$(cat /run/secrets/q)", "a command", "`replace = \"anything\"`"),
        ("ENC[AES256_GCM,data:x]", "encrypted by sops", "sops"),
        ("one\ntwo", "a text of several lines", "`replace = \"anything\"`"),
    ] {
        aws.put_externally(NAME, value);
        let (kind, words) = refusal(sink(&aws, json!({})).as_ref()).await;
        assert_eq!(kind, SinkErrorKind::Rejected, "{words}");
        assert!(words.contains(seems) && words.contains(help), "{words}");
        replaces(&aws, json!({})).await;
    }
}

#[tokio::test]
async fn the_error_for_a_key_without_a_token_names_the_kind_of_its_value() {
    let aws = Aws::start().await.unwrap();
    for (value, seems) in [
        (json!({"token": "…", "url": "https://x"}), "a JSON document with the keys token, url"),
        (json!(["a"]), "a JSON document"),
        (json!("{\"a\":1}"), "a JSON document with the keys a"),
        (json!("{\"a\":1"), "damaged JSON"),
        (json!("vault:secret/q#k"), "a reference to another place"),
        (json!("`cat q`"), "a command"),
    ] {
        aws.put_externally(NAME, &json!({"T": value, "n": 1.5}).to_string());
        let (kind, words) = refusal(json_sink(&aws).as_ref()).await;
        assert_eq!(kind, SinkErrorKind::Rejected, "{words}");
        assert!(words.contains("key `T`") && words.contains(seems), "{words}");
        replaces(&aws, json!({"json_key": "T"})).await;
        assert!(aws.value(NAME).unwrap().ends_with(r#""n":1.5}"#));
    }
    // An empty value and a value without structure are replaced.
    for value in [json!(null), json!(""), json!("changeme"), json!(5), json!("with a newline\n")] {
        aws.put_externally(NAME, &json!({"T": value}).to_string());
        json_sink(&aws).prepare().await.unwrap().writer.write(&Token::new("new")).await.unwrap();
        assert_eq!(aws.value(NAME).unwrap(), r#"{"T":"new"}"#);
    }
}

#[tokio::test]
async fn a_key_of_damaged_json_is_not_written() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, r#"{"T":"old","n":1.5,}"#);
    let (kind, words) = refusal(json_sink(&aws).as_ref()).await;
    assert_eq!(kind, SinkErrorKind::Rejected, "{words}");
    assert!(words.contains("not a JSON object") && words.contains("repair"), "{words}");
    assert!(!words.contains("leave `json_key` out"), "{words}");
}

/// Checks that the value is overwritten with `replace = "anything"`.
async fn replaces(aws: &Aws, table: Value) {
    let sink = replacing_anything(aws, table);
    sink.prepare().await.unwrap().writer.write(&Token::new("new")).await.unwrap();
    assert_eq!(content(sink.as_ref(), None).await, held("new"));
}

#[tokio::test]
async fn an_error_names_only_a_few_of_many_keys() {
    let aws = Aws::start().await.unwrap();
    let many: serde_json::Map<String, Value> =
        (0..2000).map(|index| (format!("key_{index}"), json!(1))).collect();
    aws.put_externally(NAME, &Value::Object(many).to_string());
    let (_, words) = refusal(sink(&aws, json!({})).as_ref()).await;
    assert!(words.contains("key_0, key_1") && words.len() < 600, "{words}");
}

#[tokio::test]
async fn copies_of_a_token_in_the_same_secret_are_found() {
    let aws = Aws::start().await.unwrap();
    let secret = json!({
        "T": TOKEN,
        "OLD": TOKEN,
        "n": 1.5,
        "other": "not a token",
        "nested": {"T": TOKEN, "list": [null, {"deep": TOKEN}]},
    });
    aws.put_externally(NAME, &secret.to_string());
    let inspection = json_sink(&aws).inspect(None).await.unwrap();
    assert_eq!(inspection.content, held(TOKEN));
    let places: Vec<_> = inspection.nearby.iter().map(|value| value.place.as_str()).collect();
    assert_eq!(places, ["key OLD", "key nested.T", "key nested.list[1].deep"]);
    for value in &inspection.nearby {
        assert_eq!(value.fingerprint, Some(Fingerprint::of(TOKEN)));
        assert!(!value.takes_precedence);
    }
}

#[tokio::test]
async fn keys_with_different_values_are_reported_as_mixed() {
    let aws = Aws::start().await.unwrap();
    let sink = sink(&aws, json!({"json_keys": ["A", "B"], "create": true}));
    for (value, is_expected) in [
        (r#"{"A":"x","B":"x"}"#, (|content| content == held("x")) as fn(Content) -> bool),
        (r#"{"A":"x","B":"y"}"#, |content| matches!(content, Content::Mixed(_))),
        (r#"{"A":"x"}"#, |content| matches!(content, Content::Mixed(_))),
        ("{}", |content| content == Content::Absent),
    ] {
        aws.put_externally(NAME, value);
        assert!(is_expected(content(sink.as_ref(), None).await), "{value}");
    }
}

/// Generates JSON of any structure, with tokens and references among its texts.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!(TOKEN)),
        Just(json!("${OTHER}")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z.\" ]{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Returns the number of texts anywhere in `value` that are the token.
fn tokens_in(value: &Value) -> usize {
    match value {
        Value::String(text) => usize::from(text == TOKEN),
        Value::Array(items) => items.iter().map(tokens_in).sum(),
        Value::Object(map) => map.values().map(tokens_in).sum(),
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_structured_value_of_a_key_is_never_replaced(value in any_json()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let aws = Aws::start().await.unwrap();
            let before = json!({"before": value, "T": value, "after": [value]});
            aws.put_externally(NAME, &before.to_string());
            let sink = json_sink(&aws);
            let nearby = sink.inspect(None).await.unwrap().nearby;
            let others = tokens_in(&before) - usize::from(value == json!(TOKEN));
            assert_eq!(nearby.len(), others, "{before}");
            match sink.prepare().await {
                Ok(preparation) => {
                    assert!(!value.is_object() && !value.is_array(), "{before}");
                    preparation.writer.write(&Token::new("new")).await.unwrap();
                    let mut after = before.clone();
                    after["T"] = json!("new");
                    assert_eq!(aws.value(NAME).unwrap(), after.to_string());
                }
                Err(error) => {
                    assert_eq!(error.kind(), SinkErrorKind::Rejected, "{before}: {error}");
                    assert_eq!(aws.value(NAME).unwrap(), before.to_string());
                }
            }
        });
    }

    #[test]
    fn a_whole_value_with_structure_is_never_replaced(value in any_json()) {
        prop_assume!(value.is_object() || value.is_array());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let aws = Aws::start().await.unwrap();
            aws.put_externally(NAME, &format!(" {value:#}\n"));
            let (kind, words) = refusal(sink(&aws, json!({})).as_ref()).await;
            assert!(kind == SinkErrorKind::Rejected && words.contains("JSON"), "{value}: {words}");
        });
    }
}
