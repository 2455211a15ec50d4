//! What the server and a pod's shim say to each other: frames of a 4-byte big-endian length and JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The longest frame either side accepts.
pub const MAX_FRAME: usize = 4 << 20;

/// How a shim sets its sandbox up; read from a file when the shim starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// The sandbox's id.
    pub id: String,
    /// The unix socket the shim listens on.
    pub socket: PathBuf,
    /// Where libcontainer keeps its state.
    pub containers: PathBuf,
    /// Where the network namespace is bind-mounted; `None` keeps the node's network.
    pub netns: Option<PathBuf>,
    /// Whether the sandbox has an IPC namespace of its own.
    pub private_ipc: bool,
    /// Whether the containers share one pid namespace.
    pub shared_pid: bool,
    /// Set in a UTS namespace of the sandbox; `None` keeps the node's.
    pub hostname: Option<String>,
    /// Written in the sandbox's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Written likewise, if the kernel lets us.
    pub default_sysctls: BTreeMap<String, String>,
    /// Where the pod's `/dev/shm` is mounted; `None` when the node's is used.
    pub shm: Option<PathBuf>,
}

/// What a shim prints on its standard output once it listens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    /// The shim's pid.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: guards against a reused pid.
    pub start_time: u64,
    /// The pid of the process that holds the shared pid namespace.
    pub pause: Option<i32>,
    /// Why the set-up failed.
    pub error: Option<String>,
}

/// A call to the shim with the number its reply will carry.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the caller.
    pub id: u64,
    /// What to do.
    pub call: Call,
}

/// What a shim can do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Creates and starts a container; replies with [`Started`].
    Run(Box<Run>),
    /// Sends a signal to a container's first process, or to all of its cgroup.
    Kill {
        /// The container.
        container: String,
        /// The signal's number.
        signal: i32,
        /// Every process of the cgroup.
        all: bool,
    },
    /// Starts a further process in a container; replies with [`Started`].
    Exec(Box<Exec>),
    /// Kills a process that `Exec` started.
    KillExec {
        /// The process's name.
        exec: String,
    },
    /// Sets the size of the terminal of a container or an exec.
    Resize {
        /// Container or exec.
        target: String,
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// Connects FIFOs with a container's standard streams.
    Attach {
        /// The container.
        container: String,
        /// FIFO that feeds the container's standard input.
        stdin: Option<PathBuf>,
        /// FIFO that receives standard output (and a terminal's).
        stdout: Option<PathBuf>,
        /// FIFO that receives standard error.
        stderr: Option<PathBuf>,
    },
    /// Opens the container's log file anew.
    ReopenLog {
        /// The container.
        container: String,
    },
    /// Forgets an exited container.
    Delete {
        /// The container.
        container: String,
    },
    /// Replies with all containers: [`Listed`].
    List,
    /// Kills what still runs and ends the shim.
    Shutdown,
}

/// Arguments of [`Call::Run`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The container's id.
    pub container: String,
    /// Directory with `config.json` and the root file system's path in it.
    pub bundle: PathBuf,
    /// The log file.
    pub log: Option<PathBuf>,
    /// Bytes after which the log is rotated here; 0 leaves it to others.
    pub log_limit: u64,
    /// A terminal in place of pipes.
    pub tty: bool,
    /// Keep standard input open for attach.
    pub stdin: bool,
    /// Close standard input when the first attached client leaves.
    pub stdin_once: bool,
    /// Raised when the kernel allows it, never an error.
    pub oom_score_adj: Option<i64>,
    /// Where the exit is recorded, durably, before it is reported.
    pub exit_file: PathBuf,
    /// `memory.oom_control` (v1) or `memory.events` (v2).
    pub oom_file: Option<PathBuf>,
    /// The `cgroup.procs` file used to kill all processes.
    pub procs_file: Option<PathBuf>,
    /// Whether the end of the first process ends all others (own pid namespace).
    pub own_pid_namespace: bool,
}

/// Arguments of [`Call::Exec`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exec {
    /// The container to enter.
    pub container: String,
    /// A name for the process, unique in the sandbox.
    pub exec: String,
    /// File with the OCI process.
    pub process: PathBuf,
    /// FIFO to read from.
    pub stdin: Option<PathBuf>,
    /// FIFO to write to.
    pub stdout: Option<PathBuf>,
    /// FIFO to write to.
    pub stderr: Option<PathBuf>,
    /// A terminal in place of pipes.
    pub tty: bool,
}

/// A process came to life.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Started {
    /// Its pid as the node sees it.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`.
    pub start_time: u64,
    /// Nanoseconds since the epoch.
    pub started_at: i64,
}

/// How a container ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The exit status, or 128 + the signal's number.
    pub exit_code: i32,
    /// Nanoseconds since the epoch.
    pub finished_at: i64,
    /// The kernel killed a process of the container for lack of memory.
    pub oom_killed: bool,
}

/// A container as its shim knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listed {
    /// The container's id.
    pub container: String,
    /// Its first process.
    pub started: Started,
    /// How it ended, when it has.
    pub exit: Option<ExitRecord>,
}

/// What a shim sends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The answer to the request of that number.
    Reply {
        /// The request's number.
        id: u64,
        /// The result or the error in words.
        result: Result<serde_json::Value, String>,
    },
    /// A container ended; its exit file is on disk.
    Exited {
        /// The container.
        container: String,
        /// How.
        exit: ExitRecord,
    },
    /// An exec'd process ended.
    ExecExited {
        /// Its name.
        exec: String,
        /// The exit status, or 128 + the signal's number.
        exit_code: i32,
    },
}

/// Encodes a frame.
pub fn frame<T: Serialize>(message: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// Takes one whole frame's body off the front of `buffer`, if it is there.
pub fn take_frame(buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>, FrameTooLong> {
    let Some(head) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*head) as usize;
    if length > MAX_FRAME {
        return Err(FrameTooLong(length));
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    let rest = buffer.split_off(4 + length);
    let mut body = std::mem::replace(buffer, rest);
    body.drain(..4);
    Ok(Some(body))
}

/// A peer announced a frame that is longer than [`MAX_FRAME`].
#[derive(Debug, thiserror::Error)]
#[error("frame of {0} bytes is too long")]
pub struct FrameTooLong(pub usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let mut stream = frame(&"one").expect("encodes");
        stream.extend(frame(&Call::List).expect("encodes"));
        let mut buffer = Vec::new();
        let mut bodies = Vec::new();
        for byte in stream {
            buffer.push(byte);
            bodies.extend(take_frame(&mut buffer).expect("short frames"));
        }
        assert_eq!(bodies, [b"\"one\"".to_vec(), b"\"list\"".to_vec()]);
        assert!(buffer.is_empty());
        let mut long = (MAX_FRAME as u32 + 1).to_be_bytes().to_vec();
        assert!(take_frame(&mut long).is_err());
    }
}
