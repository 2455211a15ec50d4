"""Says which recorded steps are about kinds that exist here, and judges how they went.

    recorded.py cases FOLDER                  the cases with such steps
    recorded.py judge FOLDER PLAYED LATER     differences, then the count; exit status 1 if any failed
    recorded.py judge-kubectl FOLDER PLAYED LATER   the same of kubectl's scripts; a step is named by its first line

LATER holds a line `case: step` for each step that needs what does not exist yet; `case: *` for all.
"""
import json
import pathlib
import re
import sys

import yaml

KINDS = {
    "bindings", "componentstatuses", "configmaps", "endpoints", "events", "limitranges", "namespaces", "nodes",
    "persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates", "replicationcontrollers", "resourcequotas",
    "secrets", "serviceaccounts", "services",
    "controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets",
    "horizontalpodautoscalers", "cronjobs", "jobs", "poddisruptionbudgets",
    "selfsubjectreviews", "tokenreviews",
    "localsubjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews",
    "certificatesigningrequests", "clusterrolebindings", "clusterroles", "rolebindings", "roles",
    "ingressclasses", "ingresses", "ipaddresses", "networkpolicies", "servicecidrs", "endpointslices",
    "csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments", "volumeattributesclasses",
    "apiservices", "customresourcedefinitions",
    "mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "mutatingwebhookconfigurations",
    "validatingadmissionpolicies", "validatingadmissionpolicybindings", "validatingwebhookconfigurations",
    "priorityclasses", "leases", "runtimeclasses", "flowschemas", "prioritylevelconfigurations",
    "deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices",
}
# /api/v1/namespaces/x/pods/y, /apis/apps/v1/deployments
PATH = re.compile(r"^/apis?/(?:[^/?]+/)?v[^/?]+/(?:namespaces/[^/?]+/)?([a-z]+)")


def is_ours(step):
    found = PATH.match(step.get("path", ""))
    return bool(found) and found[1] in KINDS and "apply-patch" not in step.get("type", "")


def steps(folder):
    """The names of the steps that are ours, by case."""
    ours = {}
    for path in sorted((folder / "cases").glob("*.yaml")):
        # Discovery is about all kinds at once.
        whole = path.stem.startswith("discovery-")
        names = [step["name"] for step in yaml.safe_load(path.read_text())["steps"] if whole or is_ours(step)]
        if names:
            ours[path.stem] = names
    return ours


def judge(folder, played, later):
    ours = steps(folder)
    put_off = {line.strip() for line in later.read_text().splitlines() if line.strip() and not line.startswith("#")}
    differences, done, current = {}, set(), None
    for line in played.read_text().splitlines():
        if line.startswith("FAIL "):
            current = line[5:]
            differences[current] = []
        elif line.startswith("PLAYED "):
            done.add(line[7:])
            current = None
        elif current and line.startswith("    "):
            differences[current].append(line)
    passed = failed = left_out = 0
    for case in sorted(done):
        for name in ours[case]:
            step = f"{case}: {name}"
            if step in put_off or f"{case}: *" in put_off:
                left_out += 1
            elif step in differences:
                failed += 1
                print("\n".join([f"FAIL {step}", *differences[step]]))
            else:
                passed += 1
    print(f"recorded answers: {left_out} steps wait for what does not exist yet")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def judge_kubectl(folder, played, later):
    put_off = {line.strip() for line in later.read_text().splitlines() if line.strip() and not line.startswith("#")}
    passed = failed = left_out = 0
    differences, shown = [], False
    for line in played.read_text().splitlines():
        if line.startswith("FAIL "):
            case = line[5:].split(": ", 1)[0]
            shown = line[5:].strip() not in put_off and f"{case}: *" not in put_off
            failed, left_out = failed + shown, left_out + (not shown)
        elif line.startswith("PLAYED "):
            record = json.loads((folder / "kubectl" / "recorded" / f"{line[7:]}.json").read_text())
            passed, shown = passed + len(record), False
        if shown:
            differences.append(line)
    passed -= failed + left_out
    print("\n".join(differences))
    print(f"recorded kubectl commands: {left_out} wait for what does not exist yet")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    action, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if action == "cases":
        print(*steps(folder))
    elif action == "judge-kubectl":
        sys.exit(judge_kubectl(folder, *map(pathlib.Path, sys.argv[3:5])))
    else:
        sys.exit(judge(folder, *map(pathlib.Path, sys.argv[3:5])))
