//! What a command works with: the connection, the namespace, and what the server serves.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferrule_client::kubeconfig::{ConfigError, Pem};
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
    /// How it is reached.
    pub config: ClientConfig,
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

/// How many warnings the server has sent.
static WARNINGS: AtomicUsize = AtomicUsize::new(0);

/// How many warnings the server has sent to this program.
pub fn warnings() -> usize {
    WARNINGS.load(Ordering::Relaxed)
}

fn warned(text: &str) {
    WARNINGS.fetch_add(1, Ordering::Relaxed);
    crate::commands::warn(&format!("Warning: {text}"));
}

/// Lets the context name the cluster and the user of the flags, which must be there.
fn choose(file: &mut Kubeconfig, args: &GlobalArgs) -> Result<()> {
    if let Some(user) = args.user.last()
        && !file.users.iter().any(|own| own.name == *user)
    {
        return Err(Error::local(format!("auth info {user:?} does not exist")));
    }
    if let Some(cluster) = &args.cluster
        && !file.clusters.iter().any(|own| own.name == *cluster)
    {
        return Err(Error::local(format!(
            "no server found for cluster {cluster:?}"
        )));
    }
    let name = args.context.as_ref().unwrap_or(&file.current_context);
    let context = file.contexts.iter_mut().find(|own| own.name == *name);
    let Some(context) = context else {
        return Ok(());
    };
    if let Some(cluster) = &args.cluster {
        context.value.cluster.clone_from(cluster);
    }
    if let Some(user) = args.user.last() {
        context.value.user.clone_from(user);
    }
    Ok(())
}

/// What the flags say of the connection.
fn override_by(config: &mut ClientConfig, args: &GlobalArgs) {
    let file = |path: &String| Pem::File(PathBuf::from(path));
    if let Some(path) = &args.certificate_authority {
        config.authority = Some(file(path));
    }
    if let (Some(certificate), Some(key)) = (&args.client_certificate, &args.client_key) {
        config.identity = Some((file(certificate), file(key)));
    }
    if let Some(token) = &args.token {
        config.token = Some(token.clone());
        config.identity = None;
    }
    if let Some(name) = &args.tls_server_name {
        config.server_name = Some(name.clone());
    }
}

/// Where a server is looked for when nothing says where it is.
fn nowhere() -> ClientConfig {
    ClientConfig {
        servers: vec!["localhost:8080".to_owned()],
        authority: Some(Pem::Inline(Vec::new())),
        identity: None,
        token: None,
        server_name: None,
        user_agent: concat!("kubectl/", env!("CARGO_PKG_VERSION")).to_owned(),
        namespace: "default".to_owned(),
    }
}

impl Session {
    /// Reads the kubeconfig; sends nothing.
    pub fn open(args: &GlobalArgs) -> Result<Session> {
        let path = kubeconfig_path(args);
        if args.kubeconfig.is_none() && !path.exists() && args.context.is_none() {
            return Session::of(nowhere(), args);
        }
        let mut file = load(&path)?;
        if let Some(context) = &args.context
            && !file.contexts.iter().any(|own| own.name == *context)
        {
            return Err(Error::Plain(format!(
                "Error in configuration: context was not found for specified context: {context}"
            )));
        }
        choose(&mut file, args)?;
        let names_none = file.current_context.is_empty() && args.context.is_none();
        if names_none && args.server.is_none() {
            return Session::of(nowhere(), args);
        }
        let mut config = ClientConfig::from_kubeconfig(&file, args.context.as_deref())
            .map_err(|error| Error::local(error.to_string()))?;
        config.user_agent = concat!("kubectl/", env!("CARGO_PKG_VERSION")).to_owned();
        Session::of(config, args)
    }

    fn of(mut config: ClientConfig, args: &GlobalArgs) -> Result<Session> {
        if let Some(server) = &args.server {
            config.servers = vec![
                server
                    .trim_start_matches("https://")
                    .trim_end_matches('/')
                    .to_owned(),
            ];
        }
        override_by(&mut config, args);
        let client = Client::new(&config).map_err(|error| Error::local(error.to_string()))?;
        let client = client.on_warning(warned);
        Ok(Session {
            client,
            namespace: args.namespace.clone().unwrap_or(config.namespace.clone()),
            namespace_given: args.namespace.is_some(),
            server: config.servers.first().cloned().unwrap_or_default(),
            config,
            resources: OnceCell::new(),
        })
    }

    /// What the server serves; asked for once.
    pub async fn resources(&self) -> Result<&Resources> {
        let ask = async || Ok::<_, Error>(Resources::new(self.client.resources().await?));
        self.resources.get_or_try_init(ask).await
    }
}
