//! A set of fields: a tree of path elements, each of which may itself be a member.

use std::cmp::Ordering;

use super::element::Element;

/// A step in a set, with what is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// The step.
    pub element: Element<'a>,
    /// Whether the path that ends here belongs to the set.
    pub member: bool,
    /// The fields below.
    pub children: Set<'a>,
}

/// A set of fields, sorted by their elements.
///
/// There are no empty branches: what has no children is a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set<'a>(Vec<Node<'a>>);

impl<'a> Set<'a> {
    /// The set without fields.
    pub fn new() -> Set<'a> {
        Set(Vec::new())
    }

    /// A set of nodes in any order. Branches without members are dropped; of repeated elements, both count.
    pub fn from_nodes(mut nodes: Vec<Node<'a>>) -> Set<'a> {
        nodes.retain(|node| node.member || !node.children.is_empty());
        let sorted = nodes
            .windows(2)
            .all(|pair| pair[0].element < pair[1].element);
        if sorted {
            return Set(nodes);
        }
        nodes.sort_by(|a, b| a.element.cmp(&b.element));
        let mut out: Vec<Node<'a>> = Vec::with_capacity(nodes.len());
        for node in nodes {
            match out.last_mut() {
                Some(last) if last.element == node.element => {
                    last.member |= node.member;
                    let own = std::mem::take(&mut last.children);
                    last.children = own.union(node.children);
                }
                _ => out.push(node),
            }
        }
        Set(out)
    }

    /// The set of one path of field names.
    pub fn of_path(path: &[&'a str]) -> Set<'a> {
        let Some((first, rest)) = path.split_first() else {
            return Set::new();
        };
        Set(vec![Node {
            element: Element::field(first),
            member: rest.is_empty(),
            children: Set::of_path(rest),
        }])
    }

    /// The top nodes, in order.
    pub fn nodes(&self) -> &[Node<'a>] {
        &self.0
    }

    /// The top nodes, to build another set of.
    pub(super) fn into_nodes(self) -> Vec<Node<'a>> {
        self.0
    }

    /// The same with text of its own.
    pub fn into_owned(self) -> Set<'static> {
        let nodes = self.0.into_iter().map(|node| Node {
            element: node.element.into_owned(),
            member: node.member,
            children: node.children.into_owned(),
        });
        Set(nodes.collect())
    }

    /// Whether no field belongs to it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The node of an element.
    pub fn get(&self, element: &Element<'_>) -> Option<&Node<'a>> {
        let place = self
            .0
            .binary_search_by(|node| compare(&node.element, element));
        self.0.get(place.ok()?)
    }

    /// Whether a path of field names belongs to it.
    pub fn has_path(&self, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else {
            return false;
        };
        match self.get(&Element::field(first)) {
            Some(node) if rest.is_empty() => node.member,
            Some(node) => node.children.has_path(rest),
            None => false,
        }
    }

    /// Whether the path belongs to it.
    pub fn has(&self, path: &[Element<'_>]) -> bool {
        let Some((first, rest)) = path.split_first() else {
            return false;
        };
        match self.get(first) {
            Some(node) if rest.is_empty() => node.member,
            Some(node) => node.children.has(rest),
            None => false,
        }
    }

    /// The fields of either.
    #[must_use]
    pub fn union(self, other: Set<'a>) -> Set<'a> {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let mut out = Vec::with_capacity(self.0.len().max(other.0.len()));
        let mut right = other.0.into_iter().peekable();
        for mut node in self.0 {
            while let Some(earlier) = right.next_if(|other| other.element < node.element) {
                out.push(earlier);
            }
            if let Some(same) = right.next_if(|other| other.element == node.element) {
                node.member |= same.member;
                node.children = node.children.union(same.children);
            }
            out.push(node);
        }
        out.extend(right);
        Set(out)
    }

    /// The fields of both.
    #[must_use]
    pub fn intersection(&self, other: &Set<'_>) -> Set<'a> {
        let mut out = Vec::new();
        let mut right = other.0.iter().peekable();
        for node in &self.0 {
            while right
                .next_if(|other| compare(&other.element, &node.element) == Ordering::Less)
                .is_some()
            {}
            let Some(same) =
                right.next_if(|other| compare(&other.element, &node.element) == Ordering::Equal)
            else {
                continue;
            };
            let children = node.children.intersection(&same.children);
            let member = node.member && same.member;
            if member || !children.is_empty() {
                out.push(Node {
                    element: node.element.clone(),
                    member,
                    children,
                });
            }
        }
        Set(out)
    }

    /// Its fields without those of `other`. Children stay when only their parent goes.
    #[must_use]
    pub fn difference(self, other: &Set<'_>) -> Set<'a> {
        self.without(other, false)
    }

    /// Its fields without those of `other` and all that is below them.
    #[must_use]
    pub fn recursive_difference(self, other: &Set<'_>) -> Set<'a> {
        self.without(other, true)
    }

    fn without(self, other: &Set<'_>, recursive: bool) -> Set<'a> {
        if other.is_empty() {
            return self;
        }
        let mut right = other.0.iter().peekable();
        let nodes = self.0.into_iter().filter_map(|mut node| {
            while right
                .next_if(|other| compare(&other.element, &node.element) == Ordering::Less)
                .is_some()
            {}
            let same =
                right.next_if(|other| compare(&other.element, &node.element) == Ordering::Equal);
            let Some(same) = same else {
                return Some(node);
            };
            if recursive && same.member {
                return None;
            }
            node.member &= !same.member;
            node.children = node.children.without(&same.children, recursive);
            (node.member || !node.children.is_empty()).then_some(node)
        });
        Set(nodes.collect())
    }

    /// Calls `visit` with the path of each field: those of a level first, then those below.
    pub fn each<'s>(&'s self, visit: &mut impl FnMut(&[&'s Element<'a>])) {
        self.each_below(&mut Vec::new(), visit);
    }

    fn each_below<'s>(
        &'s self,
        path: &mut Vec<&'s Element<'a>>,
        visit: &mut impl FnMut(&[&'s Element<'a>]),
    ) {
        for node in self.0.iter().filter(|node| node.member) {
            path.push(&node.element);
            visit(path);
            path.pop();
        }
        for node in &self.0 {
            path.push(&node.element);
            node.children.each_below(path, visit);
            path.pop();
        }
    }
}

/// Elements of different lifetimes compare alike.
fn compare(a: &Element<'_>, b: &Element<'_>) -> Ordering {
    a.cmp(b)
}
