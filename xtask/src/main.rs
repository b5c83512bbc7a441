//! Development tasks: test, demo, tidy, ci.
fn main() {}
