//! Kinds without rules of their own: served by schema alone.

use ferrule_apimachinery::scheme::Resource;

use super::{Rules, Strategy};

/// What the schema and the row say is all there is to know.
#[derive(Clone, Copy)]
pub(super) struct Generic {
    strategy: Strategy,
}

/// All that there can be; the bits of the index are what a row says.
static ALL: [Generic; 8] = {
    let plain = Strategy::PLAIN;
    let mut all = [Generic { strategy: plain }; 8];
    let mut index = 0;
    while index < all.len() {
        all[index].strategy = Strategy {
            namespaced: index & 1 != 0,
            status: index & 2 != 0,
            generation: index & 4 != 0,
            ..plain
        };
        index += 1;
    }
    all
};

/// Groups whose kinds have a `metadata.generation`.
const COUNTED: &[&str] = &[
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "resource.k8s.io",
];

/// The rules of a resource about which only its row is known.
pub(super) fn of(resource: &Resource) -> &'static Generic {
    let status = resource.subresource("status").is_some();
    let generation = COUNTED.contains(&resource.group.as_ref());
    let index =
        usize::from(resource.namespaced) | usize::from(status) << 1 | usize::from(generation) << 2;
    &ALL[index]
}

impl Rules for Generic {
    fn strategy(&self) -> Strategy {
        self.strategy
    }
}

#[cfg(test)]
mod tests {
    use ferrule_apimachinery::Scheme;
    use serde_json::json;

    use super::*;
    use crate::resources::tests::context;

    #[test]
    fn a_status_is_not_written_with_its_object() {
        let scheme = Scheme::builtin();
        let group = "flowcontrol.apiserver.k8s.io";
        let rules = of(scheme.lookup(group, "v1", "flowschemas").unwrap());
        let mut new = json!({"apiVersion": format!("{group}/v1"), "kind": "FlowSchema", "metadata": {"name": "x"},
            "spec": {"matchingPrecedence": 1}, "status": {"conditions": [{"type": "Dangling"}]}});
        rules.prepare_create(&mut new, &context());
        assert_eq!(new["status"], json!({}));
        assert_eq!(new["metadata"]["generation"], 1);

        let mut changed = new.clone();
        changed["status"] = json!({"conditions": []});
        rules.prepare_update(&mut changed, &new, &context());
        assert_eq!(changed, new);
        changed["spec"]["matchingPrecedence"] = 2.into();
        rules.prepare_update(&mut changed, &new, &context());
        assert_eq!(changed["metadata"]["generation"], 2);
    }
}
