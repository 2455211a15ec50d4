"""The client's election of a leader, over a ConfigMap."""

import threading
import unittest

from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock
from lab import PATIENCE, Lab


class Lock(ConfigMapLock):
    """A lock whose candidate can be made to lose touch with the server."""

    lost = False

    def update(self, name, namespace, updated_record):
        return not self.lost and super().update(name, namespace, updated_record)


class Candidate:
    """One that wants to lead, in a thread of its own."""

    def __init__(self, name, namespace):
        self.lock = Lock("leader", namespace, name)
        self.leads, self.stopped = threading.Event(), threading.Event()
        election = electionconfig.Config(
            self.lock,
            lease_duration=3,
            renew_deadline=2,
            retry_period=1,
            onstarted_leading=self.leads.set,
            onstopped_leading=self.stopped.set,
        )
        threading.Thread(target=leaderelection.LeaderElection(election).run, daemon=True).start()


class Election(Lab):
    def test_another_takes_over_from_a_leader_that_is_lost(self):
        first = Candidate("first", self.namespace)
        self.assertTrue(first.leads.wait(PATIENCE))
        second = Candidate("second", self.namespace)
        first.lock.lost = True
        self.assertTrue(first.stopped.wait(PATIENCE))
        self.assertTrue(second.leads.wait(PATIENCE))
        self.addCleanup(setattr, second.lock, "lost", True)
        lock = self.core.read_namespaced_config_map("leader", self.namespace)
        record = lock.metadata.annotations["control-plane.alpha.kubernetes.io/leader"]
        self.assertIn('"holderIdentity": "second"', record)


if __name__ == "__main__":
    unittest.main()
