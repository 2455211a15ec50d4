//! Flags of the commands that change a few fields of objects, or wait for them to change.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{DryRun, FileArgs, PrintArgs, RunningArgs, SelectArgs, WriteArgs};

/// Flags of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// The pod's name.
    pub words: Vec<String>,
    /// The image for the container to run.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Environment variables to set in the container.
    #[arg(long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// Comma separated labels to apply to the pod.
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub labels: Option<String>,
    /// Annotations to apply to the pod.
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotations: Vec<String>,
    /// The port that this container exposes.
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// If true, create a ClusterIP service associated with the pod. Requires --port.
    #[arg(long)]
    pub expose: bool,
    /// Keep stdin open on the container in the pod, even if nothing is attached.
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Allocate a TTY for the container in the pod.
    #[arg(short = 't', long)]
    pub tty: bool,
    /// If true, wait for the Pod to start running, and then attach to it; with --stdin this is the default.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = crate::parse::boolean)]
    pub attach: Option<bool>,
    /// If true, leave stdin open after the first attach completes.
    #[arg(long)]
    pub leave_stdin_open: bool,
    /// If true, delete the pod after it exits. Only valid when attaching to the container.
    #[arg(long)]
    pub rm: bool,
    /// If true, suppress prompt messages.
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// How long to wait until the pod runs.
    #[command(flatten)]
    pub running: RunningArgs,
    /// The restart policy for this Pod: Always, OnFailure, Never.
    #[arg(long, default_value = "Always", value_name = "POLICY")]
    pub restart: String,
    /// The image pull policy for the container.
    #[arg(long, value_name = "POLICY")]
    pub image_pull_policy: Option<String>,
    /// Run the container in privileged mode.
    #[arg(long)]
    pub privileged: bool,
    /// If true and extra arguments are present, use them as the command rather than the arguments.
    #[arg(long)]
    pub command: bool,
    /// An inline JSON override for the generated object.
    #[arg(long, value_name = "JSON")]
    pub overrides: Option<String>,
    /// The method used to override the generated object: json, merge, or strategic.
    #[arg(long, default_value = "merge", value_name = "TYPE")]
    pub override_type: String,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
    /// The container's arguments, or its command.
    #[arg(last = true)]
    pub arguments: Vec<String>,
}

/// Flags of `patch`.
#[derive(Args, Clone, Debug)]
pub struct PatchArgs {
    /// TYPE NAME or TYPE/NAME.
    pub words: Vec<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// The patch to be applied to the resource.
    #[arg(short = 'p', long, value_name = "PATCH")]
    pub patch: Option<String>,
    /// A file containing a patch to be applied to the resource.
    #[arg(long, value_name = "FILE")]
    pub patch_file: Option<String>,
    /// The type of patch being provided; one of [json merge strategic].
    #[arg(long, default_value = "strategic", value_name = "TYPE")]
    pub r#type: String,
    /// If true, no server is asked: the objects come from files, and go to standard output.
    #[arg(long)]
    pub local: bool,
    /// The subresource to patch.
    #[arg(long, value_name = "NAME")]
    pub subresource: Option<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Flags of `replace`.
#[derive(Args, Clone, Debug)]
pub struct ReplaceArgs {
    /// Nothing is expected here.
    #[arg(hide = true)]
    pub words: Vec<String>,
    /// How objects are deleted, with --force.
    #[command(flatten)]
    pub delete: super::ReplacedArgs,
    /// Raw URI to PUT to the server.
    #[arg(long, value_name = "URI")]
    pub raw: Option<String>,
    /// If specified, replace will operate on the subresource of the requested object.
    #[arg(long, value_name = "NAME")]
    pub subresource: Option<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Flags of `label` and `annotate`.
#[derive(Args, Clone, Debug)]
pub struct MarkArgs {
    /// TYPE NAME... KEY=VALUE... KEY-...
    pub words: Vec<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// Which objects.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Select all resources, in the namespace of the specified resource types.
    #[arg(long)]
    pub all: bool,
    /// If true, allow values to be overwritten.
    #[arg(long)]
    pub overwrite: bool,
    /// If true, display the values for a given resource.
    #[arg(long)]
    pub list: bool,
    /// If true, no server is asked: the objects come from files, and go to standard output.
    #[arg(long)]
    pub local: bool,
    /// If non-empty, the update will only succeed if this is the current resource-version.
    #[arg(long, value_name = "VERSION")]
    pub resource_version: Option<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Flags of `taint`.
#[derive(Args, Clone, Debug)]
pub struct TaintArgs {
    /// NODE... KEY=VALUE:EFFECT... KEY-...
    pub words: Vec<String>,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Select all nodes in the cluster.
    #[arg(long)]
    pub all: bool,
    /// If true, allow taints to be overwritten.
    #[arg(long)]
    pub overwrite: bool,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Flags of `cordon` and `uncordon`.
#[derive(Args, Clone, Debug)]
pub struct CordonArgs {
    /// The nodes.
    pub words: Vec<String>,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Must be "none", "server", or "client".
    #[arg(long, value_enum, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
}

/// Flags of `drain`.
#[derive(Args, Clone, Debug)]
pub struct DrainArgs {
    /// Which nodes.
    #[command(flatten)]
    pub nodes: CordonArgs,
    /// Continue even if there are pods that do not declare a controller.
    #[arg(long)]
    pub force: bool,
    /// Ignore DaemonSet-managed pods.
    #[arg(long)]
    pub ignore_daemonsets: bool,
    /// Continue even if there are pods using emptyDir (local data that will be deleted when the node is drained).
    #[arg(long)]
    pub delete_emptydir_data: bool,
    /// Period of time in seconds given to each pod to terminate gracefully. If negative, the pod's own.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true, value_name = "SECONDS")]
    pub grace_period: i64,
    /// The length of time to wait before giving up, zero means infinite.
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = crate::parse::duration)]
    pub timeout: Duration,
    /// Label selector to filter pods on the node.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "SELECTOR"
    )]
    pub pod_selector: String,
    /// Force drain to use delete, even if eviction is supported. This will bypass checking PodDisruptionBudgets.
    #[arg(long)]
    pub disable_eviction: bool,
    /// If pod DeletionTimestamp older than N seconds, skip waiting for the pod.
    #[arg(
        long,
        default_value_t = 0,
        allow_negative_numbers = true,
        value_name = "SECONDS"
    )]
    pub skip_wait_for_delete_timeout: i64,
    /// Return large lists in chunks rather than all at once. Pass 0 to disable.
    #[arg(long, default_value_t = 500, value_name = "COUNT")]
    pub chunk_size: i64,
}

/// Flags of `wait`.
#[derive(Args, Clone, Debug)]
pub struct WaitArgs {
    /// TYPE NAME... or TYPE/NAME...
    pub words: Vec<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// Which objects.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Select all resources in the namespace of the specified resource types.
    #[arg(long)]
    pub all: bool,
    /// The condition to wait on: [create|delete|condition=condition-name[=condition-value]|jsonpath='{JSONPath expression}'=[JSONPath value]].
    #[arg(long, value_name = "CONDITION")]
    pub r#for: Vec<String>,
    /// The length of time to wait before giving up. Zero means check once and don't wait, negative means wait for a week.
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = crate::parse::signed_duration)]
    pub timeout: f64,
    /// How the objects are printed.
    #[command(flatten)]
    pub print: PrintArgs,
}

/// Flags of commands that have none of their own.
#[derive(Args, Clone, Debug)]
pub struct NoArgs {
    /// Nothing else is expected.
    #[arg(hide = true)]
    pub words: Vec<String>,
}

/// Flags of `cluster-info`.
#[derive(Args, Clone, Debug)]
pub struct ClusterInfoArgs {
    /// Commands below it.
    #[command(subcommand)]
    pub command: Option<ClusterInfoCommand>,
}

/// Commands below `cluster-info`.
#[derive(Subcommand, Clone, Debug)]
pub enum ClusterInfoCommand {
    /// Dump relevant information for debugging and diagnosis.
    Dump(DumpArgs),
}

/// Flags of `cluster-info dump`.
#[derive(Args, Clone, Debug)]
pub struct DumpArgs {
    /// If true, dump all namespaces. If true, --namespaces is ignored.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// A comma separated list of namespaces to dump.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub namespaces: Vec<String>,
    /// Output format. One of: (json, yaml).
    #[arg(short = 'o', long, default_value = "json", value_name = "FORMAT")]
    pub output: String,
    /// Where to output the files. If empty or '-' uses stdout, otherwise creates a directory hierarchy in that directory.
    #[arg(long, value_name = "DIRECTORY")]
    pub output_directory: Option<String>,
}
