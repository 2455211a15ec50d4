//! Flags of `explain`.

use clap::{ArgAction, Args};

/// Flags of `explain`.
#[derive(Args, Clone, Debug, Default)]
pub struct ExplainArgs {
    /// TYPE or TYPE.field.field.
    pub words: Vec<String>,
    /// Use given api-version (group/version) of the resource.
    #[arg(
        long,
        value_name = "VERSION",
        default_value = "",
        hide_default_value = true
    )]
    pub api_version: String,
    /// When true, print the name of all the fields recursively. Otherwise, print the available
    /// fields with their description.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value_t = false, action = ArgAction::Set)]
    pub recursive: bool,
    /// Format in which to render the schema. Valid values are: (plaintext, plaintext-openapiv2).
    #[arg(short = 'o', long, value_name = "FORMAT", default_value = "plaintext")]
    pub output: String,
}
