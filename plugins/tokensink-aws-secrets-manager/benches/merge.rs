//! Measures the time to put the token into a JSON secret.

#[allow(dead_code, unused_imports, reason = "the bench needs a part")]
#[path = "../src/stored.rs"]
mod stored;
#[allow(dead_code, unused_imports, reason = "the bench needs a part")]
#[path = "../src/value.rs"]
mod value;

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokensink_core::Token;

use crate::value::Shape;

/// Returns a JSON object of about this size, with the token's key at its end.
fn object(bytes: usize) -> String {
    let mut text = "{".to_owned();
    for index in 0..bytes / 40 {
        let _ = write!(text, "\"key_{index}\": \"a value with a \\\" in it\", ");
    }
    text + "\"QSTASH_TOKEN\": \"old\"}"
}

fn merges(criterion: &mut Criterion) {
    let shape = Shape::Keys(vec!["QSTASH_TOKEN".to_owned()]);
    let token = Token::new("a".repeat(96));
    // 64 KB is the maximum of Secrets Manager.
    for (name, text) in [("1 KB", object(1_000)), ("64 KB", object(64_000))] {
        let mut group = criterion.benchmark_group("merge");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| shape.merged(black_box(&text), &token, false));
        });
        group.finish();
    }
}

criterion_group!(benches, merges);
criterion_main!(benches);
