//! Flags of the commands that talk with a running container: its terminal, its ports, its logs.

use std::time::Duration;

use clap::Args;

use super::FileArgs;

/// The terminal of a container.
#[derive(Args, Clone, Debug, Default)]
pub struct TerminalArgs {
    /// Container name.
    #[arg(short = 'c', long, value_name = "CONTAINER")]
    pub container: Option<String>,
    /// Pass stdin to the container.
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Stdin is a TTY.
    #[arg(short = 't', long)]
    pub tty: bool,
    /// Only print output from the remote session.
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// How long to wait until a pod runs.
    #[command(flatten)]
    pub running: RunningArgs,
}

/// How long a command waits for a pod.
#[derive(Args, Clone, Debug)]
pub struct RunningArgs {
    /// The length of time (like 5s, 2m, or 3h, higher than zero) to wait until at least one pod is running.
    #[arg(long, default_value = "1m0s", value_name = "DURATION", value_parser = crate::parse::duration)]
    pub pod_running_timeout: Duration,
}

impl Default for RunningArgs {
    fn default() -> RunningArgs {
        RunningArgs {
            pod_running_timeout: Duration::from_secs(60),
        }
    }
}

/// Flags of `exec`.
#[derive(Args, Clone, Debug)]
pub struct ExecArgs {
    /// POD or TYPE/NAME, then perhaps a command without `--`, which is refused.
    pub words: Vec<String>,
    /// Files with the object to exec into.
    #[command(flatten)]
    pub files: FileArgs,
    /// How to talk with it.
    #[command(flatten)]
    pub terminal: TerminalArgs,
    /// The command.
    #[arg(last = true)]
    pub command: Vec<String>,
}

/// Flags of `attach`.
#[derive(Args, Clone, Debug)]
pub struct AttachArgs {
    /// POD, TYPE/NAME or TYPE NAME.
    pub words: Vec<String>,
    /// How to talk with it.
    #[command(flatten)]
    pub terminal: TerminalArgs,
}

/// Flags of `port-forward`.
#[derive(Args, Clone, Debug)]
pub struct PortForwardArgs {
    /// TYPE/NAME, then `[LOCAL_PORT:]REMOTE_PORT`...
    pub words: Vec<String>,
    /// Addresses to listen on (comma separated). Only accepts IP addresses or localhost as a value.
    #[arg(
        long,
        default_value = "localhost",
        value_delimiter = ',',
        value_name = "ADDRESSES"
    )]
    pub address: Vec<String>,
    /// How long to wait until a pod runs.
    #[command(flatten)]
    pub running: RunningArgs,
}

/// Flags of `cp`.
#[derive(Args, Clone, Debug)]
pub struct CpArgs {
    /// The source and the destination, one of them `[NAMESPACE/]POD:PATH`.
    pub words: Vec<String>,
    /// Container name.
    #[arg(short = 'c', long, value_name = "CONTAINER")]
    pub container: Option<String>,
    /// The copied file/directory's ownership and permissions will not be preserved in the container.
    #[arg(long)]
    pub no_preserve: bool,
    /// Number of retries to complete a copy operation from a container; any negative value is for ever.
    #[arg(
        long,
        default_value_t = 0,
        allow_negative_numbers = true,
        value_name = "COUNT"
    )]
    pub retries: i64,
}

/// Flags of `logs`.
#[derive(Args, Clone, Debug)]
pub struct LogsArgs {
    /// POD or TYPE/NAME, then perhaps the container.
    pub words: Vec<String>,
    /// Print the logs of this container.
    #[arg(short = 'c', long, value_name = "CONTAINER")]
    pub container: Option<String>,
    /// Specify if the logs should be streamed.
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// If true, print the logs for the previous instance of the container in a pod if it exists.
    #[arg(short = 'p', long)]
    pub previous: bool,
    /// Lines of recent log file to display. Defaults to -1 with no selector, showing all log lines, otherwise 10.
    #[arg(long, allow_negative_numbers = true, value_name = "LINES")]
    pub tail: Option<i64>,
    /// Include timestamps on each line in the log output.
    #[arg(long)]
    pub timestamps: bool,
    /// Only return logs newer than a relative duration like 5s, 2m, or 3h.
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = crate::parse::signed_duration)]
    pub since: f64,
    /// Only return logs after a specific date (RFC3339).
    #[arg(long, value_name = "TIME")]
    pub since_time: Option<String>,
    /// Maximum bytes of logs to return.
    #[arg(
        long,
        default_value_t = 0,
        allow_negative_numbers = true,
        value_name = "BYTES"
    )]
    pub limit_bytes: i64,
    /// Get all containers' logs in the pod(s).
    #[arg(long)]
    pub all_containers: bool,
    /// Get logs from all pod(s). Sets prefix to true.
    #[arg(long)]
    pub all_pods: bool,
    /// If watching / following pod logs, allow for any errors that occur to be non-fatal.
    #[arg(long)]
    pub ignore_errors: bool,
    /// Specify maximum number of concurrent logs to follow when using by a selector.
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    pub max_log_requests: i64,
    /// Prefix each log line with the log source (pod name and container name).
    #[arg(long)]
    pub prefix: bool,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// The length of time (like 5s, 2m, or 3h, higher than zero) to wait until at least one pod is running.
    #[arg(long, default_value = "20s", value_name = "DURATION", value_parser = crate::parse::duration)]
    pub pod_running_timeout: Duration,
}
