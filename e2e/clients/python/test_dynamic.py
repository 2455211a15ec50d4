"""The dynamic client: what it finds by discovery, and what it does with it."""

import os
import tempfile
import unittest

from kubernetes import watch
from kubernetes.dynamic import DynamicClient, EagerDiscoverer
from kubernetes.dynamic import exceptions as refused
from lab import PATIENCE, Lab, deployment, eventually


class Dynamic(Lab):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cache = os.path.join(tempfile.mkdtemp(), "discovery.json")
        cls.client = DynamicClient(cls.api_client, cache_file=cache)
        cls.addClassCleanup(os.rmdir, os.path.dirname(cache))
        cls.addClassCleanup(os.remove, cache)

    def maps(self):
        return self.client.resources.get(api_version="v1", kind="ConfigMap")

    def body(self, name, **data):
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"test": name}},
            "data": data or {"key": "value"},
        }

    def test_discovery_finds_resources(self):
        self.assertIn("v1.36", self.client.version["kubernetes"]["gitVersion"])
        maps = self.maps()
        self.assertEqual((maps.name, maps.namespaced, maps.short_names), ("configmaps", True, ["cm"]))
        self.assertIn("watch", maps.verbs)
        found = self.client.resources.get(short_names=["deploy"])
        self.assertEqual((found.group, found.kind, found.categories), ("apps", "Deployment", ["all"]))
        self.assertEqual(sorted(found.subresources), ["scale", "status"])
        preferred = self.client.resources.get(kind="HorizontalPodAutoscaler", group="autoscaling", preferred=True)
        self.assertEqual(preferred.api_version, "v2")
        kinds = {r.kind for r in self.client.resources.search(group="apps") if not r.kind.endswith("List")}
        self.assertEqual(kinds, {"ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"})
        with self.assertRaises(refused.ResourceNotFoundError):
            self.client.resources.get(api_version="example.org/v1", kind="Nothing")

    def test_discovery_all_at_once(self):
        client = DynamicClient(self.api_client, discoverer=EagerDiscoverer, cache_file=tempfile.mktemp())
        self.assertEqual(client.resources.get(api_version="batch/v1", kind="CronJob").name, "cronjobs")

    def test_objects_through_their_lives(self):
        maps = self.maps()
        made = maps.create(body=self.body("life"))
        self.assertEqual(made.metadata.namespace, self.namespace)
        got = maps.get(name="life", namespace=self.namespace)
        self.assertEqual(got.to_dict(), made.to_dict())

        changed = got.to_dict()
        changed["data"] = {"key": "replaced"}
        self.assertEqual(maps.replace(body=changed).data.key, "replaced")
        with self.assertRaises(refused.ConflictError):
            maps.replace(body=changed)

        listed = maps.get(namespace=self.namespace, label_selector="test=life")
        self.assertEqual((listed.kind, [i.metadata.name for i in listed.items]), ("ConfigMapList", ["life"]))
        maps.delete(name="life", namespace=self.namespace, body={"propagationPolicy": "Background"})
        with self.assertRaises(refused.NotFoundError) as caught:
            maps.get(name="life", namespace=self.namespace)
        self.assertEqual(caught.exception.summary(), 'configmaps "life" not found')

    def test_patches_of_every_type(self):
        maps = self.maps()
        maps.create(body=self.body("patched", a="1", b="2"))
        where = {"name": "patched", "namespace": self.namespace}
        self.assertEqual(maps.patch(body={"data": {"a": None}}, **where).data.to_dict(), {"b": "2"})
        merge = "application/merge-patch+json"
        self.assertEqual(maps.patch(body={"data": {"c": "3"}}, content_type=merge, **where).data.c, "3")
        operations = [{"op": "move", "from": "/data/c", "path": "/data/d"}]
        moved = maps.patch(body=operations, content_type="application/json-patch+json", **where)
        self.assertEqual(moved.data.to_dict(), {"b": "2", "d": "3"})
        with self.assertRaises(refused.UnprocessibleEntityError):
            maps.patch(body={"data": {"no/slash": "x"}}, **where)

    def test_server_side_apply(self):
        maps = self.maps()
        body = self.body("applied")
        made = maps.server_side_apply(body=body, field_manager="one")
        self.assertEqual(made.metadata.managedFields[0].operation, "Apply")
        body["data"] = {"key": "theirs"}
        with self.assertRaises(refused.ConflictError) as caught:
            maps.server_side_apply(body=body, field_manager="two")
        self.assertIn('conflict with "one": .data.key', caught.exception.summary())
        taken = maps.server_side_apply(body=body, field_manager="two", force_conflicts=True)
        self.assertEqual(taken.data.key, "theirs")
        tried = self.body("tried")
        maps.server_side_apply(body=tried, field_manager="one", dry_run="All")
        with self.assertRaises(refused.NotFoundError):
            maps.get(name="tried", namespace=self.namespace)

    def test_subresources(self):
        deployments = self.client.resources.get(api_version="apps/v1", kind="Deployment")
        body = self.api_client.sanitize_for_serialization(deployment("sub", replicas=0))
        deployments.create(body=body, namespace=self.namespace)
        where = {"name": "sub", "namespace": self.namespace}
        # None is left out of a scale.
        self.assertIsNone(deployments.scale.get(**where).spec.replicas)
        scaled = deployments.scale.patch(body={"spec": {"replicas": 2}}, **where)
        self.assertEqual(scaled.spec.replicas, 2)
        eventually(
            "the status counts two", lambda: deployments.status.get(**where).status.get("readyReplicas") == 2
        )
        deployments.delete(**where)

    def test_an_answer_of_another_form(self):
        nodes = self.client.resources.get(api_version="v1", kind="Node")
        for form, kind in (("PartialObjectMetadataList", "PartialObjectMetadataList"), ("Table", "Table")):
            accept = f"application/json;as={form};v=v1;g=meta.k8s.io"
            found = nodes.get(header_params={"Accept": accept})
            self.assertEqual((found.kind, found.apiVersion), (kind, "meta.k8s.io/v1"))
        self.assertEqual(found.columnDefinitions[0].name, "Name")

    def test_watching(self):
        maps, watcher, found = self.maps(), watch.Watch(), []
        revision = maps.get(namespace=self.namespace).metadata.resourceVersion
        maps.create(body=self.body("watched"))
        maps.patch(body={"data": {"key": "changed"}}, name="watched", namespace=self.namespace)
        maps.delete(name="watched", namespace=self.namespace)
        for event in maps.watch(
            namespace=self.namespace,
            name="watched",
            resource_version=revision,
            timeout=PATIENCE,
            watcher=watcher,
        ):
            found.append(event["type"])
            self.assertEqual(event["object"].metadata.name, "watched")
            if event["type"] == "DELETED":
                watcher.stop()
        self.assertEqual(found, ["ADDED", "MODIFIED", "DELETED"])


if __name__ == "__main__":
    unittest.main()
