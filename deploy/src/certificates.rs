//! The certificates of a cluster, and the kubeconfig of each component.
//!
//! Everything lives in one folder. What is there already and still right is kept, so that a
//! running cluster goes on; a certificate is made again when its subject or names change, or
//! when less than [`RENEW_BEFORE_DAYS`] of it are left.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

const VALID_DAYS: u64 = 365;
const AUTHORITY_DAYS: u64 = 3650;
/// Certificates are renewed when they have fewer days left.
pub const RENEW_BEFORE_DAYS: u64 = 60;

/// What to make.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The folder for everything.
    pub folder: PathBuf,
    /// Names and addresses of the API server.
    pub apiserver_names: Vec<String>,
    /// Names and addresses of etcd.
    pub etcd_names: Vec<String>,
    /// Each worker node with its address.
    pub nodes: Vec<(String, String)>,
    /// Further members of the control plane with their addresses: `etcd2`, `apiserver2`, `scheduler2`.
    /// The digits at the end are dropped to find what a member is.
    pub members: Vec<(String, String)>,
    /// Where components inside the cluster's network find the API server: `https://apiserver:6443`;
    /// several, separated by commas, are tried in turn.
    pub internal_server: String,
    /// Where people outside find it.
    pub external_server: String,
}

/// Who a certificate says its holder is.
struct Subject<'a> {
    file: String,
    user: String,
    group: Option<&'a str>,
    /// Names and addresses, for serving.
    names: Vec<String>,
}

/// Makes what is missing or outdated. Says on standard output what it made.
pub fn make(plan: &Plan) -> anyhow::Result<()> {
    fs::create_dir_all(&plan.folder)
        .with_context(|| format!("create {}", plan.folder.display()))?;
    let cluster = Authority::open(&plan.folder, "ca", "kubernetes")?;
    let etcd = Authority::open(&plan.folder, "etcd-ca", "etcd-ca")?;
    etcd.issue(&subject("etcd", "etcd", None, &plan.etcd_names))?;
    etcd.issue(&subject(
        "apiserver-etcd-client",
        "kube-apiserver-etcd-client",
        None,
        &[],
    ))?;

    for (member, address) in members_of(plan, "etcd") {
        etcd.issue(&subject(
            member,
            "etcd",
            None,
            &serving(member, Some(address)),
        ))?;
    }

    let masters = Some("system:masters");
    for (member, address) in members_of(plan, "apiserver") {
        let mut names = plan.apiserver_names.clone();
        names.extend([member.to_owned(), address.to_owned()]);
        cluster.issue(&subject(member, "kube-apiserver", None, &names))?;
    }
    cluster.issue(&subject(
        "apiserver",
        "kube-apiserver",
        None,
        &plan.apiserver_names,
    ))?;
    cluster.issue(&subject(
        "apiserver-kubelet-client",
        "kube-apiserver-kubelet-client",
        masters,
        &[],
    ))?;
    let mut holders = vec![
        subject("admin", "kubernetes-admin", masters, &[]),
        subject(
            "scheduler",
            "system:kube-scheduler",
            None,
            &serving("scheduler", None),
        ),
        subject(
            "controller-manager",
            "system:kube-controller-manager",
            None,
            &serving("controller-manager", None),
        ),
    ];
    for component in ["scheduler", "controller-manager"] {
        for (member, address) in members_of(plan, component) {
            holders.push(subject(
                member,
                &format!("system:kube-{component}"),
                None,
                &serving(member, Some(address)),
            ));
        }
    }
    for (node, address) in &plan.nodes {
        let names = serving(node, Some(address));
        holders.push(subject(
            &format!("kubelet-{node}"),
            &format!("system:node:{node}"),
            Some("system:nodes"),
            &names,
        ));
        holders.push(subject(
            &format!("kube-proxy-{node}"),
            "system:kube-proxy",
            Some("system:node-proxier"),
            &names,
        ));
        holders.push(subject(
            &format!("network-agent-{node}"),
            &format!("system:network-agent:{node}"),
            Some("system:network-agents"),
            &names,
        ));
        holders.push(subject(
            &format!("node-dns-{node}"),
            "system:node-dns",
            None,
            &names,
        ));
    }
    for (turn, holder) in holders.iter().enumerate() {
        cluster.issue(holder)?;
        let file = plan.folder.join(format!("{}.kubeconfig", holder.file));
        let servers = rotated(&plan.internal_server, turn);
        write_if_changed(&file, &kubeconfig(&holder.file, &servers))?;
    }
    let outside = inline_kubeconfig(&plan.folder, "admin", &plan.external_server)?;
    write_if_changed(&plan.folder.join("kubeconfig"), &outside)?;
    // Upstream's clients know one server only.
    let servers: Vec<&str> = plan.external_server.split(',').collect();
    for (number, server) in (1..).zip(&servers).filter(|_| servers.len() > 1) {
        let one = inline_kubeconfig(&plan.folder, "admin", server)?;
        write_if_changed(&plan.folder.join(format!("kubeconfig.{number}")), &one)?;
    }
    Ok(())
}

/// The further members that are such a component.
fn members_of<'a>(plan: &'a Plan, component: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    plan.members
        .iter()
        .filter(move |(member, _)| {
            member.trim_end_matches(|digit: char| digit.is_ascii_digit()) == component
        })
        .map(|(member, address)| (&**member, &**address))
}

/// The same servers beginning with another one, so that clients spread over them.
fn rotated(servers: &str, turn: usize) -> String {
    let mut servers: Vec<&str> = servers.split(',').collect();
    let first = turn % servers.len();
    servers.rotate_left(first);
    servers.join(",")
}

fn subject<'a>(file: &str, user: &str, group: Option<&'a str>, names: &[String]) -> Subject<'a> {
    Subject {
        file: file.to_owned(),
        user: user.to_owned(),
        group,
        names: names.to_vec(),
    }
}

fn serving(name: &str, address: Option<&str>) -> Vec<String> {
    let mut names = vec![
        name.to_owned(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
    ];
    names.extend(address.map(str::to_owned));
    names
}

struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority in the folder; a new one when there is none.
    fn open(folder: &Path, file: &str, name: &str) -> anyhow::Result<Authority> {
        let certificate_file = folder.join(format!("{file}.crt"));
        let key_file = folder.join(format!("{file}.key"));
        let issuer = if certificate_file.exists() && key_file.exists() {
            let key = KeyPair::from_pem(&fs::read_to_string(&key_file)?)
                .with_context(|| format!("read {}", key_file.display()))?;
            Issuer::from_ca_cert_pem(&fs::read_to_string(&certificate_file)?, key)
                .with_context(|| format!("read {}", certificate_file.display()))?
        } else {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(Vec::new())?;
            params.distinguished_name = distinguished_name(name, None);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![
                KeyUsagePurpose::KeyCertSign,
                KeyUsagePurpose::DigitalSignature,
                KeyUsagePurpose::CrlSign,
            ];
            validity(&mut params, AUTHORITY_DAYS);
            let certificate = params.self_signed(&key)?;
            write_secret(&key_file, &key.serialize_pem())?;
            fs::write(&certificate_file, certificate.pem())?;
            println!("made the authority {}", certificate_file.display());
            Issuer::new(params, key)
        };
        Ok(Authority {
            folder: folder.to_owned(),
            issuer,
        })
    }

    fn issue(&self, subject: &Subject<'_>) -> anyhow::Result<()> {
        let certificate_file = self.folder.join(format!("{}.crt", subject.file));
        let key_file = self.folder.join(format!("{}.key", subject.file));
        let wish_file = self.folder.join(format!("{}.subject", subject.file));
        let wish = format!("{} {:?} {:?}\n", subject.user, subject.group, subject.names);
        let as_wished = fs::read_to_string(&wish_file).is_ok_and(|made| made == wish);
        if as_wished && key_file.exists() && is_fresh(&certificate_file) {
            return Ok(());
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(subject.names.clone())?;
        params.distinguished_name = distinguished_name(&subject.user, subject.group);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        validity(&mut params, VALID_DAYS);
        let certificate = params.signed_by(&key, &self.issuer)?;
        write_secret(&key_file, &key.serialize_pem())?;
        fs::write(&certificate_file, certificate.pem())?;
        fs::write(&wish_file, wish)?;
        println!("made {}", certificate_file.display());
        Ok(())
    }
}

fn distinguished_name(user: &str, group: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(group) = group {
        name.push(DnType::OrganizationName, group);
    }
    name.push(DnType::CommonName, user);
    name
}

fn validity(params: &mut CertificateParams, days: u64) {
    let now = SystemTime::now();
    // A little into the past: clocks of other machines may be behind.
    params.not_before = (now - Duration::from_secs(3600)).into();
    params.not_after = (now + Duration::from_secs(days * 86400)).into();
}

/// Judged by when the file was written: the certificates are valid from then on.
fn is_fresh(certificate: &Path) -> bool {
    let age = fs::metadata(certificate)
        .and_then(|m| m.modified())
        .ok()
        .and_then(|made| made.elapsed().ok());
    age.is_some_and(|age| age < Duration::from_secs((VALID_DAYS - RENEW_BEFORE_DAYS) * 86400))
}

fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())
        .with_context(|| format!("write {}", path.display()))
}

fn write_if_changed(path: &Path, text: &str) -> anyhow::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    write_secret(path, text)
}

fn kubeconfig(user: &str, server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: ferrule\n  cluster:\n    server: {server}\n    \
         certificate-authority: ca.crt\ncontexts:\n- name: ferrule\n  context:\n    cluster: ferrule\n    user: {user}\n\
         current-context: ferrule\nusers:\n- name: {user}\n  user:\n    client-certificate: {user}.crt\n    client-key: {user}.key\n"
    )
}

/// A kubeconfig that holds everything, for people to copy.
fn inline_kubeconfig(folder: &Path, user: &str, server: &str) -> anyhow::Result<String> {
    let data = |file: String| -> anyhow::Result<String> {
        let path = folder.join(file);
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(base64(&bytes))
    };
    Ok(format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: ferrule\n  cluster:\n    server: {server}\n    \
         certificate-authority-data: {authority}\ncontexts:\n- name: ferrule\n  context:\n    cluster: ferrule\n    user: {user}\n\
         current-context: ferrule\nusers:\n- name: {user}\n  user:\n    client-certificate-data: {certificate}\n    client-key-data: {key}\n",
        authority = data("ca.crt".to_owned())?,
        certificate = data(format!("{user}.crt"))?,
        key = data(format!("{user}.key"))?,
    ))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(folder: &Path) -> Plan {
        Plan {
            folder: folder.to_owned(),
            apiserver_names: vec!["apiserver".into(), "127.0.0.1".into()],
            etcd_names: vec!["etcd".into()],
            nodes: vec![("node1".into(), "172.30.0.11".into())],
            members: Vec::new(),
            internal_server: "https://apiserver:6443".into(),
            external_server: "https://127.0.0.1:6443".into(),
        }
    }

    #[test]
    fn a_second_run_changes_nothing_and_a_new_name_only_its_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = plan(folder.path());
        let read = |file: &str| fs::read(folder.path().join(file)).unwrap();
        make(&plan).unwrap();
        let (authority, server, kubelet) = (
            read("ca.crt"),
            read("apiserver.crt"),
            read("kubelet-node1.crt"),
        );
        make(&plan).unwrap();
        assert_eq!(
            (read("ca.crt"), read("apiserver.crt")),
            (authority.clone(), server.clone())
        );
        plan.apiserver_names.push("lab.example".into());
        make(&plan).unwrap();
        assert_eq!(
            (read("ca.crt"), read("kubelet-node1.crt")),
            (authority, kubelet)
        );
        assert_ne!(read("apiserver.crt"), server);
    }

    #[test]
    fn every_member_has_a_certificate_and_clients_begin_with_different_servers() {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = plan(folder.path());
        for (number, member) in (6..).zip(["etcd2", "apiserver2", "scheduler2"]) {
            plan.members
                .push((member.into(), format!("172.30.0.{number}")));
        }
        plan.internal_server = "https://apiserver:6443,https://apiserver2:6443".into();
        plan.external_server = "https://127.0.0.1:6443,https://127.0.0.1:6543".into();
        make(&plan).unwrap();
        let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(read("etcd2.subject").starts_with("etcd None"));
        assert!(read("apiserver2.subject").contains("172.30.0.7"));
        assert!(read("scheduler2.subject").starts_with("system:kube-scheduler"));
        assert!(read("admin.kubeconfig").contains(&plan.internal_server));
        assert!(
            read("scheduler.kubeconfig").contains("https://apiserver2:6443,https://apiserver:6443")
        );
        assert!(read("kubeconfig").contains(&plan.external_server));
        assert!(read("kubeconfig.2").contains("server: https://127.0.0.1:6543\n"));
    }
}
