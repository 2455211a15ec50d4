#!/usr/bin/env bash
# A day's work with the kubectl that is named: `everyday.sh KUBECTL`, against the cluster of KUBECONFIG.
# Each check says what it ran and what came of it, when that is not what should.
set -euo pipefail
kubectl=$(realpath "$1")
minor=$("$kubectl" version --client -o json | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p')
namespace=kubectl-1-$minor
label=everyday-1-$minor
work=$(mktemp -d)
export HOME=$work # what kubectl learns about the server is its own
checks=0

k() { "$kubectl" --namespace "$namespace" "$@"; }
on_exit() {
  local code=$?
  jobs -p | xargs -r kill 2>/dev/null || true
  [ $code -eq 0 ] || k get all -o wide >&2 || true
  k delete namespace "$namespace" --ignore-not-found --wait=false >/dev/null || true
  k delete clusterrole,priorityclass,pv -l "made-by=$label" --wait=false >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap on_exit EXIT

wrong() { # WHAT COMMAND...: ends the script
  local what=$1
  shift
  {
    printf 'error: kubectl 1.%s: %s\n' "$minor" "$what"
    printf '  kubectl'
    printf ' %q' "$@"
    printf '\n'
    sed 's/^/  | /' "$work/out" "$work/err"
  } >&2
  exit 1
}
ok() { # COMMAND...: succeeds
  checks=$((checks + 1))
  k "$@" >"$work/out" 2>"$work/err" </dev/null || wrong "exit code $?" "$@"
}
says() { # PATTERN COMMAND...: succeeds, and prints what matches
  local pattern=$1
  shift
  ok "$@"
  tr '\n' ' ' <"$work/out" | grep -Eq -- "$pattern" || wrong "does not print /$pattern/" "$@"
}
is() { # TEXT COMMAND...: succeeds, and prints exactly this
  local text=$1
  shift
  ok "$@"
  [ "$(cat "$work/out")" = "$text" ] || wrong "does not print '$text'" "$@"
}
fails() { # PATTERN COMMAND...: fails, and says what matches
  local pattern=$1
  shift
  checks=$((checks + 1))
  if k "$@" >"$work/out" 2>"$work/err" </dev/null; then wrong "succeeds" "$@"; fi
  cat "$work/out" "$work/err" | tr '\n' ' ' | grep -Eq -- "$pattern" || wrong "does not fail with /$pattern/" "$@"
}
vanishes() { # WORDS...: goes; a kubectl that waits for what has gone already may say so as an error
  checks=$((checks + 1))
  k wait --for=delete "$@" --timeout=120s >"$work/out" 2>"$work/err" </dev/null ||
    grep -Eq "no matching resources found|not found" "$work/err" || wrong "does not go" wait --for=delete "$@"
}
given() { # NAME: writes the manifest on standard input into a file, whose path is then $NAME
  cat >"$work/$1.yaml"
  printf -v "$1" '%s' "$work/$1.yaml"
}
since() { [ "$minor" -ge "$1" ]; }

# The server, and what it can do.
says "v1\.36\." version
says "\"minor\": *\"36" get --raw /version
says "is running at" cluster-info
says "apps/v1 .*v1 " api-versions
says "deployments +deploy +apps/v1 +true +Deployment" api-resources --api-group=apps
says "componentstatuses namespaces nodes " api-resources --namespaced=false -o name
says "RollingUpdate" explain deployment.spec.strategy.type
says "terminationGracePeriodSeconds" explain pods --recursive
fails "field \"nothing\" does not exist" explain pods.nothing
is "ok" get --raw "/readyz"
is "yes" auth can-i create deployments

ok create namespace "$namespace"
ok label namespace "$namespace" "made-by=$label"
says "Active" get namespace "$namespace"

# A workload by commands alone.
says "deployment.apps/web created" create deployment web --image=registry.example/web:1 --replicas=2
says "successfully rolled out" rollout status deployment/web --timeout=120s
says "condition met" wait --for=condition=Available deployment/web --timeout=120s
says "web +2/2 +2 +2 " get deployment web
says "NAME +READY .*CONTAINERS +IMAGES +SELECTOR .* web +registry.example/web:1 +app=web" get deployment web -o wide
says "pod/web-.* service|pod/web-.*deployment.apps/web .*replicaset.apps/web-" get all
says "web-[a-z0-9]+-[a-z0-9]+ .*Running.*10\." get pods -l app=web -o wide
says "scaled" scale deployment/web --current-replicas=2 --replicas=3
is "3" get deployment web -o "jsonpath={.spec.replicas}"
fails "Expected replicas to be 7, was 3" scale deployment/web --current-replicas=7 --replicas=1
says "image updated" set image deployment/web web=registry.example/web:2
ok rollout status deployment/web --timeout=120s
says "registry.example/web:2" get pods -l app=web -o "jsonpath={.items[*].spec.containers[*].image}"
says "env updated" set env deployment/web COLOR=blue
says "resource requirements updated" set resources deployment/web --requests=cpu=10m,memory=16Mi
says "restarted" rollout restart deployment/web
ok rollout status deployment/web --timeout=120s
says "1 .*2 " rollout history deployment/web
says "COLOR" rollout history deployment/web --revision=3
says "paused" rollout pause deployment/web
fails "paused" rollout restart deployment/web
says "resumed" rollout resume deployment/web
says "rolled back" rollout undo deployment/web --to-revision=1
ok rollout status deployment/web --timeout=120s
is "registry.example/web:1" get deployment web -o "jsonpath={..containers[0].image}"
says "service/web exposed" expose deployment web --port=80 --target-port=8080
says "ClusterIP.*80/TCP" get service web
says "horizontalpodautoscaler.autoscaling/web autoscaled" autoscale deployment web --min=1 --max=5 --cpu-percent=80
says "Deployment/web .*1 +5 " get hpa web
says "RollingUpdateStrategy: +25% max unavailable, 25% max surge.*ScalingReplicaSet" describe deployment web
says "Endpoints: .*:8080" describe service web
says "Node: .*Conditions:.*Ready +True.*Scheduled" describe pods -l app=web
says "Capacity:.*Allocated resources:" describe nodes
says "ScalingReplicaSet" get events --field-selector involvedObject.kind=Deployment
if since 27; then says "ScalingReplicaSet" events --for=deployment/web; fi
says "pod/one created" run one --image=registry.example/one:1 --restart=Never --labels=app=one --port=80
ok wait --for=condition=Ready pod/one --timeout=120s
says "deleted" delete pod one --grace-period=1
fails "pods \"one\" not found" get pod one

# Every way to print.
given several <<'MANIFEST'
apiVersion: v1
kind: ConfigMap
metadata: {name: a, labels: {app: printed, rank: "2"}}
data: {key: alpha}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b, labels: {app: printed, rank: "1"}}
data: {key: beta}
---
apiVersion: v1
kind: Secret
metadata: {name: c, labels: {app: printed, rank: "3"}}
stringData: {key: gamma}
MANIFEST
says "configmap/a created configmap/b created secret/c created" apply -f "$several"
says "configmap/a unchanged configmap/b unchanged" apply -f "$several"
is "configmap/a
configmap/b
secret/c" get configmaps,secrets -l app=printed -o name
says "NAME +DATA +AGE a +1 .*b +1 " get cm -l app=printed
says "apiVersion: v1 data: +key: alpha kind: ConfigMap" get cm a -o yaml
says "\"kind\": \"List\"" get cm -l app=printed -o json
is "alpha beta" get cm -l app=printed -o "jsonpath={.items[*].data.key}"
is "a=alpha b=beta " get cm -l app=printed -o "jsonpath={range .items[*]}{.metadata.name}={.data.key} {end}"
is "a alpha;b beta;" get cm -l app=printed -o "go-template={{range .items}}{{.metadata.name}} {{.data.key}};{{end}}"
is "NAME   KEY
b      beta
a      alpha" get cm -l app=printed --sort-by=.metadata.labels.rank -o custom-columns=NAME:.metadata.name,KEY:.data.key
says "RANK a .* 2 b .* 1" get cm -l app=printed -L rank
says "app=printed,rank=2" get cm a --show-labels
says "$namespace +a " get cm -A -l "app=printed,rank=2"
is "gamma" get secret c -o "go-template={{.data.key | base64decode}}"
is "configmap/b" get cm --field-selector metadata.name=b -o name
is "a b" get cm --chunk-size=1 -l app=printed -o "jsonpath={.items[*].metadata.name}"
says "^a b" get cm -l "rank in (1,2),app" --no-headers -o custom-columns=:.metadata.name
ok get cm nothing --ignore-not-found
fails "configmaps \"nothing\" not found" get cm nothing
fails "is not a known field selector" get cm --field-selector data.key=x
fails "doesn't have a resource type" get nonsense

# A change is seen by who watches: first what is there, then each change.
ok create configmap watched --from-literal=turn=0
k get configmap watched --watch -o "jsonpath={.data.turn}{'\n'}" >"$work/watched" 2>&1 &
watcher=$!
seen() { [ "$(wc -l <"$work/watched")" -ge 2 ] && [ "$(tail -n 1 "$work/watched")" = "$1" ]; }
for turn in {1..300}; do
  ok patch configmap watched -p "{\"data\":{\"turn\":\"$turn\"}}"
  if seen "$turn"; then break; fi
done
seen "$turn" || { cp "$work/watched" "$work/out" && wrong "does not show the last change, $turn" get configmap watched --watch; }
kill $watcher && { wait $watcher || true; }

# Changes in place.
says "labeled" label cm a color=red
fails "already has a value \(red\)" label cm a color=blue
says "labeled" label cm a color=blue --overwrite
is "blue" get cm a -o "jsonpath={.metadata.labels.color}"
says "labeled|unlabeled" label cm a color-
says "annotated?" annotate cm a b note=written
is "written written" get cm a b -o "jsonpath={.items[*].metadata.annotations.note}"
says "configmap/a patched" patch cm a -p '{"data":{"more":"yes"}}'
says "configmap/a patched \(no change\)" patch cm a -p '{"data":{"more":"yes"}}'
ok patch cm a --type=merge -p '{"data":{"more":null,"merged":"yes"}}'
ok patch cm a --type=json -p '[{"op":"replace","path":"/data/key","value":"patched"}]'
is "patched yes" get cm a -o "jsonpath={.data.key} {.data.merged}{.data.more}"
fails "request is invalid|the server rejected our request" patch cm a --type=json -p '[{"op":"test","path":"/data/key","value":"x"}]'
ok patch deployment web --type=strategic -p '{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"b"}]}]}}}}'
is "registry.example/web:1 A" get deployment web -o "jsonpath={..containers[0].image} {..containers[0].env[0].name}"
if since 24; then
  ok patch deployment web --subresource=status --type=merge -p '{"status":{"observedGeneration":1}}'
  says "\"replicas\"" get deployment web --subresource=scale -o json
fi
KUBE_EDITOR="sed -i s/key:.patched/key:\ edited/" says "configmap/a edited" edit cm a
is "edited" get cm a -o "jsonpath={.data.key}"
KUBE_EDITOR=true ok edit cm a
grep -q "no changes made" "$work/out" "$work/err" || wrong "does not say that nothing changed" edit cm a
KUBE_EDITOR="sed -i s/name:.a\$/name:\ Z/" fails "." edit cm a
given replaced <<'MANIFEST'
apiVersion: v1
kind: ConfigMap
metadata: {name: a, labels: {app: printed}}
data: {key: replaced}
MANIFEST
says "configmap/a replaced" replace -f "$replaced"
is "replaced" get cm a -o "jsonpath={.data.*}"
says "configmap/a replaced" replace --force -f "$replaced"
fails "configmaps \"a\" already exists" create -f "$replaced"

# Apply: what was left out goes, what others set stays.
given web <<'MANIFEST'
apiVersion: apps/v1
kind: Deployment
metadata: {name: applied, labels: {tier: front}}
spec:
  replicas: 1
  selector: {matchLabels: {app: applied}}
  template:
    metadata: {labels: {app: applied}}
    spec:
      containers:
      - {name: web, image: "registry.example/web:1", ports: [{containerPort: 80}, {containerPort: 443}]}
      - {name: side, image: "registry.example/side:1"}
MANIFEST
says "created \(server dry run\)" apply -f "$web" --dry-run=server
fails "not found" get deployment applied
says "deployment.apps/applied created" apply -f "$web"
ok set env deployment/applied --containers=web SET=by-hand
sed -i -e '/side/d' -e 's/, {containerPort: 443}//' -e 's/tier: front/tier: back/' "$web"
fails "tier: front .*tier: back" diff -f "$web"
says "deployment.apps/applied configured" apply -f "$web"
is "web 80 SET back" get deployment applied -o "jsonpath={..containers[*].name} {..containerPort} {..env[*].name} {.metadata.labels.tier}"
ok diff -f "$web"
says "tier: back" apply view-last-applied -f "$web"
ok rollout status deployment/applied --timeout=120s

# Server-side apply: owners and conflicts.
says "deployment.apps/applied serverside-applied" apply --server-side -f "$web" --force-conflicts
given theirs <<'MANIFEST'
apiVersion: apps/v1
kind: Deployment
metadata: {name: applied}
spec: {replicas: 2}
MANIFEST
fails "Apply failed with [12] conflicts?: conflicts? with \"kubectl\".*\.spec\.replicas" \
  apply --server-side --field-manager=other --validate=false -f "$theirs"
says "serverside-applied" apply --server-side --field-manager=other --force-conflicts --validate=false -f "$theirs"
is "2" get deployment applied -o "jsonpath={.spec.replicas}"
is "other" get deployment applied -o "jsonpath={.metadata.managedFields[?(@.manager=='other')].manager}" \
  $(since 21 && echo --show-managed-fields)
given fresh <<'MANIFEST'
apiVersion: v1
kind: ConfigMap
metadata: {name: fresh}
data: {a: "1"}
MANIFEST
says "configmap/fresh serverside-applied \(server dry run\)" apply --server-side --dry-run=server -f "$fresh"
says "configmap/fresh serverside-applied" apply --server-side -f "$fresh"
sed -i 's/a: "1"/b: "2"/' "$fresh"
ok apply --server-side -f "$fresh"
is "2" get cm fresh -o "jsonpath={.data.*}"

# What belongs together, and what no longer does.
given pruned <<'MANIFEST'
apiVersion: v1
kind: ConfigMap
metadata: {name: stays, labels: {set: pruned}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: goes, labels: {set: pruned}}
MANIFEST
ok apply -f "$pruned"
sed -i '/^---$/,$d' "$pruned"
says "configmap/goes pruned" apply --prune -l set=pruned -f "$pruned" \
  "--prune-$(since 26 && echo allowlist || echo whitelist)=core/v1/ConfigMap"
mkdir "$work/kustomized"
cat >"$work/kustomized/kustomization.yaml" <<'MANIFEST'
namePrefix: my-
commonLabels: {set: kustomized}
resources: [base.yaml]
configMapGenerator:
- {name: generated, literals: [key=value]}
MANIFEST
cp "$replaced" "$work/kustomized/base.yaml"
says "configmap/my-a created" apply -k "$work/kustomized"
is "my-a" get cm -l "set=kustomized,app=printed" -o "jsonpath={.items[*].metadata.name}"
says "deleted" delete -k "$work/kustomized"

# What cannot be.
given wrong_field <<'MANIFEST'
apiVersion: v1
kind: ConfigMap
metadata: {name: wrong}
datum: {a: b}
MANIFEST
fails "unknown field \"datum\"" create -f "$wrong_field"
fails "unknown field \"datum\"" apply -f "$wrong_field"
says "configmap/wrong created" create --validate=false -f "$wrong_field"
given wrong_value <<'MANIFEST'
apiVersion: v1
kind: Service
metadata: {name: wrong}
spec: {ports: [{port: 123456}]}
MANIFEST
fails "The Service \"wrong\" is invalid: .*spec.ports\[0\].port: Invalid value: 123456" create -f "$wrong_value"
given wrong_kind <<'MANIFEST'
apiVersion: example.org/v1
kind: Nothing
metadata: {name: wrong}
MANIFEST
fails "no matches for kind \"Nothing\" in version \"example.org/v1\"" create -f "$wrong_kind"
fails "unrecognized type: string" patch cm b -p '{"data":{"key":{"a":1}}}'
fails "field is immutable" patch deployment web -p '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'

# A thing of each sort, made by its generator.
printf 'a=1\nb=2\n' >"$work/pairs"
says "created" create configmap made --from-env-file="$work/pairs"
is "1" get cm made -o "jsonpath={.data.a}"
says "created" create configmap files --from-file=file="$work/pairs" --from-literal=c=3
is "3" get cm files -o "jsonpath={.data.c}"
says "created" create secret generic made --from-literal=password=secret
is "c2VjcmV0" get secret made -o "jsonpath={.data.password}"
says "created" create secret docker-registry pull --docker-server=registry.example --docker-username=u --docker-password=p
says "kubernetes.io/dockerconfigjson" get secret pull
says "created" create serviceaccount robot
says "created" create role reader --verb=get,list --resource=pods,deployments.apps
says "created" create rolebinding reader --role=reader --serviceaccount="$namespace:robot"
says "reader.*Role.*reader.*ServiceAccount +robot" describe rolebinding reader
says "created" create clusterrole "$label" --verb=get --non-resource-url=/metrics
ok label clusterrole "$label" "made-by=$label"
says "created" create priorityclass "$label" --value=1000 --description=high
ok label priorityclass "$label" "made-by=$label"
says "created" create quota small --hard=pods=100,configmaps=1000
says "created" create service nodeport door --tcp=80:8080
says "NodePort.*80:3[0-9]{4}/TCP" get service door
says "created" create service externalname away --external-name=www.example.org
says "created" create ingress front --rule="www.example.org/*=web:80"
says "www.example.org" get ingress front
says "Path +Backends.*web:80" describe ingress front
says "created" create job pi --image=registry.example/pi:1 -- sleep 1
is "sleep 1" get job pi -o "jsonpath={..containers[0].command[*]}"
if since 21; then
  says "created" create cronjob tick --image=registry.example/tick:1 --schedule="*/5 * * * *"
  says "tick +\*/5 \* \* \* \*" get cronjob tick
  says "created" create job tock --from=cronjob/tick
  says "created" create poddisruptionbudget careful --selector=app=web --min-available=1
  says "careful +1 +N/A" get pdb careful
fi
given volume <<MANIFEST
apiVersion: v1
kind: PersistentVolume
metadata: {name: $label, labels: {made-by: $label}}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: /tmp/nowhere}
MANIFEST
ok create -f "$volume"
says "1Gi +RWO +Retain" get pv "$label"
node=$(k get nodes -o "jsonpath={.items[0].metadata.name}")
says "tainted" taint node "$node" "$label=yes:PreferNoSchedule"
is "PreferNoSchedule" get node "$node" -o "jsonpath={.spec.taints[?(@.key=='$label')].effect}"
says "untainted" taint node "$node" "$label-"

# The end of things.
says "deleted.*dry run" delete cm a --dry-run=server
ok get cm a
says "\"a\" deleted" delete cm a
fails "\"a\" not found" delete cm a
ok delete cm a --ignore-not-found
says "\"b\" deleted" delete cm,secret -l app=printed
is "" get cm,secret -l app=printed -o name
says "deleted" delete -f "$web" --wait=false
vanishes deployment/applied
orphan=$(k get rs -l app=web -o "jsonpath={.items[0].metadata.name}")
says "deleted" delete deployment web --cascade="$(since 20 && echo orphan || echo false)"
says "replicaset.apps/$orphan" get rs "$orphan" -o name
says "deleted" delete rs -l app=web
vanishes pod -l app=web
says "namespace \"$namespace\" deleted" delete namespace "$namespace" --timeout=120s
fails "not found" get namespace "$namespace"

echo "kubectl 1.$minor: $checks checks passed"
