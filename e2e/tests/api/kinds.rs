//! A valid object of every kind that is kept, and a status for those that have one.

use serde_json::{Value, json};

/// A certificate request for `CN=e2e-test, O=e2e`: PEM in base64.
const REQUEST: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIY01JR0RBZ0VBTUNFeEVUQVBCZ05WQkFNTUNHVXlaUzEwWlhOME1Rd3dDZ1lEVlFRS0RBTmxNbVV3V1RBVApCZ2NxaGtqT1BRSUJCZ2dxaGtqT1BRTUJCd05DQUFRd2ZWbmJybGoyYXdpcTRtYW5TVlllRTQxd0JDK0pyeTBaCnFyQldYVWF3Rnc4M0lFNEcyejBuM1BidS9pelh4aXhzT0Z3ZUIxNmY4ejZqOWlORVhiYWNvQUF3Q2dZSUtvWkkKemowRUF3SURTQUF3UlFJZ2QvYjlXSzgyUk5vV0xkSCtrZkxOZGo3NEhJdE1GZVhCNlQzbzBmOWRSRUFDSVFDbQoxRzF6dFVYNEp0VDVWWTc2aXpTMkppdTFYcTN4RlU4U0U5YVpyTU9mNFE9PQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K";

const TIME: &str = "2026-01-01T00:00:00Z";

/// An object, and what can be written into its status.
pub struct Sample {
    /// Without kind and version, which are those of its address.
    pub object: Value,
    /// A part of a status that no controller here takes away while it is written.
    pub status: Option<Value>,
}

/// A sample of a resource; `name` is for one object of it, `namespace` the test's.
pub fn sample(version: &str, resource: &str, namespace: &str, name: &str) -> Option<Sample> {
    let (group, _) = version.rsplit_once('/').unwrap_or_default();
    let mut object = match group {
        "" => core(resource, namespace),
        "apps" | "batch" | "autoscaling" | "policy" => workload(resource),
        "networking.k8s.io" | "discovery.k8s.io" => networking(resource, name),
        "storage.k8s.io" => storage(resource),
        "rbac.authorization.k8s.io" | "certificates.k8s.io" => access(resource),
        "resource.k8s.io" => devices(resource),
        "admissionregistration.k8s.io" | "apiextensions.k8s.io" | "apiregistration.k8s.io" => {
            extension(resource, namespace, name)
        }
        _ => cluster(resource, namespace),
    }?;
    let name = match resource {
        "customresourcedefinitions" => format!("{name}s.example.com"),
        "apiservices" => format!("v1.{name}.example.com"),
        "ipaddresses" => address(name),
        _ => name.to_owned(),
    };
    object["metadata"] = json!({"name": name});
    let status = status(resource);
    Some(Sample { object, status })
}

/// An address of its own for each name.
fn address(name: &str) -> String {
    let number = name.bytes().fold(0u16, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u16::from(byte))
    });
    format!("192.168.{}.{}", number >> 8, number & 255)
}

fn pod_spec() -> Value {
    json!({"schedulerName": "nobody", "containers": [{"name": "c", "image": "nginx"}]})
}

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "sample"}}, "spec": pod_spec()})
}

fn core(resource: &str, namespace: &str) -> Option<Value> {
    Some(match resource {
        "configmaps" => json!({"data": {"a": "b"}}),
        "endpoints" => {
            json!({"subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "http", "port": 80}]}]})
        }
        "events" => json!({
            "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "p"},
            "reason": "Test", "message": "a test event", "type": "Normal", "count": 1,
        }),
        "limitranges" => json!({"spec": {"limits": [{"type": "Pod", "max": {"cpu": "100"}}]}}),
        "namespaces" | "nodes" | "serviceaccounts" => json!({}),
        "persistentvolumeclaims" => json!({"spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        }}),
        "persistentvolumes" => json!({"spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"},
            "storageClassName": "sample",
        }}),
        "pods" => json!({"spec": pod_spec()}),
        "podtemplates" => json!({"template": template()}),
        "replicationcontrollers" => {
            json!({"spec": {"replicas": 0, "selector": {"app": "sample"}, "template": template()}})
        }
        "resourcequotas" => json!({"spec": {"hard": {"count/things.example.com": "5"}}}),
        "secrets" => json!({"stringData": {"a": "b"}}),
        "services" => json!({"spec": {"ports": [{"port": 80}]}}),
        _ => return None,
    })
}

fn workload(resource: &str) -> Option<Value> {
    let selector = json!({"matchLabels": {"app": "sample"}});
    let mut once = pod_spec();
    once["restartPolicy"] = json!("Never");
    let job = json!({"suspend": true, "template": {"spec": once}});
    Some(match resource {
        "controllerrevisions" => json!({"revision": 1, "data": {"spec": {"a": 1}}}),
        "daemonsets" => json!({"spec": {"selector": selector, "template": template()}}),
        "deployments" => {
            json!({"spec": {"paused": true, "replicas": 0, "selector": selector, "template": template()}})
        }
        "replicasets" => {
            json!({"spec": {"replicas": 0, "selector": selector, "template": template()}})
        }
        "statefulsets" => json!({"spec": {
            "replicas": 0, "serviceName": "s", "selector": selector, "template": template(),
        }}),
        "jobs" => json!({"spec": job}),
        "cronjobs" => {
            json!({"spec": {"suspend": true, "schedule": "*/5 * * * *", "jobTemplate": {"spec": job}}})
        }
        "horizontalpodautoscalers" => json!({"spec": {
            "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"},
        }}),
        "poddisruptionbudgets" => json!({"spec": {"minAvailable": 1, "selector": selector}}),
        _ => return None,
    })
}

fn networking(resource: &str, name: &str) -> Option<Value> {
    let number = address(name);
    let block = number.rsplit_once('.').map_or("0", |(_, last)| last);
    Some(match resource {
        "ingressclasses" => json!({"spec": {"controller": "example.com/controller"}}),
        "ingresses" => {
            json!({"spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}})
        }
        "ipaddresses" => json!({"spec": {"parentRef": {
            "group": "", "resource": "services", "namespace": "default", "name": "none",
        }}}),
        "networkpolicies" => json!({"spec": {"podSelector": {}}}),
        "servicecidrs" => json!({"spec": {"cidrs": [format!("10.200.{block}.0/24")]}}),
        "endpointslices" => {
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.24"]}]})
        }
        _ => return None,
    })
}

fn storage(resource: &str) -> Option<Value> {
    Some(match resource {
        "csidrivers" => json!({"spec": {"attachRequired": true}}),
        "csinodes" => json!({"spec": {"drivers": [{"name": "d.example.com", "nodeID": "n"}]}}),
        "csistoragecapacities" => json!({"storageClassName": "sample", "capacity": "1Gi"}),
        "storageclasses" => json!({"provisioner": "example.com/p"}),
        "volumeattachments" => json!({"spec": {
            "attacher": "d.example.com", "nodeName": "none", "source": {"persistentVolumeName": "none"},
        }}),
        "volumeattributesclasses" => {
            json!({"driverName": "d.example.com", "parameters": {"iops": "100"}})
        }
        _ => return None,
    })
}

fn access(resource: &str) -> Option<Value> {
    let role =
        |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "view"});
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    Some(match resource {
        "certificatesigningrequests" => json!({"spec": {
            "request": REQUEST, "signerName": "example.com/e2e", "usages": ["digital signature"],
        }}),
        "clusterroles" | "roles" => json!({"rules": rules}),
        "clusterrolebindings" | "rolebindings" => json!({
            "roleRef": role("ClusterRole"),
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "nobody"}],
        }),
        _ => return None,
    })
}

fn devices(resource: &str) -> Option<Value> {
    let spec =
        json!({"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}});
    Some(match resource {
        "deviceclasses" => json!({"spec": {}}),
        "resourceclaims" => json!({"spec": spec}),
        "resourceclaimtemplates" => json!({"spec": {"spec": spec}}),
        "resourceslices" => json!({"spec": {
            "driver": "d.example.com", "nodeName": "none",
            "pool": {"name": "p", "resourceSliceCount": 1, "generation": 1},
        }}),
        _ => return None,
    })
}

fn extension(resource: &str, namespace: &str, name: &str) -> Option<Value> {
    let client = json!({"service": {"namespace": namespace, "name": "none", "path": "/hook"}});
    let webhooks = json!([{
        "name": "hook.example.com", "clientConfig": client, "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "failurePolicy": "Ignore",
        "rules": [{
            "apiGroups": ["none.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["things"],
        }],
    }]);
    let constraints = json!({"resourceRules": [{
        "apiGroups": ["none.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["things"],
    }]});
    Some(match resource {
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => {
            json!({"webhooks": webhooks})
        }
        "validatingadmissionpolicies" => json!({"spec": {
            "matchConstraints": constraints, "validations": [{"expression": "true"}],
        }}),
        "validatingadmissionpolicybindings" => {
            json!({"spec": {"policyName": "none", "validationActions": ["Deny"]}})
        }
        "mutatingadmissionpolicies" => json!({"spec": {
            "matchConstraints": constraints, "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}],
        }}),
        "mutatingadmissionpolicybindings" => json!({"spec": {"policyName": "none"}}),
        "customresourcedefinitions" => json!({"spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": format!("{name}s"), "singular": name, "kind": "Thing", "listKind": "ThingList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }],
        }}),
        "apiservices" => json!({"spec": {
            "group": format!("{name}.example.com"), "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
            "insecureSkipTLSVerify": true, "service": {"namespace": namespace, "name": "none", "port": 443},
        }}),
        _ => return None,
    })
}

fn cluster(resource: &str, namespace: &str) -> Option<Value> {
    Some(match resource {
        "events" => json!({
            "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reason": "Test", "action": "Do",
            "reportingController": "example.com/test", "reportingInstance": "one",
            "regarding": {"kind": "Pod", "namespace": namespace, "name": "p"},
        }),
        "priorityclasses" => json!({"value": 10}),
        "leases" => json!({"spec": {"holderIdentity": "me", "leaseDurationSeconds": 30}}),
        "runtimeclasses" => json!({"handler": "sample"}),
        "flowschemas" => {
            json!({"spec": {"matchingPrecedence": 9000, "priorityLevelConfiguration": {"name": "global-default"}}})
        }
        "prioritylevelconfigurations" => json!({"spec": {
            "type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}},
        }}),
        _ => return None,
    })
}

fn status(resource: &str) -> Option<Value> {
    let condition = json!({
        "type": "StatusPatched", "status": "True", "reason": "E2E", "message": "set by a test", "lastTransitionTime": TIME,
    });
    Some(match resource {
        "horizontalpodautoscalers" => json!({"desiredReplicas": 2, "currentReplicas": 2}),
        "cronjobs" => json!({"lastScheduleTime": TIME}),
        "jobs" => json!({"startTime": TIME}),
        "ingresses" => json!({"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}}),
        "persistentvolumes" => json!({"message": "set by a test", "reason": "E2E"}),
        "resourcequotas" => json!({"used": {"count/things.example.com": "2"}}),
        "volumeattachments" => json!({"attached": true}),
        "resourceclaims" => json!({"allocation": {"devices": {"results": [{
            "request": "r", "driver": "d.example.com", "pool": "p", "device": "d",
        }]}}}),
        "certificatesigningrequests" => json!({"conditions": [{
            "type": "StatusPatched", "status": "True", "reason": "E2E", "message": "set by a test",
        }]}),
        "namespaces"
        | "nodes"
        | "persistentvolumeclaims"
        | "pods"
        | "replicationcontrollers"
        | "services"
        | "daemonsets"
        | "deployments"
        | "replicasets"
        | "statefulsets"
        | "poddisruptionbudgets"
        | "servicecidrs"
        | "validatingadmissionpolicies"
        | "customresourcedefinitions"
        | "apiservices"
        | "flowschemas"
        | "prioritylevelconfigurations" => json!({"conditions": [condition]}),
        _ => return None,
    })
}
