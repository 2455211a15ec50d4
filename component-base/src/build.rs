//! What this build is, in the fields of upstream's version.

/// The major version of Kubernetes.
pub const MAJOR: &str = "1";
/// Its minor version.
pub const MINOR: &str = "36";
/// The commit that was built, where the build says it.
pub const GIT_COMMIT: &str = match option_env!("FERRULE_GIT_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
/// Whether that was all.
pub const GIT_TREE_STATE: &str = "clean";
/// When it was built, where the build says it.
pub const DATE: &str = match option_env!("FERRULE_BUILD_DATE") {
    Some(date) => date,
    None => "1970-01-01T00:00:00Z",
};
/// There is no Go in it.
pub const GO_VERSION: &str = "none";
/// What compiled it.
pub const COMPILER: &str = "rustc";

/// The system and architecture in Go's words.
pub fn platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}/{architecture}", std::env::consts::OS)
}
