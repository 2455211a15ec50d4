//! Either kubectl against the cluster under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::command::{self, Output};

/// How long a command may take that does not say otherwise.
const WITHIN: Duration = Duration::from_secs(90);

/// A kubectl, the kubeconfig that it uses, and the namespace that it works in.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
    namespace: Option<String>,
    upstream: bool,
}

impl Kubectl {
    /// Our own.
    pub fn ours(program: PathBuf, kubeconfig: &Path) -> Kubectl {
        Kubectl {
            program,
            kubeconfig: kubeconfig.to_owned(),
            cache: PathBuf::new(),
            namespace: None,
            upstream: false,
        }
    }

    /// Upstream's. It keeps what it learns about the server in `cache`.
    pub fn upstream(program: PathBuf, kubeconfig: &Path, cache: PathBuf) -> Kubectl {
        Kubectl {
            program,
            kubeconfig: kubeconfig.to_owned(),
            cache,
            namespace: None,
            upstream: true,
        }
    }

    /// The same in a namespace.
    pub fn within(&self, namespace: &str) -> Kubectl {
        Kubectl {
            namespace: Some(namespace.to_owned()),
            ..self.clone()
        }
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Whose it is, for messages.
    pub fn whose(&self) -> &'static str {
        if self.upstream {
            "upstream's kubectl"
        } else {
            "our kubectl"
        }
    }

    /// A command with these words, to be started by the caller.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env_remove("KUBECTL_NAMESPACE");
        if let Some(namespace) = &self.namespace {
            command.args(["-n", namespace]);
        }
        if self.upstream {
            command.arg("--cache-dir").arg(&self.cache);
        }
        command.args(words);
        command
    }

    /// Runs with these words, whatever comes of it.
    pub fn run(&self, words: &[&str], input: &str) -> anyhow::Result<Output> {
        command::run(&mut self.command(words), input, WITHIN)
    }

    /// Runs a command line whose words are separated by blanks; it must succeed.
    pub fn ok(&self, line: &str) -> anyhow::Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.words(&words)
    }

    /// Runs with these words; it must succeed.
    pub fn words(&self, words: &[&str]) -> anyhow::Result<String> {
        self.run(words, "")?
            .ok()
            .with_context(|| format!("{}: {}", self.whose(), words.join(" ")))
    }

    /// Runs a command line that must fail; answers with its standard error.
    pub fn fails(&self, line: &str) -> anyhow::Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = self.run(&words, "")?;
        anyhow::ensure!(
            !output.success(),
            "{}: {line}: it should fail, but says {}",
            self.whose(),
            output.stdout
        );
        Ok(output.stderr)
    }

    /// `apply -f -`.
    pub fn apply(&self, manifest: &str) -> anyhow::Result<String> {
        self.run(&["apply", "-f", "-"], manifest)?
            .ok()
            .with_context(|| format!("{}: apply:\n{manifest}", self.whose()))
    }

    /// `create -f -`.
    pub fn create(&self, manifest: &str) -> anyhow::Result<String> {
        self.run(&["create", "-f", "-"], manifest)?
            .ok()
            .with_context(|| format!("{}: create:\n{manifest}", self.whose()))
    }

    /// What `get WHAT -o json` shows.
    pub fn json(&self, what: &str) -> anyhow::Result<serde_json::Value> {
        let text = self.ok(&format!("get {what} -o json"))?;
        serde_json::from_str(&text).with_context(|| format!("get {what} -o json"))
    }
}
