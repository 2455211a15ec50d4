//! The last steps inside a container before its program runs.

use std::ffi::CString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};

/// Runs the program with signals as a fresh process expects them.
#[derive(Clone)]
pub struct ContainerExecutor;

impl Executor for ContainerExecutor {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let args = arguments(spec).ok_or(ExecutorError::InvalidArg)?;
        let path = find(spec).map_err(ExecutorError::Other)?;
        restore_signals();
        let path = CString::new(path.into_os_string().into_encoded_bytes())
            .map_err(|_| ExecutorError::InvalidArg)?;
        let args: Vec<CString> = args
            .iter()
            .map(|argument| CString::new(argument.as_bytes()))
            .collect::<Result<_, _>>()
            .map_err(|_| ExecutorError::InvalidArg)?;
        match nix::unistd::execv(&path, &args) {
            Ok(never) => match never {},
            Err(error) => Err(ExecutorError::Other(format!("exec {path:?}: {error}"))),
        }
    }

    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        find(spec)
            .map(drop)
            .map_err(ExecutorValidationError::ArgValidationError)
    }
}

fn arguments(spec: &Spec) -> Option<&Vec<String>> {
    spec.process()
        .as_ref()
        .and_then(|process| process.args().as_ref())
        .filter(|args| !args.is_empty())
}

/// The program's file, found as a shell would; the words are those of runc, which users know.
fn find(spec: &Spec) -> Result<PathBuf, String> {
    let args = arguments(spec).ok_or("no command specified")?;
    let name = &args[0];
    let env = spec
        .process()
        .as_ref()
        .and_then(|process| process.env().clone())
        .unwrap_or_default();
    let path = env
        .iter()
        .find_map(|entry| entry.strip_prefix("PATH="))
        .unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    if name.contains('/') {
        return check(Path::new(name))
            .map(|()| PathBuf::from(name))
            .map_err(|why| format!("exec: {name:?}: stat {name}: {why}"));
    }
    path.split(':')
        .map(|directory| Path::new(if directory.is_empty() { "." } else { directory }).join(name))
        .find(|candidate| check(candidate).is_ok())
        .ok_or_else(|| format!("exec: {name:?}: executable file not found in $PATH"))
}

fn check(path: &Path) -> Result<(), &'static str> {
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => "permission denied",
        std::io::ErrorKind::NotADirectory => "not a directory",
        _ => "no such file or directory",
    })?;
    if metadata.is_dir() {
        return Err("is a directory");
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err("permission denied");
    }
    Ok(())
}

/// Ignored signals and the mask survive exec; Rust ignores SIGPIPE, the shim some more.
#[allow(unsafe_code)] // Setting the default disposition runs no code of ours.
fn restore_signals() {
    use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
    for number in Signal::iterator() {
        if !matches!(number, Signal::SIGKILL | Signal::SIGSTOP) {
            // SAFETY: SIG_DFL installs no handler.
            let _ = unsafe { signal(number, SigHandler::SigDfl) };
        }
    }
    let _ = SigSet::empty().thread_set_mask();
}
