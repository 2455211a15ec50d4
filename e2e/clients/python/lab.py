"""What the tests share: a connection as the client's own examples make it, and a namespace of one's own."""

import json
import time
import unittest

from kubernetes import client, config

# Longer than anything here takes; what is not there by then will not come.
PATIENCE = 120


class Lab(unittest.TestCase):
    """A test against the API server of KUBECONFIG, in a namespace that the class makes and removes."""

    @classmethod
    def setUpClass(cls):
        config.load_kube_config()
        cls.api_client = client.ApiClient()
        cls.core = client.CoreV1Api()
        cls.apps = client.AppsV1Api()
        made = cls.core.create_namespace(
            client.V1Namespace(metadata=client.V1ObjectMeta(generate_name="python-"))
        )
        cls.namespace = made.metadata.name
        cls.addClassCleanup(cls.core.delete_namespace, cls.namespace)
        cls.addClassCleanup(cls.api_client.close)
        # Pods name the namespace's default account, which a controller makes.
        eventually(
            "the namespace has its default service account",
            lambda: "default"
            in [a.metadata.name for a in cls.core.list_namespaced_service_account(cls.namespace).items],
        )

    def config_map(self, name, data=None, labels=None):
        """Creates a ConfigMap."""
        body = client.V1ConfigMap(
            metadata=client.V1ObjectMeta(name=name, labels=labels), data=data or {"key": "value"}
        )
        return self.core.create_namespaced_config_map(self.namespace, body)

    def until_nobody_comes_between(self, read, change, replace):
        """Reads, changes and replaces, again when somebody else, a controller most of all, wrote meanwhile."""

        def attempt():
            seen = read()
            change(seen)
            try:
                return replace(seen)
            except client.exceptions.ApiException as refusal:
                if refusal.status != 409:
                    raise
                return None

        return eventually("the replacement is taken", attempt)

    def refused(self, status, reason, call, *args, **kwargs):
        """Calls what must be refused, and returns the `Status` that the server answered with."""
        with self.assertRaises(client.exceptions.ApiException) as caught:
            call(*args, **kwargs)
        refusal = caught.exception
        self.assertEqual(refusal.status, status, refusal)
        body = json.loads(refusal.body)
        self.assertEqual(body["kind"], "Status")
        self.assertEqual(body["apiVersion"], "v1")
        self.assertEqual(body["status"], "Failure")
        self.assertEqual(body["code"], status)
        self.assertEqual(body["reason"], reason, refusal)
        return body


def eventually(what, probe, patience=PATIENCE):
    """Waits until `probe` returns something true, and returns it."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := probe():
            return found
        time.sleep(0.05)
    raise AssertionError(f"did not come true within {patience} s: {what}")


def pod(name, labels=None, annotations=None):
    """A pod of one container, as the examples have it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}, "annotations": annotations or {}},
        "spec": {
            "containers": [{"name": "web", "image": "registry.example/web:1", "ports": [{"containerPort": 80}]}]
        },
    }


def deployment(name, replicas=2, image="registry.example/web:1"):
    """A Deployment, made of the client's models."""
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels={"app": name}),
        spec=client.V1PodSpec(
            containers=[
                client.V1Container(
                    name="web",
                    image=image,
                    ports=[client.V1ContainerPort(container_port=80)],
                    resources=client.V1ResourceRequirements(requests={"cpu": "10m", "memory": "16Mi"}),
                )
            ]
        ),
    )
    return client.V1Deployment(
        api_version="apps/v1",
        kind="Deployment",
        metadata=client.V1ObjectMeta(name=name, labels={"app": name}),
        spec=client.V1DeploymentSpec(
            replicas=replicas, selector=client.V1LabelSelector(match_labels={"app": name}), template=template
        ),
    )
