//! The rules of the table, as `ruleset` draws them.

use std::net::Ipv4Addr;

use ferrule_netlink::nftables::{
    Base, Comparison, Expression, Hook, HookKind, Meta, Register, Reject, Verdict,
};

use crate::cidr::Cidr;
use crate::objects::Protocol;
use crate::program::encoding::{
    AFFINITY, ALLOWED_SOURCES, CLUSTER_IPS, ENDPOINTS, EXTERNAL_IPS, HAIRPINS, NODE_PORT_AFFINITY,
    NODE_PORT_ENDPOINTS, NODE_PORTS, SERVICE_IPS, STICKY_IPS, STICKY_NODE_PORTS,
};
use crate::ruleset::{LOCAL, Settings};
use crate::spread::{Chain, Ends, Memory, Place, Spread};

/// Tells the client that nobody serves it.
pub(super) const REJECT: &str = "reject";
/// The same, unless somebody on this node has the address.
pub(super) const UNSERVED: &str = "unserved";
const SERVICES: &str = "services";
const REMEMBER: &str = "remember";
/// `ct state new`, in host order.
const NEW: u32 = 8;
/// `ct status dnat`, in host order.
const TRANSLATED: u32 = 32;

const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;
/// `RTN_LOCAL` in host order, as `fib` gives it.
const OWN_ADDRESS: [u8; 4] = 2_u32.to_ne_bytes();
const LOOPBACK: Cidr = Cidr {
    base: Ipv4Addr::new(127, 0, 0, 0),
    mask: Ipv4Addr::new(255, 0, 0, 0),
};
const R0: Register = Register(0);
const R1: Register = Register(1);
const R2: Register = Register(2);

pub(super) type Rule = Vec<Expression>;

/// The chains that do not depend on services.
pub(super) fn frame(settings: &Settings) -> Vec<(&'static str, Option<Hook>, Vec<Rule>)> {
    let nat = |number, priority| hook(HookKind::Nat, number, priority);
    let to_services = || vec![vec![Expression::Decide(Verdict::Jump(SERVICES.to_owned()))]];
    vec![
        (REJECT, None, reject_rules()),
        (UNSERVED, None, unserved_rules()),
        (SERVICES, None, services_rules(settings)),
        ("prerouting", nat(0, -100), to_services()),
        ("output", nat(3, -100), to_services()),
        ("postrouting", nat(4, 100), postrouting_rules(settings)),
        (REMEMBER, None, remember_rules()),
        (
            "remember-forwarded",
            hook(HookKind::Filter, 4, -150),
            vec![to_remember()],
        ),
        (
            "remember-local",
            hook(HookKind::Filter, 1, -150),
            vec![to_remember()],
        ),
        (
            "loopback-guard",
            hook(HookKind::Filter, 0, -300),
            loopback_rules(),
        ),
    ]
}

fn hook(kind: HookKind, number: u32, priority: i32) -> Option<Hook> {
    Some(Hook {
        kind,
        number,
        priority,
    })
}

fn reject_rules() -> Vec<Rule> {
    let mut reset = is_protocol(Protocol::Tcp);
    reset.push(Expression::Reject(Reject::Reset));
    vec![reset, vec![Expression::Reject(Reject::PortUnreachable)]]
}

fn services_rules(settings: &Settings) -> Vec<Rule> {
    let unserved = || Expression::Decide(Verdict::Goto(UNSERVED.to_owned()));
    let by_address = vec![
        load(DESTINATION, R0),
        Expression::Load(Meta::Layer4Protocol, R1),
        destination_port(R2),
        Expression::VerdictMap(R0, SERVICE_IPS.name),
    ];
    let mut by_node_port = destination_is_local();
    by_node_port.extend([
        Expression::Load(Meta::Layer4Protocol, R0),
        destination_port(R1),
        Expression::VerdictMap(R0, NODE_PORTS.name),
    ]);
    let mut rules = vec![by_address, by_node_port];
    if let Some(range) = settings.service_range {
        let mut rule = matching(DESTINATION, range, Comparison::Equal);
        rule.push(unserved());
        rules.push(rule);
    }
    rules.push(vec![
        load(DESTINATION, R0),
        Expression::Member(R0, CLUSTER_IPS.name),
        unserved(),
    ]);
    rules
}

fn unserved_rules() -> Vec<Rule> {
    let mut local = destination_is_local();
    local.push(Expression::Decide(Verdict::Return));
    let reject = Expression::Decide(Verdict::Goto(REJECT.to_owned()));
    vec![local, vec![reject]]
}

fn destination_is_local() -> Rule {
    vec![
        Expression::DestinationKind(R0),
        Expression::Compare(Comparison::Equal, R0, OWN_ADDRESS.to_vec()),
    ]
}

fn postrouting_rules(settings: &Settings) -> Vec<Rule> {
    let mark = mark(settings);
    let marked = vec![
        Expression::Load(Meta::Mark, R0),
        Expression::Bitwise {
            register: R0,
            mask: mark.to_ne_bytes(),
            flip: [0; 4],
        },
        Expression::Compare(Comparison::NotEqual, R0, vec![0; 4]),
        Expression::Load(Meta::Mark, R0),
        Expression::Bitwise {
            register: R0,
            mask: (!mark).to_ne_bytes(),
            flip: [0; 4],
        },
        Expression::SetMark(R0),
        Expression::Masquerade,
    ];
    let hairpin = vec![
        load(SOURCE, R0),
        load(DESTINATION, R1),
        Expression::Member(R0, HAIRPINS.name),
        Expression::Masquerade,
    ];
    vec![marked, hairpin]
}

fn loopback_rules() -> Vec<Rule> {
    let mut name = vec![0; 16];
    name[..2].copy_from_slice(b"lo");
    let mut rule = vec![
        Expression::Load(Meta::InputName, R0),
        Expression::Compare(Comparison::NotEqual, R0, name),
    ];
    rule.extend(matching(DESTINATION, LOOPBACK, Comparison::Equal));
    rule.push(Expression::Decide(Verdict::Drop));
    vec![rule]
}

/// New connections that were translated.
fn to_remember() -> Rule {
    let mut rule = Rule::new();
    for (load, bit) in [
        (Expression::ConnectionState(R0), NEW),
        (Expression::ConnectionStatus(R0), TRANSLATED),
    ] {
        rule.extend([
            load,
            Expression::Bitwise {
                register: R0,
                mask: bit.to_ne_bytes(),
                flip: [0; 4],
            },
            Expression::Compare(Comparison::NotEqual, R0, vec![0; 4]),
        ]);
    }
    rule.push(Expression::Decide(Verdict::Goto(REMEMBER.to_owned())));
    rule
}

fn remember_rules() -> Vec<Rule> {
    let of_others = |set| {
        vec![
            Expression::OriginalDestination(R0),
            Expression::Member(R0, set),
            Expression::Decide(Verdict::Return),
        ]
    };
    let mut by_address = original(false, R0);
    by_address.push(Expression::VerdictMap(R0, STICKY_IPS.name));
    let mut by_port = original(true, R0);
    by_port.push(Expression::VerdictMap(R0, STICKY_NODE_PORTS.name));
    vec![
        by_address,
        of_others(CLUSTER_IPS.name),
        of_others(EXTERNAL_IPS.name),
        by_port,
    ]
}

/// Loads the frontend that the connection was made to.
fn original(of_node_port: bool, to: Register) -> Rule {
    let mut rule = Rule::new();
    let mut next = to;
    if !of_node_port {
        rule.push(Expression::OriginalDestination(to));
        next = Register(to.0 + 1);
    }
    rule.push(Expression::Load(Meta::Layer4Protocol, next));
    rule.push(Expression::OriginalPort(Register(next.0 + 1)));
    rule
}

/// Remembers where the connection went: the packet is translated here.
fn memory_rules(memory: &Memory) -> Vec<Rule> {
    let map = match memory.of_node_port {
        true => NODE_PORT_AFFINITY.name,
        false => AFFINITY.name,
    };
    let mut rule = vec![Expression::OriginalSource(CLIENT)];
    rule.extend(original(memory.of_node_port, Register(AT)));
    rule.extend([
        load(DESTINATION, ENDPOINT.0),
        destination_port(ENDPOINT.1),
        Expression::Remember {
            map,
            key: CLIENT,
            value: ENDPOINT.0,
            time: u64::from(memory.seconds) * 1000,
        },
    ]);
    vec![rule]
}

/// The rules of a chain that services share.
pub(super) fn rules(settings: &Settings, chain: &Chain) -> Vec<Rule> {
    match chain {
        Chain::Spread(spread) => spread_rules(settings, spread),
        Chain::Remember(memory) => memory_rules(memory),
    }
}

fn spread_rules(settings: &Settings, spread: &Spread) -> Vec<Rule> {
    let mut rules = Vec::new();
    if spread.restricted {
        rules.push(restriction());
    }
    match (spread.place, spread.ends) {
        (Place::Internal, _) => rules.extend(mark_internal(settings)),
        (_, Ends::Cluster) => rules.push(set_mark(settings).to_vec()),
        (_, Ends::Plain) => {}
        (_, Ends::Local { .. }) => rules.extend(exceptions(settings, spread)),
    }
    if spread.count == 0 {
        rules.push(vec![Expression::Decide(Verdict::Drop)]);
        return rules;
    }
    if spread.sticky {
        rules.push(remembered(spread));
    }
    rules.push(chosen(spread));
    rules
}

/// Drops what comes from elsewhere than a load balancer lets in.
fn restriction() -> Rule {
    let (mut rule, source) = frontend(Place::External);
    rule.extend([
        load(SOURCE, source),
        Expression::NotMember(Register(AT), ALLOWED_SOURCES.name),
        Expression::Decide(Verdict::Drop),
    ]);
    rule
}

/// What comes to a cluster IP from outside gets an address of this node.
fn mark_internal(settings: &Settings) -> Option<Rule> {
    let mut rule = match (settings.masquerade_all, settings.cluster_cidr) {
        (true, _) => Rule::new(),
        (false, Some(pods)) => matching(SOURCE, pods, Comparison::NotEqual),
        (false, None) => return None,
    };
    rule.extend(set_mark(settings));
    Some(rule)
}

/// Pods and the node itself use all endpoints even when the policy is Local.
fn exceptions(settings: &Settings, spread: &Spread) -> Vec<Rule> {
    let Some(plain) = spread.leads_to() else {
        return Vec::new();
    };
    let to_all = || Expression::Decide(Verdict::Goto(plain.chain()));
    let from_here = || {
        vec![
            Expression::SourceKind(R0),
            Expression::Compare(Comparison::Equal, R0, OWN_ADDRESS.to_vec()),
        ]
    };
    let mut rules = Vec::new();
    if let Some(pods) = settings.cluster_cidr {
        let mut rule = matching(SOURCE, pods, Comparison::Equal);
        rule.push(to_all());
        rules.push(rule);
    }
    let mut mark = from_here();
    mark.extend(set_mark(settings));
    let mut go = from_here();
    go.push(to_all());
    rules.extend([mark, go]);
    rules
}

/// Where a frontend's parts, and a number after them, are loaded.
const AT: u8 = 1;
/// Where the client's address is loaded: before them.
const CLIENT: Register = R0;
/// Where an endpoint's address and port go.
const ENDPOINT: (Register, Register) = (Register(5), Register(6));

/// Loads what a packet is sent to: address, protocol and port, or protocol and port. Says where the next part goes.
fn frontend(place: Place) -> (Rule, Register) {
    let (address, other) = match place {
        Place::Internal | Place::External => (Some(load(DESTINATION, Register(AT))), AT + 1),
        Place::NodePort => (None, AT),
    };
    let mut rule: Rule = address.into_iter().collect();
    rule.push(Expression::Load(Meta::Layer4Protocol, Register(other)));
    rule.push(destination_port(Register(other + 1)));
    (rule, Register(other + 2))
}

/// Leads to one of the endpoints.
fn chosen(spread: &Spread) -> Rule {
    let (mut rule, number) = frontend(spread.place);
    let first = match spread.ends {
        Ends::Local { .. } => LOCAL,
        Ends::Cluster | Ends::Plain => 0,
    };
    let map = match spread.place {
        Place::Internal | Place::External => ENDPOINTS.name,
        Place::NodePort => NODE_PORT_ENDPOINTS.name,
    };
    rule.extend([
        Expression::Random {
            modulus: spread.count,
            first,
            to: number,
        },
        Expression::Lookup {
            from: Register(AT),
            map,
            to: ENDPOINT.0,
        },
        translation(),
    ]);
    rule
}

/// Leads to the endpoint that the client has.
fn remembered(spread: &Spread) -> Rule {
    let map = match spread.place {
        Place::Internal | Place::External => AFFINITY.name,
        Place::NodePort => NODE_PORT_AFFINITY.name,
    };
    let (mut rule, _) = frontend(spread.place);
    rule.extend([
        load(SOURCE, CLIENT),
        Expression::Lookup {
            from: CLIENT,
            map,
            to: ENDPOINT.0,
        },
        translation(),
    ]);
    rule
}

fn translation() -> Expression {
    let (address, port) = ENDPOINT;
    Expression::DestinationNat { address, port }
}

fn destination_port(to: Register) -> Expression {
    Expression::Payload {
        base: Base::Transport,
        offset: 2,
        length: 2,
        to,
    }
}

fn mark(settings: &Settings) -> u32 {
    1_u32
        .checked_shl(settings.masquerade_bit.into())
        .unwrap_or_default()
}

fn set_mark(settings: &Settings) -> [Expression; 3] {
    let mark = mark(settings);
    [
        Expression::Load(Meta::Mark, R0),
        Expression::Bitwise {
            register: R0,
            mask: (!mark).to_ne_bytes(),
            flip: mark.to_ne_bytes(),
        },
        Expression::SetMark(R0),
    ]
}

fn is_protocol(protocol: Protocol) -> Rule {
    vec![
        Expression::Load(Meta::Layer4Protocol, R0),
        Expression::Compare(Comparison::Equal, R0, vec![protocol.number()]),
    ]
}

/// Loads an address of the packet.
fn load(offset: u32, to: Register) -> Expression {
    Expression::Payload {
        base: Base::Network,
        offset,
        length: 4,
        to,
    }
}

fn matching(offset: u32, network: Cidr, comparison: Comparison) -> Rule {
    vec![
        load(offset, R0),
        Expression::Bitwise {
            register: R0,
            mask: network.mask.octets(),
            flip: [0; 4],
        },
        Expression::Compare(comparison, R0, network.base.octets().to_vec()),
    ]
}
