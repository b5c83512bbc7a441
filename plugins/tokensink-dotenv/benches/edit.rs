//! What an edit costs between the reset and the write of the file.

#[allow(dead_code, unused_imports, reason = "the bench needs a part")]
#[path = "../src/dialect.rs"]
mod dialect;
#[allow(dead_code, unused_imports, reason = "the bench needs a part")]
#[path = "../src/edit.rs"]
mod edit;
#[allow(dead_code, unused_imports, reason = "the bench needs a part")]
#[path = "../src/scan.rs"]
mod scan;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const TOKEN: &str = "bmV3LXRva2VuLW9mLWEtdXN1YWwtbGVuZ3RoLWFzLVFTdGFzaC1naXZlcy10aGVtLW91dA==";

/// A file of about so many bytes, with the token in its middle.
fn file(bytes: usize) -> Vec<u8> {
    let line = "SOME_VARIABLE=\"a value of a usual length\" # and a note\n";
    let half = line.repeat(bytes / line.len() / 2);
    format!("{half}QSTASH_TOKEN='old'\n{half}").into_bytes()
}

fn edits(criterion: &mut Criterion) {
    let keys = ["QSTASH_TOKEN".to_owned()];
    for (name, bytes) in [("1 KB", file(1_000)), ("1 MB", file(1_000_000))] {
        let mut group = criterion.benchmark_group("edit");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| edit::edited(black_box(&bytes), &keys, TOKEN, false));
        });
        group.finish();
    }
}

criterion_group!(benches, edits);
criterion_main!(benches);
