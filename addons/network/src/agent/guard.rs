//! What keeps a node's traffic in order: forwarding and our nf_tables table, both also before any Node is known.
//!
//! ```text
//! table ip ferrule-network {
//!     set pods { type ipv4_addr; }                                      # those that are here; the CNI plugin keeps it too
//!     chain postrouting {
//!         type nat hook postrouting priority srcnat; policy accept;
//!         ip saddr <pods> ip daddr != <pods> masquerade fully-random    # leaves the cluster
//!     }
//!     chain forward {
//!         type filter hook forward priority filter + 10; policy accept;
//!         oifname "lo" ip daddr <services> drop                         # nobody translated it
//!         ip daddr <this node's pods> ip daddr != @pods oifname != "lo" goto absent
//!     }
//!     chain output {
//!         type filter hook output priority filter + 10; policy accept;
//!         ip daddr <this node's pods> ip daddr != @pods oifname != "lo" goto absent
//!     }
//!     chain absent {                                                    # a connection to a pod that is gone ends at once
//!         meta l4proto tcp reject with tcp reset
//!         reject with icmp host-unreachable
//!     }
//! }
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;

use ferrule_netlink::Error;
use ferrule_netlink::nftables::{
    Base, Comparison, Connection, Element, Expression, Given, Gives, Holds, Hook, HookKind, Meta,
    Part, Register, Reject, Set, Transaction, Type, Verdict,
};

use crate::agent::plan::Settings;
use crate::cidr::Cidr;

const TABLE: &str = "ferrule-network";
const ABSENT: &str = "absent";
const REGISTER: Register = Register(0);
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;

/// Kernel settings that a node needs; a failure is told once and is not fatal (some containers forbid it).
pub fn set_kernel(bridge: &str) -> Vec<String> {
    let settings = [
        ("net/ipv4/ip_forward".to_owned(), "1"),
        // Pods reach each other through the node although they share a link: that is meant.
        ("net/ipv4/conf/all/send_redirects".to_owned(), "0"),
        (format!("net/ipv4/conf/{bridge}/send_redirects"), "0"),
    ];
    let mut failures = Vec::new();
    for (name, value) in settings {
        let path = format!("/proc/sys/{name}");
        let Ok(present) = fs::read_to_string(&path) else {
            continue;
        };
        if present.trim() != value
            && let Err(error) = fs::write(&path, value)
        {
            failures.push(format!("{path}: {error}"));
        }
    }
    failures
}

/// The pods of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    /// Their network.
    pub network: Cidr,
    /// Those that are here.
    pub pods: BTreeSet<Ipv4Addr>,
}

const PODS: Set = Set {
    name: "pods",
    key: Type(&[Part::Address]),
    gives: Gives::Nothing,
    holds: Holds::Keys,
};

/// A pod is here from now on; without our table there is nothing to do.
pub fn add_pod(address: Ipv4Addr) -> Result<(), Error> {
    change_pod(|transaction| transaction.add_elements(PODS.name, [pod(&address)]))
}

/// A pod is gone.
pub fn remove_pod(address: Ipv4Addr) -> Result<(), Error> {
    change_pod(|transaction| transaction.delete_elements(PODS.name, [pod(&address)]))
}

fn change_pod(change: impl FnOnce(&mut Transaction)) -> Result<(), Error> {
    let mut transaction = Transaction::new(TABLE);
    change(&mut transaction);
    match Connection::open()?.commit(transaction) {
        Err(error) if !error.is_absent() => Err(error),
        _ => Ok(()),
    }
}

fn pod(address: &Ipv4Addr) -> Element {
    Element::new(address.octets().to_vec(), Given::Nothing)
}

/// Whether there is a table, of whatever kind.
pub fn is_there(connection: &mut Connection) -> Result<bool, Error> {
    Ok(connection.table_handle(TABLE)?.is_some())
}

/// Makes the table anew unless it is there, complete.
pub fn ensure_table(
    connection: &mut Connection,
    settings: &Settings,
    masquerade: bool,
    guarded: Option<&Guarded>,
) -> Result<bool, Error> {
    let complete = connection.contents(TABLE)?.is_some_and(|contents| {
        let chains = chains(settings, masquerade, guarded);
        let wanted = chains.iter().map(|(name, _, rules)| (*name, rules.len()));
        let found = contents
            .chains
            .iter()
            .map(|(name, rules)| (&**name, *rules));
        let pods = guarded.into_iter().flat_map(|guarded| &guarded.pods);
        let pods: BTreeSet<Vec<u8>> = pods.map(|pod| pod.octets().to_vec()).collect();
        let known = contents.sets.get(PODS.name);
        found.eq(wanted) && known.is_some_and(|known| known.keys().eq(&pods))
    });
    if !complete {
        make_table(connection, settings, masquerade, guarded)?;
    }
    Ok(!complete)
}

/// Makes the table anew, in one step.
pub fn make_table(
    connection: &mut Connection,
    settings: &Settings,
    masquerade: bool,
    guarded: Option<&Guarded>,
) -> Result<(), Error> {
    let mut transaction = Transaction::new(TABLE);
    transaction.add_table();
    transaction.delete_table();
    transaction.add_table();
    transaction.add_set(PODS);
    let chains = chains(settings, masquerade, guarded);
    for (name, hook, _) in &chains {
        transaction.add_chain(name, *hook);
    }
    for (name, _, rules) in &chains {
        for rule in rules {
            transaction.add_rule(name, rule);
        }
    }
    let pods = guarded.into_iter().flat_map(|guarded| &guarded.pods);
    transaction.add_elements(PODS.name, pods.map(pod));
    connection.commit(transaction)
}

type Chain = (&'static str, Option<Hook>, Vec<Vec<Expression>>);

/// The chains in the order of their names.
fn chains(settings: &Settings, masquerade: bool, guarded: Option<&Guarded>) -> Vec<Chain> {
    let hook = |kind, number, priority| {
        Some(Hook {
            kind,
            number,
            priority,
        })
    };
    let leaves = || {
        let mut rule = matching(SOURCE, settings.cluster, Comparison::Equal);
        rule.extend(matching(
            DESTINATION,
            settings.cluster,
            Comparison::NotEqual,
        ));
        rule.push(Expression::Masquerade);
        rule
    };
    let untranslated = || {
        let mut rule = leaves_by("lo", Comparison::Equal);
        rule.extend(matching(DESTINATION, settings.services, Comparison::Equal));
        rule.push(Expression::Decide(Verdict::Drop));
        rule
    };
    let to_absent = guarded.map(|guarded| {
        let mut rule = matching(DESTINATION, guarded.network, Comparison::Equal);
        rule.extend([
            load(DESTINATION),
            Expression::NotMember(REGISTER, PODS.name),
        ]);
        // This node's own addresses in that network are not gone.
        rule.extend(leaves_by("lo", Comparison::NotEqual));
        rule.push(Expression::Decide(Verdict::Goto(ABSENT.to_owned())));
        rule
    });
    let forward = [untranslated()].into_iter().chain(to_absent.clone());
    vec![
        (ABSENT, None, absent_rules()),
        ("forward", hook(HookKind::Filter, 2, 10), forward.collect()),
        (
            "output",
            hook(HookKind::Filter, 3, 10),
            to_absent.into_iter().collect(),
        ),
        (
            "postrouting",
            hook(HookKind::Nat, 4, 100),
            masquerade.then(leaves).into_iter().collect(),
        ),
    ]
}

fn absent_rules() -> Vec<Vec<Expression>> {
    let tcp = vec![
        Expression::Load(Meta::Layer4Protocol, REGISTER),
        Expression::Compare(Comparison::Equal, REGISTER, vec![6]),
        Expression::Reject(Reject::Reset),
    ];
    vec![tcp, vec![Expression::Reject(Reject::HostUnreachable)]]
}

fn leaves_by(interface: &str, comparison: Comparison) -> Vec<Expression> {
    let mut name = interface.as_bytes().to_vec();
    name.resize(16, 0);
    vec![
        Expression::Load(Meta::OutputName, REGISTER),
        Expression::Compare(comparison, REGISTER, name),
    ]
}

fn load(offset: u32) -> Expression {
    Expression::Payload {
        base: Base::Network,
        offset,
        length: 4,
        to: REGISTER,
    }
}

fn matching(offset: u32, network: Cidr, comparison: Comparison) -> Vec<Expression> {
    vec![
        load(offset),
        Expression::Bitwise {
            register: REGISTER,
            mask: network.mask().octets(),
            flip: [0; 4],
        },
        Expression::Compare(comparison, REGISTER, network.base().octets().to_vec()),
    ]
}
