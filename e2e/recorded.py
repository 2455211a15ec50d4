"""Says which cases are recorded, and judges how they went.

    recorded.py cases FOLDER                  the cases
    recorded.py judge FOLDER PLAYED LATER     differences, then the count; exit status 1 if any failed
    recorded.py judge-kubectl FOLDER PLAYED LATER…  the same of kubectl's scripts; a step is named by its first line

LATER holds a line `case: step` for each step that needs what does not exist yet; `case: *` for all. Of recorded
requests, a step that is named there and passes is a failure too: the list is to be believed.
"""
import json
import pathlib
import sys

import yaml


def steps(folder):
    """The names of the steps, by case."""
    cases = sorted((folder / "cases").glob("*.yaml"))
    return {path.stem: [step["name"] for step in yaml.safe_load(path.read_text())["steps"]] for path in cases}


def named(*lists):
    """The steps that lists name."""
    lines = [line.strip() for path in lists for line in path.read_text().splitlines()]
    return {line for line in lines if line and not line.startswith("#")}


def judge(folder, played, later):
    every = steps(folder)
    put_off = named(later)
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
        for name in every[case]:
            step = f"{case}: {name}"
            if step in put_off and step not in differences:
                failed += 1
                print(f"FAIL {step}\n    passes, and has no place in {later}")
            elif step in put_off or f"{case}: *" in put_off:
                left_out += 1
            elif step in differences:
                failed += 1
                print("\n".join([f"FAIL {step}", *differences[step]]))
            else:
                passed += 1
    print(f"recorded answers: {left_out} steps wait for what does not exist yet")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def judge_kubectl(folder, played, *later):
    put_off = named(*later)
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
        sys.exit(judge_kubectl(folder, *map(pathlib.Path, sys.argv[3:])))
    else:
        sys.exit(judge(folder, *map(pathlib.Path, sys.argv[3:5])))
