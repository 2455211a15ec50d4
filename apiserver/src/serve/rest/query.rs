//! The query parameters of a request.

use std::time::Duration;

use ferrule_apimachinery::duration;
use ferrule_apimachinery::status::Status;

use crate::serve::REQUEST_TIMEOUT;
use crate::verbs::{Include, ListOptions, WriteOptions};

/// Names and values, decoded, in the order given.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(pub Vec<(String, String)>);

impl Query {
    pub fn parse(uri: &http::Uri) -> Query {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        Query(pairs.map(|query| query.0).unwrap_or_default())
    }

    /// The first value; `""` when absent.
    pub fn text(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map_or("", |(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// A flag as Go's conversion of queries reads it: present and not `false` or `0`.
    pub fn flag(&self, name: &str) -> bool {
        self.has(name) && !matches!(self.text(name).to_ascii_lowercase().as_str(), "false" | "0")
    }

    fn number(&self, name: &str) -> Result<Option<i64>, Status> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Status::bad_request(format!(
                    "strconv.ParseInt: parsing {text:?}: invalid syntax"
                ))
            }),
        }
    }

    /// The options of list, watch and deletecollection.
    pub fn list(&self) -> Result<ListOptions, Status> {
        let text = |name: &str| self.text(name).to_owned();
        Ok(ListOptions {
            label_selector: text("labelSelector"),
            field_selector: text("fieldSelector"),
            limit: self.number("limit")?.unwrap_or_default(),
            continue_token: text("continue"),
            resource_version: text("resourceVersion"),
            resource_version_match: text("resourceVersionMatch"),
            send_initial_events: self
                .has("sendInitialEvents")
                .then(|| self.flag("sendInitialEvents")),
            allow_bookmarks: self.flag("allowWatchBookmarks"),
            timeout_seconds: self.number("timeoutSeconds")?,
        })
    }

    /// The options of create, update and patch.
    pub fn write(&self, kind: &str) -> Result<WriteOptions, Status> {
        let dry_run = self.all("dryRun");
        WriteOptions::read(
            kind,
            &dry_run,
            self.text("fieldManager"),
            self.text("fieldValidation"),
        )
    }

    /// The options of a patch.
    pub fn patch(&self, apply: bool) -> Result<WriteOptions, Status> {
        WriteOptions::read_patch(
            apply,
            &self.all("dryRun"),
            self.text("fieldManager"),
            self.text("fieldValidation"),
            self.has("force").then(|| self.flag("force")),
        )
    }

    /// The options of a delete that has no body, as DeleteOptions.
    pub fn delete(&self) -> Result<serde_json::Value, Status> {
        let mut options = serde_json::json!({});
        if let Some(seconds) = self.number("gracePeriodSeconds")? {
            options["gracePeriodSeconds"] = seconds.into();
        }
        if self.has("orphanDependents") {
            options["orphanDependents"] = self.flag("orphanDependents").into();
        }
        if self.has("propagationPolicy") {
            options["propagationPolicy"] = self.text("propagationPolicy").into();
        }
        let dry_run = self.all("dryRun");
        if !dry_run.is_empty() {
            options["dryRun"] = dry_run.into();
        }
        Ok(options)
    }

    /// Whether nothing is to be written, as the metrics say it.
    pub fn dry_run(&self) -> &'static str {
        match &self.all("dryRun")[..] {
            [] => "",
            given if given.iter().all(|value| *value == "All") => "All",
            _ => "invalid",
        }
    }

    /// How long the request may take: what the client says, if that is less than the server's limit.
    pub fn timeout(&self) -> Result<Duration, Status> {
        let given = self.text("timeout");
        if given.is_empty() {
            return Ok(REQUEST_TIMEOUT);
        }
        let given = duration::parse_signed(given).map_err(|why| {
            Status::bad_request(format!(
                "invalid timeout specified in the request URL - {why}"
            ))
        })?;
        let given = Duration::try_from(given).unwrap_or_default();
        Ok(match given {
            Duration::ZERO => REQUEST_TIMEOUT,
            given => given.min(REQUEST_TIMEOUT),
        })
    }

    /// What the rows of a Table carry.
    pub fn include(&self) -> Result<Include, Status> {
        let given = self.text("includeObject");
        Include::parse(given).ok_or_else(|| {
            Status::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {given:?}: \
                 must be 'Metadata', 'Object', 'None', or empty"
            ))
        })
    }
}
