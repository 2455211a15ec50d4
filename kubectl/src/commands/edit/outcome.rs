//! What became of edited objects, and the comments that tell of it.

use ferrule_apimachinery::status::{Reason, Status};
use ferrule_proto::v1::ApiResource;

use super::super::warn;
use super::{Verdict, What};
use crate::error::{Error, Result};
use crate::resources::plural;

/// Why a file is shown again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// What was refused.
    head: String,
    /// Each reason.
    causes: Vec<String>,
}

/// What became of the objects of a file.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The file.
    pub file: String,
    /// What the next file begins with.
    pub reasons: Vec<Refusal>,
    /// Objects that another try could save.
    pub retryable: usize,
    /// Objects that are gone.
    pub not_found: usize,
    /// Objects that were refused.
    pub invalid: usize,
}

impl Outcome {
    /// Of a file that is being saved.
    pub fn of(file: &str) -> Outcome {
        Outcome {
            file: file.to_owned(),
            ..Outcome::default()
        }
    }

    /// Removes the file.
    pub fn forget_file(&self) {
        if !self.file.is_empty() {
            let _ = std::fs::remove_file(&self.file);
        }
    }

    /// The file cannot be read.
    pub fn syntax(&mut self, why: &str) {
        self.reasons.push(Refusal {
            head: format!("The edited file had a syntax error: {why}"),
            causes: Vec::new(),
        });
    }

    /// The file holds nothing that could be sent: the line that says so.
    pub fn faulty(&mut self, why: &str, resource: &ApiResource, name: &str) -> String {
        let what = format!("{} {name:?}", plural(resource));
        self.reasons.push(Refusal {
            head: format!("{what} was not valid"),
            causes: vec![format!(
                "<nil>: Invalid value: \"The edited file failed validation\": {why}"
            )],
        });
        format!("error: {what} is invalid")
    }

    /// What follows from it all.
    pub fn verdict(&self) -> Result<Verdict> {
        if self.retryable > 0 {
            warn(&format!(
                "You can run `kubectl replace -f {}` to try this update again.",
                self.file
            ));
            return Err(Error::Exit(1));
        }
        if self.not_found > 0 {
            warn(&format!(
                "The edits you made on deleted resources have been saved to {:?}",
                self.file
            ));
            return Err(Error::Exit(1));
        }
        if self.invalid == 0 {
            self.forget_file();
            return Ok(Verdict::Done);
        }
        Ok(Verdict::Again)
    }

    /// An object was refused: the line that says so.
    pub fn add(&mut self, status: &Status, resource: &ApiResource, name: &str) -> String {
        let what = format!("{} {name:?}", plural(resource));
        if status.reason == Reason::Invalid {
            self.invalid += 1;
            let causes = status.details.iter().flat_map(|details| &details.causes);
            self.reasons.push(Refusal {
                head: format!("{what} was not valid"),
                causes: causes
                    .map(|cause| format!("{}: {}", cause.field, cause.message))
                    .collect(),
            });
            return format!("error: {what} is invalid");
        }
        if status.is_not_found() {
            self.not_found += 1;
            return format!("error: {what} could not be found on the server");
        }
        self.retryable += 1;
        format!("error: {what} could not be patched: {}", status.message)
    }
}

/// The comments that a file begins with.
pub fn head(what: What, reasons: &[Refusal]) -> String {
    let mut text = match what {
        What::LastApplied => {
            "# Please edit the 'last-applied-configuration' annotations below.\n# Lines beginning with a '#' will be ignored, and \
             an empty file will abort the edit.\n#\n"
        }
        What::Objects | What::Creation => {
            "# Please edit the object below. Lines beginning with a '#' will be ignored,\n# and an empty file will abort the edit. If \
             an error occurs while saving this file will be\n# reopened with the relevant failures.\n#\n"
        }
    }
    .to_owned();
    let commented = |text: &str| text.replace('\n', "\n# ");
    for reason in reasons {
        let colon = if reason.causes.is_empty() { "" } else { ":" };
        text.push_str(&format!("# {}{colon}\n", commented(&reason.head)));
        for cause in &reason.causes {
            text.push_str(&format!("# * {}\n", commented(cause)));
        }
        text.push_str("#\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use ferrule_apimachinery::status::{Cause, Details};

    use super::*;

    #[test]
    fn what_is_refused_stands_in_the_head_of_the_next_file() {
        let resource = ApiResource {
            name: "services".into(),
            ..ApiResource::default()
        };
        let mut details = Details::default();
        details.causes.push(Cause {
            field: "spec.ports".into(),
            message: "Required value".into(),
            ..Cause::default()
        });
        let refused = Status::failure(422, Reason::Invalid, "invalid").with_details(details);
        let mut outcome = Outcome::of("");
        assert_eq!(
            outcome.add(&refused, &resource, "web"),
            "error: services \"web\" is invalid"
        );
        let text = head(What::Objects, &outcome.reasons);
        assert!(
            text.ends_with(
                "#\n# services \"web\" was not valid:\n# * spec.ports: Required value\n#\n"
            ),
            "{text}"
        );
        let gone = Status::not_found("", "services", "web");
        let line = outcome.add(&gone, &resource, "web");
        assert_eq!(
            line,
            "error: services \"web\" could not be found on the server"
        );
        assert_eq!(
            (outcome.invalid, outcome.not_found, outcome.retryable),
            (1, 1, 0)
        );
    }
}
