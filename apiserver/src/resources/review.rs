//! How reviews show what is refused of them.

use serde_json::Value;

use super::go_form;

/// The attributes of a path as upstream prints them.
pub fn shown_path_attributes(attributes: &Value) -> String {
    go_form::compact("NonResourceAttributes", attributes)
}
