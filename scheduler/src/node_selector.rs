//! Selectors over nodes: labels with numbers to compare, and the node's name.

use serde::Deserialize;

use crate::node::Node;

/// A term of a node selector: all its expressions must match.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectorTerm {
    /// Over the node's labels.
    pub match_expressions: Box<[NodeSelectorRequirement]>,
    /// Over its fields: `metadata.name`.
    pub match_fields: Box<[NodeSelectorRequirement]>,
}

/// One expression of a node selector.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NodeSelectorRequirement {
    /// A label or field.
    pub key: Box<str>,
    /// In, NotIn, Exists, DoesNotExist, Gt or Lt.
    pub operator: Box<str>,
    /// What it is compared with.
    pub values: Box<[Box<str>]>,
}

/// A term with what it is worth.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PreferredTerm {
    /// 1 to 100.
    pub weight: i64,
    /// The nodes that are preferred.
    pub preference: NodeSelectorTerm,
}

/// A node selector: its terms are alternatives.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelector {
    /// One must match.
    pub node_selector_terms: Box<[NodeSelectorTerm]>,
}

impl NodeSelector {
    /// Whether a node is selected.
    pub fn matches(&self, node: &Node) -> bool {
        self.node_selector_terms
            .iter()
            .any(|term| term.matches(node))
    }
}

impl NodeSelectorTerm {
    /// Whether the term says nothing; it then matches nothing.
    pub fn is_empty(&self) -> bool {
        self.match_expressions.is_empty() && self.match_fields.is_empty()
    }

    /// Whether a node is meant.
    pub fn matches(&self, node: &Node) -> bool {
        let field = |key: &str| (key == "metadata.name").then_some(&*node.name);
        !self.is_empty()
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.matches(node.label(&requirement.key)))
            && self
                .match_fields
                .iter()
                .all(|requirement| requirement.matches(field(&requirement.key)))
    }
}

impl NodeSelectorRequirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let among = |value: &str| self.values.iter().any(|wanted| **wanted == *value);
        let ordered = |holds: fn(i64, i64) -> bool| {
            let limit = self.values.first().and_then(|limit| limit.parse().ok());
            let value = value.and_then(|value| value.parse().ok());
            value
                .zip(limit)
                .is_some_and(|(value, limit)| holds(value, limit))
        };
        match &*self.operator {
            "In" => value.is_some_and(among),
            "NotIn" => !value.is_some_and(among),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            "Gt" => ordered(|value, limit| value > limit),
            "Lt" => ordered(|value, limit| value < limit),
            _ => false,
        }
    }
}
