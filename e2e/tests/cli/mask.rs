//! What differs from run to run, under names: `<age>`, `<uid>`, `<ip>`.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A pattern, what stands for it, and whether its length differs from run to run.
type Rule = (Regex, &'static str, bool);

/// Letters and digits of generated names.
const GENERATED: &str = "[bcdfghjklmnpqrstvwxz2456789]";

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |pattern: &str, name, varies| {
        let pattern = pattern.replace("@", GENERATED);
        // A constant: it either is a pattern or fails in every run.
        (Regex::new(&pattern).expect("a pattern"), name, varies)
    };
    vec![
        rule(
            r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
            "<uid>",
            false,
        ),
        rule(
            r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
            "<time>",
            false,
        ),
        rule(
            r"\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
            "<time>",
            false,
        ),
        rule(
            r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4}( UTC)?",
            "<time>",
            false,
        ),
        rule(r#"(resourceVersion"?: ?"?)\d+"#, "${1}<rv>", false),
        rule(r"(Resource Version: +)\d+", "${1}<rv>", true),
        rule(r"\b(LIVE|MERGED)-\d+", "${1}-<n>", false),
        rule(r"\b(kubectl-edit-)[0-9A-Za-z]+", "${1}<n>", false),
        rule(
            r"\b\d+[smhdy](\d+[smhdy])? \(x\d+ over [0-9a-z]+\)",
            "<age>",
            true,
        ),
        rule(r"\b\d{1,3}(\.\d{1,3}){3}\b", "<ip>", true),
        rule(r"\b3[0-2]\d{3}(/TCP|/UDP)", "<port>${1}", false),
        rule(r#"(nodePort"?: )\d+"#, "${1}<port>", false),
        rule(r"-@{8,10}-@{5}\b", "-<hash>-<rand>", true),
        rule(
            r"(pod-template-hash(?:=|: |:))[0-9a-z]+",
            "${1}<hash>",
            true,
        ),
        rule(r"-@{0,9}[2-9]@{0,9}\b", "-<hash>", true),
        rule(r"-@{5}\b", "-<rand>", true),
    ]
});

/// The shortest and longest hashes of templates.
const HASH: std::ops::RangeInclusive<usize> = 8..=10;

/// What is masked in the output of one kubectl.
#[derive(Clone, Debug, Default)]
pub struct Masks {
    /// Texts that are known, with what stands for them; the longest first.
    pub known: Vec<(String, String)>,
    /// The commands: what is written there is never masked.
    pub written: String,
}

impl Masks {
    /// The text with names for what differs.
    pub fn mask(&self, text: &str) -> String {
        let mut text = without_log_lines(text);
        for (known, name) in &self.known {
            text = text.replace(known, name);
        }
        let mut varies = false;
        for (pattern, name, by_length) in RULES.iter() {
            let replaced = pattern.replace_all(&text, |found: &Captures| {
                let whole = &found[0];
                let bare = whole.trim_end_matches("/TCP").trim_end_matches("/UDP");
                let is_hash = *name == "-<hash>";
                if self.written.contains(bare) || is_hash && !HASH.contains(&(whole.len() - 1)) {
                    return whole.to_owned();
                }
                varies |= by_length;
                let mut out = String::new();
                found.expand(name, &mut out);
                out
            });
            text = replaced.into_owned();
        }
        let (text, aged) = ages(&text);
        if varies || aged {
            return each_line(&text, collapse);
        }
        each_line(&text, show_trailing)
    }
}

/// Lines that Go's log library writes beside the command's own.
fn without_log_lines(text: &str) -> String {
    let is_log = |line: &str| {
        let mut bytes = line.bytes();
        matches!(bytes.next(), Some(b'E' | b'W' | b'I'))
            && bytes.by_ref().take(4).all(|byte| byte.is_ascii_digit())
            && bytes.next() == Some(b' ')
            && line.contains(".go:")
    };
    let lines = text.split_inclusive('\n');
    lines.filter(|line| !is_log(line)).collect()
}

/// Cells that are an age.
fn ages(text: &str) -> (String, bool) {
    let mut found = false;
    let masked = each_line(text, |line| {
        let mut out = String::new();
        for word in line.split_inclusive(' ') {
            let bare = word.trim_end_matches(' ');
            let begins_a_cell = out.is_empty() || out.ends_with("  ");
            let ago = out.ends_with('(') || out.ends_with("(lasts ");
            if (begins_a_cell || ago) && is_age(bare.trim_end_matches(')')) {
                found = true;
                out.push_str("<age>");
                out.push_str(&word[bare.trim_end_matches(')').len()..]);
            } else {
                out.push_str(word);
            }
        }
        out
    });
    (masked, found)
}

/// `5s`, `4m3s`, `2d`.
fn is_age(word: &str) -> bool {
    let mut digits = false;
    for character in word.chars() {
        match character {
            '0'..='9' => digits = true,
            's' | 'm' | 'h' | 'd' | 'y' if digits => digits = false,
            _ => return false,
        }
    }
    !word.is_empty() && !digits
}

fn each_line(text: &str, change: impl FnMut(&str) -> String) -> String {
    let lines = text.split('\n').map(change);
    lines.collect::<Vec<String>>().join("\n")
}

/// Gaps between cells are three blanks, since their width follows what is masked.
fn collapse(line: &str) -> String {
    let rest = line.trim_start_matches(' ');
    let mut out = line[..line.len() - rest.len()].to_owned();
    for (index, cell) in rest.split("  ").filter(|cell| !cell.is_empty()).enumerate() {
        if index > 0 {
            out.push_str("   ");
        }
        out.push_str(cell.trim_start_matches(' '));
    }
    out.trim_end().to_owned()
}

/// Blanks at the end of a line can be seen.
fn show_trailing(line: &str) -> String {
    let bare = line.trim_end_matches(' ');
    format!("{bare}{}", "␠".repeat(line.len() - bare.len()))
}

/// The masks are themselves tried before anything is played: a mask that hides too much or too
/// little would make all else worthless.
pub fn prove() {
    let masks = Masks {
        known: vec![("cli-apply-a".to_owned(), "<ns>".to_owned())],
        written: "kubectl create service nodeport s --node-port=30123 --external-ip=10.0.0.1"
            .to_owned(),
    };
    for (text, expected) in [
        ("NAME   AGE\nweb    4m3s\n", "NAME   AGE\nweb   <age>\n"),
        ("a: 30s\n", "a: 30s\n"),
        ("80:30123/TCP,81:30124/TCP", "80:30123/TCP,81:<port>/TCP"),
        ("web-5d4f8c8b6c-x7k2p here", "web-<hash>-<rand> here"),
        ("web-5d4f8c8b6c", "web-<hash>"),
        ("gen-x7k2p created", "gen-<rand> created"),
        ("my-ingress tls-crt", "my-ingress tls-crt"),
        ("10.0.0.1 10.96.3.4", "10.0.0.1 <ip>"),
        ("in cli-apply-a", "in <ns>"),
        ("resourceVersion: \"12\"", "resourceVersion: \"<rv>\""),
        (
            "E1121 13:44:22.123456   12345 memcache.go:265] no\nyes\n",
            "yes\n",
        ),
        ("name \nvalue\n", "name␠\nvalue\n"),
        (
            "Status: Terminating (lasts 5s)",
            "Status: Terminating (lasts <age>)",
        ),
    ] {
        assert_eq!(masks.mask(text), expected, "{text:?}");
    }
}
