"""Manifests as files: several documents, lists, folders, what is there already, and apply."""

import pathlib
import tempfile
import unittest

from kubernetes import utils
from lab import Lab

SEVERAL = """
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector: {{app: {name}}}
  ports:
  - port: 80
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  replicas: 0
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      containers:
      - name: web
        image: registry.example/web:1
"""

LISTED = """
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {{name: {name}-a}}
- apiVersion: v1
  kind: Secret
  metadata: {{name: {name}-b}}
"""

OF_ONE_KIND = """
apiVersion: v1
kind: ConfigMapList
items:
- metadata: {{name: {name}-a}}
- metadata: {{name: {name}-b}}
"""


class Manifests(Lab):
    def file(self, text, name, folder=None):
        folder = folder or tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name, f"{name}.yaml")
        path.write_text(text.format(name=name))
        return str(path)

    def create(self, text, name, **kwargs):
        return utils.create_from_yaml(self.api_client, self.file(text, name), namespace=self.namespace, **kwargs)

    def test_several_documents(self):
        self.create(SEVERAL, "several")
        self.assertTrue(self.core.read_namespaced_service("several", self.namespace).spec.cluster_ip)
        self.assertEqual(self.apps.read_namespaced_deployment("several", self.namespace).spec.replicas, 0)

    def test_lists(self):
        self.create(LISTED, "listed")
        self.core.read_namespaced_config_map("listed-a", self.namespace)
        self.core.read_namespaced_secret("listed-b", self.namespace)
        self.create(OF_ONE_KIND, "of-one-kind")
        self.core.read_namespaced_config_map("of-one-kind-b", self.namespace)

    def test_a_folder(self):
        folder = tempfile.TemporaryDirectory()
        self.file(LISTED, "folder-one", folder)
        self.file(SEVERAL, "folder-two", folder)
        utils.create_from_directory(self.api_client, folder.name, namespace=self.namespace)
        self.core.read_namespaced_config_map("folder-one-a", self.namespace)
        self.core.read_namespaced_service("folder-two", self.namespace)

    def test_what_is_there_already_does_not_stop_the_rest(self):
        self.config_map("twice-a")
        with self.assertRaises(utils.FailToCreateError) as caught:
            self.create(LISTED, "twice")
        self.assertEqual([e.status for e in caught.exception.api_exceptions], [409])
        self.assertIn('configmaps \\"twice-a\\" already exists', str(caught.exception))
        self.core.read_namespaced_secret("twice-b", self.namespace)

    def test_a_namespace_that_is_not_there(self):
        with self.assertRaises(utils.FailToCreateError) as caught:
            utils.create_from_yaml(self.api_client, self.file(OF_ONE_KIND, "lost"), namespace="not-there")
        self.assertIn('namespaces \\"not-there\\" not found', str(caught.exception))

    def test_a_dry_run(self):
        self.create(OF_ONE_KIND, "dry", dry_run="All")
        self.refused(404, "NotFound", self.core.read_namespaced_config_map, "dry-a", self.namespace)

    def test_apply_again_and_again(self):
        for _ in range(2):
            self.create(SEVERAL, "applied", apply=True)
        seen = self.apps.read_namespaced_deployment("applied", self.namespace)
        owners = [(e.manager, e.operation) for e in seen.metadata.managed_fields if not e.subresource]
        self.assertIn(("python-client", "Apply"), owners)
        self.assertEqual(seen.metadata.generation, 1)

    def test_a_dictionary(self):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dictionary"}, "data": {"a": "b"}}
        made = utils.create_from_dict(self.api_client, body, namespace=self.namespace)
        self.assertEqual(made[0].data, {"a": "b"})


if __name__ == "__main__":
    unittest.main()
