//! `links` in Cargo.toml needs a build script. With it Cargo refuses two versions of this crate in
//! one program: a plugin built against the other one would be missing without a word.

fn main() {}
