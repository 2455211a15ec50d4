//! Fields that an applied configuration would take from others.

use std::borrow::Cow;

use super::managers::{Identity, Operation};
use super::set::Set;
use crate::field::quote;
use crate::status::{Cause, Details, Reason, Status};

/// The fields that one manager would lose.
#[derive(Clone, Debug)]
pub(super) struct Conflict<'a> {
    pub manager: Identity<'a>,
    pub api_version: Cow<'a, str>,
    pub fields: Set<'a>,
}

impl Conflict<'_> {
    /// The manager as messages name it.
    fn named(&self) -> String {
        let mut text = quote(&self.manager.manager);
        if !self.manager.subresource.is_empty() {
            text.push_str(&format!(
                " with subresource {}",
                quote(&self.manager.subresource)
            ));
        }
        if self.manager.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }

    /// The fields as messages show them.
    fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.fields
            .each(&mut |path| out.push(path.iter().map(ToString::to_string).collect()));
        out
    }
}

/// 409: others own these fields.
pub(super) fn refusal(mut conflicts: Vec<Conflict<'_>>) -> Status {
    conflicts.sort_by_cached_key(|conflict| conflict.manager.identifier());
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for conflict in &conflicts {
        let named = conflict.named();
        lines.push(format!("conflicts with {named}:"));
        for path in conflict.paths() {
            lines.push(format!("- {path}"));
            causes.push(Cause {
                reason: "FieldManagerConflict".to_owned(),
                message: format!("conflict with {named}"),
                field: path,
            });
        }
    }
    let message = match &*causes {
        [one] => format!(
            "Apply failed with 1 conflict: {}: {}",
            one.message, one.field
        ),
        _ => format!(
            "Apply failed with {} conflicts: {}",
            causes.len(),
            lines.join("\n")
        ),
    };
    Status::failure(409, Reason::Conflict, message).with_details(Details {
        causes,
        ..Details::default()
    })
}
