//! Flags of `create` and its generators.

use clap::{Args, Subcommand};

use super::{FileArgs, PrintArgs, WriteArgs};

/// Flags of `create`.
#[derive(Args, Debug)]
pub struct CreateArgs {
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
    /// Edit the API resource before creating.
    #[arg(long)]
    pub edit: bool,
    /// Raw URI to POST to the server.
    #[arg(long, value_name = "URI")]
    pub raw: Option<String>,
    /// Only relevant if --edit=true. Defaults to the line ending native to your platform.
    #[arg(long)]
    pub windows_line_endings: bool,
    /// A generator.
    #[command(subcommand)]
    pub generator: Option<Generator>,
}

/// Objects made from flags.
#[derive(Subcommand, Debug)]
pub enum Generator {
    /// Create a cluster role.
    Clusterrole(CreateRoleArgs),
    /// Create a cluster role binding for a particular cluster role.
    Clusterrolebinding(CreateBindingArgs),
    /// Create a cron job with the specified name.
    #[command(alias = "cj")]
    Cronjob(CreateCronJobArgs),
    /// Create an ingress with the specified name.
    #[command(alias = "ing")]
    Ingress(CreateIngressArgs),
    /// Create a job with the specified name.
    Job(CreateJobArgs),
    /// Create a quota with the specified name.
    #[command(alias = "resourcequota")]
    Quota(CreateQuotaArgs),
    /// Create a role with single rule.
    Role(CreateRoleArgs),
    /// Create a role binding for a particular role or cluster role.
    Rolebinding(CreateBindingArgs),
    /// Request a service account token.
    Token(CreateTokenArgs),
    /// Create a deployment with the specified name.
    #[command(aliases = ["deploy", "dep"])]
    Deployment(CreateDeploymentArgs),
    /// Create a namespace with the specified name.
    #[command(alias = "ns")]
    Namespace {
        /// The name.
        words: Vec<String>,
        /// How to write.
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Create a config map from a local file, directory or literal value.
    #[command(aliases = ["cm", "configmaps"])]
    Configmap {
        /// The name.
        words: Vec<String>,
        /// What it holds.
        #[command(flatten)]
        data: DataArgs,
        /// How to write.
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Create a service account with the specified name.
    #[command(alias = "sa")]
    Serviceaccount {
        /// The name.
        words: Vec<String>,
        /// How to write.
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Create a pod disruption budget with the specified name.
    #[command(alias = "pdb")]
    Poddisruptionbudget(CreateBudgetArgs),
    /// Create a priority class with the specified name.
    #[command(alias = "pc")]
    Priorityclass(CreatePriorityClassArgs),
    /// Create a service using a specified subcommand.
    #[command(alias = "svc", subcommand)]
    Service(ServiceGenerator),
    /// Create a secret using a specified subcommand.
    #[command(subcommand)]
    Secret(SecretGenerator),
}

/// Kinds of secrets made from flags.
#[derive(Subcommand, Debug)]
pub enum SecretGenerator {
    /// Create a secret for use with a Docker registry.
    DockerRegistry(DockerRegistryArgs),
    /// Create a TLS secret.
    Tls(TlsArgs),
    /// Create a secret from a local file, directory, or literal value.
    Generic {
        /// The name.
        words: Vec<String>,
        /// What it holds.
        #[command(flatten)]
        data: DataArgs,
        /// The type of secret to create.
        #[arg(long, value_name = "TYPE")]
        r#type: Option<String>,
        /// How to write.
        #[command(flatten)]
        write: WriteArgs,
    },
}

/// Keys and values of a config map or secret.
#[derive(Args, Clone, Debug, Default)]
pub struct DataArgs {
    /// Specify a key and literal value to insert (i.e. mykey=somevalue).
    #[arg(long, value_name = "KEY=VALUE")]
    pub from_literal: Vec<String>,
    /// Key file or directory: [KEY=]PATH.
    #[arg(long, value_name = "[KEY=]PATH")]
    pub from_file: Vec<String>,
    /// Specify the path to a file to read lines of key=val pairs.
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    pub from_env_file: Vec<String>,
    /// Append a hash of the object to its name.
    #[arg(long)]
    pub append_hash: bool,
}

/// Flags of `create deployment`.
#[derive(Args, Clone, Debug)]
pub struct CreateDeploymentArgs {
    /// The name.
    pub words: Vec<String>,
    /// Image names to run.
    #[arg(long, value_name = "IMAGE", value_delimiter = ',')]
    pub image: Vec<String>,
    /// Number of replicas to create.
    #[arg(short = 'r', long, default_value_t = 1, allow_negative_numbers = true)]
    pub replicas: i32,
    /// The containerPort that this deployment exposes.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    pub port: i32,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
    /// The command of the container.
    #[arg(last = true)]
    pub command: Vec<String>,
}

/// Flags of `create poddisruptionbudget`.
#[derive(Args, Clone, Debug)]
pub struct CreateBudgetArgs {
    /// The name.
    pub words: Vec<String>,
    /// The minimum number or percentage of available pods this budget requires.
    #[arg(long, value_name = "AMOUNT")]
    pub min_available: Option<String>,
    /// The maximum number or percentage of unavailable pods this budget requires.
    #[arg(long, value_name = "AMOUNT")]
    pub max_unavailable: Option<String>,
    /// A label selector to use for this budget. Only equality-based selector requirements are supported.
    #[arg(long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Flags of `create priorityclass`.
#[derive(Args, Clone, Debug)]
pub struct CreatePriorityClassArgs {
    /// The name.
    pub words: Vec<String>,
    /// The value of this priority class.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub value: i32,
    /// Specifies whether this PriorityClass should be considered as the default priority.
    #[arg(long)]
    pub global_default: bool,
    /// An arbitrary string that usually provides guidelines on when this priority class should be used.
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// The policy for preempting pods with lower priority.
    #[arg(long, default_value = "PreemptLowerPriority", value_name = "POLICY")]
    pub preemption_policy: String,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Kinds of services made from flags.
#[derive(Subcommand, Debug)]
pub enum ServiceGenerator {
    /// Create a ClusterIP service with the specified name.
    Clusterip(ServiceArgs),
    /// Create a NodePort service with the specified name.
    Nodeport(ServiceArgs),
    /// Create a LoadBalancer service with the specified name.
    Loadbalancer(ServiceArgs),
    /// Create an ExternalName service with the specified name.
    Externalname(ServiceArgs),
}

/// Flags of `create service`.
#[derive(Args, Clone, Debug)]
pub struct ServiceArgs {
    /// The name.
    pub words: Vec<String>,
    /// Pairs of a port and its target port.
    #[arg(
        long,
        value_name = "PORTS",
        value_delimiter = ',',
        help = "Port pairs can be specified as '<port>:<targetPort>'."
    )]
    pub tcp: Vec<String>,
    /// Assign your own ClusterIP or set to 'None' for a 'headless' service (no load balancing).
    #[arg(long, value_name = "IP")]
    pub clusterip: Option<String>,
    /// Port used to expose the service on each node in a cluster.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub node_port: i64,
    /// External name of service.
    #[arg(long, value_name = "NAME")]
    pub external_name: Option<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Flags of `create secret docker-registry`.
#[derive(Args, Clone, Debug, Default)]
pub struct DockerRegistryArgs {
    /// The name.
    pub words: Vec<String>,
    /// Username for Docker registry authentication.
    #[arg(long, value_name = "NAME")]
    pub docker_username: Option<String>,
    /// Password for Docker registry authentication.
    #[arg(long, value_name = "PASSWORD")]
    pub docker_password: Option<String>,
    /// Email for Docker registry.
    #[arg(long, value_name = "ADDRESS")]
    pub docker_email: Option<String>,
    /// Server location for Docker registry.
    #[arg(
        long,
        default_value = "https://index.docker.io/v1/",
        value_name = "URL"
    )]
    pub docker_server: String,
    /// Key file or directory: [KEY=]PATH.
    #[arg(long, value_name = "[KEY=]PATH", value_delimiter = ',')]
    pub from_file: Vec<String>,
    /// Append a hash of the secret to its name.
    #[arg(long)]
    pub append_hash: bool,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Flags of `create secret tls`.
#[derive(Args, Clone, Debug, Default)]
pub struct TlsArgs {
    /// The name.
    pub words: Vec<String>,
    /// Path to PEM encoded public key certificate.
    #[arg(long, value_name = "FILE")]
    pub cert: Option<String>,
    /// Path to private key associated with given certificate.
    #[arg(long, value_name = "FILE")]
    pub key: Option<String>,
    /// Append a hash of the secret to its name.
    #[arg(long)]
    pub append_hash: bool,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Flags of `create role` and `create clusterrole`.
#[derive(Args, Clone, Debug, Default)]
pub struct CreateRoleArgs {
    /// The name.
    pub words: Vec<String>,
    /// Verb that applies to the resources contained in the rule.
    #[arg(long, value_name = "VERB", value_delimiter = ',')]
    pub verb: Vec<String>,
    /// Resource that the rule applies to.
    #[arg(long, value_name = "RESOURCE", value_delimiter = ',')]
    pub resource: Vec<String>,
    /// Resource in the white list that the rule applies to, repeat this flag for multiple items.
    #[arg(long, value_name = "NAME")]
    pub resource_name: Vec<String>,
    /// A partial url that user should have access to (cluster roles only).
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub non_resource_url: Vec<String>,
    /// An aggregation label selector for combining ClusterRoles (cluster roles only).
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub aggregation_rule: Vec<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Flags of `create rolebinding` and `create clusterrolebinding`.
#[derive(Args, Clone, Debug, Default)]
pub struct CreateBindingArgs {
    /// The name.
    pub words: Vec<String>,
    /// Role this RoleBinding should reference.
    #[arg(long, value_name = "NAME")]
    pub role: Option<String>,
    /// ClusterRole this binding should reference.
    #[arg(long, value_name = "NAME")]
    pub clusterrole: Option<String>,
    /// Usernames to bind to the role.
    #[arg(long, value_name = "NAME")]
    pub user: Vec<String>,
    /// Groups to bind to the role.
    #[arg(long, value_name = "NAME")]
    pub group: Vec<String>,
    /// Service accounts to bind to the role, in the format `<namespace>:<name>`.
    #[arg(long, value_name = "NAMESPACE:NAME")]
    pub serviceaccount: Vec<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Flags of `create ingress`.
#[derive(Args, Clone, Debug, Default)]
pub struct CreateIngressArgs {
    /// The name.
    pub words: Vec<String>,
    /// Rule in format host/path=service:port[,tls=secretname].
    #[arg(long, value_name = "RULE")]
    pub rule: Vec<String>,
    /// Ingress Class to be used.
    #[arg(long, value_name = "NAME")]
    pub class: Option<String>,
    /// Default service for backend, in format of svcname:port.
    #[arg(long, value_name = "SERVICE:PORT")]
    pub default_backend: Option<String>,
    /// Annotation to insert in the ingress object, in the format annotation=value.
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotation: Vec<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Flags of `create job`.
#[derive(Args, Clone, Debug, Default)]
pub struct CreateJobArgs {
    /// The name.
    pub words: Vec<String>,
    /// Image name to run.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// The name of the resource to create a Job from (only cronjob is supported).
    #[arg(long, value_name = "TYPE/NAME")]
    pub from: Option<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
    /// The command of the container.
    #[arg(last = true)]
    pub command: Vec<String>,
}

/// Flags of `create cronjob`.
#[derive(Args, Clone, Debug, Default)]
pub struct CreateCronJobArgs {
    /// The name.
    pub words: Vec<String>,
    /// Image name to run.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// A schedule in the Cron format the job should be run with.
    #[arg(long, value_name = "SCHEDULE")]
    pub schedule: Option<String>,
    /// Job's restart policy. supported values: OnFailure, Never.
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
    /// The command of the container.
    #[arg(last = true)]
    pub command: Vec<String>,
}

/// Flags of `create quota`.
#[derive(Args, Clone, Debug, Default)]
pub struct CreateQuotaArgs {
    /// The name.
    pub words: Vec<String>,
    /// A comma-delimited set of resource=quantity pairs that define a hard limit.
    #[arg(long, value_name = "AMOUNTS")]
    pub hard: Option<String>,
    /// A comma-delimited set of quota scopes that must all match each object tracked by the quota.
    #[arg(long, value_name = "SCOPES")]
    pub scopes: Option<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Flags of `create token`.
#[derive(Args, Clone, Debug, Default)]
pub struct CreateTokenArgs {
    /// The service account.
    pub words: Vec<String>,
    /// Audience of the requested token.
    #[arg(long, value_name = "AUDIENCE")]
    pub audience: Vec<String>,
    /// Requested lifetime of the issued token. If not set or if set to 0, the lifetime is determined by the server.
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = crate::parse::signed_duration)]
    pub duration: f64,
    /// Kind of an object to bind the token to. Supported kinds are Node, Pod, Secret.
    #[arg(long, value_name = "KIND")]
    pub bound_object_kind: Option<String>,
    /// Name of an object to bind the token to.
    #[arg(long, value_name = "NAME")]
    pub bound_object_name: Option<String>,
    /// UID of an object to bind the token to. If unset, the UID of the existing object is used.
    #[arg(long, value_name = "UID")]
    pub bound_object_uid: Option<String>,
    /// How the answer is printed.
    #[command(flatten)]
    pub print: PrintArgs,
}
