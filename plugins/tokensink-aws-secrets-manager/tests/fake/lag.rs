//! Tests with reads that show the state before the last write, because Secrets Manager is eventually
//! consistent.

use tokensink_core::Token;
use tokensink_sandbox::Aws;

use crate::{NAME, content, held, json_sink};

#[tokio::test]
async fn a_lagging_inspection_shows_the_value_before_our_write() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, r#"{"T":"old"}"#);
    let sink = json_sink(&aws);
    let preparation = sink.prepare().await.unwrap();
    let receipt = preparation.writer.write(&Token::new("new")).await.unwrap();
    aws.lag_next_values(1);
    assert_eq!(content(sink.as_ref(), Some(&receipt)).await, held("old"));
    assert_eq!(content(sink.as_ref(), Some(&receipt)).await, held("new"));
}

#[tokio::test]
async fn a_lagging_description_is_not_reported_as_an_external_write() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, r#"{"T":"older","n":1}"#);
    aws.put_externally(NAME, r#"{"T":"old","n":2}"#);
    let sink = json_sink(&aws);
    let preparation = sink.prepare().await.unwrap();
    let receipt = preparation.writer.write(&Token::new("new")).await.unwrap();
    // The description still shows the version before ours as the current one.
    aws.lag_next_descriptions(1);
    assert_eq!(content(sink.as_ref(), Some(&receipt)).await, held("new"));

    aws.lag_next_descriptions(1);
    let preparation = sink.prepare().await.unwrap();
    preparation.writer.write(&Token::new("newer")).await.unwrap();
    assert_eq!(aws.value(NAME).unwrap(), r#"{"T":"newer","n":2}"#);
}
