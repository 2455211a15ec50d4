"""Workloads and what belongs to them: apps, batch, autoscaling, networking, policy, coordination, RBAC."""

import datetime
import unittest

from kubernetes import client
from lab import Lab, deployment, eventually, pod


class Workloads(Lab):
    def available(self, name, replicas):
        """Waits until a Deployment's pods are there, of its present template."""

        def probe():
            seen = self.apps.read_namespaced_deployment(name, self.namespace)
            status = seen.status
            return (
                status.observed_generation == seen.metadata.generation
                and status.updated_replicas == replicas
                and status.available_replicas == replicas
                and status.replicas == replicas
                and seen
            )

        return eventually(f"{name} has {replicas} replicas", probe)

    def test_a_deployment_is_created_updated_restarted_and_deleted(self):
        made = self.apps.create_namespaced_deployment(self.namespace, deployment("web"))
        self.assertEqual(made.metadata.generation, 1)
        self.assertEqual(made.spec.strategy.rolling_update.max_surge, "25%")
        self.available("web", 2)

        wanted = deployment("web", image="registry.example/web:2")
        patched = self.apps.patch_namespaced_deployment("web", self.namespace, wanted)
        self.assertEqual(patched.spec.template.spec.containers[0].image, "registry.example/web:2")
        self.available("web", 2)

        restart = {"kubectl.kubernetes.io/restartedAt": datetime.datetime.now(datetime.timezone.utc).isoformat()}
        self.apps.patch_namespaced_deployment(
            "web", self.namespace, {"spec": {"template": {"metadata": {"annotations": restart}}}}
        )
        seen = self.available("web", 2)
        self.assertEqual(seen.metadata.annotations["deployment.kubernetes.io/revision"], "3")
        sets = self.apps.list_namespaced_replica_set(self.namespace, label_selector="app=web").items
        self.assertEqual({s.metadata.owner_references[0].name for s in sets}, {"web"})
        self.assertEqual(len(sets), 3)

        self.apps.delete_namespaced_deployment(
            "web",
            self.namespace,
            body=client.V1DeleteOptions(propagation_policy="Foreground", grace_period_seconds=5),
        )
        eventually(
            "the Deployment is gone with its pods",
            lambda: not self.apps.list_namespaced_deployment(self.namespace, label_selector="app=web").items
            and not self.core.list_namespaced_pod(self.namespace, label_selector="app=web").items,
        )

    def test_a_deployment_is_scaled_by_its_subresource(self):
        self.apps.create_namespaced_deployment(self.namespace, deployment("scaled", replicas=1))
        scale = self.apps.read_namespaced_deployment_scale("scaled", self.namespace)
        self.assertEqual((scale.kind, scale.spec.replicas, scale.status.selector), ("Scale", 1, "app=scaled"))
        self.until_nobody_comes_between(
            lambda: self.apps.read_namespaced_deployment_scale("scaled", self.namespace),
            lambda seen: setattr(seen.spec, "replicas", 3),
            lambda seen: self.apps.replace_namespaced_deployment_scale("scaled", self.namespace, seen),
        )
        self.available("scaled", 3)
        # A scale of a revision that has passed is not taken.
        self.refused(
            409, "Conflict", self.apps.replace_namespaced_deployment_scale, "scaled", self.namespace, scale
        )
        patched = self.apps.patch_namespaced_deployment_scale("scaled", self.namespace, {"spec": {"replicas": 0}})
        # None is left out of a scale.
        self.assertIsNone(patched.spec.replicas)
        self.apps.delete_namespaced_deployment("scaled", self.namespace)

    def test_a_status_is_written_through_its_subresource_alone(self):
        body = deployment("held", replicas=0)
        body.spec.paused = True
        self.apps.create_namespaced_deployment(self.namespace, body)
        condition = {
            "type": "Progressing",
            "status": "Unknown",
            "reason": "FromPython",
            "lastUpdateTime": "2026-01-02T03:04:05Z",
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        }
        through_it = self.apps.patch_namespaced_deployment_status(
            "held", self.namespace, {"status": {"conditions": [condition]}, "metadata": {"labels": {"tier": "x"}}}
        )
        self.assertIn("FromPython", [c.reason for c in through_it.status.conditions])
        generation = through_it.metadata.generation
        beside_it = self.apps.patch_namespaced_deployment(
            "held", self.namespace, {"status": {"observedGeneration": 77}}
        )
        self.assertNotEqual(beside_it.status.observed_generation, 77)
        self.assertEqual(beside_it.metadata.generation, generation)

    def test_sets_through_their_lives(self):
        template = pod("set", labels={"app": "set"})
        spec = {
            "selector": {"matchLabels": {"app": "set"}},
            "template": {"metadata": template["metadata"], "spec": template["spec"]},
        }
        stateful = self.apps.create_namespaced_stateful_set(
            self.namespace, {"metadata": {"name": "set"}, "spec": dict(spec, serviceName="set", replicas=2)}
        )
        self.assertEqual(stateful.spec.pod_management_policy, "OrderedReady")
        stateful = self.until_nobody_comes_between(
            lambda: self.apps.read_namespaced_stateful_set("set", self.namespace),
            lambda seen: setattr(seen.spec, "replicas", 1),
            lambda seen: self.apps.replace_namespaced_stateful_set("set", self.namespace, seen),
        )
        self.assertEqual(stateful.spec.replicas, 1)
        self.refused(
            422,
            "Invalid",
            self.apps.patch_namespaced_stateful_set,
            "set",
            self.namespace,
            {"spec": {"serviceName": "other"}},
        )
        self.apps.delete_namespaced_stateful_set("set", self.namespace)

        daemon = self.apps.create_namespaced_daemon_set(self.namespace, {"metadata": {"name": "set"}, "spec": spec})
        self.assertEqual(daemon.spec.update_strategy.type, "RollingUpdate")
        self.until_nobody_comes_between(
            lambda: self.apps.read_namespaced_daemon_set("set", self.namespace),
            lambda seen: setattr(seen.metadata, "labels", {"changed": "yes"}),
            lambda seen: self.apps.replace_namespaced_daemon_set("set", self.namespace, seen),
        )
        self.assertEqual(
            len(self.apps.list_namespaced_daemon_set(self.namespace, label_selector="changed=yes").items), 1
        )
        self.apps.delete_namespaced_daemon_set("set", self.namespace)

    def test_jobs_and_cron_jobs_through_their_lives(self):
        batch = client.BatchV1Api()
        template = client.V1PodTemplateSpec(
            spec=client.V1PodSpec(
                restart_policy="Never",
                containers=[client.V1Container(name="pi", image="perl", command=["perl", "-Mbignum=bpi", "-wle", "print bpi(2000)"])],
            )
        )
        job = client.V1Job(
            api_version="batch/v1",
            kind="Job",
            metadata=client.V1ObjectMeta(name="pi"),
            spec=client.V1JobSpec(template=template, backoff_limit=4, suspend=True),
        )
        made = batch.create_namespaced_job(self.namespace, job)
        self.assertEqual(made.spec.template.metadata.labels["batch.kubernetes.io/job-name"], "pi")
        self.assertEqual(batch.read_namespaced_job_status("pi", self.namespace).spec.completions, 1)
        self.refused(
            422, "Invalid", batch.patch_namespaced_job, "pi", self.namespace, {"spec": {"completions": 2}}
        )
        self.assertEqual(
            batch.patch_namespaced_job("pi", self.namespace, {"spec": {"parallelism": 2}}).spec.parallelism, 2
        )
        batch.delete_namespaced_job("pi", self.namespace, propagation_policy="Background")
        eventually("the Job is gone", lambda: not batch.list_namespaced_job(self.namespace).items)

        cron = client.V1CronJob(
            metadata=client.V1ObjectMeta(name="hello"),
            spec=client.V1CronJobSpec(
                schedule="*/10 * * * *",
                suspend=True,
                job_template=client.V1JobTemplateSpec(spec=client.V1JobSpec(template=template)),
            ),
        )
        made = batch.create_namespaced_cron_job(self.namespace, cron)
        self.assertEqual(made.spec.concurrency_policy, "Allow")
        self.assertEqual(
            batch.patch_namespaced_cron_job("hello", self.namespace, {"spec": {"schedule": "@daily"}}).spec.schedule,
            "@daily",
        )
        refusal = self.refused(
            422, "Invalid", batch.patch_namespaced_cron_job, "hello", self.namespace, {"spec": {"schedule": "now"}}
        )
        self.assertEqual(refusal["details"]["causes"][0]["field"], "spec.schedule")
        batch.delete_collection_namespaced_cron_job(self.namespace)
        self.assertEqual(batch.list_namespaced_cron_job(self.namespace).items, [])

    def test_an_autoscaler_speaks_both_versions(self):
        target = client.V2CrossVersionObjectReference(api_version="apps/v1", kind="Deployment", name="web")
        body = client.V2HorizontalPodAutoscaler(
            metadata=client.V1ObjectMeta(name="web"),
            spec=client.V2HorizontalPodAutoscalerSpec(
                max_replicas=5,
                scale_target_ref=target,
                metrics=[
                    client.V2MetricSpec(
                        type="Resource",
                        resource=client.V2ResourceMetricSource(
                            name="cpu", target=client.V2MetricTarget(type="Utilization", average_utilization=50)
                        ),
                    )
                ],
            ),
        )
        newer, older = client.AutoscalingV2Api(), client.AutoscalingV1Api()
        self.assertEqual(newer.create_namespaced_horizontal_pod_autoscaler(self.namespace, body).spec.min_replicas, 1)
        seen = older.read_namespaced_horizontal_pod_autoscaler("web", self.namespace)
        self.assertEqual(seen.spec.target_cpu_utilization_percentage, 50)
        self.until_nobody_comes_between(
            lambda: older.read_namespaced_horizontal_pod_autoscaler("web", self.namespace),
            lambda seen: setattr(seen.spec, "target_cpu_utilization_percentage", 80),
            lambda seen: older.replace_namespaced_horizontal_pod_autoscaler("web", self.namespace, seen),
        )
        seen = newer.read_namespaced_horizontal_pod_autoscaler("web", self.namespace)
        self.assertEqual(seen.spec.metrics[0].resource.target.average_utilization, 80)
        older.delete_namespaced_horizontal_pod_autoscaler("web", self.namespace)

    def test_an_ingress_and_a_policy(self):
        networking = client.NetworkingV1Api()
        backend = client.V1IngressBackend(
            service=client.V1IngressServiceBackend(name="front", port=client.V1ServiceBackendPort(number=80))
        )
        body = client.V1Ingress(
            metadata=client.V1ObjectMeta(name="front"),
            spec=client.V1IngressSpec(
                rules=[
                    client.V1IngressRule(
                        host="www.example.org",
                        http=client.V1HTTPIngressRuleValue(
                            paths=[client.V1HTTPIngressPath(path="/", path_type="Prefix", backend=backend)]
                        ),
                    )
                ]
            ),
        )
        networking.create_namespaced_ingress(self.namespace, body)
        patched = networking.patch_namespaced_ingress(
            "front", self.namespace, {"spec": {"rules": [{"host": "*.example.org", "http": body.spec.rules[0].http}]}}
        )
        self.assertEqual([r.host for r in patched.spec.rules], ["*.example.org"])
        networking.delete_namespaced_ingress("front", self.namespace)
        policy = networking.create_namespaced_network_policy(
            self.namespace, {"metadata": {"name": "closed"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
        )
        self.assertEqual(policy.spec.policy_types, ["Ingress"])

    def test_a_budget_counts_what_may_go(self):
        policy = client.PolicyV1Api()
        body = {"metadata": {"name": "keep"}, "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": "kept"}}}}
        made = policy.create_namespaced_pod_disruption_budget(self.namespace, body)
        self.assertEqual(made.spec.min_available, "50%")
        eventually(
            "the budget has been looked at",
            lambda: policy.read_namespaced_pod_disruption_budget_status("keep", self.namespace).status.observed_generation
            == 1,
        )

    def test_a_lease_keeps_microseconds(self):
        leases = client.CoordinationV1Api()
        now = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.timezone.utc)
        body = client.V1Lease(
            metadata=client.V1ObjectMeta(name="mine"),
            spec=client.V1LeaseSpec(holder_identity="python", lease_duration_seconds=15, acquire_time=now, renew_time=now),
        )
        made = leases.create_namespaced_lease(self.namespace, body)
        self.assertEqual(made.spec.renew_time, now)
        made.spec.renew_time = now + datetime.timedelta(microseconds=1)
        replaced = leases.replace_namespaced_lease("mine", self.namespace, made)
        self.assertEqual(replaced.spec.renew_time.microsecond, 678902)

    def test_roles_and_their_bindings(self):
        rbac = client.RbacAuthorizationV1Api()
        rule = client.V1PolicyRule(api_groups=[""], resources=["pods"], verbs=["get", "list"])
        rbac.create_namespaced_role(
            self.namespace, client.V1Role(metadata=client.V1ObjectMeta(name="reader"), rules=[rule])
        )
        binding = {
            "metadata": {"name": "reader"},
            "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {"kind": "Role", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"},
        }
        rbac.create_namespaced_role_binding(self.namespace, binding)
        binding["roleRef"]["name"] = "other"
        self.refused(
            422, "Invalid", rbac.replace_namespaced_role_binding, "reader", self.namespace, binding
        )
        review = client.V1SelfSubjectAccessReview(
            spec=client.V1SelfSubjectAccessReviewSpec(
                resource_attributes=client.V1ResourceAttributes(verb="list", resource="pods", namespace=self.namespace)
            )
        )
        self.assertTrue(client.AuthorizationV1Api().create_self_subject_access_review(review).status.allowed)


if __name__ == "__main__":
    unittest.main()
