"""The client's informer: its cache follows the server, also when it must begin anew."""

import functools
import unittest

from kubernetes.informer import ADDED, DELETED, ERROR, MODIFIED, SharedInformer
from lab import Lab, eventually
from test_watch import NEVER


# Seconds after which a watch ends and the objects are listed again. `stop` may miss a watch that is just being
# opened, and then waits for its end.
RESYNC = 5


class Informers(Lab):
    def started(self, resync_period=RESYNC, **kwargs):
        """A running informer of ConfigMaps, and what its handlers have been told."""
        told = []
        informer = SharedInformer(
            self.core.list_namespaced_config_map,
            namespace=self.namespace,
            resync_period=resync_period,
            **kwargs,
        )
        for kind in (ADDED, MODIFIED, DELETED):
            informer.add_event_handler(kind, lambda o, kind=kind: told.append((kind, o.metadata.name)))
        informer.start()
        self.addCleanup(informer.stop)
        return informer, told

    def test_the_cache_follows(self):
        self.config_map("first", labels={"test": "follow"})
        informer, told = self.started(label_selector="test=follow")
        key = f"{self.namespace}/second"
        eventually("the first is listed", lambda: (ADDED, "first") in told)

        self.config_map("second", labels={"test": "follow"})
        eventually("the second is added", lambda: (ADDED, "second") in told)
        self.assertEqual(informer.cache.get_by_key(key).data, {"key": "value"})

        self.core.patch_namespaced_config_map("second", self.namespace, {"data": {"key": "changed"}})
        eventually("the second is modified", lambda: (MODIFIED, "second") in told)
        self.assertEqual(informer.cache.get_by_key(key).data, {"key": "changed"})

        self.core.delete_namespaced_config_map("first", self.namespace)
        eventually("the first is deleted", lambda: (DELETED, "first") in told)
        self.assertEqual(informer.cache.list_keys(), [key])
        self.assertEqual(told.count((ADDED, "first")), 1)

    def test_it_begins_anew_when_the_past_is_gone(self):
        self.config_map("before", labels={"test": "anew"})
        real, watched = self.core.list_namespaced_config_map, []

        @functools.wraps(real)
        def forgetful(*args, **kwargs):
            # The first watch asks for a revision that is not to be had.
            if kwargs.get("watch"):
                watched.append(kwargs["resource_version"])
                if len(watched) == 1:
                    kwargs["resource_version"] = NEVER
            return real(*args, **kwargs)

        gone = []
        informer = SharedInformer(
            forgetful, namespace=self.namespace, label_selector="test=anew", resync_period=RESYNC
        )
        informer.add_event_handler(ERROR, gone.append)
        informer.start()
        self.addCleanup(informer.stop)
        eventually("the watch was refused", lambda: gone)
        self.assertEqual(gone[0].status, 410)
        self.config_map("after", labels={"test": "anew"})
        eventually("both are known", lambda: len(informer.cache.list()) == 2)

    def test_it_lists_again_now_and_then(self):
        self.config_map("steady", labels={"test": "resync"})
        _, told = self.started(label_selector="test=resync", resync_period=1)
        eventually("told of it again without a change", lambda: told.count((MODIFIED, "steady")) >= 2)


if __name__ == "__main__":
    unittest.main()
