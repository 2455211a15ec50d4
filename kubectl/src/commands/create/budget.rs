//! `kubectl create poddisruptionbudget`

use serde_json::{Value, json};

use super::super::pairs;
use crate::args::CreateBudgetArgs;
use crate::error::{Error, Result};

/// The PodDisruptionBudget of the flags.
pub fn object(name: &str, args: &CreateBudgetArgs) -> Result<Value> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let selector =
        given(&args.selector).ok_or_else(|| Error::local("a selector must be specified"))?;
    let (field, title, amount) = match (given(&args.min_available), given(&args.max_unavailable)) {
        (None, None) => {
            return Err(Error::local(
                "one of min-available or max-unavailable must be specified",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(Error::local(
                "min-available and max-unavailable cannot be both specified",
            ));
        }
        (Some(amount), None) => ("minAvailable", "min-available", amount),
        (None, Some(amount)) => ("maxUnavailable", "max-unavailable", amount),
    };
    let digits = amount.strip_suffix('%').unwrap_or(&amount);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::local(format!(
            "invalid format specified for {title}"
        )));
    }
    // A number that is no i32 stays a text, as upstream's IntOrString has it.
    let amount = amount
        .parse::<i32>()
        .map_or_else(|_| json!(amount), |number| json!(number));
    Ok(json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {field: amount, "selector": {"matchLabels": pairs(&selector)?}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_wants_a_selector_and_one_amount() {
        let read = |min: &str, max: &str, selector: &str| {
            let text = |text: &str| Some(text.to_owned());
            let args = CreateBudgetArgs {
                words: vec![],
                min_available: text(min),
                max_unavailable: text(max),
                selector: text(selector),
                write: crate::args::WriteArgs::default(),
            };
            match object("p", &args) {
                Ok(object) => object["spec"].to_string(),
                Err(error) => error.message(),
            }
        };
        for (min, max, selector, expected) in [
            (
                "1",
                "",
                "a=b",
                r#"{"minAvailable":1,"selector":{"matchLabels":{"a":"b"}}}"#,
            ),
            (
                "",
                "50%",
                "a=b",
                r#"{"maxUnavailable":"50%","selector":{"matchLabels":{"a":"b"}}}"#,
            ),
            ("1", "", "", "a selector must be specified"),
            (
                "",
                "",
                "a=b",
                "one of min-available or max-unavailable must be specified",
            ),
            (
                "1",
                "1",
                "a=b",
                "min-available and max-unavailable cannot be both specified",
            ),
            (
                "10Gb",
                "",
                "a=b",
                "invalid format specified for min-available",
            ),
        ] {
            assert_eq!(read(min, max, selector), expected);
        }
    }
}
