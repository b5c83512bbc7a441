//! What keeps a token inside the process when the process itself fails.

/// Forbids core dumps, and keeps a panic's message (which may quote anything) off the screen.
pub(crate) fn harden() {
    forbid_core_dumps();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        crate::output::warn(&format!("internal error at {place}; please report it"));
    }));
}

#[cfg(unix)]
fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum };
    if let Err(error) = setrlimit(Resource::Core, limit) {
        tracing::debug!(%error, "could not forbid core dumps");
    }
}

#[cfg(not(unix))]
fn forbid_core_dumps() {}
