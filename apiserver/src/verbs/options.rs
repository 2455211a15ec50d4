//! The options of requests, checked in upstream's words.

use ferrule_apimachinery::field::{FieldError, Path};
use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::selector::{FieldSelector, LabelSelector};
use ferrule_apimachinery::status::Status;
use serde_json::Value;

use super::convert::stored_fields;
use super::errors;

/// What to do with fields that the schema does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Drop them silently.
    Ignore,
    /// Drop them with a warning.
    #[default]
    Warn,
    /// Refuse the object.
    Strict,
}

/// The options of create, update and patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Check everything, store nothing.
    pub dry_run: bool,
    /// What to do with unknown fields.
    pub validation: FieldValidation,
    /// Who owns the fields that the write sets; `""` is the call's agent.
    pub field_manager: String,
    /// Take fields that others own; of an apply alone.
    pub force: Option<bool>,
}

impl WriteOptions {
    /// Reads the options as they arrive; `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    pub fn read(
        kind: &str,
        dry_run: &[&str],
        field_manager: &str,
        field_validation: &str,
    ) -> Result<WriteOptions, Status> {
        Self::check(kind, dry_run, field_manager, field_validation, Vec::new())
    }

    /// Reads the options of a patch; an apply needs a manager, and nothing else can be forced.
    pub fn read_patch(
        apply: bool,
        dry_run: &[&str],
        field_manager: &str,
        field_validation: &str,
        force: Option<bool>,
    ) -> Result<WriteOptions, Status> {
        let mut problems = Vec::new();
        if apply && field_manager.is_empty() {
            problems.push(FieldError::required(
                &Path::new("fieldManager"),
                "is required for apply patch",
            ));
        }
        if !apply && force.is_some() {
            problems.push(FieldError::forbidden(
                &Path::new("force"),
                "may not be specified for non-apply patch",
            ));
        }
        let kind = "PatchOptions";
        let options = Self::check(kind, dry_run, field_manager, field_validation, problems)?;
        Ok(WriteOptions { force, ..options })
    }

    fn check(
        kind: &str,
        dry_run: &[&str],
        field_manager: &str,
        field_validation: &str,
        mut problems: Vec<FieldError>,
    ) -> Result<WriteOptions, Status> {
        problems.extend(check_manager(field_manager));
        problems.extend(check_dry_run(dry_run));
        let validation = match field_validation {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                problems.push(FieldError::not_supported(
                    &Path::new("fieldValidation"),
                    other,
                    &supported,
                ));
                FieldValidation::Strict
            }
        };
        errors::invalid_options(kind, problems)?;
        Ok(WriteOptions {
            dry_run: !dry_run.is_empty(),
            validation,
            field_manager: field_manager.to_owned(),
            force: None,
        })
    }
}

/// The longest name of a manager.
const MANAGER_LIMIT: usize = 128;

fn check_manager(name: &str) -> Vec<FieldError> {
    let path = Path::new("fieldManager");
    let mut problems = Vec::new();
    if name.len() > MANAGER_LIMIT {
        problems.push(FieldError::too_long(&path, MANAGER_LIMIT));
    }
    for (at, c) in name.char_indices().filter(|(_, c)| !is_printable(*c)) {
        let detail = format!(
            "invalid character U+{:04X} (at position {at})",
            u32::from(c)
        );
        problems.push(FieldError::invalid(&path, name, detail));
    }
    problems
}

/// As Go sees it: of all blanks only the common one is printed.
fn is_printable(c: char) -> bool {
    c == ' ' || !(c.is_control() || c.is_whitespace())
}

/// The manager that a program's User-Agent names: what stands before the first slash.
pub fn manager_of_agent(agent: &str) -> String {
    let mut out = String::new();
    let name = agent.split('/').next().unwrap_or_default();
    for c in name.chars().filter(|c| is_printable(*c)) {
        if out.len() + c.len_utf8() > MANAGER_LIMIT {
            break;
        }
        out.push(c);
    }
    out
}

fn check_dry_run(dry_run: &[&str]) -> Vec<FieldError> {
    let good = dry_run.iter().all(|value| *value == "All");
    if good {
        return Vec::new();
    }
    let given: Vec<Value> = dry_run.iter().map(|value| Value::from(*value)).collect();
    vec![FieldError::not_supported(
        &Path::new("dryRun"),
        &Value::from(given),
        &["All"],
    )]
}

/// What becomes of the objects that an object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They lose their owner.
    Orphan,
    /// They are deleted afterwards.
    Background,
    /// They are deleted before.
    Foreground,
}

/// The options of delete and deletecollection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Check everything, delete nothing.
    pub dry_run: bool,
    /// Seconds that the object may take to end.
    pub grace: Option<i64>,
    /// Only the object with this uid.
    pub uid: Option<String>,
    /// Only the object at this resourceVersion.
    pub resource_version: Option<String>,
    /// What becomes of its dependents; the kind's default when absent.
    pub propagation: Option<Propagation>,
}

impl DeleteOptions {
    /// Reads meta/v1 DeleteOptions.
    pub fn read(options: &Value) -> Result<DeleteOptions, Status> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut problems = Vec::new();
        let named = options["propagationPolicy"].as_str();
        let path = || Path::new("propagationPolicy");
        let mut propagation = match named {
            None => None,
            Some("Orphan") => Some(Propagation::Orphan),
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some(other) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                problems.push(FieldError::not_supported(&path(), other, &supported));
                None
            }
        };
        if let Some(orphan) = options["orphanDependents"].as_bool() {
            if let Some(named) = named {
                let detail = "orphanDependents and deletionPropagation cannot be both set";
                problems.insert(0, FieldError::invalid(&path(), named, detail));
            } else {
                propagation = Some(if orphan {
                    Propagation::Orphan
                } else {
                    Propagation::Background
                });
            }
        }
        let dry_run: Vec<&str> = options["dryRun"]
            .as_array()
            .map(|list| list.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        problems.extend(check_dry_run(&dry_run));
        errors::invalid_options("DeleteOptions", problems)?;
        Ok(DeleteOptions {
            dry_run: !dry_run.is_empty(),
            grace: options["gracePeriodSeconds"].as_i64(),
            uid: text(&options["preconditions"]["uid"]),
            resource_version: text(&options["preconditions"]["resourceVersion"]),
            propagation,
        })
    }
}

/// The options of list, watch and deletecollection, as they arrive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// A label selector, in text.
    pub label_selector: String,
    /// A field selector, in text.
    pub field_selector: String,
    /// Objects a page; 0 or less is no limit.
    pub limit: i64,
    /// Where the last page ended.
    pub continue_token: String,
    /// Of which revision.
    pub resource_version: String,
    /// How the revision is meant.
    pub resource_version_match: String,
    /// Whether a watch begins with the present objects.
    pub send_initial_events: Option<bool>,
    /// Whether a watch carries bookmarks.
    pub allow_bookmarks: bool,
    /// When a watch ends, or a list must have been answered.
    pub timeout_seconds: Option<i64>,
}

/// What a list or a watch lets through.
pub(super) struct Selection {
    pub labels: LabelSelector,
    pub fields: FieldSelector,
}

impl ListOptions {
    /// The parsed selectors; only fields that the resource offers may be selected on.
    pub(super) fn selection(&self, resource: &Resource) -> Result<Selection, Status> {
        let labels = LabelSelector::parse(&self.label_selector).map_err(Status::bad_request)?;
        let fields = FieldSelector::parse(&self.field_selector).map_err(Status::bad_request)?;
        for requirement in fields.requirements() {
            resource.check_field(&requirement.field)?;
        }
        // Stored objects know their fields by the names of the stored version.
        let fields = stored_fields(resource, fields);
        Ok(Selection { labels, fields })
    }

    /// The checks that upstream makes of the options, for a list or a watch.
    pub(super) fn check(&self, watch: bool) -> Result<(), Status> {
        let mut problems = Vec::new();
        let rv_match = || Path::new("resourceVersionMatch");
        let forbidden = |detail: &str| FieldError::forbidden(&rv_match(), detail);
        let given = self.resource_version_match.as_str();
        if watch {
            if self.send_initial_events.is_some() {
                if given != "NotOlderThan" {
                    problems.push(forbidden(
                        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                    ));
                }
            } else if !given.is_empty() {
                problems.push(forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
            }
            if self.send_initial_events.is_some() && !matches!(given, "" | "NotOlderThan") {
                problems.push(FieldError::not_supported(
                    &rv_match(),
                    given,
                    &["NotOlderThan"],
                ));
            }
        } else {
            if self.send_initial_events.is_some() {
                let path = Path::new("sendInitialEvents");
                problems.push(FieldError::forbidden(
                    &path,
                    "sendInitialEvents is forbidden for list",
                ));
            }
            if !given.is_empty() {
                if self.resource_version.is_empty() {
                    problems.push(forbidden(
                        "resourceVersionMatch is forbidden unless resourceVersion is provided",
                    ));
                }
                if !self.continue_token.is_empty() {
                    problems.push(forbidden(
                        "resourceVersionMatch is forbidden when continue is provided",
                    ));
                }
                if !matches!(given, "Exact" | "NotOlderThan") {
                    problems.push(FieldError::not_supported(
                        &rv_match(),
                        given,
                        &["Exact", "NotOlderThan", ""],
                    ));
                }
                if given == "Exact" && self.resource_version == "0" {
                    problems.push(forbidden(
                        "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                    ));
                }
            }
        }
        errors::invalid_options("ListOptions", problems)
    }

    /// The revision asked for; 0 when none was.
    pub(super) fn revision(&self) -> Result<i64, String> {
        match self.resource_version.as_str() {
            "" => Ok(0),
            text => parse_revision(text)
                .map_err(|why| format!("resourceVersion: Invalid value: {text:?}: {why}")),
        }
    }
}

/// A resourceVersion as Go reads it.
pub(super) fn parse_revision(text: &str) -> Result<i64, String> {
    text.parse::<u64>()
        .ok()
        .and_then(|revision| i64::try_from(revision).ok())
        .ok_or_else(|| format!("strconv.ParseUint: parsing {text:?}: invalid syntax"))
}
