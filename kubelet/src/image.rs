//! Image names and pull policies.

use k8s_openapi::api::core::v1::Container;
use thiserror::Error;

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// Before each start.
    Always,
    /// When the node has none.
    IfNotPresent,
    /// Never.
    Never,
}

/// The pull policy of a container.
pub fn pull_policy(container: &Container) -> PullPolicy {
    match container.image_pull_policy.as_deref() {
        Some("Always") => PullPolicy::Always,
        Some("IfNotPresent") => PullPolicy::IfNotPresent,
        Some("Never") => PullPolicy::Never,
        _ => {
            let image = container.image.as_deref().unwrap_or_default();
            let latest = with_tag(image).is_ok_and(|image| image.ends_with(":latest"));
            if latest {
                PullPolicy::Always
            } else {
                PullPolicy::IfNotPresent
            }
        }
    }
}

/// What is wrong with an image name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// Not in the form of a reference.
    #[error("couldn't parse image name {0:?}: invalid reference format")]
    Format(String),
    /// With upper-case letters in its path.
    #[error(
        "couldn't parse image name {0:?}: invalid reference format: repository name ({1}) must be lowercase"
    )]
    UpperCase(String, String),
}

/// The name with `:latest` when it has neither tag nor digest. It is not otherwise completed:
/// which registry `busybox` belongs to is the runtime's matter.
pub fn with_tag(image: &str) -> Result<String, InvalidName> {
    let format = || InvalidName::Format(image.to_owned());
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    let last = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match rest[last..].rfind(':') {
        Some(colon) => (&rest[..last + colon], Some(&rest[last + colon + 1..])),
        None => (rest, None),
    };
    if path.is_empty() || path.len() > 255 {
        return Err(format());
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    let first = parts[0];
    let is_host =
        parts.len() > 1 && (first.contains(['.', ':']) || first == "localhost" || has_upper(first));
    if is_host {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
        if first.is_empty() || !first.chars().all(plain) {
            return Err(format());
        }
        parts.remove(0);
    }
    let repository = parts.join("/");
    if has_upper(&repository) {
        let full = if is_host || repository.contains('/') {
            repository
        } else {
            format!("library/{repository}")
        };
        return Err(InvalidName::UpperCase(image.to_owned(), full));
    }
    let good_component = |part: &&str| {
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        ends(part.chars().next())
            && ends(part.chars().last())
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let good_tag = |tag: &str| {
        (1..=128).contains(&tag.len())
            && tag
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
            && !tag.starts_with(['.', '-'])
    };
    let good_digest = |digest: &str| {
        digest.split_once(':').is_some_and(|(kind, hex)| {
            !kind.is_empty() && hex.len() >= 32 && hex.chars().all(|c| c.is_ascii_hexdigit())
        })
    };
    if !parts.iter().all(good_component)
        || !tag.is_none_or(good_tag)
        || !digest.is_none_or(good_digest)
    {
        return Err(format());
    }
    Ok(if tag.is_none() && digest.is_none() {
        format!("{image}:latest")
    } else {
        image.to_owned()
    })
}

fn has_upper(text: &str) -> bool {
    text.chars().any(|c| c.is_ascii_uppercase())
}

/// The registry that an image is pulled from, by the rules of image references.
pub fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_the_default_tag_or_are_refused() {
        let good = [
            ("busybox", "busybox:latest"),
            ("sysnet4admin/echo-hname", "sysnet4admin/echo-hname:latest"),
            ("registry:5000/a/b", "registry:5000/a/b:latest"),
            ("registry:5000/a/b:1", "registry:5000/a/b:1"),
            (
                "a@sha256:0123456789abcdef0123456789abcdef",
                "a@sha256:0123456789abcdef0123456789abcdef",
            ),
        ];
        for (image, expected) in good {
            assert_eq!(with_tag(image).as_deref(), Ok(expected));
        }
        let bad = [
            (
                "",
                "couldn't parse image name \"\": invalid reference format",
            ),
            (
                "a b",
                "couldn't parse image name \"a b\": invalid reference format",
            ),
            (
                "a:",
                "couldn't parse image name \"a:\": invalid reference format",
            ),
            (
                "Busybox",
                "couldn't parse image name \"Busybox\": invalid reference format: repository name (library/Busybox) must be lowercase",
            ),
        ];
        for (image, expected) in bad {
            assert_eq!(
                with_tag(image).map_err(|error| error.to_string()),
                Err(expected.to_owned())
            );
        }
    }

    #[test]
    fn the_registry_is_the_first_part_when_it_looks_like_a_host() {
        for (image, expected) in [
            ("busybox", "docker.io"),
            ("a/b:1", "docker.io"),
            ("localhost/b", "localhost"),
            ("r.io:5000/b", "r.io:5000"),
        ] {
            assert_eq!(registry(image), expected);
        }
    }
}
