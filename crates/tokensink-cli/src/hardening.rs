//! What keeps a token inside the process when the process itself fails.

/// Keeps the memory from core dumps and other processes, and a panic's message (which may quote
/// anything) off the screen.
pub(crate) fn harden() {
    forbid_core_dumps();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        crate::output::warn(&format!("internal error at {place}; please report it"));
    }));
}

fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum };
    if let Err(error) = setrlimit(Resource::Core, limit).and_then(|()| forbid_looking_in()) {
        crate::output::warn(&format!("a crash might leave secrets on the disk: {error}"));
    }
}

/// A limit does not stop a dump into a pipe, nor another process of the user's from looking into
/// this one's memory: prctl(2), core(5).
#[cfg(target_os = "linux")]
fn forbid_looking_in() -> rustix::io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

#[cfg(not(target_os = "linux"))]
fn forbid_looking_in() -> rustix::io::Result<()> {
    Ok(())
}
