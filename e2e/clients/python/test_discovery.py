"""What the server says of itself: version, groups, resources, health, and the asynchronous client."""

import asyncio
import unittest

from kubernetes import client
from kubernetes.aio import client as aio
from kubernetes.aio import config as aio_config
from lab import Lab


class Discovery(Lab):
    def test_the_version(self):
        code = client.VersionApi().get_code()
        self.assertEqual((code.major, code.minor), ("1", "36"))
        self.assertTrue(code.git_version.startswith("v1.36."))

    def test_the_groups_and_what_is_in_them(self):
        self.assertEqual(client.CoreApi().get_api_versions().versions, ["v1"])
        groups = {g.name: g.preferred_version.group_version for g in client.ApisApi().get_api_versions().groups}
        self.assertEqual(groups["apps"], "apps/v1")
        self.assertEqual(groups["autoscaling"], "autoscaling/v2")
        resources = {r.name: r for r in self.core.get_api_resources().resources}
        self.assertEqual((resources["pods"].kind, resources["pods"].namespaced), ("Pod", True))
        self.assertIn("pods/eviction", resources)
        versions = client.AppsApi().get_api_group()
        self.assertEqual([v.version for v in versions.versions], ["v1"])
        self.assertIn("deployments/scale", [r.name for r in self.apps.get_api_resources().resources])

    def test_health_and_schema(self):
        for path, wanted in (("/readyz", "ok"), ("/livez?verbose", "livez check passed")):
            self.assertIn(wanted, self.text(path))
        self.assertIn("io.k8s.api.apps.v1.Deployment", self.text("/openapi/v3/apis/apps/v1"))
        self.assertIn('"swagger"', self.text("/openapi/v2")[:200])

    def text(self, path):
        """A page of the server, through the client's own connection."""
        answer = self.api_client.rest_client.GET(self.api_client.configuration.host + path)
        self.assertEqual(answer.status, 200)
        return answer.data.decode() if isinstance(answer.data, bytes) else answer.data

    def test_the_asynchronous_client(self):
        async def play():
            await aio_config.load_kube_config()
            async with aio.ApiClient() as connection:
                core = aio.CoreV1Api(connection)
                body = {"metadata": {"name": "async"}, "data": {"key": "value"}}
                await core.create_namespaced_config_map(self.namespace, body)
                reads = (core.read_namespaced_config_map("async", self.namespace) for _ in range(10))
                self.assertEqual({c.data["key"] for c in await asyncio.gather(*reads)}, {"value"})
                patched = await core.patch_namespaced_config_map("async", self.namespace, {"data": {"key": "patched"}})
                self.assertEqual(patched.data, {"key": "patched"})
                listed = await core.list_namespaced_config_map(self.namespace)
                self.assertIn("async", [c.metadata.name for c in listed.items])
                await core.delete_namespaced_config_map("async", self.namespace)
                with self.assertRaises(aio.exceptions.ApiException) as caught:
                    await core.read_namespaced_config_map("async", self.namespace)
                self.assertEqual(caught.exception.status, 404)

        asyncio.run(play())


if __name__ == "__main__":
    unittest.main()
