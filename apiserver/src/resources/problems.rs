//! The list of what is wrong with an object, while it grows.

use ferrule_apimachinery::field::{BadValue, FieldError};
use ferrule_apimachinery::names;
use serde_json::Value;

use super::format;

pub use ferrule_apimachinery::field::Path;

/// Field errors in the order in which they were found.
#[derive(Clone, Debug, Default)]
pub struct Problems(Vec<FieldError>);

impl Problems {
    /// A value is missing.
    pub fn required(&mut self, path: &Path, detail: &str) {
        self.0.push(FieldError::required(path, detail));
    }

    /// A value is malformed.
    pub fn invalid(&mut self, path: &Path, value: impl Into<BadValue>, detail: &str) {
        self.0.push(FieldError::invalid(path, value, detail));
    }

    /// A value is malformed in several ways, or in none.
    pub fn invalid_each(
        &mut self,
        path: &Path,
        value: impl Into<BadValue>,
        details: impl IntoIterator<Item = String>,
    ) {
        let value = value.into();
        self.0.extend(
            details
                .into_iter()
                .map(|detail| FieldError::invalid(path, value.clone(), detail)),
        );
    }

    /// A value is malformed, and shown as the given text.
    pub fn invalid_raw(&mut self, path: &Path, shown: String, detail: &str) {
        self.invalid(path, BadValue::Raw(shown), detail);
    }

    /// A value is outside a closed set.
    pub fn unsupported(&mut self, path: &Path, value: impl Into<BadValue>, supported: &[&str]) {
        self.0
            .push(FieldError::not_supported(path, value, supported));
    }

    /// A value is not allowed here or now.
    pub fn forbidden(&mut self, path: &Path, detail: &str) {
        self.0.push(FieldError::forbidden(path, detail));
    }

    /// A value that must be unique appears again.
    pub fn duplicate(&mut self, path: &Path, value: impl Into<BadValue>) {
        self.0.push(FieldError::duplicate(path, value));
    }

    /// The same, shown as the given text and explained.
    pub fn duplicate_raw(&mut self, path: &Path, shown: String, detail: &str) {
        let mut error = FieldError::duplicate(path, BadValue::Raw(shown));
        error.detail = detail.to_owned();
        self.0.push(error);
    }

    /// What is referred to is not there.
    pub fn not_found(&mut self, path: &Path, value: impl Into<BadValue>) {
        self.0.push(FieldError::not_found(path, value));
    }

    /// A value has more than `limit` bytes.
    pub fn too_long(&mut self, path: &Path, limit: usize) {
        self.0.push(FieldError::too_long(path, limit));
    }

    /// A list has `actual` items where `limit` are allowed.
    pub fn too_many(&mut self, path: &Path, actual: usize, limit: usize) {
        self.0.push(FieldError::too_many(path, actual, limit));
    }

    /// Checks that a number is not negative.
    pub fn non_negative(&mut self, path: &Path, number: i64) {
        if number < 0 {
            self.invalid(path, number, "must be greater than or equal to 0");
        }
    }

    /// Checks that a value is a number that is not negative, or a percentage.
    pub fn count_or_percent(&mut self, path: &Path, value: &Value) {
        match value {
            Value::String(text) => self.invalid_each(path, value, format::percent(text)),
            other => self.non_negative(path, other.as_i64().unwrap_or_default()),
        }
    }

    /// Checks that a percentage is not above the whole.
    pub fn at_most_all(&mut self, path: &Path, value: &Value) {
        if value.as_str().is_some_and(|text| text.ends_with('%')) && format::number(value) > 100 {
            self.invalid(path, value, "must not be greater than 100%");
        }
    }

    /// Checks that a text is a DNS-1123 label.
    pub fn dns_label(&mut self, path: &Path, text: &str) {
        self.invalid_each(path, text, names::dns1123_label(text));
    }

    /// Checks that a text is a DNS-1123 subdomain.
    pub fn dns_subdomain(&mut self, path: &Path, text: &str) {
        self.invalid_each(path, text, names::dns1123_subdomain(text));
    }

    /// Checks that a text is a qualified name.
    pub fn qualified_name(&mut self, path: &Path, text: &str) {
        self.invalid_each(path, text, names::qualified_name(text));
    }

    /// Appends the problems of a part.
    pub fn extend(&mut self, more: Problems) {
        self.0.extend(more.0);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The errors.
    pub fn into_errors(self) -> Vec<FieldError> {
        self.0
    }
}
