//! What names, label keys and label values may look like, and generated names.
//!
//! A validator returns what is wrong, in upstream's words; an empty list is a yes.

const LABEL_FORMAT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_FORMAT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL_1035_FORMAT: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED_FORMAT: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE_FORMAT: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const CONFIG_MAP_KEY_FORMAT: &str = "[-._a-zA-Z0-9]+";
const ENV_VAR_FORMAT: &str = "[-._a-zA-Z][-._a-zA-Z0-9]*";

const LABEL_MESSAGE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const SUBDOMAIN_MESSAGE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const LABEL_1035_MESSAGE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
const QUALIFIED_MESSAGE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const LABEL_VALUE_MESSAGE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/// Longest name of a label (DNS-1123 or DNS-1035).
pub const LABEL_MAX: usize = 63;
/// Longest DNS-1123 subdomain.
pub const SUBDOMAIN_MAX: usize = 253;

fn is_lower_alphanumeric(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn is_label_shape(text: &str) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(&first), Some(&last)) => {
            is_lower_alphanumeric(first)
                && is_lower_alphanumeric(last)
                && bytes.iter().all(|&b| is_lower_alphanumeric(b) || b == b'-')
        }
        _ => false,
    }
}

fn is_qualified_shape(text: &str) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            first.is_ascii_alphanumeric()
                && last.is_ascii_alphanumeric()
                && bytes
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        }
        _ => false,
    }
}

/// "must be no more than N characters".
fn too_long(max: usize) -> String {
    format!("must be no more than {max} characters")
}

/// A rule, its examples and its expression, as upstream puts them together.
fn regex_message(message: &str, format: &str, examples: &[&str]) -> String {
    let mut text = format!("{message} (");
    if examples.is_empty() {
        return format!("{message} (regex used for validation is '{format}')");
    }
    text.push_str("e.g. ");
    for (i, example) in examples.iter().enumerate() {
        if i > 0 {
            text.push_str(" or ");
        }
        text.push('\'');
        text.push_str(example);
        text.push_str("', ");
    }
    text.push_str(&format!("regex used for validation is '{format}')"));
    text
}

/// A DNS-1123 label: `my-name`.
pub fn dns1123_label(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > LABEL_MAX {
        errors.push(too_long(LABEL_MAX));
    }
    if !is_label_shape(text) {
        if !text.is_empty() && text.split('.').all(is_label_shape) {
            // The user used dots where none are allowed: say only that.
            errors.push("must not contain dots".to_owned());
        } else {
            errors.push(regex_message(
                LABEL_MESSAGE,
                LABEL_FORMAT,
                &["my-name", "123-abc"],
            ));
        }
    }
    errors
}

/// A DNS-1123 subdomain: `example.com`.
pub fn dns1123_subdomain(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > SUBDOMAIN_MAX {
        errors.push(too_long(SUBDOMAIN_MAX));
    }
    if text.is_empty() || !text.split('.').all(is_label_shape) {
        errors.push(regex_message(
            SUBDOMAIN_MESSAGE,
            SUBDOMAIN_FORMAT,
            &["example.com"],
        ));
    }
    errors
}

/// A DNS-1035 label: `my-name`, beginning with a letter.
pub fn dns1035_label(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > LABEL_MAX {
        errors.push(too_long(LABEL_MAX));
    }
    if !is_label_shape(text) || !text.as_bytes()[0].is_ascii_lowercase() {
        errors.push(regex_message(
            LABEL_1035_MESSAGE,
            LABEL_1035_FORMAT,
            &["my-name", "abc-123"],
        ));
    }
    errors
}

/// A qualified name: `[prefix/]name`, as keys of labels and annotations are.
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                errors.extend(
                    dns1123_subdomain(prefix)
                        .into_iter()
                        .map(|e| format!("prefix part {e}")),
                );
            }
            *name
        }
        _ => {
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                regex_message(
                    QUALIFIED_MESSAGE,
                    QUALIFIED_FORMAT,
                    &["MyName", "my.name", "123-abc"]
                )
            )];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX {
        errors.push(format!("name part must be no more than {LABEL_MAX} bytes"));
    }
    if !is_qualified_shape(name) {
        errors.push(format!(
            "name part {}",
            regex_message(
                QUALIFIED_MESSAGE,
                QUALIFIED_FORMAT,
                &["MyName", "my.name", "123-abc"]
            )
        ));
    }
    errors
}

/// The value of a label; may be empty.
pub fn label_value(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > LABEL_MAX {
        errors.push(format!("must be no more than {LABEL_MAX} bytes"));
    }
    if !text.is_empty() && !is_qualified_shape(text) {
        errors.push(regex_message(
            LABEL_VALUE_MESSAGE,
            LABEL_VALUE_FORMAT,
            &["MyValue", "my_value", "12345"],
        ));
    }
    errors
}

/// A DNS-1123 subdomain that may begin with `*.`.
pub fn wildcard_dns1123_subdomain(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > SUBDOMAIN_MAX {
        errors.push(too_long(SUBDOMAIN_MAX));
    }
    let matches = text
        .strip_prefix("*.")
        .is_some_and(|rest| !rest.is_empty() && rest.split('.').all(is_label_shape));
    if !matches {
        errors.push(regex_message(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
            &format!("\\*\\.{SUBDOMAIN_FORMAT}"),
            &["*.example.com"],
        ));
    }
    errors
}

/// The name of a port: at most 15 of `a-z0-9-`, with at least one letter.
pub fn port_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > 15 {
        errors.push(too_long(15));
    }
    let bytes = text.as_bytes();
    if !bytes.iter().all(|&b| is_lower_alphanumeric(b) || b == b'-') || bytes.is_empty() {
        errors.push(
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned(),
        );
    }
    if !bytes.iter().any(u8::is_ascii_lowercase) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if !bytes.is_empty() && (bytes[0] == b'-' || bytes[bytes.len() - 1] == b'-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

/// The number of a port.
pub fn port_number(port: i64) -> Vec<String> {
    if (1..=65535).contains(&port) {
        return Vec::new();
    }
    vec!["must be between 1 and 65535, inclusive".to_owned()]
}

/// A key of a ConfigMap or Secret.
pub fn config_map_key(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > SUBDOMAIN_MAX {
        errors.push(too_long(SUBDOMAIN_MAX));
    }
    let shape = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !shape {
        errors.push(regex_message(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            CONFIG_MAP_KEY_FORMAT,
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    errors.extend(not_a_parent_folder(text));
    errors
}

/// The name of an environment variable (the older, stricter rule).
pub fn env_var_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let shape = text.bytes().enumerate().all(|(i, b)| {
        b.is_ascii_alphabetic() || matches!(b, b'-' | b'_' | b'.') || (i > 0 && b.is_ascii_digit())
    });
    if text.is_empty() || !shape {
        errors.push(regex_message(
            "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit",
            ENV_VAR_FORMAT,
            &["my.env-name", "MY_ENV.NAME", "MyEnvName1"],
        ));
    }
    errors.extend(not_a_parent_folder(text));
    errors
}

/// The name of an environment variable since 1.30: printable ASCII without `=`.
pub fn relaxed_env_var_name(text: &str) -> Vec<String> {
    if text.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    if text
        .bytes()
        .any(|b| !(b' '..=b'~').contains(&b) || b == b'=')
    {
        return vec![regex_message(
            "a valid environment variable name must consist only of printable ASCII characters other than '='",
            "^[ -<>-~]+$",
            &[],
        )];
    }
    Vec::new()
}

fn not_a_parent_folder(text: &str) -> Vec<String> {
    match text {
        "." => vec!["must not be '.'".to_owned()],
        ".." => vec!["must not be '..'".to_owned()],
        _ if text.starts_with("..") => vec!["must not start with '..'".to_owned()],
        _ => Vec::new(),
    }
}

/// A name that is one segment of a path, as kinds without a DNS rule have.
pub fn path_segment(text: &str) -> Vec<String> {
    match text {
        "." => return vec!["may not be '.'".to_owned()],
        ".." => return vec!["may not be '..'".to_owned()],
        _ => {}
    }
    ['/', '%']
        .iter()
        .filter(|&&c| text.contains(c))
        .map(|c| format!("may not contain '{c}'"))
        .collect()
}

/// Characters of generated names: no vowels and nothing that is easily confused.
pub const GENERATED_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Longest prefix that a generated name keeps.
pub const GENERATED_PREFIX_MAX: usize = 58;

/// A name from `prefix` and five characters chosen by `random`.
pub fn generate_name(prefix: &str, random: [u8; 5]) -> String {
    let mut cut = prefix.len().min(GENERATED_PREFIX_MAX);
    while !prefix.is_char_boundary(cut) {
        cut -= 1;
    }
    let mut name = String::with_capacity(cut + 5);
    name.push_str(&prefix[..cut]);
    for byte in random {
        let index = usize::from(byte) * GENERATED_ALPHABET.len() / 256;
        name.push(char::from(GENERATED_ALPHABET[index]));
    }
    name
}

/// Digits as the generated alphabet writes them, so that no word arises by chance
/// (as in `pod-template-hash`).
pub fn safe_encode(text: &str) -> String {
    text.bytes()
        .map(|b| char::from(GENERATED_ALPHABET[usize::from(b) % GENERATED_ALPHABET.len()]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_upstream_judges_them() {
        let long = "a".repeat(64);
        type Rule = fn(&str) -> Vec<String>;
        let cases: &[(Rule, &str, &[&str])] = &[
            (dns1123_label, "my-name", &[]),
            (dns1123_label, "a.b", &["must not contain dots"]),
            (
                dns1123_label,
                "Bad_Name",
                &[
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
                ],
            ),
            (
                dns1123_label,
                &long,
                &["must be no more than 63 characters"],
            ),
            (dns1123_subdomain, "example.com", &[]),
            (
                dns1123_subdomain,
                "Bad",
                &[
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                ],
            ),
            (qualified_name, "app.kubernetes.io/name", &[]),
            (qualified_name, "/x", &["prefix part must be non-empty"]),
            (
                qualified_name,
                "a b",
                &[
                    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                ],
            ),
            (label_value, "", &[]),
            (label_value, &long, &["must be no more than 63 bytes"]),
            (dns1035_label, "a1", &[]),
            (port_name, "http", &[]),
            (
                port_name,
                "averyveryverylongname",
                &["must be no more than 15 characters"],
            ),
            (config_map_key, "..x", &["must not start with '..'"]),
            (path_segment, "a/b", &["may not contain '/'"]),
        ];
        for (rule, text, expected) in cases {
            assert_eq!(rule(text), *expected, "{text}");
        }
        assert_eq!(dns1035_label("1a").len(), 1);
        assert_eq!(dns1123_label("").len(), 1);
    }

    #[test]
    fn generated_names_keep_58_characters_of_the_prefix() {
        assert_eq!(generate_name("web-", [0, 255, 128, 1, 10]), "web-b9rbc");
        assert_eq!(generate_name(&"x".repeat(80), [0; 5]).len(), 63);
    }
}
