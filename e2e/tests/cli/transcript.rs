//! Transcripts: commands as they are typed, with what they print.
//!
//! ```text
//! # A comment.
//! $ kubectl get configmap a none
//! | NAME   DATA   AGE
//! | a      1      <age>
//! ! Error from server (NotFound): configmaps "none" not found
//! = 1
//! $[settles] kubectl get pods \
//! >   --no-headers
//! | web   1/1   Running   0   <age>
//! ```
//!
//! `|` is standard output, `!` standard error, `=` an exit code that is not 0; a `\` line says that
//! the line above has no end. A line before all commands that says `one after the other` keeps the
//! two kubectls from being played at the same time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

const NO_END: &str = "\\";

/// What a command left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit code.
    pub code: i32,
}

/// A command.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// The number of its first line.
    pub line: usize,
    /// What the shell is given.
    pub command: String,
    /// It takes a moment until it prints this.
    pub settles: bool,
    /// Only our kubectl is played with it: the two differ by intention, as docs/kubectl.md says.
    pub ours: bool,
    /// The first minor release whose kubectl prints this.
    pub since: Option<u32>,
    /// What it prints.
    pub said: Said,
}

/// A file of commands.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// The file's name without its ending.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The kubectls are not played at the same time.
    pub in_turn: bool,
    /// The commands.
    pub steps: Vec<Step>,
    /// The text.
    pub text: String,
}

impl Transcript {
    /// The transcripts of a folder, by name.
    pub fn read_all(folder: &Path) -> anyhow::Result<Vec<Transcript>> {
        let entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
        let mut paths = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<PathBuf>>>()?;
        paths.retain(|path| path.extension().is_some_and(|own| own == "txt"));
        paths.sort();
        paths.iter().map(|path| Transcript::read(path)).collect()
    }

    fn read(path: &Path) -> anyhow::Result<Transcript> {
        let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Transcript {
            name: name.into_owned(),
            path: path.to_owned(),
            in_turn: text.lines().any(|line| line == "# one after the other"),
            steps: steps(&text).with_context(|| format!("{}", path.display()))?,
            text,
        })
    }

    /// The text with other answers.
    pub fn with_answers(&self, answers: &[Said]) -> String {
        let mut out = String::new();
        let mut answers = answers.iter();
        let mut answer: Option<&Said> = None;
        for line in self.text.lines() {
            if line.starts_with(['|', '!', '=', '\\']) {
                continue;
            }
            if !line.starts_with('>')
                && let Some(answer) = answer.take()
            {
                out.push_str(&answer.to_string());
            }
            if line.starts_with('$') {
                answer = answers.next();
            }
            out.push_str(line);
            out.push('\n');
        }
        if let Some(answer) = answer {
            out.push_str(&answer.to_string());
        }
        out
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (mark, text) in [("|", &self.stdout), ("!", &self.stderr)] {
            for line in text.lines() {
                let blank = if line.is_empty() { "" } else { " " };
                writeln!(f, "{mark}{blank}{line}")?;
            }
            if !text.is_empty() && !text.ends_with('\n') {
                writeln!(f, "{NO_END}")?;
            }
        }
        match self.code {
            0 => Ok(()),
            code => writeln!(f, "= {code}"),
        }
    }
}

fn steps(text: &str) -> anyhow::Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    // Which of the two a line without an end belongs to.
    let mut last_is_error = false;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let Some(mark) = line.chars().next().filter(|mark| *mark != '#') else {
            continue;
        };
        let rest = &line[mark.len_utf8()..];
        if mark == '$' {
            steps.push(step(number, rest).with_context(|| format!("line {number}"))?);
            continue;
        }
        let Some(step) = steps.last_mut() else {
            bail!("line {number}: no command is there yet");
        };
        let content = rest.strip_prefix(' ').unwrap_or(rest);
        match mark {
            '>' => {
                step.command.push('\n');
                step.command.push_str(content);
            }
            '|' | '!' => {
                last_is_error = mark == '!';
                let text = stream(step, last_is_error);
                text.push_str(content);
                text.push('\n');
            }
            '\\' => {
                stream(step, last_is_error).pop();
            }
            '=' => step.said.code = content.parse().with_context(|| format!("line {number}"))?,
            _ => bail!("line {number}: it begins with {mark:?}"),
        }
    }
    Ok(steps)
}

fn stream(step: &mut Step, error: bool) -> &mut String {
    if error {
        &mut step.said.stderr
    } else {
        &mut step.said.stdout
    }
}

fn step(line: usize, rest: &str) -> anyhow::Result<Step> {
    let (marks, command) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once("] ").context("`]` is missing")?,
        None => ("", rest.strip_prefix(' ').context("a blank is missing")?),
    };
    let mut step = Step {
        line,
        command: command.to_owned(),
        ..Step::default()
    };
    for mark in marks.split(',').filter(|mark| !mark.is_empty()) {
        match mark.trim().split_once(' ') {
            None if mark.trim() == "settles" => step.settles = true,
            None if mark.trim() == "ours" => step.ours = true,
            Some(("since", release)) => {
                let minor = release.strip_prefix("1.").context("a release is 1.N")?;
                step.since = Some(minor.parse()?);
            }
            _ => bail!("there is no mark {mark:?}"),
        }
    }
    Ok(step)
}
