//! Log lines on standard error, as text or JSON.

use tracing_subscriber::{EnvFilter, fmt};

use crate::cli::LogFormat;

/// Starts logging; `RUST_LOG` overrides the verbosity. A second call changes nothing.
pub fn init(format: LogFormat, verbosity: u8) {
    let level = match verbosity {
        0..=2 => "info",
        3..=4 => "debug",
        _ => "trace",
    };
    // The transport's own chatter is of use only to those who ask for it by name.
    let quiet = format!("{level},h2=info,hyper=info,hyper_util=info,rustls=info,tower=info");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(quiet));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
