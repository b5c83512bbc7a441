//! Keeps secrets inside the process when it crashes.

/// Disables core dumps and access to this process's memory, and replaces the message of a panic, which
/// could quote a secret.
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
    if let Err(error) = setrlimit(Resource::Core, limit).and_then(|()| forbid_memory_access()) {
        crate::output::warn(&format!("a crash could write secrets to the disk: {error}"));
    }
}

/// The resource limit prevents neither a dump into a pipe nor access by the user's other processes:
/// core(5), prctl(2).
#[cfg(target_os = "linux")]
fn forbid_memory_access() -> rustix::io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

#[cfg(not(target_os = "linux"))]
fn forbid_memory_access() -> rustix::io::Result<()> {
    Ok(())
}
