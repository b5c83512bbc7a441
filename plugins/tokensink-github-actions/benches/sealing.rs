//! The cost of a sealed box before and after the token is known.

#[allow(dead_code, unused_imports, reason = "the bench needs a part")]
#[path = "../src/sealing.rs"]
mod sealing;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tokensink_core::Token;

use crate::sealing::SealingKey;

fn boxes(criterion: &mut Criterion) {
    let key = SealingKey::new("568250167242549743".to_owned(), [9; 32]);
    let token = Token::new("a".repeat(96));
    let mut group = criterion.benchmark_group("sealed box");
    group.bench_function("envelope, before the reset", |bencher| {
        bencher.iter(|| black_box(&key).envelope());
    });
    group.bench_function("seal, after the reset", |bencher| {
        let envelope = || key.envelope();
        let seal = |envelope: sealing::Envelope| envelope.seal(black_box(&token));
        bencher.iter_batched(envelope, seal, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, boxes);
criterion_main!(benches);
