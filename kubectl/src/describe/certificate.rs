//! CertificateSigningRequests.

use base64::Engine;
use serde_json::Value;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::{Text, list, meta, string};
use crate::error::{Error, Result};
use crate::output::table;

/// Parts of the subject with their object identifiers, in the order in which they are shown.
const PARTS: [(&str, &str); 7] = [
    ("Organization", "2.5.4.10"),
    ("Organizational Unit", "2.5.4.11"),
    ("Country", "2.5.4.6"),
    ("Locality", "2.5.4.7"),
    ("Province", "2.5.4.8"),
    ("StreetAddress", "2.5.4.9"),
    ("PostalCode", "2.5.4.17"),
];
const COMMON_NAME: &str = "2.5.4.3";
const SERIAL_NUMBER: &str = "2.5.4.5";

/// Describes a CertificateSigningRequest.
pub fn describe(text: &mut Text, object: &Value) -> Result<bool> {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let bytes = request(string(spec, "request"))?;
    let unreadable =
        |error: &dyn std::fmt::Display| Error::local(format!("Error parsing CSR: {error}"));
    let (_, request) =
        X509CertificationRequest::from_der(&bytes).map_err(|error| unreadable(&error))?;
    text.field(0, "Name", string(metadata, "name"));
    text.field(0, "Labels", table::labels(&metadata["labels"]));
    text.field(0, "Annotations", table::labels(&metadata["annotations"]));
    meta::created(text, object);
    text.field(0, "Requesting User", string(spec, "username"));
    if !string(spec, "signerName").is_empty() {
        text.field(0, "Signer", string(spec, "signerName"));
    }
    if let Some(seconds) = spec["expirationSeconds"].as_i64() {
        text.field(0, "Requested Duration", meta::human(seconds));
    }
    text.field(0, "Status", status(&object["status"]));
    let information = &request.certification_request_info;
    subject(text, &information.subject);
    alternative_names(text, &request);
    Ok(true)
}

/// The request in the PEM block that the object holds.
fn request(encoded: &str) -> Result<Vec<u8>> {
    let base64 = base64::engine::general_purpose::STANDARD;
    let no_request =
        || Error::local("Error parsing CSR: PEM block type must be CERTIFICATE REQUEST");
    let pem = base64.decode(encoded).map_err(|_| no_request())?;
    let (_, block) = x509_parser::pem::parse_x509_pem(&pem).map_err(|_| no_request())?;
    match block.label.as_str() {
        "CERTIFICATE REQUEST" => Ok(block.contents),
        _ => Err(no_request()),
    }
}

fn status(status: &Value) -> String {
    let has = |kind: &str| list(status, "conditions").any(|own| string(own, "type") == kind);
    let mut text = match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (_, true) => "Approved",
        _ => "Pending",
    }
    .to_owned();
    if has("Failed") {
        text.push_str(",Failed");
    }
    if !string(status, "certificate").is_empty() {
        text.push_str(",Issued");
    }
    text
}

fn subject(text: &mut Text, name: &X509Name) {
    let values = |id: &str| -> Vec<String> {
        name.iter_attributes()
            .filter(|own| own.attr_type().to_id_string() == id)
            .filter_map(|own| own.as_str().ok().map(str::to_owned))
            .collect()
    };
    let last = |id: &str| values(id).pop().unwrap_or_default();
    text.line(0, "Subject:");
    text.line(0, format!("\tCommon Name:\t{}", last(COMMON_NAME)));
    text.line(0, format!("\tSerial Number:\t{}", last(SERIAL_NUMBER)));
    for (title, id) in PARTS {
        lines(text, title, &values(id));
    }
}

/// A line for each value, the first one with the title.
fn lines(text: &mut Text, title: &str, values: &[String]) {
    if !values.is_empty() {
        text.line(0, format!("\t{title}:\t{}", values.join("\n\t\t")));
    }
}

fn alternative_names(text: &mut Text, request: &X509CertificationRequest) {
    let (mut hosts, mut mails, mut links, mut addresses) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for extension in request.requested_extensions().into_iter().flatten() {
        let ParsedExtension::SubjectAlternativeName(names) = extension else {
            continue;
        };
        for name in &names.general_names {
            match name {
                GeneralName::DNSName(name) => hosts.push((*name).to_owned()),
                GeneralName::RFC822Name(name) => mails.push((*name).to_owned()),
                GeneralName::URI(name) => links.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
                _ => {}
            }
        }
    }
    let all = [
        ("DNS Names", hosts),
        ("Email Addresses", mails),
        ("URIs", links),
        ("IP Addresses", addresses),
    ];
    if all.iter().all(|(_, values)| values.is_empty()) {
        return;
    }
    text.line(0, "Subject Alternative Names:");
    for (title, values) in &all {
        lines(text, title, values);
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(|own| std::net::Ipv4Addr::from(own).to_string());
    let six = <[u8; 16]>::try_from(bytes).map(|own| std::net::Ipv6Addr::from(own).to_string());
    four.or(six).ok()
}
