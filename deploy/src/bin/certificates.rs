//! Makes the certificates and kubeconfig files of a cluster.

use std::path::PathBuf;

use clap::Parser;
use ferrule_deploy::certificates::{Plan, make};

/// Make the certificates and kubeconfig files of a cluster. What is right already is kept.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The folder for everything.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A worker node and its address; may be repeated.
    #[arg(long = "node", value_name = "NAME=IP")]
    nodes: Vec<String>,
    /// A further name or address of the API server; may be repeated.
    #[arg(long = "apiserver-name", value_name = "NAME")]
    apiserver_names: Vec<String>,
    /// A further name or address of etcd; may be repeated.
    #[arg(long = "etcd-name", value_name = "NAME")]
    etcd_names: Vec<String>,
    /// A further member of the control plane, such as etcd2 or apiserver2, and its address; may be
    /// repeated.
    #[arg(long = "member", value_name = "NAME=IP")]
    members: Vec<String>,
    /// The API server as components reach it; several are separated by commas.
    #[arg(long, default_value = "https://apiserver:6443")]
    internal_server: String,
    /// The API server as people reach it; several are separated by commas.
    #[arg(long, default_value = "https://127.0.0.1:6443")]
    external_server: String,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let pairs = |flag: &str, given: &[String]| -> anyhow::Result<Vec<(String, String)>> {
        let pair = |text: &String| {
            let (name, address) = text
                .split_once('=')
                .ok_or_else(|| anyhow::anyhow!("{flag} {text}: expected NAME=IP"))?;
            Ok((name.to_owned(), address.to_owned()))
        };
        given.iter().map(pair).collect()
    };
    let own = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    let mut apiserver_names = own(&[
        "apiserver",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "10.96.0.1",
    ]);
    apiserver_names.extend(args.apiserver_names);
    let mut etcd_names = own(&["etcd", "localhost", "127.0.0.1"]);
    etcd_names.extend(args.etcd_names);
    make(&Plan {
        folder: args.out,
        apiserver_names,
        etcd_names,
        nodes: pairs("--node", &args.nodes)?,
        members: pairs("--member", &args.members)?,
        internal_server: args.internal_server,
        external_server: args.external_server,
    })
}
