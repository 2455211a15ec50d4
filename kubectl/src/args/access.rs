//! Flags of `auth`, `certificate` and `autoscale`.

use clap::{Args, Subcommand};

use super::{DryRun, FileArgs, PrintArgs, WriteArgs};

/// Commands below `auth`.
#[derive(Subcommand, Clone, Debug)]
pub enum AuthCommand {
    /// Check whether an action is allowed.
    CanI(CanIArgs),
    /// Reconciles rules for RBAC role, role binding, cluster role, and cluster role binding objects.
    Reconcile(ReconcileArgs),
    /// Experimental: Check self subject attributes.
    Whoami(WhoamiArgs),
}

/// Flags of `auth can-i`.
#[derive(Args, Clone, Debug, Default)]
pub struct CanIArgs {
    /// VERB and TYPE, TYPE/NAME or NONRESOURCEURL.
    pub words: Vec<String>,
    /// If true, check the specified action in all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// If true, suppress output and just return the exit code.
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// SubResource such as pod/log or deployment/scale.
    #[arg(long, value_name = "NAME")]
    pub subresource: Option<String>,
    /// If true, prints all allowed actions.
    #[arg(long)]
    pub list: bool,
    /// If true, prints allowed actions without headers.
    #[arg(long)]
    pub no_headers: bool,
}

/// Flags of `auth reconcile`.
#[derive(Args, Clone, Debug)]
pub struct ReconcileArgs {
    /// Nothing else is expected.
    #[arg(hide = true)]
    pub words: Vec<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// If true, removes extra permissions added to roles.
    #[arg(long)]
    pub remove_extra_permissions: bool,
    /// If true, removes extra subjects added to rolebindings.
    #[arg(long)]
    pub remove_extra_subjects: bool,
    /// Must be "none", "server", or "client".
    #[arg(long, value_enum, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
    /// How the objects are printed.
    #[command(flatten)]
    pub print: PrintArgs,
}

/// Flags of `auth whoami`.
#[derive(Args, Clone, Debug)]
pub struct WhoamiArgs {
    /// Nothing else is expected.
    #[arg(hide = true)]
    pub words: Vec<String>,
    /// How the answer is printed.
    #[command(flatten)]
    pub print: PrintArgs,
}

/// Commands below `certificate`.
#[derive(Subcommand, Clone, Debug)]
pub enum CertificateCommand {
    /// Approve a certificate signing request.
    Approve(CertificateArgs),
    /// Deny a certificate signing request.
    Deny(CertificateArgs),
}

/// Flags of `certificate approve` and `certificate deny`.
#[derive(Args, Clone, Debug)]
pub struct CertificateArgs {
    /// The requests.
    pub words: Vec<String>,
    /// Files with the requests.
    #[command(flatten)]
    pub files: FileArgs,
    /// Update the CSR even if it is already approved or denied.
    #[arg(long)]
    pub force: bool,
    /// How the requests are printed.
    #[command(flatten)]
    pub print: PrintArgs,
}

/// Flags of `autoscale`.
#[derive(Args, Clone, Debug)]
pub struct AutoscaleArgs {
    /// TYPE NAME or TYPE/NAME.
    pub words: Vec<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// The lower limit for the number of pods that can be set by the autoscaler.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true, value_name = "COUNT")]
    pub min: i32,
    /// The upper limit for the number of pods that can be set by the autoscaler. Required.
    #[arg(long, allow_negative_numbers = true, value_name = "COUNT")]
    pub max: Option<i32>,
    /// Target CPU utilization over all the pods: a percentage (80%) or an average amount (500m).
    #[arg(long, value_name = "AMOUNT")]
    pub cpu: Option<String>,
    /// Target memory utilization over all the pods: a percentage (60%) or an average amount (200Mi).
    #[arg(long, value_name = "AMOUNT")]
    pub memory: Option<String>,
    /// The target average CPU utilization. Deprecated: use --cpu with a percentage.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true, value_name = "PERCENT")]
    pub cpu_percent: i32,
    /// The name for the newly created object. If not specified, the name of the input resource will be used.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}
