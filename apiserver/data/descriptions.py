#!/usr/bin/env python3
"""Writes descriptions.tsv: what the built-in types and their fields are for, in the words of the
schemas of the crate k8s-openapi. With --check it only compares.

A line has three cells: definition, field, text. A definition's own line has no field; lines of its
fields have no definition. Texts are as inside a JSON string.
"""

import json
import os
import pathlib
import re
import sys

OUT = pathlib.Path(__file__).with_name("descriptions.tsv")
VERSION = "v1_36"
# How the crate lays its schemas out; definitions of alpha and beta versions are left out.
SCHEMA = re.compile(r"""fn schema_name\(\) -> std::borrow::Cow<'static, str> \{\s*"([^"]+)"\.into\(\)(.*?)\n\}\n""", re.S)
TEXT = r'("(?:[^"\\]|\\.)*")'
OWN = re.compile(rf'^ {{12}}"description": {TEXT},?$', re.M)
FIELD = re.compile(r'^ {16}"([^"]+)": [{(]+$(.*?)^ {16}\S', re.M | re.S)
INNER = re.compile(rf'^ {{20}}"description": {TEXT},?$', re.M)
INSERTED = re.compile(rf'^ {{20}}.*insert\("description"\.into\(\), {TEXT}\.into\(\)\)', re.M)
UNSTABLE = re.compile(r"\.v\d+(alpha|beta)\d+\.")


def sources():
    lock = (OUT.parent.parent.parent / "Cargo.lock").read_text()
    version = re.search(r'name = "k8s-openapi"\nversion = "([^"]+)"', lock).group(1)
    home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
    found = sorted(home.glob(f"registry/src/*/k8s-openapi-{version}/src/{VERSION}/**/*.rs"))
    return found or sys.exit(f"error: k8s-openapi {version} is not in {home}; build the project first")


def text(found):
    return json.dumps(json.loads(found.group(1)), ensure_ascii=False)[1:-1] if found else ""


def definitions():
    found = {}
    for path in sources():
        for name, body in SCHEMA.findall(path.read_text()):
            if not UNSTABLE.search(name):
                fields = {field: text(INNER.search(inner) or INSERTED.search(inner)) for field, inner in FIELD.findall(body)}
                found[name] = (text(OWN.search(body)), fields)
    return found


def main():
    lines = []
    for name, (own, fields) in sorted(definitions().items()):
        lines.append(f"{name}\t\t{own}\n")
        lines += [f"\t{field}\t{words}\n" for field, words in sorted(fields.items()) if words]
    made = "".join(lines)
    if "--check" not in sys.argv[1:]:
        OUT.write_text(made)
    elif OUT.read_text() != made:
        sys.exit(f"error: {OUT} is not what the crate says; run {__file__}")


main()
