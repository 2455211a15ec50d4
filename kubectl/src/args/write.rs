//! Flags of the commands that change objects.

use clap::{ArgAction, Args};

use super::{DryRun, FileArgs, SelectArgs, WriteArgs};

/// Flags of `apply`.
#[derive(Args, Clone, Debug)]
pub struct ApplyArgs {
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Delete and re-create the resource when a patch is refused.
    #[arg(long)]
    pub force: bool,
}

/// Flags of `delete`.
#[derive(Args, Clone, Debug)]
pub struct DeleteArgs {
    /// TYPE NAME... or TYPE/NAME...
    pub words: Vec<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// Which objects.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Delete all resources, in the namespace of the specified resource types.
    #[arg(long)]
    pub all: bool,
    /// Period of time in seconds given to the resource to terminate gracefully.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true, value_name = "SECONDS")]
    pub grace_period: i64,
    /// If true, immediately remove resources from API and bypass graceful deletion.
    #[arg(long)]
    pub force: bool,
    /// If true, resources are signaled for immediate shutdown (same as --grace-period=1).
    #[arg(long)]
    pub now: bool,
    /// If true, wait for resources to be gone before returning.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set, value_parser = crate::parse::boolean)]
    pub wait: bool,
    /// The length of time to wait before giving up on a delete, zero means determine a timeout from the size of the object.
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = crate::parse::duration)]
    pub timeout: std::time::Duration,
    /// Treat "resource not found" as a successful delete.
    #[arg(long)]
    pub ignore_not_found: bool,
    /// Must be "background", "orphan", or "foreground".
    #[arg(long, default_value = "background", num_args = 0..=1, require_equals = true, default_missing_value = "background")]
    pub cascade: String,
    /// Must be "none", "server", or "client".
    #[arg(long, value_enum, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
    /// Output mode. Use "-o name" for shorter output (resource/name).
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<String>,
}

/// Flags of `scale`.
#[derive(Args, Clone, Debug)]
pub struct ScaleArgs {
    /// TYPE NAME... or TYPE/NAME...
    pub words: Vec<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// The new desired number of replicas.
    #[arg(long, allow_negative_numbers = true, value_name = "COUNT")]
    pub replicas: Option<i64>,
    /// Precondition for current size.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true, value_name = "COUNT")]
    pub current_replicas: i64,
    /// Precondition for resource version.
    #[arg(long, value_name = "VERSION")]
    pub resource_version: Option<String>,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Select all resources in the namespace of the specified resource types.
    #[arg(long)]
    pub all: bool,
    /// Must be "none", "server", or "client".
    #[arg(long, value_enum, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
    /// Output format: json, yaml or name.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<String>,
    /// The length of time to wait before giving up on a scale operation; zero means don't wait.
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = crate::parse::duration)]
    pub timeout: std::time::Duration,
}

/// Flags of `expose`.
#[derive(Args, Clone, Debug)]
pub struct ExposeArgs {
    /// TYPE NAME or TYPE/NAME.
    pub words: Vec<String>,
    /// Files with the object.
    #[command(flatten)]
    pub files: FileArgs,
    /// The port that the service should serve on.
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Name or number for the port on the container that the service should direct traffic to.
    #[arg(long, value_name = "PORT")]
    pub target_port: Option<String>,
    /// The network protocol for the service to be created.
    #[arg(long, value_name = "PROTOCOL")]
    pub protocol: Option<String>,
    /// Type for this service: ClusterIP, NodePort, LoadBalancer, or ExternalName.
    #[arg(long, value_name = "TYPE")]
    pub r#type: Option<String>,
    /// The name for the newly created object.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A label selector to use for this service.
    #[arg(long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Labels to apply to the service created by this call.
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub labels: Option<String>,
    /// ClusterIP to be assigned to the service; 'None' to create a headless service.
    #[arg(long, value_name = "IP")]
    pub cluster_ip: Option<String>,
    /// Additional external IP address to be accepted by the service.
    #[arg(long, value_name = "IP")]
    pub external_ip: Option<String>,
    /// If non-empty, set the session affinity for the service to this; legal values: 'None', 'ClientIP'.
    #[arg(long, value_name = "AFFINITY")]
    pub session_affinity: Option<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}
