//! An empty build script, which `links` in Cargo.toml needs. `links` makes Cargo reject two versions
//! of this crate in one program: a plugin built against the other version would silently be missing.

fn main() {}
