//! The configuration file: `KubeSchedulerConfiguration` of `kubescheduler.config.k8s.io/v1`.
//!
//! What is wrong is said with the path of its field, all of it at once.

mod args;
mod fields;
mod points;

use std::time::Duration;

use ferrule_apimachinery::field::{self, FieldError, Path};
use serde_json::Value;

use self::fields::Fields;
pub use self::points::points_by_default;
use crate::profile::{DEFAULT_SCHEDULER, PluginArgs, Profile};

/// `apiVersion` of the file.
pub const API_VERSION: &str = "kubescheduler.config.k8s.io/v1";
/// `kind` of the file.
pub const KIND: &str = "KubeSchedulerConfiguration";

/// What the file says.
pub struct Configuration {
    /// One for each scheduler name.
    pub profiles: Vec<Profile>,
    /// How long a refused pod waits at first.
    pub first_backoff: Duration,
    /// How long it waits at most.
    pub longest_backoff: Duration,
    /// How to reach the API server.
    pub kubeconfig: Option<String>,
    /// Whether to lead only while holding the lease.
    pub leader_elect: Option<bool>,
    /// How long others wait for a leader that is silent.
    pub lease_duration: Option<Duration>,
    /// Where the lease is: namespace and name.
    pub lease: (String, String),
}

impl Default for Configuration {
    fn default() -> Self {
        Configuration {
            profiles: vec![Profile::default()],
            first_backoff: Duration::from_secs(1),
            longest_backoff: Duration::from_secs(10),
            kubeconfig: None,
            leader_elect: None,
            lease_duration: None,
            lease: ("kube-system".to_owned(), "kube-scheduler".to_owned()),
        }
    }
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// It is no YAML document.
    #[error("{0}")]
    Yaml(String),
    /// It is another kind of object.
    #[error("no kind {kind:?} is registered for version {version:?}")]
    Kind {
        /// Its `kind`.
        kind: String,
        /// Its `apiVersion`.
        version: String,
    },
    /// Fields are wrong.
    #[error("{}", field::aggregate(.0))]
    Fields(Vec<FieldError>),
}

/// Whether a text is meant to be such a file, right or wrong.
pub fn is_configuration(text: &str) -> bool {
    let documents = ferrule_apimachinery::yaml::read(text).unwrap_or_default();
    documents.iter().any(|document| document["kind"] == KIND)
}

/// Reads a file's text.
pub fn read(text: &str) -> Result<Configuration, ConfigurationError> {
    let documents = ferrule_apimachinery::yaml::read(text)
        .map_err(|error| ConfigurationError::Yaml(error.to_string()))?;
    let [document] = documents.as_slice() else {
        let message = format!("expected one document, found {}", documents.len());
        return Err(ConfigurationError::Yaml(message));
    };
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if version != API_VERSION || kind != KIND {
        return Err(ConfigurationError::Kind { kind, version });
    }
    let mut errors = Vec::new();
    let configuration = whole(document, &mut errors);
    if errors.is_empty() {
        Ok(configuration)
    } else {
        Err(ConfigurationError::Fields(errors))
    }
}

fn whole(document: &Value, errors: &mut Vec<FieldError>) -> Configuration {
    let mut configuration = Configuration::default();
    let mut fields = Fields::new(document, Path::root(), errors);
    let _ = (fields.text("apiVersion"), fields.text("kind"));
    // Upstream works in parallel and serves profiles; here they change nothing.
    if let Some(parallelism) = fields.number("parallelism")
        && parallelism <= 0
    {
        let path = fields.path("parallelism");
        fields.refuse(FieldError::invalid(
            &path,
            parallelism,
            "should be an integer value greater than zero",
        ));
    }
    let _ = fields.boolean("enableProfiling");
    let _ = fields.boolean("enableContentionProfiling");
    let _ = fields.boolean("delayCacheUntilActive");
    let percentage = percentage(&mut fields);
    let first = fields.number("podInitialBackoffSeconds").unwrap_or(1);
    let longest = fields.number("podMaxBackoffSeconds").unwrap_or(10);
    if first <= 0 {
        let path = fields.path("podInitialBackoffSeconds");
        fields.refuse(FieldError::invalid(&path, first, "must be greater than 0"));
    }
    if longest < first {
        let path = fields.path("podMaxBackoffSeconds");
        fields.refuse(FieldError::invalid(
            &path,
            longest,
            "must be greater than or equal to PodInitialBackoffSeconds",
        ));
    }
    let seconds = |number: i64| Duration::from_secs(u64::try_from(number).unwrap_or(0));
    configuration.first_backoff = seconds(first);
    configuration.longest_backoff = seconds(longest);
    fields.object("clientConnection", |fields| {
        configuration.kubeconfig = fields.text("kubeconfig");
        let _ = fields.text("acceptContentTypes");
        let _ = fields.text("contentType");
        let _ = (fields.any("qps"), fields.any("burst"));
    });
    fields.object("leaderElection", |fields| {
        election(fields, &mut configuration);
    });
    if let Some(extenders) = fields.any("extenders")
        && extenders.as_array().is_none_or(|list| !list.is_empty())
    {
        let path = fields.path("extenders");
        fields.refuse(FieldError::forbidden(&path, "extenders are not supported"));
    }
    let mut profiles = Vec::new();
    fields.list("profiles", |fields| {
        profiles.push(profile(fields, percentage));
    });
    names(&mut fields, &mut profiles);
    if !profiles.is_empty() {
        configuration.profiles = profiles;
    } else {
        configuration.profiles[0].percentage_of_nodes_to_score = percentage;
    }
    fields.end();
    configuration
}

fn election(fields: &mut Fields, configuration: &mut Configuration) {
    configuration.leader_elect = fields.boolean("leaderElect");
    configuration.lease_duration = fields.duration("leaseDuration");
    let _ = fields.duration("renewDeadline");
    let _ = fields.duration("retryPeriod");
    if let Some(lock) = fields.text("resourceLock")
        && lock != "leases"
    {
        let path = fields.path("resourceLock");
        fields.refuse(FieldError::invalid(
            &path,
            lock.as_str(),
            "resourceLock value must be \"leases\"",
        ));
    }
    if let Some(namespace) = fields.text("resourceNamespace") {
        configuration.lease.0 = namespace;
    }
    if let Some(name) = fields.text("resourceName") {
        configuration.lease.1 = name;
    }
}

fn percentage(fields: &mut Fields) -> usize {
    let set = fields.number("percentageOfNodesToScore").unwrap_or(0);
    if !(0..=100).contains(&set) {
        let path = fields.path("percentageOfNodesToScore");
        fields.refuse(FieldError::invalid(
            &path,
            set,
            "not in valid range [0-100]",
        ));
    }
    usize::try_from(set).unwrap_or(0)
}

fn profile(fields: &mut Fields, percentage_of_all: usize) -> Profile {
    let name = fields.text("schedulerName").unwrap_or_default();
    let percentage = match fields.has("percentageOfNodesToScore") {
        true => percentage(fields),
        false => percentage_of_all,
    };
    let points = points::read(fields);
    let mut args = PluginArgs::default();
    let mut seen: Vec<String> = Vec::new();
    fields.list("pluginConfig", |fields| {
        let plugin = fields.text("name").unwrap_or_default();
        if seen.contains(&plugin) {
            let path = fields.whole();
            fields.refuse(FieldError::duplicate(&path, plugin.as_str()));
        }
        args::read(fields, &plugin, &mut args);
        seen.push(plugin);
    });
    Profile::new(&name, percentage, &points, &args)
}

/// Only a single profile may go without a name.
fn names(fields: &mut Fields, profiles: &mut [Profile]) {
    if let [one] = profiles
        && one.scheduler_name.is_empty()
    {
        one.scheduler_name = DEFAULT_SCHEDULER.to_owned();
    }
    let all = fields.path("profiles");
    for (index, profile) in profiles.iter().enumerate() {
        let path = all.index(index).child("schedulerName");
        if profile.scheduler_name.is_empty() {
            fields.refuse(FieldError::required(&path, ""));
            continue;
        }
        let same = |other: &Profile| other.scheduler_name == profile.scheduler_name;
        if let Some(first) = profiles[..index].iter().position(same) {
            let first = all.index(first).child("schedulerName");
            fields.refuse(FieldError::duplicate(&path, first.as_str()));
        }
    }
}

#[cfg(test)]
mod tests;
