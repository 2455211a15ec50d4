"""Watches: from a list on, resumed, ended, and of a past that is gone."""

import threading
import unittest

from kubernetes import client, watch
from lab import PATIENCE, Lab, pod

# A revision that the server has never reached is of another history: 410, as for one that it has forgotten.
NEVER = "999999999999"


class Watches(Lab):
    def events(self, count, revision, **kwargs):
        """The first `count` events after a revision, and the revision to go on from."""
        watcher, found = watch.Watch(), []
        for event in watcher.stream(
            self.core.list_namespaced_config_map,
            self.namespace,
            resource_version=revision,
            timeout_seconds=PATIENCE,
            **kwargs,
        ):
            found.append((event["type"], event["object"].metadata.name))
            if len(found) == count:
                watcher.stop()
        self.assertEqual(len(found), count, found)
        return found, watcher.resource_version

    def test_every_change_after_a_list_is_seen_once_and_in_order(self):
        labels = {"label_selector": "test=order"}
        revision = self.core.list_namespaced_config_map(self.namespace).metadata.resource_version
        for name in ("a", "b"):
            self.config_map(f"order-{name}", labels={"test": "order"})
        self.core.patch_namespaced_config_map("order-a", self.namespace, {"data": {"key": "changed"}})
        self.core.delete_namespaced_config_map("order-a", self.namespace)
        # Leaving the selection is a deletion for who watches it.
        self.core.patch_namespaced_config_map("order-b", self.namespace, {"metadata": {"labels": {"test": "other"}}})
        found, last = self.events(5, revision, **labels)
        self.assertEqual(
            found,
            [
                ("ADDED", "order-a"),
                ("ADDED", "order-b"),
                ("MODIFIED", "order-a"),
                ("DELETED", "order-a"),
                ("DELETED", "order-b"),
            ],
        )
        self.core.patch_namespaced_config_map("order-b", self.namespace, {"metadata": {"labels": {"test": "order"}}})
        resumed, _ = self.events(1, last, **labels)
        self.assertEqual(resumed, [("ADDED", "order-b")])

    def test_a_watch_without_a_revision_begins_with_what_is_there(self):
        self.config_map("present", labels={"test": "present"})
        watcher = watch.Watch()
        for event in watcher.stream(
            self.core.list_namespaced_config_map,
            self.namespace,
            label_selector="test=present",
            timeout_seconds=PATIENCE,
        ):
            self.assertEqual((event["type"], event["object"].metadata.name), ("ADDED", "present"))
            self.assertEqual(event["raw_object"]["kind"], "ConfigMap")
            self.assertIsInstance(event["object"], client.V1ConfigMap)
            watcher.stop()

    def test_a_watch_goes_on_when_the_server_has_ended_it(self):
        """The client opens the next one where the last one ended: nothing is missed, nothing comes twice."""
        revision = self.core.list_namespaced_config_map(self.namespace).metadata.resource_version
        opened = []

        def short(*args, **kwargs):
            """:rtype: V1ConfigMapList"""
            opened.append(kwargs["resource_version"])
            return self.core.list_namespaced_config_map(*args, timeout_seconds=1, **kwargs)

        def write():
            # One change for each watch: the next is made when the next watch has been opened.
            self.config_map("resumed", labels={"test": "resumed"})

        threading.Timer(0.2, write).start()
        watcher, found = watch.Watch(), []
        for event in watcher.stream(
            short, self.namespace, label_selector="test=resumed", resource_version=revision
        ):
            found.append((event["type"], len(opened)))
            if len(found) == 1:
                # The rest of this watch passes without a change.
                threading.Timer(
                    1.5,
                    self.core.patch_namespaced_config_map,
                    ("resumed", self.namespace, {"data": {"key": "later"}}),
                ).start()
            else:
                watcher.stop()
        self.assertEqual([kind for kind, _ in found], ["ADDED", "MODIFIED"])
        self.assertGreaterEqual(len(opened), 2)
        self.assertGreater(int(opened[-1]), int(revision))

    def test_a_watch_ends_when_its_time_is_over(self):
        revision = self.core.list_namespaced_config_map(self.namespace).metadata.resource_version
        events = watch.Watch().stream(
            self.core.list_namespaced_config_map,
            self.namespace,
            field_selector="metadata.name=never",
            resource_version=revision,
            timeout_seconds=1,
        )
        self.assertEqual(list(events), [])

    def test_a_bookmark_moves_the_revision_on(self):
        revision = self.core.list_namespaced_config_map(self.namespace).metadata.resource_version
        self.config_map("elsewhere", labels={"test": "not-watched"})
        watcher = watch.Watch()
        for event in watcher.stream(
            self.core.list_namespaced_config_map,
            self.namespace,
            label_selector="test=nobody",
            resource_version=revision,
            allow_watch_bookmarks=True,
            timeout_seconds=4,
        ):
            self.assertEqual(event["type"], "BOOKMARK")
            self.assertEqual(event["raw_object"]["kind"], "ConfigMap")
        self.assertGreater(int(watcher.resource_version), int(revision))

    def test_what_is_gone_is_said_by_an_exception(self):
        with self.assertRaises(client.exceptions.ApiException) as caught:
            list(watch.Watch().stream(self.core.list_namespaced_config_map, self.namespace, resource_version=NEVER))
        self.assertEqual(caught.exception.status, 410)
        self.assertIn("too old resource version", caught.exception.reason)

    def test_a_pod_is_watched_until_it_runs(self):
        self.core.create_namespaced_pod(self.namespace, pod("watched"))
        watcher, phases = watch.Watch(), []
        for event in watcher.stream(
            self.core.list_namespaced_pod,
            self.namespace,
            field_selector="metadata.name=watched",
            timeout_seconds=PATIENCE,
        ):
            phases.append(event["object"].status.phase)
            if phases[-1] == "Running":
                watcher.stop()
        self.assertEqual(phases[-1], "Running")

    def test_a_watch_over_all_namespaces(self):
        watcher = watch.Watch()
        revision = self.core.list_config_map_for_all_namespaces(limit=1).metadata.resource_version
        self.config_map("anywhere", labels={"test": self.namespace})
        for event in watcher.stream(
            self.core.list_config_map_for_all_namespaces,
            label_selector=f"test={self.namespace}",
            resource_version=revision,
            timeout_seconds=PATIENCE,
        ):
            self.assertEqual(event["object"].metadata.namespace, self.namespace)
            watcher.stop()


if __name__ == "__main__":
    unittest.main()
