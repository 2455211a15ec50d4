//! Rules of CertificateSigningRequests.
//!
//! ```text
//!  create ─ who asks is written down ─▶ Pending ─ approval ─▶ Approved or Denied ─ status ─▶ Issued
//! ```
//!
//! The specification never changes; who approves and who signs write different subresources.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::names;
use jiff::Timestamp;
use serde_json::{Value, json};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, Pem, X509Certificate};

use super::meta::NameRule;
use super::problems::{Path, Problems};
use super::table::{self, Column, Row, human_duration};
use super::tree::{self, Tree, child, copy, items_mut, set};
use super::{Context, PartRules, Rules, Strategy, meta};

/// Rules of CertificateSigningRequests.
pub struct CertificateSigningRequest;

const MAX_SIGNER: usize = 571;
const MAX_SIGNER_DOMAIN: usize = 253;
const SHORTEST: i64 = 600;
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
/// Conditions that stay once they are there.
const LASTING: [&str; 3] = ["Approved", "Denied", "Failed"];
/// Conditions that only the approval writes.
const DECISIONS: [&str; 2] = ["Approved", "Denied"];

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::AGE,
    Column::text("SignerName", "Who is to sign."),
    Column::text("Requestor", "Who asked."),
    Column::text(
        "RequestedDuration",
        "How long the certificate is to be valid.",
    ),
    Column::text("Condition", "Whether it is approved and issued."),
];

impl Rules for CertificateSigningRequest {
    fn strategy(&self) -> Strategy {
        Strategy::STATUS.cluster_wide()
    }

    fn prepare_create(&self, new: &mut Value, context: &Context<'_>) {
        self.strategy().begin(new);
        if let Some(spec) = child(new, "spec") {
            for name in ["uid", "extra"] {
                tree::remove(spec, name);
            }
            if !context.uid.is_empty() {
                set(spec, "uid", context.uid);
            }
            set(spec, "username", context.user);
            set(spec, "groups", context.groups);
        }
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate(new).into_errors()
    }

    fn reset_fields(&self, subresource: &str) -> &'static [&'static [&'static str]] {
        // The specification is as it was made, and says more than its maker did.
        match subresource {
            "" => &[&["spec"], &["status"]],
            "approval" => &[&["spec"], &["status", "certificate"]],
            _ => &[&["spec"]],
        }
    }

    fn prepare_update(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        copy(new, old, "spec");
        self.strategy().keep(new, old);
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update_once(new, old);
        out.extend(validate(new));
        validate_kept_conditions(&mut out, new, old);
        out.into_errors()
    }

    fn prepare_status(&self, new: &mut Value, old: &Value, context: &Context<'_>) {
        meta::keep_all_but_status(new, old);
        stamp(new, old, context);
    }

    fn validate_status(&self, new: &Value, old: &Value, context: &Context<'_>) -> Vec<FieldError> {
        let mut out = Problems::default();
        let of = |object: &Value, kind: &str| -> Vec<Value> {
            let conditions = object.at("status").items("conditions").iter();
            conditions
                .filter(|condition| condition.text("type") == kind)
                .cloned()
                .collect()
        };
        let path = Path::new("status").child("conditions");
        for kind in DECISIONS {
            let (after, before) = (of(new, kind), of(old, kind));
            let word = match after.len().cmp(&before.len()) {
                std::cmp::Ordering::Greater => "add",
                std::cmp::Ordering::Equal if !tree::same(&json!(after), &json!(before)) => "modify",
                _ => continue,
            };
            let detail = format!("updates may not {word} a condition of type {kind:?}");
            out.forbidden(&path, &detail);
        }
        let (after, before) = (
            new.at("status").text("certificate"),
            old.at("status").text("certificate"),
        );
        if !before.is_empty() && after != before {
            let word = if after.is_empty() { "remove" } else { "modify" };
            let detail = format!("updates may not {word} existing certificate content");
            out.forbidden(&Path::new("status").child("certificate"), &detail);
        }
        let mut errors = self.validate_update(new, old, context);
        errors.extend(out.into_errors());
        errors
    }

    fn part(&self, name: &str) -> Option<&'static dyn PartRules> {
        match name {
            "approval" => Some(&Approval),
            _ => None,
        }
    }

    fn name_rule(&self) -> NameRule {
        NameRule::Any
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let spec = object.at("spec");
        let duration = match spec.opt_int("expirationSeconds") {
            Some(seconds) => human_duration(seconds as f64),
            None => "<none>".to_owned(),
        };
        vec![
            table::name(object),
            table::age(object, now),
            table::or_none(spec.text("signerName")).into(),
            spec.text("username").into(),
            duration.into(),
            condition(object.at("status")).into(),
        ]
        .into()
    }
}

/// Rules of the subresource `approval`: whoever approves does not sign.
struct Approval;

impl PartRules for Approval {
    fn prepare(&self, new: &mut Value, old: &Value, context: &Context<'_>) {
        let conditions = new.at("status").at("conditions").clone();
        meta::keep_all_but_status(new, old);
        let mut status = old.at("status").clone();
        if !status.is_object() {
            status = json!({});
        }
        set(&mut status, "conditions", conditions);
        set(new, "status", status);
        stamp(new, old, context);
    }

    fn validate(&self, new: &Value, old: &Value, context: &Context<'_>) -> Vec<FieldError> {
        CertificateSigningRequest.validate_update(new, old, context)
    }
}

fn condition(status: &Value) -> String {
    let has = |kind: &str| {
        let conditions = status.items("conditions").iter();
        conditions
            .into_iter()
            .any(|condition| condition.text("type") == kind)
    };
    let mut shown = match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (false, true) => "Approved",
        (false, false) => "Pending",
    }
    .to_owned();
    if has("Failed") {
        shown.push_str(",Failed");
    }
    if !status.text("certificate").is_empty() {
        shown.push_str(",Issued");
    }
    shown
}

/// Conditions that do not say when they were written were written now.
fn stamp(new: &mut Value, old: &Value, context: &Context<'_>) {
    let now = context.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let Some(status) = child(new, "status") else {
        return;
    };
    for condition in items_mut(status, "conditions") {
        if !condition.has("lastUpdateTime") {
            set(condition, "lastUpdateTime", now.as_str());
        }
        if condition.has("lastTransitionTime") {
            continue;
        }
        let before = old.at("status").items("conditions").iter().find(|before| {
            before.text("type") == condition.text("type")
                && before.text("status") == condition.text("status")
                && before.has("lastTransitionTime")
        });
        let since = before.map_or(now.as_str(), |before| before.text("lastTransitionTime"));
        let since = since.to_owned();
        set(condition, "lastTransitionTime", since);
    }
}

fn validate(object: &Value) -> Problems {
    let mut out = meta::validate_create(object, false, NameRule::Any);
    let (path, spec) = (Path::new("spec"), object.at("spec"));
    if let Err(why) = check_request(spec.text("request")) {
        out.invalid(&path.child("request"), spec.text("request"), &why);
    }
    validate_usages(&mut out, &path.child("usages"), spec.items("usages"));
    validate_signer(&mut out, &path.child("signerName"), spec.text("signerName"));
    if let Some(seconds) = spec.opt_int("expirationSeconds")
        && seconds < SHORTEST
    {
        let detail = "may not specify a duration less than 600 seconds (10 minutes)";
        out.invalid(&path.child("expirationSeconds"), seconds, detail);
    }
    let (path, status) = (Path::new("status"), object.at("status"));
    validate_conditions(
        &mut out,
        &path.child("conditions"),
        status.items("conditions"),
    );
    if let Err(why) = check_certificate(status.text("certificate")) {
        out.invalid(&path.child("certificate"), "<certificate data>", &why);
    }
    out
}

/// A request in PEM, as base64.
fn check_request(encoded: &str) -> Result<(), String> {
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    let block = Pem::iter_from_buffer(&bytes).next().and_then(Result::ok);
    let block = block
        .filter(|block| block.label == "CERTIFICATE REQUEST")
        .ok_or("PEM block type must be CERTIFICATE REQUEST")?;
    match X509CertificationRequest::from_der(&block.contents) {
        Ok(_) => Ok(()),
        Err(_) => Err("asn1: structure error: malformed certificate request".to_owned()),
    }
}

/// Certificates in PEM, as base64; none is right, too.
fn check_certificate(encoded: &str) -> Result<(), String> {
    if encoded.is_empty() {
        return Ok(());
    }
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    let mut blocks = 0;
    for block in Pem::iter_from_buffer(&bytes) {
        let Ok(block) = block else {
            break;
        };
        if block.label != "CERTIFICATE" {
            return Err(format!(
                "only CERTIFICATE PEM blocks are allowed, found {:?}",
                block.label
            ));
        }
        if X509Certificate::from_der(&block.contents).is_err() {
            return Err("x509: malformed certificate".to_owned());
        }
        blocks += 1;
    }
    match blocks {
        0 => Err("must contain at least one CERTIFICATE PEM block".to_owned()),
        _ => Ok(()),
    }
}

fn validate_usages(out: &mut Problems, path: &Path, usages: &[Value]) {
    if usages.is_empty() {
        out.required(path, "");
    }
    let mut seen = HashSet::new();
    for (i, usage) in usages.iter().enumerate() {
        let usage = usage.as_str().unwrap_or_default();
        if !USAGES.contains(&usage) {
            out.unsupported(&path.index(i), usage, &USAGES);
        }
        if !seen.insert(usage) {
            out.duplicate(&path.index(i), usage);
        }
    }
}

/// `example.com/signer-name`.
fn validate_signer(out: &mut Problems, path: &Path, signer: &str) {
    if signer.is_empty() {
        return out.required(path, "");
    }
    if signer == "kubernetes.io/legacy-unknown" {
        let detail = "the legacy signerName is not allowed via this API version";
        return out.invalid(path, signer, detail);
    }
    let parts: Vec<&str> = signer.split('/').collect();
    let [domain, name] = parts[..] else {
        let detail =
            "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return out.invalid(path, signer, detail);
    };
    if domain.len() > MAX_SIGNER_DOMAIN {
        out.too_long(path, MAX_SIGNER_DOMAIN);
    }
    for label in domain.split('.') {
        for why in names::dns1123_label(label) {
            out.invalid(path, domain, &format!("validating label {label:?}: {why}"));
        }
    }
    if !domain.contains('.') {
        let detail = "should be a domain with at least two segments separated by dots";
        out.invalid(path, domain, detail);
    }
    for label in name.split('.') {
        for why in names::dns1123_subdomain(label) {
            out.invalid(path, name, &format!("validating label {label:?}: {why}"));
        }
    }
    if signer.len() > MAX_SIGNER {
        out.too_long(path, MAX_SIGNER);
    }
}

fn validate_conditions(out: &mut Problems, path: &Path, conditions: &[Value]) {
    let mut seen = HashSet::new();
    for (i, condition) in conditions.iter().enumerate() {
        let (at, kind, status) = (
            path.index(i),
            condition.text("type"),
            condition.text("status"),
        );
        if kind.is_empty() {
            out.required(&at.child("type"), "");
        }
        let lasting = LASTING.contains(&kind);
        match status {
            "" => out.required(&at.child("status"), ""),
            "True" => {}
            _ if lasting => out.unsupported(&at.child("status"), status, &["True"]),
            _ if !STATUSES.contains(&status) => {
                out.unsupported(&at.child("status"), status, &STATUSES);
            }
            _ => {}
        }
        let other = match kind {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if !other.is_empty() && seen.contains(other) {
            let detail = "Approved and Denied conditions are mutually exclusive";
            out.invalid(&at.child("type"), kind, detail);
        }
        if !seen.insert(kind) {
            out.duplicate(&at.child("type"), kind);
        }
    }
}

fn validate_kept_conditions(out: &mut Problems, new: &Value, old: &Value) {
    let count = |object: &Value, kind: &str| {
        let conditions = object.at("status").items("conditions").iter();
        conditions
            .filter(|condition| condition.text("type") == kind)
            .count()
    };
    for kind in LASTING {
        if count(new, kind) < count(old, kind) {
            let detail = format!("updates may not remove a condition of type {kind:?}");
            out.forbidden(&Path::new("status").child("conditions"), &detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::tests::{context, lines};

    fn request() -> Value {
        let parameters = rcgen::CertificateParams::default();
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = parameters.serialize_request(&key).unwrap().pem().unwrap();
        json!({
            "metadata": { "name": "x" },
            "spec": {
                "request": STANDARD.encode(pem),
                "signerName": "kubernetes.io/kube-apiserver-client",
                "usages": ["client auth"],
                "username": "somebody else",
            },
        })
    }

    #[test]
    fn who_asks_is_written_down_by_the_server() {
        let mut object = request();
        CertificateSigningRequest.prepare_create(&mut object, &context());
        assert_eq!(object["spec"]["username"], "tester");
        assert_eq!(object["spec"]["uid"], "1042");
        assert_eq!(object["spec"]["groups"], json!(["testers"]));
        assert!(
            CertificateSigningRequest
                .validate_create(&object, &context())
                .is_empty()
        );
    }

    #[test]
    fn a_request_is_refused_in_upstreams_words() {
        let cases = [
            (
                "request",
                json!("aGVsbG8="),
                "spec.request: Invalid value: \"aGVsbG8=\": PEM block type must be CERTIFICATE REQUEST",
            ),
            ("usages", json!([]), "spec.usages: Required value"),
            (
                "signerName",
                json!("nope"),
                "spec.signerName: Invalid value: \"nope\": must be a fully qualified domain and path of the form 'example.com/signer-name'",
            ),
            (
                "expirationSeconds",
                json!(5),
                "spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 minutes)",
            ),
        ];
        for (field, value, expected) in cases {
            let mut object = request();
            object["spec"][field] = value;
            let errors = CertificateSigningRequest.validate_create(&object, &context());
            assert_eq!(lines(errors), [expected]);
        }
    }

    #[test]
    fn a_decision_is_made_once_and_by_the_approval_alone() {
        let old = request();
        let decide = |kind: &str| json!([{ "type": kind, "status": "True", "reason": "r" }]);
        let mut approved = request();
        approved["spec"]["signerName"] = json!("example.com/x");
        approved["status"] = json!({ "conditions": decide("Approved"), "certificate": "aGVsbG8=" });
        Approval.prepare(&mut approved, &old, &context());
        assert_eq!(approved["spec"], old["spec"]);
        assert_eq!(approved["status"].get("certificate"), None);
        assert_eq!(
            approved["status"]["conditions"][0]["lastTransitionTime"],
            "2026-01-01T00:00:00Z"
        );
        let check = |new: &Value, old: &Value| lines(Approval.validate(new, old, &context()));
        assert!(check(&approved, &old).is_empty());
        let mut denied = approved.clone();
        denied["status"]["conditions"] = decide("Denied");
        let expected =
            "status.conditions: Forbidden: updates may not remove a condition of type \"Approved\"";
        assert_eq!(check(&denied, &approved), [expected]);
        let found = lines(CertificateSigningRequest.validate_status(&approved, &old, &context()));
        assert_eq!(
            found,
            ["status.conditions: Forbidden: updates may not add a condition of type \"Approved\""]
        );
        let row = CertificateSigningRequest.row(&approved, context().now);
        assert_eq!(row.cells[5], "Approved");
    }
}
