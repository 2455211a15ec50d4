//! Flags of `create` and its generators.

use clap::{Args, Subcommand};

use super::{FileArgs, WriteArgs};

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
    /// A generator.
    #[command(subcommand)]
    pub generator: Option<Generator>,
}

/// Objects made from flags.
#[derive(Subcommand, Debug)]
pub enum Generator {
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
    #[arg(long, value_name = "PATH")]
    pub from_env_file: Vec<String>,
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
