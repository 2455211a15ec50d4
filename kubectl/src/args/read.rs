//! Flags of the commands that only look.

use clap::{ArgAction, Args};

use super::{FileArgs, PrintArgs, SelectArgs};

/// Flags of `get`.
#[derive(Args, Clone, Debug, Default)]
pub struct GetArgs {
    /// TYPE, TYPE NAME... or TYPE/NAME...
    pub words: Vec<String>,
    /// Files with the objects to get.
    #[command(flatten)]
    pub files: FileArgs,
    /// Which objects.
    #[command(flatten)]
    pub select: SelectArgs,
    /// How the objects are printed.
    #[command(flatten)]
    pub print: PrintArgs,
    /// After listing/getting the requested object, watch for changes.
    #[arg(short = 'w', long)]
    pub watch: bool,
    /// Watch for changes to the requested object(s), without listing/getting first.
    #[arg(long)]
    pub watch_only: bool,
    /// Don't print headers.
    #[arg(long)]
    pub no_headers: bool,
    /// When printing, show all labels as the last column.
    #[arg(long)]
    pub show_labels: bool,
    /// Uses the transport of a plain request to a path of the server.
    #[arg(long, value_name = "URI")]
    pub raw: Option<String>,
    /// If non-empty, sort list types using this field specification, a JSONPath expression.
    #[arg(long, value_name = "FIELD")]
    pub sort_by: Option<String>,
    /// Return large lists in chunks rather than all at once. Pass 0 to disable.
    #[arg(long, default_value_t = 500, value_name = "COUNT")]
    pub chunk_size: i64,
    /// Output watch event objects when --watch or --watch-only is used.
    #[arg(long)]
    pub output_watch_events: bool,
    /// List the resource type for the requested object(s).
    #[arg(long)]
    pub show_kind: bool,
    /// Labels that are going to be presented as columns.
    #[arg(short = 'L', long, value_delimiter = ',', value_name = "KEYS")]
    pub label_columns: Vec<String>,
    /// Treat "resource not found" as a successful retrieval.
    #[arg(long)]
    pub ignore_not_found: bool,
    /// If specified, gets the subresource of the requested object.
    #[arg(long, value_name = "NAME")]
    pub subresource: Option<String>,
    /// If true, have the server return the appropriate table output.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set, value_parser = crate::parse::boolean)]
    pub server_print: bool,
}

/// Flags of `describe`.
#[derive(Args, Clone, Debug)]
pub struct DescribeArgs {
    /// TYPE, TYPE NAME-PREFIX... or TYPE/NAME...
    pub words: Vec<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// Which objects.
    #[command(flatten)]
    pub select: SelectArgs,
    /// If true, display events related to the described object.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set, value_parser = crate::parse::boolean)]
    pub show_events: bool,
}

/// Flags of `events`.
#[derive(Args, Clone, Debug)]
pub struct EventsArgs {
    /// If present, list the requested object(s) across all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Filter events to only those pertaining to the specified resource.
    #[arg(long, value_name = "TYPE/NAME")]
    pub r#for: Option<String>,
    /// Output only events of given types.
    #[arg(long, value_delimiter = ',', value_name = "TYPES")]
    pub types: Vec<String>,
    /// After listing the requested events, watch for more events.
    #[arg(short = 'w', long)]
    pub watch: bool,
    /// When using the default output format, don't print headers.
    #[arg(long)]
    pub no_headers: bool,
    /// How the objects are printed.
    #[command(flatten)]
    pub print: PrintArgs,
    /// Return large lists in chunks rather than all at once. Pass 0 to disable.
    #[arg(long, default_value_t = 500, value_name = "COUNT")]
    pub chunk_size: i64,
}

/// Flags of `api-resources`.
#[derive(Args, Clone, Debug)]
pub struct ApiResourcesArgs {
    /// Nothing else is expected.
    #[arg(hide = true)]
    pub words: Vec<String>,
    /// Use the cached list of resources if available.
    #[arg(long)]
    pub cached: bool,
    /// Limit to resources in the specified API group.
    #[arg(long, value_name = "GROUP")]
    pub api_group: Option<String>,
    /// If false, non-namespaced resources will be returned.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = crate::parse::boolean)]
    pub namespaced: Option<bool>,
    /// Limit to resources that support the specified verbs.
    #[arg(long, value_delimiter = ',', value_name = "VERBS")]
    pub verbs: Vec<String>,
    /// Limit to resources that belong to the specified categories.
    #[arg(long, value_delimiter = ',', value_name = "CATEGORIES")]
    pub categories: Vec<String>,
    /// Output format. One of: (wide, name).
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<String>,
    /// If non-empty, sort list of resources using specified field: name or kind.
    #[arg(long, value_name = "FIELD")]
    pub sort_by: Option<String>,
    /// Don't print headers.
    #[arg(long)]
    pub no_headers: bool,
}

/// Flags of `version`.
#[derive(Args, Clone, Debug)]
pub struct VersionArgs {
    /// Nothing else is expected.
    #[arg(hide = true)]
    pub words: Vec<String>,
    /// If true, shows client version only (no server required).
    #[arg(long)]
    pub client: bool,
    /// One of 'yaml' or 'json'.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<String>,
}
