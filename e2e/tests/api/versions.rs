//! `resourceVersion` and `resourceVersionMatch` of lists and gets, in every combination.

use anyhow::ensure;
use serde_json::json;

use crate::stage::{Stage, causes, names, number, revision, same, says, text};

/// A revision that this cluster does not reach.
const FUTURE: &str = "999999999";

/// What a list is at.
enum At {
    /// Exactly this state.
    Old,
    /// The newest state, or any that is not older.
    New,
    /// Refused with a code, a reason and a part of the message.
    Refused(u16, &'static str, &'static str),
}

pub fn a_list_is_at_the_revision_that_was_asked_for(stage: &Stage) -> anyhow::Result<()> {
    use At::{New, Old, Refused};
    const FORBIDDEN: At = Refused(
        422,
        "Invalid",
        "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
    );
    let labels = json!({"of": "versions"});
    let old = stage.make_map("a", labels.clone())?;
    let new = stage.make_map("b", labels)?;
    // The rest of the world writes too.
    let (old_number, new_number) = (number(&old)?, number(&new)?);
    let too_large = || {
        Refused(
            504,
            "Timeout",
            "Timeout: Too large resource version: 999999999, current: ",
        )
    };
    let malformed = || {
        Refused(
            400,
            "BadRequest",
            "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\"",
        )
    };
    let unknown = || {
        Refused(
            422,
            "Invalid",
            "resourceVersionMatch: Unsupported value: \"Near\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
        )
    };
    let zero = || {
        Refused(
            422,
            "Invalid",
            "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        )
    };
    let given = revision(&old).to_owned();
    let given = given.as_str();
    for (version, how, limit, expected) in [
        ("", "", "", New),
        ("", "", "500", New),
        ("", "Exact", "", FORBIDDEN),
        ("", "Exact", "500", FORBIDDEN),
        ("", "NotOlderThan", "", FORBIDDEN),
        ("", "NotOlderThan", "500", FORBIDDEN),
        ("0", "", "", New),
        ("0", "", "500", New),
        ("0", "Exact", "", zero()),
        ("0", "Exact", "500", zero()),
        ("0", "NotOlderThan", "", New),
        ("0", "NotOlderThan", "500", New),
        (given, "", "", New),
        // As it was before there was a way to say it.
        (given, "", "500", Old),
        (given, "Exact", "", Old),
        (given, "Exact", "500", Old),
        (given, "NotOlderThan", "", New),
        (given, "NotOlderThan", "500", New),
        (given, "Near", "", unknown()),
        (FUTURE, "", "", too_large()),
        (FUTURE, "Exact", "", too_large()),
        (FUTURE, "NotOlderThan", "", too_large()),
        ("abc", "", "", malformed()),
    ] {
        let query = format!(
            "?labelSelector=of%3Dversions&resourceVersion={version}&resourceVersionMatch={how}&limit={limit}\
             &timeoutSeconds=1"
        );
        let answer = stage.rest.get(&format!("{}{query}", stage.maps()))?;
        match expected {
            Old => {
                let list = answer.ok()?;
                same(&query, names(&list), ["a"])?;
                same(&query, number(&list)?, old_number)?;
            }
            New => {
                let list = answer.ok()?;
                same(&query, names(&list), ["a", "b"])?;
                ensure!(number(&list)? >= new_number, "{query}: {list}");
            }
            Refused(code, reason, message) => {
                let status = answer.refused(code)?;
                same(&query, text(&status, "reason"), reason)?;
                let found = text(&status, "message");
                ensure!(
                    found.contains(message),
                    "{query}: {found}\nexpected {message}"
                );
                if code == 504 {
                    same(&query, answer.header("retry-after"), "1")?;
                    same(&query, &status["details"]["retryAfterSeconds"], &json!(1))?;
                    same(&query, causes(&status), [("ResourceVersionTooLarge", "")])?;
                }
            }
        }
    }
    Ok(())
}

pub fn a_get_is_not_older_than_what_was_asked_for(stage: &Stage) -> anyhow::Result<()> {
    stage.make_map("a", json!({}))?;
    let path = format!("{}/a", stage.maps());
    let patch = json!({"data": {"n": "2"}});
    let new = stage.rest.patch("merge", &path, &patch)?.ok()?;
    for version in ["", "0", "1", revision(&new)] {
        let found = stage
            .rest
            .get(&format!("{path}?resourceVersion={version}"))?
            .ok()?;
        same(version, revision(&found), revision(&new))?;
    }
    let future = stage
        .rest
        .get(&format!("{path}?resourceVersion={FUTURE}"))?;
    let status = future.refused(504)?;
    same("causes", causes(&status), [("ResourceVersionTooLarge", "")])?;
    let malformed = stage
        .rest
        .get(&format!("{path}?resourceVersion=abc"))?
        .refused(500)?;
    let message = "resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax";
    same("message", text(&malformed, "message"), message)
}

pub fn an_exact_list_goes_on_at_its_revision(stage: &Stage) -> anyhow::Result<()> {
    for name in ["a", "b", "c"] {
        stage.make_map(name, json!({"of": "versions"}))?;
    }
    let then = stage.rest.get(&stage.maps())?.ok()?;
    stage.rest.delete(&format!("{}/b", stage.maps()))?.ok()?;
    let path = format!("{}?labelSelector=of%3Dversions", stage.maps());
    let first = format!(
        "{path}&limit=1&resourceVersion={}&resourceVersionMatch=Exact",
        revision(&then)
    );
    let first = stage.rest.get(&first)?.ok()?;
    same("first", names(&first), ["a"])?;
    let token = text(&first, "metadata.continue");
    let rest = stage.rest.get(&format!("{path}&continue={token}"))?.ok()?;
    same("the rest", names(&rest), ["b", "c"])?;
    same("revision", revision(&rest), revision(&then))?;
    same("now", names(&stage.rest.get(&path)?.ok()?), ["a", "c"])
}

pub fn initial_events_are_for_watches_only(stage: &Stage) -> anyhow::Result<()> {
    says(
        &stage
            .rest
            .get(&format!("{}?sendInitialEvents=true", stage.maps()))?,
        422,
        "Invalid",
        "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for \
         list",
    )?;
    Ok(())
}
