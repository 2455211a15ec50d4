//! Flags of the commands that change objects.

use clap::{ArgAction, Args, Subcommand};

use super::{DryRun, FileArgs, PrintArgs, SelectArgs, WriteArgs};

/// Flags of `apply`.
#[derive(Args, Clone, Debug)]
pub struct ApplyArgs {
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
    /// Who merges.
    #[command(flatten)]
    pub server_side: ServerSideArgs,
    /// How objects are deleted.
    #[command(flatten)]
    pub delete: ReplacedArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Select all resources in the namespace of the specified resource types.
    #[arg(long)]
    pub all: bool,
    /// Automatically resolve conflicts between the modified and live configuration by using values from the modified configuration.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set, value_parser = crate::parse::boolean)]
    pub overwrite: bool,
    /// If true, use openapi to calculate diff when the openapi presents and the resource can be found in the openapi spec.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set, value_parser = crate::parse::boolean)]
    pub openapi_patch: bool,
    /// Automatically delete resource objects, that do not appear in the configs and are created by apply.
    #[arg(long)]
    pub prune: bool,
    /// Overwrite the default allowlist with <group/version/kind> for --prune.
    #[arg(long, value_name = "KIND")]
    pub prune_allowlist: Vec<String>,
    /// If specified, apply will operate on the subresource of the requested object. Only allowed when using --server-side.
    #[arg(long, value_name = "NAME")]
    pub subresource: Option<String>,
    /// Commands about the last applied configuration.
    #[command(subcommand)]
    pub command: Option<ApplyCommand>,
}

/// Flags of server-side apply.
#[derive(Args, Clone, Debug)]
pub struct ServerSideArgs {
    /// If true, apply runs in the server instead of the client.
    #[arg(long)]
    pub server_side: bool,
    /// If true, server-side apply will force the changes against conflicts.
    #[arg(long)]
    pub force_conflicts: bool,
}

/// How an object is deleted that makes room for another.
#[derive(Args, Clone, Debug)]
pub struct ReplacedArgs {
    /// If true, immediately remove resources from API and bypass graceful deletion.
    #[arg(long)]
    pub force: bool,
    /// Must be "background", "orphan", or "foreground".
    #[arg(long, default_value = "background", num_args = 0..=1, require_equals = true, default_missing_value = "background")]
    pub cascade: String,
    /// Period of time in seconds given to the resource to terminate gracefully.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true, value_name = "SECONDS")]
    pub grace_period: i64,
    /// The length of time to wait before giving up on a delete, zero means determine a timeout from the size of the object.
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = crate::parse::duration)]
    pub timeout: std::time::Duration,
    /// If true, wait for resources to be gone before returning.
    #[arg(long)]
    pub wait: bool,
}

/// Commands below `apply`.
#[derive(Subcommand, Clone, Debug)]
pub enum ApplyCommand {
    /// View the latest last-applied-configuration annotations of a resource/object.
    ViewLastApplied(ViewLastAppliedArgs),
    /// Set the last-applied-configuration annotation on a live object to match the contents of a file.
    SetLastApplied(SetLastAppliedArgs),
    /// Edit latest last-applied-configuration annotations of a resource/object.
    EditLastApplied(EditArgs),
}

/// Flags of `apply view-last-applied`.
#[derive(Args, Clone, Debug)]
pub struct ViewLastAppliedArgs {
    /// TYPE NAME or TYPE/NAME.
    pub words: Vec<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// Output format. Must be one of (yaml, json).
    #[arg(short = 'o', long, default_value = "yaml", value_name = "FORMAT")]
    pub output: String,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Select all resources in the namespace of the specified resource types.
    #[arg(long)]
    pub all: bool,
}

/// Flags of `apply set-last-applied`.
#[derive(Args, Clone, Debug)]
pub struct SetLastAppliedArgs {
    /// Nothing is expected here.
    #[arg(hide = true)]
    pub words: Vec<String>,
    /// Filename, directory, or '-' for standard input.
    #[arg(short = 'f', long, value_name = "FILE", value_delimiter = ',')]
    pub filename: Vec<String>,
    /// Will create 'last-applied-configuration' annotations if current objects doesn't have one.
    #[arg(long)]
    pub create_annotation: bool,
    /// Must be "none", "server", or "client".
    #[arg(long, value_enum, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
    /// How the objects are printed.
    #[command(flatten)]
    pub print: PrintArgs,
}

/// Flags of `edit` and `apply edit-last-applied`.
#[derive(Args, Clone, Debug)]
pub struct EditArgs {
    /// TYPE NAME... or TYPE/NAME...
    pub words: Vec<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// How the objects are printed.
    #[command(flatten)]
    pub print: PrintArgs,
    /// Output the patch if the resource is edited.
    #[arg(long)]
    pub output_patch: bool,
    /// Defaults to the line ending native to your platform.
    #[arg(long)]
    pub windows_line_endings: bool,
    /// If specified, edit will operate on the subresource of the requested object.
    #[arg(long, value_name = "NAME")]
    pub subresource: Option<String>,
    /// Name of the manager used to track field ownership.
    #[arg(long, value_name = "NAME")]
    pub field_manager: Option<String>,
    /// If true, the configuration of the object is saved in its annotation.
    #[arg(long)]
    pub save_config: bool,
    /// Record the current command in the annotation kubernetes.io/change-cause.
    #[arg(long, hide = true)]
    pub record: bool,
    /// Must be one of: strict (or true), warn, ignore (or false).
    #[arg(long, value_name = "MODE", default_value = "strict", num_args = 0..=1, require_equals = true, default_missing_value = "strict")]
    pub validate: String,
}

/// Flags of `diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// Who merges.
    #[command(flatten)]
    pub server_side: ServerSideArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Name of the manager used to track field ownership.
    #[arg(long, value_name = "NAME")]
    pub field_manager: Option<String>,
    /// Number of objects to process in parallel when diffing against the live version.
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub concurrency: i64,
    /// Include resources that would be deleted by pruning.
    #[arg(long)]
    pub prune: bool,
    /// Overwrite the default allowlist with <group/version/kind> for --prune.
    #[arg(long, value_name = "KIND")]
    pub prune_allowlist: Vec<String>,
    /// If true, include managed fields in the diff.
    #[arg(long)]
    pub show_managed_fields: bool,
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
    /// If true, delete resource only when user confirms.
    #[arg(short = 'i', long)]
    pub interactive: bool,
    /// Raw URI to DELETE to the server. Uses the transport specified by the kubeconfig file.
    #[arg(long, value_name = "PATH")]
    pub raw: Option<String>,
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
    /// How the objects are printed.
    #[command(flatten)]
    pub print: PrintArgs,
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
    /// IP to assign to the LoadBalancer. If empty, an ephemeral IP will be created and used.
    #[arg(long, value_name = "IP")]
    pub load_balancer_ip: Option<String>,
    /// An inline JSON override for the generated object.
    #[arg(long, value_name = "JSON")]
    pub overrides: Option<String>,
    /// The method used to override the generated object: json, merge, or strategic.
    #[arg(long, default_value = "merge", value_name = "TYPE")]
    pub override_type: String,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}
