//! Revisions: their numbers, their clean-up, and the way back to them.

use serde_json::{Value, json};

use super::{deployment, now, planned, pod_template, set, sizes};
use crate::deployment::plan::Step;
use crate::deployment::{annotations, status, template};
use crate::objects::workload::{ReplicaSet, Template};

#[test]
fn a_return_to_an_old_template_takes_its_set_again_with_a_new_number() {
    let deployment = deployment(2, "a");
    let back = set("web-a", 100, "a", 0, 2);
    let current = set("web-b", 10, "b", 2, 2);
    let plan = planned(&deployment, &[&back, &current]);
    let Step::Change { meta, patch, .. } = &plan.steps[0] else {
        panic!("{plan:?}")
    };
    assert_eq!(meta.name, "web-a");
    assert_eq!(
        patch["metadata"]["annotations"][annotations::REVISION],
        json!("991")
    );
    assert_eq!(
        patch["metadata"]["annotations"][annotations::REVISION_HISTORY],
        json!("900")
    );
    assert_eq!(plan.revision.as_deref(), Some("991"));
}

#[test]
fn empty_old_sets_beyond_the_limit_are_deleted_oldest_first() {
    let mut deployment = deployment(1, "a");
    deployment.spec.revision_history_limit = Some(1);
    let current = set("web-a", 1, "a", 1, 1);
    let sets = [
        set("x", 30, "x", 0, 1),
        set("y", 20, "y", 0, 1),
        set("z", 10, "z", 0, 1),
    ];
    deployment.status = status::counted(
        &deployment,
        &deployment.status,
        std::slice::from_ref(&current),
        Some(&current),
        now(),
    );
    let all: Vec<&ReplicaSet> = sets.iter().chain([&current]).collect();
    assert_eq!(sizes(&planned(&deployment, &all)), ["x gone", "y gone"]);
}

#[test]
fn the_hash_depends_on_the_template_and_the_collisions_alone() {
    let normal = |tree: Value| template::normal(&Template::from(tree));
    let mut labelled = pod_template("a");
    labelled["metadata"]["labels"]["pod-template-hash"] = json!("zzz");
    labelled["metadata"]["creationTimestamp"] = Value::Null;
    let plain = normal(pod_template("a"));
    assert_eq!(plain, normal(labelled));
    assert_ne!(
        template::hash(&plain, None),
        template::hash(&normal(pod_template("b")), None)
    );
    assert_ne!(
        template::hash(&plain, None),
        template::hash(&plain, Some(1))
    );
}

#[test]
fn the_history_of_numbers_keeps_the_youngest_that_fit() {
    let numbers = |from: i64, to: i64| {
        let all: Vec<String> = (from..to).map(|number| number.to_string()).collect();
        all.join(",")
    };
    // 400 numbers of four digits with their commas are 1999 letters.
    let cases = [
        ("", "7".to_owned()),
        ("1,3", "1,3,7".to_owned()),
        (&*numbers(1000, 1400), format!("{},7", numbers(1001, 1400))),
    ];
    for (before, expected) in cases {
        let mut back = set("web-a", 100, "a", 0, 2);
        let present = &mut back.metadata.annotations;
        present.insert(annotations::REVISION.to_owned(), "7".to_owned());
        present.insert(annotations::REVISION_HISTORY.to_owned(), before.to_owned());
        let after = annotations::of_newest(&deployment(2, "a"), present, 9);
        assert_eq!(after[annotations::REVISION], "10");
        assert_eq!(after[annotations::REVISION_HISTORY], expected);
    }
}

#[test]
fn undo_brings_any_of_ten_revisions_back() {
    // Eleven templates were rolled out one after the other; the last one runs.
    let image = |number: i64| format!("image-{number}");
    let mut sets: Vec<ReplicaSet> = (1..=11)
        .map(|number| set(&image(number), 1000 - number, &image(number), 0, 2))
        .collect();
    for number in 1..=10 {
        sets[10].spec.replicas = Some(2);
        let wanted = deployment(2, &image(number));
        let plan = planned(&wanted, &sets.iter().collect::<Vec<_>>());
        assert_eq!(plan.revision.as_deref(), Some("12"), "{number}");
        assert_eq!(sizes(&plan), [format!("image-{number} 0>1")]);
    }
}

#[test]
fn change_cause_is_handed_on() {
    let mut deployment = deployment(2, "a");
    let cause = "kubernetes.io/change-cause";
    let own = &mut deployment.metadata.annotations;
    own.insert(cause.to_owned(), "image a".to_owned());
    let only = set("web-a", 10, "a", 2, 2);
    let Step::Change { patch, .. } = &planned(&deployment, &[&only]).steps[0] else {
        panic!("nothing changes")
    };
    assert_eq!(patch["metadata"]["annotations"][cause], json!("image a"));
}
