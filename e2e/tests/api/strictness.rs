//! Field validation: unknown and duplicate fields, refused, warned of or ignored, in every kind of write.

use anyhow::ensure;
use ferrule_e2e::rest::Answer;
use serde_json::{Value, json};

use crate::stage::{Stage, at, deployment, same, says, text};

/// A write whose body has faults.
struct Faulty {
    method: &'static str,
    media: &'static str,
    body: String,
    /// What the server finds, in any order.
    faults: &'static [&'static str],
    /// The code of its refusal.
    code: u16,
    /// What the refusal's message begins or goes on with.
    message: &'static str,
}

/// Text of a Deployment with faults: two unknown fields, one of them twice, and a known one twice.
fn body(name: &str) -> String {
    let whole = deployment(name).to_string();
    whole
        .replacen("\"spec\":{", "\"spec\":{\"unknown1\":\"a\",\"unknownDupe\":\"b\",\"unknownDupe\":\"c\",\"paused\":false,", 1)
}

const ALL: &[&str] = &[
    "unknown field \"spec.unknown1\"",
    "unknown field \"spec.unknownDupe\"",
    "duplicate field \"spec.paused\"",
];
const PATCH: &str = "{\"spec\":{\"unknown1\":\"a\",\"unknownDupe\":\"b\",\"unknownDupe\":\"c\",\"paused\":false,\"paused\":true}}";

fn faulty(name: &str) -> [Faulty; 5] {
    const DECODED: &str =
        "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: ";
    [
        Faulty {
            method: "POST",
            media: "application/json",
            body: body(name),
            faults: ALL,
            code: 400,
            message: DECODED,
        },
        Faulty {
            method: "PUT",
            media: "application/json",
            body: body(name),
            faults: ALL,
            code: 400,
            message: DECODED,
        },
        Faulty {
            method: "PATCH",
            media: "application/merge-patch+json",
            body: PATCH.to_owned(),
            faults: ALL,
            code: 422,
            message: "patch: Invalid value: ",
        },
        Faulty {
            method: "PATCH",
            media: "application/strategic-merge-patch+json",
            body: PATCH.to_owned(),
            faults: ALL,
            code: 422,
            message: "patch: Invalid value: ",
        },
        Faulty {
            method: "PATCH",
            media: "application/json-patch+json",
            body: "[{\"op\":\"add\",\"path\":\"/spec/unknown1\",\"value\":\"a\",\"foo\":\"bar\"},\
                   {\"op\":\"replace\",\"path\":\"/spec/paused\",\"path\":\"/spec/paused\",\"value\":true}]"
                .to_owned(),
            faults: &[
                "unknown field \"spec.unknown1\"",
                "json patch unknown field \"[0].foo\"",
                "json patch duplicate field \"[1].path\"",
            ],
            code: 422,
            message: "patch: Invalid value: ",
        },
    ]
}

/// Sends it: creates make what `name` stands for, others change what is there.
fn send(stage: &Stage, faulty: &Faulty, name: &str, mode: &str) -> anyhow::Result<Answer> {
    let all = stage.of("apps/v1", "deployments");
    let path = if faulty.method == "POST" {
        all
    } else {
        format!("{all}/{name}")
    };
    let path = format!("{path}?fieldValidation={mode}");
    let request = stage.rest.request(faulty.method, &path);
    request.body(faulty.media, faulty.body.clone()).send()
}

pub fn strict_writes_with_faults_are_refused(stage: &Stage) -> anyhow::Result<()> {
    let made = stage.make_deployment("there")?;
    for faulty in faulty("there") {
        let shown = format!("{} {}", faulty.method, faulty.media);
        let answer = send(stage, &faulty, "there", "Strict")?;
        let status = answer.refused(faulty.code)?;
        let message = text(&status, "message");
        ensure!(message.contains(faulty.message), "{shown}: {answer}");
        ensure!(
            message.contains("strict decoding error: "),
            "{shown}: {answer}"
        );
        for fault in faulty.faults {
            let quoted = fault.replace('"', "\\\"");
            ensure!(
                message.contains(fault) || message.contains(&quoted),
                "{shown}: {fault}: {answer}"
            );
        }
        same(&shown, answer.warnings(), Vec::<String>::new())?;
    }
    let now = stage
        .rest
        .get(&format!("{}/there", stage.of("apps/v1", "deployments")))?;
    same("nothing is changed", &now.ok()?["spec"], &made["spec"])
}

pub fn faults_are_warned_of_by_default(stage: &Stage) -> anyhow::Result<()> {
    for (turn, mode) in ["Warn", ""].into_iter().enumerate() {
        let name = format!("warned-{turn}");
        for faulty in faulty(&name) {
            let shown = format!("{} {} {mode}", faulty.method, faulty.media);
            let answer = send(stage, &faulty, &name, mode)?;
            let object = answer.ok()?;
            same(&shown, at(&object, "spec.unknown1"), &Value::Null)?;
            let warnings = answer.warnings();
            for fault in faulty.faults {
                let expected = format!("299 - \"{}\"", fault.replace('"', "\\\""));
                ensure!(
                    warnings.contains(&expected),
                    "{shown}: {expected} is not in {warnings:?}"
                );
            }
        }
    }
    Ok(())
}

pub fn faults_are_ignored_when_asked_for(stage: &Stage) -> anyhow::Result<()> {
    for faulty in faulty("ignored") {
        let shown = format!("{} {}", faulty.method, faulty.media);
        let answer = send(stage, &faulty, "ignored", "Ignore")?;
        same(&shown, at(&answer.ok()?, "spec.unknown1"), &Value::Null)?;
        same(&shown, answer.warnings(), Vec::<String>::new())?;
    }
    Ok(())
}

pub fn unknown_fields_are_told_with_their_path(stage: &Stage) -> anyhow::Result<()> {
    let mut faulty = deployment("deep");
    faulty["metadata"]["unknownMeta"] = json!("a");
    faulty["spec"]["template"]["metadata"]["unknownMeta"] = json!("b");
    faulty["spec"]["template"]["spec"]["containers"][0]["imag"] = json!("c");
    faulty["unknownRoot"] = json!({"d": "e"});
    let path = format!(
        "{}?fieldValidation=Strict",
        stage.of("apps/v1", "deployments")
    );
    let status = stage.rest.post(&path, &faulty)?.refused(400)?;
    for field in [
        "metadata.unknownMeta",
        "spec.template.metadata.unknownMeta",
        "spec.template.spec.containers[0].imag",
        "unknownRoot",
    ] {
        let expected = format!("unknown field \"{field}\"");
        ensure!(
            text(&status, "message").contains(&expected),
            "{expected}: {status}"
        );
    }
    Ok(())
}

pub fn yaml_tells_duplicates_by_line(stage: &Stage) -> anyhow::Result<()> {
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: twice\ndata:\n  k: a\n  k: b\n";
    let post = |mode: &str| {
        let path = format!("{}?fieldValidation={mode}", stage.maps());
        stage
            .rest
            .request("POST", &path)
            .body("application/yaml", yaml)
            .send()
    };
    says(
        &post("Strict")?,
        400,
        "BadRequest",
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  \
         line 7: key \"k\" already set in map",
    )?;
    let warned = post("Warn")?;
    same("the last one holds", text(&warned.ok()?, "data.k"), "b")?;
    ensure!(
        warned
            .warnings()
            .iter()
            .any(|text| text.contains("already set in map")),
        "{:?}",
        warned.warnings()
    );
    Ok(())
}

pub fn apply_refuses_what_the_schema_does_not_have(stage: &Stage) -> anyhow::Result<()> {
    let path = format!("{}/applied?fieldManager=one", stage.maps());
    let unknown = json!({"apiVersion": "v1", "kind": "ConfigMap", "dta": {"a": "b"}});
    for mode in ["Strict", "Warn", "Ignore"] {
        let answer =
            stage
                .rest
                .patch("apply", &format!("{path}&fieldValidation={mode}"), &unknown)?;
        let status = answer.refused(500)?;
        ensure!(
            text(&status, "message").ends_with(".dta: field not declared in schema"),
            "{answer}"
        );
    }
    // Of duplicates, it depends.
    let twice = "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"applied\"}, \"data\": {\"a\": \"1\", \"a\": \"2\"}}";
    let apply = |mode: &str| {
        let path = format!("{path}&fieldValidation={mode}");
        let request = stage.rest.request("PATCH", &path);
        request.body("application/apply-patch+yaml", twice).send()
    };
    let strict = apply("Strict")?.refused(400)?;
    ensure!(
        text(&strict, "message").contains("already set in map"),
        "{strict}"
    );
    let warned = apply("Warn")?;
    warned.ok()?;
    ensure!(
        warned
            .warnings()
            .iter()
            .any(|text| text.contains("already set in map")),
        "{:?}",
        warned.warnings()
    );
    let ignored = apply("Ignore")?;
    ignored.ok()?;
    same("ignored", ignored.warnings(), Vec::<String>::new())
}

pub fn an_unknown_mode_is_refused(stage: &Stage) -> anyhow::Result<()> {
    stage.make_map("there", json!({}))?;
    let one = format!("{}/there", stage.maps());
    let object = json!({"metadata": {"name": "there"}});
    let loose = "fieldValidation=Loose";
    for (answer, kind) in [
        (
            stage
                .rest
                .post(&format!("{}?{loose}", stage.maps()), &object)?,
            "CreateOptions",
        ),
        (
            stage.rest.put(&format!("{one}?{loose}"), &object)?,
            "UpdateOptions",
        ),
        (
            stage
                .rest
                .patch("merge", &format!("{one}?{loose}"), &json!({}))?,
            "PatchOptions",
        ),
        (
            stage
                .rest
                .patch("apply", &format!("{one}?{loose}&fieldManager=a"), &object)?,
            "PatchOptions",
        ),
    ] {
        let message = format!(
            "{kind}.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Loose\": supported values: \"\", \
             \"Ignore\", \"Strict\", \"Warn\""
        );
        says(&answer, 422, "Invalid", &message)?;
    }
    Ok(())
}
