//! Runs tests one after the other on one cluster, each in a namespace of its own. What the cluster is, and what
//! a test is given of it, differs: [`play`] takes any, [`run`] those of containers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, anyhow};

use crate::cluster::Cluster;
use crate::kubectl::Kubectl;
use crate::wait::{seconds, until};

/// A test and its name, a sentence about behaviour.
pub struct Test<F = fn(&Lab) -> anyhow::Result<()>> {
    /// The sentence, with `_` for blanks.
    pub name: &'static str,
    /// What shows that it is true.
    pub run: F,
}

/// Lists functions as tests under their paths.
#[macro_export]
macro_rules! tests {
    ($($module:ident :: $function:ident),* $(,)?) => {
        &[$($crate::Test {
            name: concat!(stringify!($module), "::", stringify!($function)),
            run: $module::$function,
        }),*]
    };
}

/// What a test works with.
pub struct Lab<'a> {
    /// The cluster that all tests share.
    pub cluster: &'a Cluster,
    /// A namespace that only this test uses.
    pub namespace: String,
    /// Our kubectl in that namespace.
    pub kubectl: Kubectl,
    /// Upstream's, where there is one.
    pub upstream: Option<Kubectl>,
}

impl<'a> Lab<'a> {
    fn open(cluster: &'a Cluster, namespace: String) -> anyhow::Result<Lab<'a>> {
        cluster
            .kubectl()
            .words(&["create", "namespace", &namespace])?;
        Ok(Lab {
            cluster,
            kubectl: cluster.kubectl().within(&namespace),
            upstream: cluster
                .upstream_kubectl()
                .map(|kubectl| kubectl.within(&namespace)),
            namespace,
        })
    }

    /// Removes the namespace with all in it, and waits until it is gone.
    fn close(&self) -> anyhow::Result<()> {
        let kubectl = self.cluster.kubectl();
        kubectl.words(&["delete", "namespace", &self.namespace, "--wait=false"])?;
        until("the test's namespace is gone", seconds(60), || {
            let left = kubectl.run(&["get", "namespace", &self.namespace, "-o", "yaml"], "")?;
            anyhow::ensure!(!left.success(), "it is still there:\n{}", left.stdout);
            Ok(())
        })
    }
}

/// Runs tests on a cluster of containers, and saves what it shows when one fails.
pub fn run(start: impl FnOnce() -> anyhow::Result<Cluster>, tests: &[Test]) -> ExitCode {
    play(start, tests, one)
}

/// Runs the tests whose names contain one of the words (all of them without words), and tells
/// the results as `cargo test` does. `list` as a word only lists them.
///
/// What `start` made is handed to `one` for each test, with the test's number; it ends at the end.
pub fn play<C, F>(
    start: impl FnOnce() -> anyhow::Result<C>,
    tests: &[Test<F>],
    one: impl Fn(&C, usize, &Test<F>) -> anyhow::Result<()>,
) -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let (chosen, left_out): (Vec<&Test<F>>, Vec<&Test<F>>) = tests
        .iter()
        .partition(|test| words.is_empty() || words.iter().any(|word| test.name.contains(word)));
    if words == ["list"] {
        for test in tests {
            println!("{}", test.name);
        }
        return ExitCode::SUCCESS;
    }
    let cluster = match start() {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("error: the cluster does not start: {error:#}");
            println!(
                "test result: FAILED. 0 passed; {} failed; 0 ignored; 0 measured; {} filtered out",
                chosen.len(),
                left_out.len()
            );
            return ExitCode::FAILURE;
        }
    };
    println!("running {} tests", chosen.len());
    let began = Instant::now();
    let mut failures = Vec::new();
    for (number, test) in chosen.iter().enumerate() {
        let started = Instant::now();
        let result = one(&cluster, number, test);
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        println!(
            "test {} ... {word} ({:.1} s)",
            test.name,
            started.elapsed().as_secs_f64()
        );
        if let Err(error) = result {
            println!("    {}", format!("{error:#}").replace('\n', "\n    "));
            failures.push(test.name);
        }
    }
    if !failures.is_empty() {
        println!("\nfailures:");
        for name in &failures {
            println!("    {name}");
        }
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.1}s",
        if failures.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failures.len(),
        failures.len(),
        left_out.len(),
        began.elapsed().as_secs_f64()
    );
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn one(cluster: &Cluster, number: usize, test: &Test) -> anyhow::Result<()> {
    let lab = Lab::open(cluster, format!("test-{}-{number}", std::process::id()))?;
    let result = caught(|| (test.run)(&lab)).map_err(|error| evidence(cluster, test, error));
    let closed = lab.close().context("clean up");
    match (result, closed) {
        (Ok(()), Err(error)) => Err(evidence(cluster, test, error)),
        (result, _) => result,
    }
}

/// A test's result; a panic is a failure.
pub fn caught(test: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    catch_unwind(AssertUnwindSafe(test)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(anyhow!(said.unwrap_or_else(|| "it panicked".to_owned())))
    })
}

/// Saves what the cluster shows at this moment, and says where.
fn evidence(cluster: &Cluster, test: &Test, error: anyhow::Error) -> anyhow::Error {
    let folder = Path::new("/var/tmp/ferrule-e2e-logs").join(test.name.replace("::", "."));
    match cluster.save(&folder) {
        Ok(()) => error.context(format!("logs and objects are in {}", folder.display())),
        Err(lost) => error.context(format!("no logs could be saved: {lost:#}")),
    }
}
