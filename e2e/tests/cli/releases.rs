//! What the releases of upstream's kubectl print otherwise than 1.36.

use std::sync::LazyLock;

use regex::Regex;

use crate::transcript::Said;

/// A way of saying that came with a release: the release, how it is said since, and how it was said
/// before.
struct Change {
    since: u32,
    new: Regex,
    old: &'static str,
}

static CHANGES: LazyLock<Vec<Change>> = LazyLock::new(|| {
    let change = |since, new: &str, old| Change {
        since,
        new: Regex::new(new).expect("a pattern"),
        old,
    };
    vec![
        // Deletions name the namespace.
        change(34, r"(?m)^(\S+ .*deleted) from \S+ namespace", "${1}"),
        // A stricter form of YAML.
        change(34, "kyaml,", ""),
    ]
});

/// The release whose kubectl prints what transcripts say.
pub const SPOKEN: u32 = 36;

/// What a release prints where 1.36 prints this.
pub fn said_by(minor: u32, said: &Said) -> Said {
    let mut said = said.clone();
    for change in CHANGES.iter().filter(|change| minor < change.since) {
        for text in [&mut said.stdout, &mut said.stderr] {
            *text = change.new.replace_all(text, change.old).into_owned();
        }
    }
    said
}

/// Takes away what a release adds that 1.36 does not print any longer.
pub fn without_old(minor: u32, mut said: Said) -> Said {
    if minor < 35 {
        said.stdout = without_null_times(&said.stdout);
    }
    said
}

/// Objects of older releases say that they have no time of creation.
fn without_null_times(text: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        let next = lines.get(index + 1).copied().unwrap_or_default();
        let kept = out.trim_end_matches([',', '\n']).len();
        let (bare, null) = (line.trim(), out.lines().last().unwrap_or_default());
        match bare {
            "\"creationTimestamp\": null," => {}
            // Nothing else is in the object: it is empty now.
            "creationTimestamp: null" if null.ends_with(':') && indent(next) < indent(line) => {
                out.truncate(kept);
                out.push_str(" {}\n");
            }
            "creationTimestamp: null" => {}
            // The last field of its object: no comma stands before it any longer.
            "\"creationTimestamp\": null" => {
                out.truncate(kept);
                if !out.ends_with('{') {
                    out.push('\n');
                }
            }
            _ if out.ends_with('{') => out.push_str(line.trim_start()),
            _ => out.push_str(line),
        }
    }
    out
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// What releases print otherwise is tried before anything is played.
pub fn prove() {
    for (text, expected) in [
        (
            "metadata:\n  creationTimestamp: null\n  name: x\n",
            "metadata:\n  name: x\n",
        ),
        (
            "metadata:\n  creationTimestamp: null\nspec: {}\n",
            "metadata: {}\nspec: {}\n",
        ),
        (
            "{\n  \"name\": \"x\",\n  \"creationTimestamp\": null\n},\n",
            "{\n  \"name\": \"x\"\n},\n",
        ),
        (
            "\"metadata\": {\n  \"creationTimestamp\": null\n},\n",
            "\"metadata\": {},\n",
        ),
    ] {
        assert_eq!(without_null_times(text), expected, "{text:?}");
    }
}
