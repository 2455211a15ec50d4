"""What the server answers besides objects: refusals, warnings, dry runs, pages and selections."""

import json
import unittest

from kubernetes import client
from lab import Lab, deployment


class Refusals(Lab):
    def test_what_is_not_there(self):
        body = self.refused(404, "NotFound", self.core.read_namespaced_pod, "nobody", self.namespace)
        self.assertEqual(body["message"], 'pods "nobody" not found')
        self.assertEqual(body["details"], {"name": "nobody", "kind": "pods"})
        body = self.refused(404, "NotFound", self.apps.read_namespaced_deployment, "nobody", self.namespace)
        self.assertEqual(body["details"], {"name": "nobody", "group": "apps", "kind": "deployments"})

    def test_the_exception_says_which(self):
        with self.assertRaises(client.exceptions.NotFoundException) as caught:
            self.core.delete_namespaced_secret("nobody", self.namespace)
        self.assertIn("application/json", caught.exception.headers["Content-Type"])

    def test_what_is_there_already(self):
        self.config_map("once")
        body = self.refused(409, "AlreadyExists", self.config_map, "once")
        self.assertEqual(body["message"], 'configmaps "once" already exists')

    def test_a_change_of_what_has_changed_since(self):
        first = self.config_map("contended")
        second = self.core.read_namespaced_config_map("contended", self.namespace)
        second.data = {"winner": "second"}
        self.core.replace_namespaced_config_map("contended", self.namespace, second)
        first.data = {"winner": "first"}
        body = self.refused(
            409, "Conflict", self.core.replace_namespaced_config_map, "contended", self.namespace, first
        )
        self.assertIn("the object has been modified", body["message"])

    def test_a_deletion_of_another_object_of_that_name(self):
        made = self.config_map("precious")
        other = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="00000000-0000-0000-0000-000000000000"))
        self.refused(
            409, "Conflict", self.core.delete_namespaced_config_map, "precious", self.namespace, body=other
        )
        mine = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=made.metadata.uid))
        self.core.delete_namespaced_config_map("precious", self.namespace, body=mine)

    def test_all_that_is_wrong_is_said_at_once(self):
        wrong = deployment("Wrong_Name", replicas=-1)
        wrong.spec.template.metadata.labels = {"app": "another"}
        body = self.refused(422, "Invalid", self.apps.create_namespaced_deployment, self.namespace, wrong)
        fields = [cause["field"] for cause in body["details"]["causes"]]
        self.assertEqual(fields, ["metadata.name", "spec.replicas", "spec.template.metadata.labels"])
        self.assertTrue(body["message"].startswith('Deployment.apps "Wrong_Name" is invalid: ['))

    def test_a_body_that_does_not_fit(self):
        self.refused(
            400,
            "BadRequest",
            self.core.create_namespaced_config_map,
            self.namespace,
            {"metadata": {"name": "typed"}, "data": {"number": {"a": 1}}},
        )
        self.refused(
            400,
            "BadRequest",
            self.core.create_namespaced_config_map,
            "another",
            {"metadata": {"name": "elsewhere", "namespace": self.namespace}},
        )

    def test_a_patch_of_a_kind_that_nobody_knows(self):
        self.config_map("plain")
        self.refused(
            415,
            "UnsupportedMediaType",
            self.core.patch_namespaced_config_map,
            "plain",
            self.namespace,
            {"data": {}},
            _content_type="application/json",
        )

    def test_the_default_namespace_is_not_deleted(self):
        self.refused(403, "Forbidden", self.core.delete_namespace, "kube-system")


class Options(Lab):
    def test_a_dry_run_changes_nothing(self):
        trial = {"metadata": {"name": "trial"}, "data": {"a": "1"}}
        made = self.core.create_namespaced_config_map(self.namespace, trial, dry_run="All")
        self.assertTrue(made.metadata.uid)
        self.refused(404, "NotFound", self.core.read_namespaced_config_map, "trial", self.namespace)

        kept = self.config_map("kept", {"a": "1"})
        patched = self.core.patch_namespaced_config_map("kept", self.namespace, {"data": {"a": "2"}}, dry_run="All")
        self.assertEqual(patched.data, {"a": "2"})
        kept.data = {"a": "3"}
        self.core.replace_namespaced_config_map("kept", self.namespace, kept, dry_run="All")
        self.core.delete_namespaced_config_map("kept", self.namespace, dry_run="All")
        seen = self.core.read_namespaced_config_map("kept", self.namespace)
        self.assertEqual(seen.data, {"a": "1"})
        self.assertEqual(seen.metadata.resource_version, kept.metadata.resource_version)
        self.refused(422, "Invalid", self.core.create_namespaced_config_map, self.namespace, trial, dry_run="Some")

    def test_unknown_fields_by_the_wish_of_the_client(self):
        def body(name):
            return {"metadata": {"name": name}, "data": {"a": "1"}, "datum": "x"}

        refusal = self.refused(
            400,
            "BadRequest",
            self.core.create_namespaced_config_map,
            self.namespace,
            body("strict"),
            field_validation="Strict",
        )
        self.assertIn('unknown field "datum"', refusal["message"])
        made, code, headers = self.core.create_namespaced_config_map_with_http_info(
            self.namespace, body("warned"), field_validation="Warn"
        )
        self.assertEqual((code, made.data), (201, {"a": "1"}))
        self.assertEqual(headers["Warning"], '299 - "unknown field \\"datum\\""')
        _, code, headers = self.core.create_namespaced_config_map_with_http_info(
            self.namespace, body("ignored"), field_validation="Ignore"
        )
        self.assertEqual(code, 201)
        self.assertNotIn("Warning", headers)

    def test_the_manager_of_fields_is_named(self):
        made = self.core.create_namespaced_config_map(
            self.namespace, {"metadata": {"name": "managed"}, "data": {"a": "1"}}, field_manager="from-python"
        )
        entry = made.metadata.managed_fields[0]
        self.assertEqual((entry.manager, entry.operation, entry.fields_type), ("from-python", "Update", "FieldsV1"))
        self.assertIn("f:a", entry.fields_v1["f:data"])

    def test_a_request_from_another_thread(self):
        thread = self.core.list_namespaced_config_map(self.namespace, async_req=True)
        self.assertEqual(thread.get(timeout=30).kind, "ConfigMapList")

    def test_a_pretty_answer(self):
        self.config_map("pretty")
        answer = self.core.read_namespaced_config_map("pretty", self.namespace, pretty="true", _preload_content=False)
        self.assertIn('\n  "kind": "ConfigMap"', answer.data.decode())
        self.assertEqual(json.loads(answer.data)["metadata"]["name"], "pretty")


class Lists(Lab):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for number in range(7):
            cls.core.create_namespaced_config_map(
                cls.namespace,
                {
                    "metadata": {
                        "name": f"item-{number}",
                        "labels": {"parity": "odd" if number % 2 else "even", "number": str(number)},
                    }
                },
            )

    def names(self, **kwargs):
        found = self.core.list_namespaced_config_map(self.namespace, **kwargs).items
        return [c.metadata.name for c in found if c.metadata.name.startswith("item-")]

    def test_pages_are_of_one_moment(self):
        wanted = {"label_selector": "parity", "limit": 3}
        page = self.core.list_namespaced_config_map(self.namespace, **wanted)
        self.assertEqual([c.metadata.name for c in page.items], ["item-0", "item-1", "item-2"])
        self.assertTrue(page.metadata._continue)
        whole = self.core.list_namespaced_config_map(self.namespace, limit=3)
        self.assertGreaterEqual(whole.metadata.remaining_item_count, 4)

        late = self.core.create_namespaced_config_map(
            self.namespace, {"metadata": {"name": "item-99", "labels": {"parity": "late"}}}
        )
        names, first = [c.metadata.name for c in page.items], page.metadata.resource_version
        while page.metadata._continue:
            page = self.core.list_namespaced_config_map(self.namespace, _continue=page.metadata._continue, **wanted)
            names += [c.metadata.name for c in page.items]
            self.assertEqual(page.metadata.resource_version, first)
        self.assertEqual(names, [f"item-{number}" for number in range(7)])
        self.core.delete_namespaced_config_map(late.metadata.name, self.namespace)

    def test_a_token_that_is_none(self):
        self.refused(
            400, "BadRequest", self.core.list_namespaced_config_map, self.namespace, limit=1, _continue="nonsense"
        )

    def test_selections_by_label(self):
        self.assertEqual(self.names(label_selector="parity=odd"), ["item-1", "item-3", "item-5"])
        self.assertEqual(self.names(label_selector="parity!=odd,number notin (0,2)"), ["item-4", "item-6"])
        self.assertEqual(self.names(label_selector="number in (1,2),parity"), ["item-1", "item-2"])
        self.assertEqual(self.names(label_selector="!parity"), [])
        self.refused(
            400, "BadRequest", self.core.list_namespaced_config_map, self.namespace, label_selector="a in"
        )

    def test_selections_by_field(self):
        self.assertEqual(self.names(field_selector="metadata.name=item-4"), ["item-4"])
        self.assertNotIn("item-4", self.names(field_selector="metadata.name!=item-4"))
        everywhere = self.core.list_config_map_for_all_namespaces(
            field_selector=f"metadata.namespace={self.namespace},metadata.name=item-4"
        )
        self.assertEqual(len(everywhere.items), 1)
        body = self.refused(
            400, "BadRequest", self.core.list_namespaced_config_map, self.namespace, field_selector="data.key=value"
        )
        self.assertIn('"data.key" is not a known field selector', body["message"])

    def test_a_list_of_a_revision(self):
        before = self.core.list_namespaced_config_map(self.namespace, label_selector="parity=odd")
        revision = before.metadata.resource_version
        self.core.patch_namespaced_config_map("item-3", self.namespace, {"data": {"changed": "yes"}})
        exact = self.core.list_namespaced_config_map(
            self.namespace, label_selector="parity=odd", resource_version=revision, resource_version_match="Exact"
        )
        self.assertEqual(exact.metadata.resource_version, revision)
        self.assertEqual([c.data for c in exact.items], [c.data for c in before.items])
        newer = self.core.list_namespaced_config_map(
            self.namespace,
            label_selector="parity=odd",
            resource_version=revision,
            resource_version_match="NotOlderThan",
        )
        self.assertGreaterEqual(int(newer.metadata.resource_version), int(revision))
        self.assertTrue(self.names(resource_version="0"))

    def test_many_are_deleted_at_once(self):
        for number in range(3):
            self.config_map(f"doomed-{number}", labels={"doomed": "yes"})
        self.config_map("spared")
        self.core.delete_collection_namespaced_config_map(self.namespace, label_selector="doomed=yes")
        left = [c.metadata.name for c in self.core.list_namespaced_config_map(self.namespace).items]
        self.assertFalse([name for name in left if name.startswith("doomed")])
        self.assertIn("spared", left)


if __name__ == "__main__":
    unittest.main()
