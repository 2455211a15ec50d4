//! Flags of the commands below `rollout`.

use std::time::Duration;

use clap::{ArgAction, Args, Subcommand};

use super::{DryRun, FileArgs, PrintArgs};

/// Commands below `rollout`.
#[derive(Subcommand, Debug)]
pub enum RolloutCommand {
    /// View rollout history.
    History(RolloutHistoryArgs),
    /// Mark the provided resource as paused.
    Pause(RolloutArgs),
    /// Restart a resource.
    Restart(RolloutArgs),
    /// Resume a paused resource.
    Resume(RolloutArgs),
    /// Show the status of the rollout.
    Status(RolloutStatusArgs),
    /// Undo a previous rollout.
    Undo(RolloutUndoArgs),
}

/// The workloads that a command below `rollout` works on.
#[derive(Args, Clone, Debug)]
pub struct WorkloadArgs {
    /// TYPE NAME or TYPE/NAME.
    pub words: Vec<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
}

/// Flags of `rollout pause`, `resume` and `restart`.
#[derive(Args, Clone, Debug)]
pub struct RolloutArgs {
    /// Which workloads.
    #[command(flatten)]
    pub workloads: WorkloadArgs,
    /// How the objects are printed.
    #[command(flatten)]
    pub print: PrintArgs,
    /// Name of the manager used to track field ownership.
    #[arg(long, value_name = "NAME")]
    pub field_manager: Option<String>,
}

/// Flags of `rollout history`.
#[derive(Args, Clone, Debug)]
pub struct RolloutHistoryArgs {
    /// Which workloads.
    #[command(flatten)]
    pub workloads: WorkloadArgs,
    /// See the details, including podTemplate of the revision specified.
    #[arg(long, default_value_t = 0)]
    pub revision: i64,
}

/// Flags of `rollout undo`.
#[derive(Args, Clone, Debug)]
pub struct RolloutUndoArgs {
    /// Which workloads.
    #[command(flatten)]
    pub workloads: WorkloadArgs,
    /// The revision to rollback to; 0 is the last one.
    #[arg(long, default_value_t = 0)]
    pub to_revision: i64,
    /// Must be "none", "server", or "client".
    #[arg(long, value_enum, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
    /// How the objects are printed.
    #[command(flatten)]
    pub print: PrintArgs,
}

/// Flags of `rollout status`.
#[derive(Args, Clone, Debug)]
pub struct RolloutStatusArgs {
    /// Which workloads.
    #[command(flatten)]
    pub workloads: WorkloadArgs,
    /// Watch the status of the rollout until it's done.
    #[arg(short = 'w', long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set, value_parser = crate::parse::boolean)]
    pub watch: bool,
    /// The length of time to wait before ending watch, zero means never.
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = crate::parse::duration)]
    pub timeout: Duration,
    /// Pin to a specific revision for showing its status.
    #[arg(long, default_value_t = 0)]
    pub revision: i64,
}
