//! The values that a node label has, and which node has which.

use std::collections::HashMap;

use crate::node::{Node, NodeId};

const NONE: u32 = u32::MAX;

/// The domains of one label. Each value has a number, which stays its own.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The label.
    pub key: Box<str>,
    numbers: HashMap<Box<str>, u32>,
    of_node: Vec<u32>,
    nodes_in: Vec<u32>,
    known: Vec<bool>,
    without: usize,
}

impl Topology {
    pub(super) fn new(key: &str) -> Topology {
        Topology {
            key: key.into(),
            numbers: HashMap::new(),
            of_node: Vec::new(),
            nodes_in: Vec::new(),
            known: Vec::new(),
            without: 0,
        }
    }

    /// The domain of a node; `None` where it lacks the label.
    pub fn domain(&self, id: NodeId) -> Option<u32> {
        let domain = self.of_node.get(id.index()).copied();
        domain.filter(|domain| *domain != NONE)
    }

    /// How many domains were ever seen: their numbers are below it.
    pub fn len(&self) -> usize {
        self.nodes_in.len()
    }

    /// Whether no domain was ever seen.
    pub fn is_empty(&self) -> bool {
        self.nodes_in.is_empty()
    }

    /// Whether a domain has nodes now.
    pub fn has_nodes(&self, domain: usize) -> bool {
        self.nodes_in[domain] > 0
    }

    /// Whether every known node has the label.
    pub fn complete(&self) -> bool {
        self.without == 0
    }

    /// Takes a node as it is now.
    pub(super) fn put(&mut self, node: &Node) {
        let index = node.id.index();
        if self.of_node.len() <= index {
            self.of_node.resize(index + 1, NONE);
            self.known.resize(index + 1, false);
        }
        if let Some(old) = self.domain(node.id) {
            self.nodes_in[old as usize] -= 1;
        } else if self.known[index] {
            self.without -= 1;
        }
        self.known[index] = node.object.is_some();
        self.of_node[index] = match node.label(&self.key) {
            Some(value) => {
                let number = self.number(value);
                self.nodes_in[number as usize] += 1;
                number
            }
            None => {
                self.without += usize::from(self.known[index]);
                NONE
            }
        };
    }

    fn number(&mut self, value: &str) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number = u32::try_from(self.nodes_in.len()).unwrap_or(NONE - 1);
        self.numbers.insert(value.into(), number);
        self.nodes_in.push(0);
        number
    }
}
