//! Requests must fit into what is left of the node; and how full a node should be.

use crate::events::Event;
use crate::framework::{Difference, NodeFilter, Plugin, Refusal, Verdict};
use crate::node::{Node, NodeObject};
use crate::plugins::allocation::{Counted, Strategy, weighed};
use crate::pod::Pod;
use crate::resources::Resources;
use crate::snapshot::Snapshot;

/// Upstream's `NodeResourcesFit`.
#[derive(Clone, Debug, Default)]
pub struct NodeResourcesFit {
    /// Extended resources that are not looked at.
    pub ignored: Vec<Box<str>>,
    /// The same for all resources of a domain: `example.com`.
    pub ignored_groups: Vec<Box<str>>,
    /// How nodes are scored.
    pub strategy: Strategy,
    /// The resources that are scored, with their weights.
    pub scored: Counted,
}

impl NodeResourcesFit {
    fn ignores(&self, name: &str) -> bool {
        let group = name.split('/').next().unwrap_or_default();
        extended(name)
            && (self.ignored.iter().any(|own| **own == *name)
                || self.ignored_groups.iter().any(|own| **own == *group))
    }

    fn judge(&self, pod: &Pod, node: &Node) -> Verdict {
        let Some(object) = &node.object else {
            return Ok(());
        };
        let (asked, used, offered) = (&pod.requests, &node.requested, &object.allocatable);
        let pods = i64::try_from(node.pods.len()).unwrap_or(i64::MAX);
        if pods < object.allowed_pods
            && left(asked.milli_cpu, used.milli_cpu, offered.milli_cpu)
            && left(asked.memory, used.memory, offered.memory)
            && asked.ephemeral_storage == 0
            && asked.scalar.is_empty()
        {
            return Ok(());
        }
        self.judge_all(pod, node, object)
    }

    fn judge_all(&self, pod: &Pod, node: &Node, object: &NodeObject) -> Verdict {
        let mut refusal = Refusal {
            reasons: Vec::new(),
            unresolvable: false,
        };
        let pods = i64::try_from(node.pods.len()).unwrap_or(i64::MAX);
        if pods >= object.allowed_pods {
            refusal.reasons.push("Too many pods".into());
        }
        let mut check = |name: &str, of: &dyn Fn(&Resources) -> i64| {
            let (asked, offered) = (of(&pod.requests), of(&object.allocatable));
            if !left(asked, of(&node.requested), offered) {
                refusal.reasons.push(format!("Insufficient {name}").into());
                // More than the whole node: nobody leaving it would help.
                refusal.unresolvable |= asked > offered;
            }
        };
        check("cpu", &|resources| resources.milli_cpu);
        check("memory", &|resources| resources.memory);
        check("ephemeral-storage", &|resources| {
            resources.ephemeral_storage
        });
        for name in pod.requests.scalar.keys() {
            if !self.ignores(name) {
                check(name, &|resources| resources.scalar(name));
            }
        }
        if refusal.reasons.is_empty() {
            Ok(())
        } else {
            Err(refusal)
        }
    }
}

fn left(asked: i64, used: i64, offered: i64) -> bool {
    asked == 0 || asked <= offered.saturating_sub(used)
}

/// Whether a resource is one that somebody else than Kubernetes gives out.
fn extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.")
}

/// Whether less of anything that the pod asks for is taken by `new`, or more of it is there.
fn any_asked(pod: &Pod, grows: impl Fn(&dyn Fn(&Resources) -> i64) -> bool) -> bool {
    let asked = &pod.requests;
    (asked.milli_cpu > 0 && grows(&|resources| resources.milli_cpu))
        || (asked.memory > 0 && grows(&|resources| resources.memory))
        || (asked.ephemeral_storage > 0 && grows(&|resources| resources.ephemeral_storage))
        || asked
            .scalar
            .keys()
            .any(|name| grows(&|resources| resources.scalar(name)))
}

impl Plugin for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot) -> Option<Box<dyn NodeFilter + 'a>> {
        Some(Box::new(|node: &Node, _: &Difference| {
            self.judge(pod, node)
        }))
    }

    fn score(&self, pod: &Pod, _: &Snapshot, nodes: &[&Node]) -> Option<Vec<i64>> {
        let asked = self.scored.asked(pod, false);
        let score = |node: &&Node| weighed(&self.strategy, &self.scored, &asked, node);
        Some(nodes.iter().map(score).collect())
    }

    fn wakes(&self, pod: &Pod, event: &Event, _: &Snapshot) -> bool {
        match event {
            Event::PodRemoved(_) => true,
            Event::PodChanged { old, new } => {
                any_asked(pod, |of| of(&new.requests) < of(&old.requests))
            }
            Event::NodeAdded(_) | Event::NodeChanged { .. } => {
                let Some((node, old)) = event.node() else {
                    return false;
                };
                let Some(object) = &node.object else {
                    return false;
                };
                let empty = Node {
                    object: Some(object.clone()),
                    ..Node::default()
                };
                self.judge(pod, &empty).is_ok()
                    && old.is_none_or(|old| {
                        object.allowed_pods > old.allowed_pods
                            || any_asked(pod, |of| of(&object.allocatable) > of(&old.allocatable))
                    })
            }
            Event::NodeRemoved | Event::PodAdded(_) => false,
        }
    }
}
