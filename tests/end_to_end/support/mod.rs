//! What the end-to-end tests share.

pub(crate) mod fault_proxy;
pub(crate) mod servers;
pub(crate) mod terminal;
pub(crate) mod wait;
pub(crate) mod world;
