"""Every type of patch, and server-side apply, through the typed interface."""

import unittest

from kubernetes import client
from lab import Lab, deployment

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def annotations(seen):
    """Those of a Deployment that are not its controller's."""
    return {name: text for name, text in seen.metadata.annotations.items() if not name.startswith("deployment.kubernetes.io/")}


class Patches(Lab):
    def setUp(self):
        body = deployment("web", replicas=0)
        body.metadata.annotations = {"keep": "yes"}
        self.apps.create_namespaced_deployment(self.namespace, body)
        self.addCleanup(self.apps.delete_namespaced_deployment, "web", self.namespace)

    def patch(self, body, **kwargs):
        return self.apps.patch_namespaced_deployment("web", self.namespace, body, **kwargs)

    def containers(self, seen):
        return {c.name: c.image for c in seen.spec.template.spec.containers}

    def test_json_patch(self):
        # The client makes a JSON patch of every list.
        seen = self.patch(
            [
                {"op": "test", "path": "/spec/replicas", "value": 0},
                {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.example/web:2"},
                {"op": "add", "path": "/metadata/annotations/example.org~1slash", "value": "escaped"},
                {"op": "remove", "path": "/metadata/annotations/keep"},
                {"op": "copy", "from": "/metadata/labels/app", "path": "/metadata/labels/copied"},
            ]
        )
        self.assertEqual(self.containers(seen), {"web": "registry.example/web:2"})
        self.assertEqual(annotations(seen), {"example.org/slash": "escaped"})
        self.assertEqual(seen.metadata.labels["copied"], "web")
        body = self.refused(
            422, "Invalid", self.patch, [{"op": "test", "path": "/spec/replicas", "value": 9}]
        )
        self.assertEqual(body["message"], "the server rejected our request due to an error in our request")
        self.refused(422, "Invalid", self.patch, [{"op": "dance", "path": "/spec"}])
        self.refused(400, "BadRequest", self.patch, ["nonsense"])

    def test_merge_patch_replaces_lists(self):
        seen = self.patch(
            {
                "metadata": {"annotations": {"keep": None, "new": "yes"}},
                "spec": {"template": {"spec": {"containers": [{"name": "only", "image": "registry.example/only:1"}]}}},
            },
            _content_type=MERGE,
        )
        self.assertEqual(self.containers(seen), {"only": "registry.example/only:1"})
        self.assertEqual(annotations(seen), {"new": "yes"})

    def test_strategic_merge_patch_merges_lists_by_key(self):
        sidecar = {"name": "sidecar", "image": "registry.example/sidecar:1"}
        seen = self.patch({"spec": {"template": {"spec": {"containers": [sidecar]}}}}, _content_type=STRATEGIC)
        self.assertEqual(
            self.containers(seen), {"web": "registry.example/web:1", "sidecar": "registry.example/sidecar:1"}
        )
        # A dictionary without a content type is one of these, as the examples use it.
        gone = {"spec": {"template": {"spec": {"containers": [{"name": "sidecar", "$patch": "delete"}]}}}}
        self.assertEqual(self.containers(self.patch(gone)), {"web": "registry.example/web:1"})
        swapped = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
        self.assertIsNone(self.patch(swapped).spec.strategy.rolling_update)
        ordered = {
            "spec": {
                "template": {
                    "spec": {
                        "$setElementOrder/containers": [{"name": "sidecar"}, {"name": "web"}],
                        "containers": [sidecar],
                    }
                }
            }
        }
        self.assertEqual(list(self.containers(self.patch(ordered))), ["sidecar", "web"])

    def test_a_patch_of_a_revision_that_has_passed(self):
        seen = self.apps.read_namespaced_deployment("web", self.namespace)
        self.patch({"metadata": {"labels": {"changed": "yes"}}})
        self.refused(
            409, "Conflict", self.patch, {"metadata": {"resourceVersion": seen.metadata.resource_version, "labels": {"x": "y"}}}
        )

    def test_a_patch_that_breaks_the_rules(self):
        body = self.refused(422, "Invalid", self.patch, {"spec": {"selector": {"matchLabels": {"app": "x"}}}})
        self.assertIn("spec.selector", [cause["field"] for cause in body["details"]["causes"]])


class Apply(Lab):
    def apply(self, body, manager, **kwargs):
        return self.apps.patch_namespaced_deployment(
            body["metadata"]["name"], self.namespace, body, field_manager=manager, _content_type=APPLY, **kwargs
        )

    def configuration(self, name, **spec):
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}

    def whole(self, name, replicas=0):
        template = client.ApiClient().sanitize_for_serialization(deployment(name).spec.template)
        return self.configuration(
            name, replicas=replicas, selector={"matchLabels": {"app": name}}, template=template
        )

    def test_an_apply_makes_what_is_not_there_and_owns_it(self):
        made, code, _ = self.apps.patch_namespaced_deployment_with_http_info(
            "made", self.namespace, self.whole("made"), field_manager="one", _content_type=APPLY
        )
        self.assertEqual(code, 201)
        entry = made.metadata.managed_fields[0]
        self.assertEqual((entry.manager, entry.operation), ("one", "Apply"))
        self.assertIn("f:replicas", entry.fields_v1["f:spec"])

    def test_the_same_apply_again_writes_nothing(self):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "same"}, "data": {"a": "b"}}
        first, second = (
            self.core.patch_namespaced_config_map(
                "same", self.namespace, body, field_manager="one", _content_type=APPLY
            )
            for _ in range(2)
        )
        self.assertEqual(first.metadata.resource_version, second.metadata.resource_version)

    def test_an_owner_is_in_the_way_of_another_until_forced(self):
        self.apply(self.whole("shared", replicas=0), "one")
        body = self.refused(409, "Conflict", self.apply, self.configuration("shared", replicas=3), "two")
        self.assertEqual(
            body["message"], 'Apply failed with 1 conflict: conflict with "one": .spec.replicas'
        )
        self.assertEqual(
            body["details"]["causes"],
            [{"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".spec.replicas"}],
        )
        forced = self.apply(self.configuration("shared", replicas=3), "two", force=True)
        self.assertEqual(forced.spec.replicas, 3)
        # What the first no longer owns, it may leave out without consequence.
        without = self.whole("shared")
        del without["spec"]["replicas"]
        self.assertEqual(self.apply(without, "one").spec.replicas, 3)
        # The last owner takes what it leaves out with it: the default comes back.
        self.assertEqual(self.apply(self.configuration("shared"), "two").spec.replicas, 1)

    def test_lists_belong_to_many(self):
        self.apply(self.whole("many"), "one")
        port = {"name": "web", "ports": [{"containerPort": 8443, "protocol": "TCP", "name": "https"}]}
        second = self.configuration("many", template={"spec": {"containers": [port]}})
        seen = self.apply(second, "two")
        self.assertEqual([p.container_port for p in seen.spec.template.spec.containers[0].ports], [80, 8443])
        gone = self.apply(self.configuration("many"), "two")
        self.assertEqual([p.container_port for p in gone.spec.template.spec.containers[0].ports], [80])

    def test_an_apply_needs_a_manager(self):
        body = self.refused(
            422,
            "Invalid",
            self.apps.patch_namespaced_deployment,
            "x",
            self.namespace,
            self.whole("x"),
            _content_type=APPLY,
        )
        self.assertEqual(body["details"]["causes"][0]["field"], "fieldManager")

    def test_a_status_is_applied_to_its_subresource(self):
        self.apply(self.whole("status"), "one")
        condition = {
            "type": "FromPython",
            "status": "True",
            "lastTransitionTime": "2026-01-02T03:04:05Z",
            "lastUpdateTime": "2026-01-02T03:04:05Z",
        }
        body = self.configuration("status")
        del body["spec"]
        body["status"] = {"conditions": [condition]}
        seen = self.apps.patch_namespaced_deployment_status(
            "status", self.namespace, body, field_manager="observer", _content_type=APPLY
        )
        entry = [e for e in seen.metadata.managed_fields if e.manager == "observer"][0]
        self.assertEqual(entry.subresource, "status")


if __name__ == "__main__":
    unittest.main()
