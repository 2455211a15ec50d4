//! The kubeconfig file, as upstream's clients read it, and the client configuration in it.

use std::path::{Path, PathBuf};

use base64::Engine;
use serde::{Deserialize, Serialize};

/// A kubeconfig file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Kubeconfig {
    /// `v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// `Config`.
    pub kind: String,
    /// The clusters by name.
    #[serde(deserialize_with = "null_is_default")]
    pub clusters: Vec<Named<Cluster>>,
    /// Which user goes to which cluster.
    #[serde(deserialize_with = "null_is_default")]
    pub contexts: Vec<Named<Context>>,
    /// The context used when none is asked for.
    pub current_context: String,
    /// The users by name.
    #[serde(deserialize_with = "null_is_default")]
    pub users: Vec<Named<User>>,
    /// Kept as found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferences: Option<serde_yaml::Value>,
    /// The folder that relative paths are relative to.
    #[serde(skip)]
    pub folder: PathBuf,
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An entry of one of the lists of a kubeconfig.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Named<T> {
    /// Its name in the file.
    pub name: String,
    /// What it holds, under the key of its list.
    #[serde(alias = "cluster", alias = "context", alias = "user")]
    #[serde(bound = "T: Serialize + for<'a> Deserialize<'a>")]
    pub value: T,
}

/// Where an API server is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Cluster {
    /// `https://host:port`; several may be given, separated by commas, and are tried in turn.
    pub server: String,
    /// The authority of its certificate, as a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<String>,
    /// The same, as base64 of PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authority_data: Option<String>,
    /// The name expected in its certificate, in place of the host of `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_server_name: Option<String>,
    /// What this program does not use is kept.
    #[serde(flatten)]
    pub rest: std::collections::BTreeMap<String, serde_yaml::Value>,
}

/// A user at a cluster, and the namespace meant when none is named.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Context {
    /// The name of a cluster.
    pub cluster: String,
    /// The namespace; absent means `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name of a user.
    pub user: String,
    /// What this program does not use is kept.
    #[serde(flatten)]
    pub rest: std::collections::BTreeMap<String, serde_yaml::Value>,
}

/// Who calls.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct User {
    /// The client's certificate, as a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// The same, as base64 of PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_data: Option<String>,
    /// Its key, as a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
    /// The same, as base64 of PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key_data: Option<String>,
    /// A bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What this program does not use is kept.
    #[serde(flatten)]
    pub rest: std::collections::BTreeMap<String, serde_yaml::Value>,
}

/// Why a kubeconfig cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no kubeconfig.
    #[error("error loading config file \"{path}\": {reason}", path = path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A context, cluster or user that is named is not there, or a value is malformed.
    #[error("{0}")]
    Invalid(String),
}

impl Kubeconfig {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Kubeconfig, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut config: Kubeconfig = if text.trim().is_empty() {
            Kubeconfig::default()
        } else {
            parse(&text).map_err(|reason| ConfigError::Parse {
                path: path.to_owned(),
                reason,
            })?
        };
        config.folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(config)
    }

    /// Writes a file that only its owner can read.
    pub fn save(&self, path: &Path) -> Result<(), ConfigError> {
        let refuse = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let text = self.to_yaml().map_err(|reason| ConfigError::Parse {
            path: path.to_owned(),
            reason,
        })?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(refuse)?;
        }
        let temporary = path.with_extension("tmp");
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)
            .map_err(refuse)?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(refuse)?;
        std::fs::rename(&temporary, path).map_err(refuse)
    }

    /// The file's text.
    pub fn to_yaml(&self) -> Result<String, String> {
        let mut value = serde_yaml::to_value(self).map_err(|error| error.to_string())?;
        for (list, key) in LISTS {
            let Some(entries) = value
                .get_mut(list)
                .and_then(serde_yaml::Value::as_sequence_mut)
            else {
                continue;
            };
            for entry in entries {
                let Some(map) = entry.as_mapping_mut() else {
                    continue;
                };
                if let Some(inner) = map.remove("value") {
                    map.insert(key.into(), inner);
                }
            }
        }
        serde_yaml::to_string(&value).map_err(|error| error.to_string())
    }

    /// `$KUBECONFIG` (its first file), else `~/.kube/config`.
    pub fn default_path() -> PathBuf {
        let named = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty());
        let first = named.and_then(|value| std::env::split_paths(&value).next());
        if let Some(first) = first {
            return first;
        }
        let home = std::env::var_os("HOME")
            .map(PathBuf::from)
            .unwrap_or_default();
        home.join(".kube/config")
    }
}

const LISTS: [(&str, &str); 3] = [
    ("clusters", "cluster"),
    ("contexts", "context"),
    ("users", "user"),
];

fn parse(text: &str) -> Result<Kubeconfig, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}

/// A credential or authority, in memory or in a file that may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pem {
    /// The PEM itself.
    Inline(Vec<u8>),
    /// A file with it.
    File(PathBuf),
}

impl Pem {
    /// The bytes as they are now.
    pub fn read(&self) -> Result<Vec<u8>, ConfigError> {
        match self {
            Pem::Inline(bytes) => Ok(bytes.clone()),
            Pem::File(path) => std::fs::read(path).map_err(|source| ConfigError::Read {
                path: path.clone(),
                source,
            }),
        }
    }
}

/// Everything a connection needs.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `host:port` of each API server; they are tried in turn.
    pub servers: Vec<String>,
    /// The authority of their certificates.
    pub authority: Option<Pem>,
    /// The client's certificate and key.
    pub identity: Option<(Pem, Pem)>,
    /// A bearer token, in place of or beside a certificate.
    pub token: Option<String>,
    /// The name expected in the certificates, in place of the host.
    pub server_name: Option<String>,
    /// What the server's logs call this client: `kube-scheduler/0.1.0`.
    pub user_agent: String,
    /// The namespace of the context.
    pub namespace: String,
}

impl ClientConfig {
    /// Reads the kubeconfig of a component, with its current context.
    pub fn load(path: &Path, user_agent: &str) -> Result<ClientConfig, ConfigError> {
        let mut config = ClientConfig::from_kubeconfig(&Kubeconfig::load(path)?, None)?;
        config.user_agent = user_agent.to_owned();
        Ok(config)
    }

    /// The configuration of `context`, or of the current one.
    pub fn from_kubeconfig(
        config: &Kubeconfig,
        context: Option<&str>,
    ) -> Result<ClientConfig, ConfigError> {
        let name = context.unwrap_or(&config.current_context);
        let context = find(&config.contexts, name)
            .ok_or_else(|| ConfigError::Invalid(format!("context {name:?} does not exist")))?;
        let cluster = find(&config.clusters, &context.cluster).ok_or_else(|| {
            ConfigError::Invalid(format!("cluster {:?} does not exist", context.cluster))
        })?;
        let user = find(&config.users, &context.user)
            .cloned()
            .unwrap_or_default();
        let pem = |data: &Option<String>, file: &Option<String>| pem(&config.folder, data, file);
        let authority = pem(
            &cluster.certificate_authority_data,
            &cluster.certificate_authority,
        )?;
        let certificate = pem(&user.client_certificate_data, &user.client_certificate)?;
        let key = pem(&user.client_key_data, &user.client_key)?;
        Ok(ClientConfig {
            servers: cluster
                .server
                .split(',')
                .map(host_and_port)
                .collect::<Result<_, _>>()?,
            authority,
            identity: certificate.zip(key),
            token: user.token,
            server_name: cluster.tls_server_name.clone(),
            user_agent: format!("ferrule/{}", env!("CARGO_PKG_VERSION")),
            namespace: context
                .namespace
                .clone()
                .filter(|n| !n.is_empty())
                .unwrap_or_else(|| "default".to_owned()),
        })
    }
}

fn find<'a, T>(entries: &'a [Named<T>], name: &str) -> Option<&'a T> {
    entries
        .iter()
        .find(|entry| entry.name == name)
        .map(|entry| &entry.value)
}

fn pem(
    folder: &Path,
    data: &Option<String>,
    file: &Option<String>,
) -> Result<Option<Pem>, ConfigError> {
    if let Some(data) = data.as_deref().filter(|data| !data.is_empty()) {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(data.trim())
            .map_err(|error| {
                ConfigError::Invalid(format!("certificate data is no base64: {error}"))
            })?;
        return Ok(Some(Pem::Inline(bytes)));
    }
    Ok(file
        .as_deref()
        .filter(|file| !file.is_empty())
        .map(|file| Pem::File(folder.join(file))))
}

fn host_and_port(server: &str) -> Result<String, ConfigError> {
    let server = server.trim();
    let rest = server
        .strip_prefix("https://")
        .unwrap_or(server)
        .trim_end_matches('/');
    if rest.is_empty() || server.starts_with("http://") {
        return Err(ConfigError::Invalid(format!(
            "server {server:?} is no https address"
        )));
    }
    let has_port = rest
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if has_port {
        rest.to_owned()
    } else {
        format!("{rest}:443")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "apiVersion: v1\nkind: Config\nclusters:\n- name: lab\n  cluster:\n    server: https://a:6443,https://b\n    certificate-authority: ca.crt\ncontexts:\n- name: lab\n  context: {cluster: lab, user: admin}\ncurrent-context: lab\nusers:\n- name: admin\n  user:\n    client-certificate-data: YQ==\n    client-key-data: Yg==\n";

    #[test]
    fn files_are_relative_to_the_kubeconfig_and_data_is_decoded() {
        let mut file = parse(TEXT).unwrap();
        file.folder = "/etc/ferrule".into();
        let config = ClientConfig::from_kubeconfig(&file, None).unwrap();
        assert_eq!(config.servers, ["a:6443", "b:443"]);
        assert_eq!(
            config.authority,
            Some(Pem::File("/etc/ferrule/ca.crt".into()))
        );
        assert_eq!(
            config.identity,
            Some((Pem::Inline(b"a".to_vec()), Pem::Inline(b"b".to_vec())))
        );
        assert_eq!(config.namespace, "default");
    }

    #[test]
    fn a_written_file_reads_back_the_same() {
        let file = parse(TEXT).unwrap();
        let again = parse(&file.to_yaml().unwrap()).unwrap();
        assert_eq!(again.clusters[0].value.server, "https://a:6443,https://b");
        assert_eq!(again.contexts[0].value.user, "admin");
    }

    #[test]
    fn an_unknown_context_is_named_in_the_error() {
        let error = ClientConfig::from_kubeconfig(&parse(TEXT).unwrap(), Some("x")).unwrap_err();
        assert_eq!(error.to_string(), "context \"x\" does not exist");
    }
}
