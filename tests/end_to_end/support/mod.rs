//! Helpers of the end-to-end tests.

pub(crate) mod fault_proxy;
pub(crate) mod servers;
pub(crate) mod terminal;
pub(crate) mod wait;
pub(crate) mod world;
