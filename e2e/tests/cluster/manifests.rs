//! Manifests that tests apply.

use serde_json::{Value, json};

/// The Service of the first session.
pub const NP_SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: np-svc
spec:
  selector:
    app: np-pods
  ports:
    - name: http
      protocol: TCP
      port: 80
      targetPort: 80
      nodePort: 30000
  type: NodePort
";

/// A pod of busybox that runs a shell script.
pub fn shell(name: &str, restart: &str, script: &str) -> String {
    format!(
        "\
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  labels: {{app: {name}}}
spec:
  restartPolicy: {restart}
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: busybox
      command: [sh, -c, {}]
",
        serde_json::Value::from(script)
    )
}

/// A pod of two containers that share a volume and a network.
pub const TWO_CONTAINERS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: first
      image: sysnet4admin/echo-hname
      command: [sh, -c, 'echo from the first >/mine/said; exec echo-hname']
      volumeMounts: [{name: shared, mountPath: /mine}]
    - name: beside
      image: busybox
      command: [sleep, '600']
      volumeMounts: [{name: shared, mountPath: /theirs}]
      readinessProbe: {exec: {command: [test, -e, /theirs/said]}, periodSeconds: 1}
  volumes:
    - name: shared
      emptyDir: {}
";

/// A pod that takes its settings from everywhere.
pub const CONFIGURED: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: configured}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: busybox
      command: [sleep, '600']
      resources: {requests: {cpu: 250m}}
      envFrom:
        - configMapRef: {name: settings}
      env:
        - {name: COLOR, valueFrom: {configMapKeyRef: {name: settings, key: color}}}
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: hidden, key: password}}}
        - {name: PLAIN, value: says $(COLOR)}
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        - {name: CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}
      volumeMounts:
        - {name: settings, mountPath: /etc/settings}
        - {name: hidden, mountPath: /etc/hidden}
  volumes:
    - name: settings
      configMap: {name: settings}
    - name: hidden
      secret: {secretName: hidden, defaultMode: 0400}
";

/// A Service of pods that are ready when a file is there.
pub const ON_DEMAND: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: on-demand, labels: {app: on-demand}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: sysnet4admin/echo-hname
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Service
metadata: {name: on-demand}
spec:
  type: NodePort
  selector: {app: on-demand}
  ports: [{port: 80}]
";

/// A headless Service of the pods of a Deployment `web`.
pub const HEADLESS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: headless}
spec:
  clusterIP: None
  selector: {app: web}
  ports: [{port: 80}]
";

/// A pod that answers with its name, on a node of its own choice.
pub fn on_node(name: &str, node: &str) -> String {
    format!(
        "\
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  nodeName: {node}
  terminationGracePeriodSeconds: 1
  containers: [{{name: main, image: sysnet4admin/echo-hname}}]
"
    )
}

/// A NodePort Service that asks for a port.
pub fn node_port(name: &str, port: u16) -> String {
    format!(
        "\
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  type: NodePort
  selector: {{app: {name}}}
  ports: [{{port: 80, nodePort: {port}}}]
"
    )
}

/// A Deployment `web` of pods that end at once when they are asked to.
pub fn sleeping_web(replicas: usize) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "3600"]}],
                },
            },
        },
    })
}
