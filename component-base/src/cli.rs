//! Flags and the configuration file, and the frame around a component's `main`.
//!
//! A configuration file is a YAML map with the names of the flags; what the command line says
//! wins. Errors of configuration are one line and exit 64 (`EX_USAGE`); a component that fails
//! while running exits 1.

use std::ffi::OsString;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, ValueEnum};
use ferrule_client::{Client, ClientConfig};
use tokio_util::sync::CancellationToken;

use crate::{logging, shutdown, tls::TlsFiles};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The flags that every server takes.
#[derive(Args, Clone, Debug)]
pub struct CommonArgs {
    /// A YAML file with the names of these flags; the command line wins.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How to reach the API server, and as whom.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Number for the log level verbosity: 0-2 info, 3-4 debug, 5 and more trace.
    #[arg(short = 'v', long = "v", value_name = "LEVEL", default_value_t = 2)]
    pub verbosity: u8,
    /// How log lines are written.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// The certificate of this server (PEM, with its chain).
    #[arg(long, value_name = "FILE")]
    pub tls_cert_file: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, value_name = "FILE")]
    pub tls_private_key_file: Option<PathBuf>,
    /// The authorities whose client certificates are believed.
    #[arg(long, value_name = "FILE")]
    pub client_ca_file: Option<PathBuf>,
    /// The address to listen on.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    pub bind_address: IpAddr,
    /// The port to listen on; each component has its own default.
    #[arg(long, value_name = "PORT")]
    pub secure_port: Option<u16>,
}

impl CommonArgs {
    /// Where this component listens, given its default port.
    pub fn address(&self, default_port: u16) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.secure_port.unwrap_or(default_port))
    }

    /// A client of the API server that the kubeconfig names; `component` is what its logs call us.
    pub fn client(&self, component: &str) -> anyhow::Result<Client> {
        let kubeconfig = self.kubeconfig.as_deref();
        let kubeconfig = kubeconfig.context("--kubeconfig is required")?;
        let agent = format!("{component}/{}", crate::VERSION);
        Ok(Client::new(&ClientConfig::load(kubeconfig, &agent)?)?)
    }

    /// The files of the serving certificate; all three flags are needed.
    pub fn tls_files(&self) -> anyhow::Result<TlsFiles> {
        let need = |file: &Option<PathBuf>, flag: &str| {
            file.clone()
                .ok_or_else(|| anyhow::anyhow!("--{flag} is required"))
        };
        Ok(TlsFiles {
            certificate: need(&self.tls_cert_file, "tls-cert-file")?,
            key: need(&self.tls_private_key_file, "tls-private-key-file")?,
            client_ca: need(&self.client_ca_file, "client-ca-file")?,
        })
    }
}

/// Parses the command line and the configuration file that it names.
///
/// Prints help and version as clap does; any other refusal is one line and exit 64.
pub fn parse<T: Parser>() -> T {
    match parse_from(std::env::args_os()) {
        Ok(args) => args,
        Err(ParseError::Clap(error)) if !error.use_stderr() => error.exit(),
        Err(error) => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            eprintln!("{line}");
            std::process::exit(64);
        }
    }
}

/// Why the configuration could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// A flag is unknown, malformed or missing.
    #[error("{0}")]
    Clap(#[from] clap::Error),
    /// The configuration file could not be used.
    #[error("error: --config {path}: {reason}", path = path.display())]
    File {
        /// The file as given.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
}

/// [`parse`] over given words, the program's name first.
pub fn parse_from<T: Parser>(words: impl IntoIterator<Item = OsString>) -> Result<T, ParseError> {
    let words: Vec<OsString> = words.into_iter().collect();
    let mut all: Vec<OsString> = words.first().cloned().into_iter().collect();
    if let Some(path) = config_path(&words) {
        all.extend(flags_of_file(&path)?);
    }
    all.extend(words.into_iter().skip(1));
    let command = T::command().args_override_self(true);
    let matches = command.try_get_matches_from(all)?;
    Ok(T::from_arg_matches(&matches)?)
}

fn config_path(words: &[OsString]) -> Option<PathBuf> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--config" {
            return words.next().map(PathBuf::from);
        }
        if let Some(value) = word.to_str().and_then(|w| w.strip_prefix("--config=")) {
            return Some(PathBuf::from(value));
        }
    }
    None
}

fn flags_of_file(path: &std::path::Path) -> Result<Vec<OsString>, ParseError> {
    let refuse = |reason: String| ParseError::File {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    let map: std::collections::BTreeMap<String, serde_yaml::Value> =
        serde_yaml::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    let mut flags = Vec::new();
    for (name, value) in map {
        let values = match value {
            serde_yaml::Value::Sequence(values) => values,
            one => vec![one],
        };
        for value in values {
            let text = match value {
                serde_yaml::Value::String(text) => text,
                serde_yaml::Value::Bool(true) => {
                    flags.push(format!("--{name}=true").into());
                    continue;
                }
                serde_yaml::Value::Bool(false) => "false".to_owned(),
                serde_yaml::Value::Number(number) => number.to_string(),
                _ => {
                    return Err(refuse(format!(
                        "{name}: must be a scalar or a list of scalars"
                    )));
                }
            };
            flags.push(format!("--{name}={text}").into());
        }
    }
    Ok(flags)
}

/// Runs a component: logging, a runtime, signals; one line and exit 1 when it fails.
///
/// `main` is called with a token that is cancelled by SIGTERM or SIGINT.
pub fn run<F, Fut>(name: &'static str, common: &CommonArgs, main: F) -> ExitCode
where
    F: FnOnce(CancellationToken) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    logging::init(common.log_format, common.verbosity);
    tls::install_provider();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{name}: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        let token = shutdown::token();
        tracing::info!(version = crate::VERSION, "starting {name}");
        main(token).await
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

use crate::tls;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser, Debug)]
    struct Example {
        #[command(flatten)]
        common: CommonArgs,
        #[arg(long, default_value_t = 3)]
        replicas: u32,
        #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
        leader_elect: bool,
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.yaml");
        std::fs::write(&file, "replicas: 5\nv: 4\nleader-elect: false\n").unwrap();
        let line = format!("example --config {} --replicas 7", file.display());
        let example: Example = parse_from(words(&line)).unwrap();
        assert_eq!((example.replicas, example.common.verbosity), (7, 4));
        assert!(!example.leader_elect);
    }

    #[test]
    fn an_unknown_name_in_the_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.yaml");
        std::fs::write(&file, "replcas: 5\n").unwrap();
        let line = format!("example --config={}", file.display());
        let error = parse_from::<Example>(words(&line)).unwrap_err().to_string();
        assert!(error.contains("--replcas"), "{error}");
    }
}
