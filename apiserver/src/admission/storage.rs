//! Volumes, claims and Ingresses: what keeps them while they are in use, and the class that is everybody's.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::resources::tree::{Tree, child, set};

/// A volume is not removed while it is bound.
pub(super) const VOLUME: &str = "kubernetes.io/pv-protection";
/// A claim is not removed while pods use it.
pub(super) const CLAIM: &str = "kubernetes.io/pvc-protection";
const CLAIM_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const INGRESS_CLASS: &str = "kubernetes.io/ingress.class";

/// A class that may be the one of objects that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultClass {
    /// Its name.
    pub name: String,
    /// When it was made; the newest of several is taken.
    pub created: Option<Timestamp>,
}

impl DefaultClass {
    /// Reads a StorageClass or IngressClass; `None` when it is not everybody's.
    pub fn read(class: &Value) -> Option<DefaultClass> {
        const MARKS: [&str; 3] = [
            "storageclass.kubernetes.io/is-default-class",
            "storageclass.beta.kubernetes.io/is-default-class",
            "ingressclass.kubernetes.io/is-default-class",
        ];
        let meta = class.at("metadata");
        let marked = |mark: &&str| meta.at("annotations").text(mark) == "true";
        MARKS.iter().any(marked).then(|| DefaultClass {
            name: meta.text("name").to_owned(),
            created: meta.text("creationTimestamp").parse().ok(),
        })
    }
}

/// The newest class; of those of one moment, the first by name.
fn newest(classes: &[DefaultClass]) -> Option<&DefaultClass> {
    classes.iter().max_by(|left, right| {
        let by_age = left.created.cmp(&right.created);
        by_age.then_with(|| right.name.cmp(&left.name))
    })
}

/// Adds a finalizer that is not there.
pub(super) fn protect(object: &mut Value, finalizer: &str) {
    let Some(meta) = child(object, "metadata") else {
        return;
    };
    let mut finalizers = meta.items("finalizers").to_vec();
    if !finalizers.iter().any(|own| own == finalizer) {
        finalizers.push(json!(finalizer));
        set(meta, "finalizers", finalizers);
    }
}

/// Gives a claim the class that is everybody's, when it names none.
pub(super) fn class_of_claim(object: &mut Value, classes: &[DefaultClass]) {
    give_class(object, classes, "storageClassName", CLAIM_CLASS);
}

/// Gives an Ingress the class that is everybody's, when it names none.
pub(super) fn class_of_ingress(object: &mut Value, classes: &[DefaultClass]) {
    give_class(object, classes, "ingressClassName", INGRESS_CLASS);
}

fn give_class(object: &mut Value, classes: &[DefaultClass], field: &str, annotation: &str) {
    let named =
        object.at("spec").has(field) || object.at("metadata").at("annotations").has(annotation);
    if let Some(class) = newest(classes)
        && !named
        && let Some(spec) = child(object, "spec")
    {
        set(spec, field, class.name.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, created: &str) -> DefaultClass {
        let mark = "storageclass.kubernetes.io/is-default-class";
        let object = json!({ "metadata": { "name": name, "creationTimestamp": created, "annotations": { mark: "true" } } });
        DefaultClass::read(&object).unwrap()
    }

    #[test]
    fn a_claim_is_of_the_newest_default_class_unless_it_names_one() {
        let classes = [
            class("old", "2026-01-01T00:00:00Z"),
            class("b", "2026-01-02T00:00:00Z"),
            class("a", "2026-01-02T00:00:00Z"),
        ];
        for (spec, expected) in [
            (json!({}), json!("a")),
            (json!({ "storageClassName": "" }), json!("")),
            (json!({ "storageClassName": "x" }), json!("x")),
        ] {
            let mut claim = json!({ "metadata": {}, "spec": spec });
            class_of_claim(&mut claim, &classes);
            assert_eq!(claim["spec"]["storageClassName"], expected);
        }
        let mut claim = json!({ "metadata": { "annotations": { CLAIM_CLASS: "x" } }, "spec": {} });
        class_of_claim(&mut claim, &classes);
        assert!(!claim.at("spec").has("storageClassName"));
        assert_eq!(
            DefaultClass::read(&json!({ "metadata": { "name": "x" } })),
            None
        );
    }

    #[test]
    fn protection_is_added_once() {
        let mut claim = json!({ "metadata": { "finalizers": ["a.b/c"] } });
        for _ in 0..2 {
            protect(&mut claim, CLAIM);
        }
        assert_eq!(claim["metadata"]["finalizers"], json!(["a.b/c", CLAIM]));
    }
}
