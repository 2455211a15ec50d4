//! What a command works with: the connection, the namespace, and what the server serves.

use std::path::PathBuf;

use ferrule_client::kubeconfig::ConfigError;
use ferrule_client::{Client, ClientConfig, Kubeconfig};
use tokio::sync::OnceCell;

use crate::args::GlobalArgs;
use crate::error::{Error, Result};
use crate::resources::Resources;

/// A connection, opened by the first use.
pub struct Session {
    /// The client.
    pub client: Client,
    /// The namespace of the flags or the context.
    pub namespace: String,
    /// The flag `--namespace` was given.
    pub namespace_given: bool,
    /// Where the server is.
    pub server: String,
    resources: OnceCell<Resources>,
}

/// The file that the flags or the environment name.
pub fn kubeconfig_path(args: &GlobalArgs) -> PathBuf {
    args.kubeconfig
        .clone()
        .unwrap_or_else(Kubeconfig::default_path)
}

/// Reads a kubeconfig.
pub fn load(path: &std::path::Path) -> Result<Kubeconfig> {
    Kubeconfig::load(path).map_err(|error| match error {
        ConfigError::Read { path, source } => Error::local(format!(
            "stat {}: {}",
            path.display(),
            crate::output::go(&source)
        )),
        other => Error::local(other.to_string()),
    })
}

impl Session {
    /// Reads the kubeconfig; sends nothing.
    pub fn open(args: &GlobalArgs) -> Result<Session> {
        let path = kubeconfig_path(args);
        let missing = args.kubeconfig.is_none() && !path.exists();
        if missing {
            return Err(Error::Plain(
                "The connection to the server localhost:8080 was refused - did you specify the right host or port?"
                    .to_owned(),
            ));
        }
        let file = load(&path)?;
        if let Some(context) = &args.context
            && !file.contexts.iter().any(|own| own.name == *context)
        {
            return Err(Error::Plain(format!(
                "Error in configuration: context was not found for specified context: {context}"
            )));
        }
        let mut config = ClientConfig::from_kubeconfig(&file, args.context.as_deref())
            .map_err(|error| Error::local(error.to_string()))?;
        config.user_agent = concat!("kubectl/", env!("CARGO_PKG_VERSION")).to_owned();
        if let Some(server) = &args.server {
            config.servers = vec![
                server
                    .trim_start_matches("https://")
                    .trim_end_matches('/')
                    .to_owned(),
            ];
        }
        let client = Client::new(&config).map_err(|error| Error::local(error.to_string()))?;
        Ok(Session {
            client,
            namespace: args.namespace.clone().unwrap_or(config.namespace),
            namespace_given: args.namespace.is_some(),
            server: config.servers.first().cloned().unwrap_or_default(),
            resources: OnceCell::new(),
        })
    }

    /// What the server serves; asked for once.
    pub async fn resources(&self) -> Result<&Resources> {
        let ask = async || Ok::<_, Error>(Resources::new(self.client.resources().await?));
        self.resources.get_or_try_init(ask).await
    }
}
