"""The core group through the typed interface: create, read, list, replace, patch, delete."""

import base64
import unittest

from kubernetes import client
from lab import Lab, eventually, pod


class Core(Lab):
    def test_a_pod_is_created_runs_and_goes(self):
        made = self.core.create_namespaced_pod(self.namespace, pod("web", labels={"app": "web"}))
        self.assertEqual(made.metadata.name, "web")
        self.assertEqual(made.status.phase, "Pending")
        self.assertEqual(made.spec.restart_policy, "Always")

        def running():
            seen = self.core.read_namespaced_pod("web", self.namespace)
            return seen.status.phase == "Running" and seen

        seen = eventually("the pod runs", running)
        self.assertTrue(seen.spec.node_name)
        self.assertTrue(seen.status.pod_ip)
        self.assertIsNotNone(seen.metadata.creation_timestamp.tzinfo)

        status = self.core.read_namespaced_pod_status("web", self.namespace)
        self.assertIn("Ready", [c.type for c in status.status.conditions])
        everywhere = self.core.list_pod_for_all_namespaces(label_selector="app=web")
        self.assertIn((self.namespace, "web"), [(p.metadata.namespace, p.metadata.name) for p in everywhere.items])

        gone = self.core.delete_namespaced_pod("web", self.namespace, body=client.V1DeleteOptions(grace_period_seconds=1))
        self.assertIsNotNone(gone.metadata.deletion_timestamp)
        eventually("the pod is gone", lambda: not self.core.list_namespaced_pod(self.namespace).items)

    def test_an_eviction_ends_a_pod(self):
        self.core.create_namespaced_pod(self.namespace, pod("evicted"))
        eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name="evicted", namespace=self.namespace))
        self.core.create_namespaced_pod_eviction("evicted", self.namespace, eviction)
        eventually(
            "the evicted pod is gone",
            lambda: "evicted" not in [p.metadata.name for p in self.core.list_namespaced_pod(self.namespace).items],
        )

    def test_a_service_gets_an_address_and_keeps_it(self):
        body = client.V1Service(
            metadata=client.V1ObjectMeta(name="front"),
            spec=client.V1ServiceSpec(
                selector={"app": "front"}, ports=[client.V1ServicePort(port=80, target_port=8080)]
            ),
        )
        made = self.core.create_namespaced_service(self.namespace, body)
        self.assertTrue(made.spec.cluster_ip)
        self.assertEqual(made.spec.ports[0].protocol, "TCP")
        self.assertEqual(made.spec.ports[0].target_port, 8080)

        patched = self.core.patch_namespaced_service(
            "front", self.namespace, {"spec": {"ports": [{"name": "web", "port": 80, "targetPort": "http"}]}}
        )
        self.assertEqual([(p.name, p.target_port) for p in patched.spec.ports], [("web", "http")])
        self.assertEqual(patched.spec.cluster_ip, made.spec.cluster_ip)

        patched.spec.type = "NodePort"
        replaced = self.core.replace_namespaced_service("front", self.namespace, patched)
        self.assertGreaterEqual(replaced.spec.ports[0].node_port, 30000)
        self.assertEqual(
            [s.metadata.name for s in self.core.list_namespaced_service(self.namespace).items], ["front"]
        )
        self.core.delete_namespaced_service("front", self.namespace)
        self.refused(404, "NotFound", self.core.read_namespaced_service, "front", self.namespace)

    def test_a_config_map_through_its_life(self):
        made = self.config_map("settings", {"frontend.cnf": "[mysqld]\nbind-address = 10.0.0.3\nport = 3306\n"})
        read = self.core.read_namespaced_config_map("settings", self.namespace)
        self.assertEqual(read.data, made.data)
        self.assertEqual(read.metadata.uid, made.metadata.uid)

        read.data["backend.cnf"] = "port = 3307"
        replaced = self.core.replace_namespaced_config_map("settings", self.namespace, read)
        self.assertEqual(sorted(replaced.data), ["backend.cnf", "frontend.cnf"])
        self.assertNotEqual(replaced.metadata.resource_version, made.metadata.resource_version)

        patched = self.core.patch_namespaced_config_map("settings", self.namespace, {"data": {"backend.cnf": None}})
        self.assertEqual(sorted(patched.data), ["frontend.cnf"])
        deleted = self.core.delete_namespaced_config_map("settings", self.namespace, body={})
        self.assertEqual(deleted.status, "Success")
        self.assertEqual(deleted.details.uid, made.metadata.uid)

    def test_what_cannot_change_is_held(self):
        self.core.create_namespaced_config_map(
            self.namespace,
            client.V1ConfigMap(metadata=client.V1ObjectMeta(name="fixed"), data={"a": "1"}, immutable=True),
        )
        refusal = self.refused(
            422, "Invalid", self.core.patch_namespaced_config_map, "fixed", self.namespace, {"data": {"a": "2"}}
        )
        self.assertEqual(refusal["details"]["causes"][0]["field"], "data")

    def test_a_secret_takes_text_and_bytes(self):
        body = client.V1Secret(
            metadata=client.V1ObjectMeta(name="password"),
            string_data={"user": "admin"},
            data={"key": base64.b64encode(b"\x00\xff").decode()},
        )
        made = self.core.create_namespaced_secret(self.namespace, body)
        self.assertEqual(made.type, "Opaque")
        self.assertIsNone(made.string_data)
        self.assertEqual({k: base64.b64decode(v) for k, v in made.data.items()}, {"user": b"admin", "key": b"\x00\xff"})

    def test_a_replication_controller_through_its_life(self):
        template = pod("web", labels={"name": "web"})
        body = {
            "apiVersion": "v1",
            "kind": "ReplicationController",
            "metadata": {"name": "old"},
            "spec": {
                "replicas": 2,
                "selector": {"name": "web"},
                "template": {"metadata": template["metadata"], "spec": template["spec"]},
            },
        }
        made = self.core.create_namespaced_replication_controller(self.namespace, body)
        self.assertEqual(made.spec.replicas, 2)
        self.until_nobody_comes_between(
            lambda: self.core.read_namespaced_replication_controller_scale("old", self.namespace),
            lambda scale: setattr(scale.spec, "replicas", 0),
            lambda scale: self.core.replace_namespaced_replication_controller_scale("old", self.namespace, scale),
        )
        self.assertEqual(self.core.read_namespaced_replication_controller("old", self.namespace).spec.replicas, 0)
        self.core.delete_namespaced_replication_controller("old", self.namespace, propagation_policy="Background")
        self.refused(404, "NotFound", self.core.read_namespaced_replication_controller, "old", self.namespace)

    def test_nodes_are_listed_and_labelled(self):
        nodes = self.core.list_node()
        self.assertTrue(nodes.items)
        name = nodes.items[0].metadata.name
        self.assertIn("cpu", nodes.items[0].status.allocatable)
        label = f"python/{self.namespace}"
        # As the example has it: a label is set, and removed by a null.
        self.assertEqual(self.core.patch_node(name, {"metadata": {"labels": {label: "bar"}}}).metadata.labels[label], "bar")
        self.assertEqual(
            [n.metadata.name for n in self.core.list_node(label_selector=f"{label}=bar").items], [name]
        )
        self.assertNotIn(label, self.core.patch_node(name, {"metadata": {"labels": {label: None}}}).metadata.labels)

    def test_a_volume_and_its_claim(self):
        volume = self.namespace
        body = client.V1PersistentVolume(
            metadata=client.V1ObjectMeta(name=volume),
            spec=client.V1PersistentVolumeSpec(
                capacity={"storage": "1024Mi"},
                access_modes=["ReadWriteOnce"],
                host_path=client.V1HostPathVolumeSource(path="/tmp/nowhere"),
                storage_class_name="manual",
            ),
        )
        made = self.core.create_persistent_volume(body)
        self.addCleanup(self.core.delete_persistent_volume, volume)
        # Quantities come back in their canonical form.
        self.assertEqual(made.spec.capacity, {"storage": "1Gi"})
        self.assertEqual(made.spec.persistent_volume_reclaim_policy, "Retain")
        claim = client.V1PersistentVolumeClaim(
            metadata=client.V1ObjectMeta(name="claim"),
            spec=client.V1PersistentVolumeClaimSpec(
                access_modes=["ReadWriteOnce"],
                storage_class_name="manual",
                resources=client.V1VolumeResourceRequirements(requests={"storage": "1Gi"}),
            ),
        )
        claimed = self.core.create_namespaced_persistent_volume_claim(self.namespace, claim)
        self.assertEqual(claimed.status.phase, "Pending")
        self.core.delete_namespaced_persistent_volume_claim("claim", self.namespace)

    def test_namespaces_are_made_and_go_with_what_is_in_them(self):
        name = f"{self.namespace}-inner"
        self.core.create_namespace({"metadata": {"name": name}})
        self.assertEqual(self.core.read_namespace(name).status.phase, "Active")
        self.core.create_namespaced_config_map(name, {"metadata": {"name": "inside"}})
        self.core.delete_namespace(name)

        def gone():
            return name not in [n.metadata.name for n in self.core.list_namespace().items]

        eventually("the namespace is gone", gone)
        self.refused(404, "NotFound", self.core.read_namespaced_config_map, "inside", name)


if __name__ == "__main__":
    unittest.main()
