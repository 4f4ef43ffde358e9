#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the rules of ARCHITECTURE.md against the sources: which module includes which, which
library and which system call gate is used where, file sizes, licence lines, words that must not
stand in the tree. Prints one line per violation and exits 1 if there is any."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = {".cc", ".h", ".S"}
MAX_LINES = 800

# pattern -> files (or folders ending in /) that may match it
ONLY_IN = {
    r'#include\s*[<"]rapidjson/': ["libminibox/core/json.cc"],
    r'#include\s*[<"]civetweb': ["tools/miniboxd/server.cc"],
    r'#include\s*[<"]curl/': ["libminibox/registry/http_client.cc", "tools/minibox/client.cc"],
    r'#include\s*[<"]yaml-cpp/': ["libminibox/compose/yaml.cc"],
    r'#include\s*[<"]libmount': ["libminibox/kernel/mount.cc"],
    r'#include\s*[<"](libnftnl|libmnl)/': ["libminibox/kernel/"],
    r"\bsyscall\(": ["libminibox/core/syscalls.cc", "libminibox/kernel/syscalls.cc",
                     "libminibox/init/sys.h", "libminibox/init/sys.cc", "tests/"],
    r"\bgetenv\(": ["tools/", "tests/", "bench/"],
    r"\b(TODO|FIXME|XXX)\b": ["tests/lint/layers.py"],
}

violations = []


def report(path, line, message):
    violations.append(f"{path.relative_to(ROOT)}:{line}: {message}")


def layer_table():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    block = re.search(r"<!-- layers:begin -->\n```\n(.*?)```", text, re.S).group(1)
    table = {}
    for row in block.splitlines():
        module, _, uses = row.partition("->")
        allowed = {}
        for name, headers in re.findall(r"(\w+)(?:\(([\w,]+)\))?", uses):
            allowed[name] = headers.split(",") if headers else None
        table[module.strip()] = allowed
    return table


def check_layers(table):
    for folder in ("libminibox", "tools", "bindings"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in SOURCES:
                continue
            parts = path.relative_to(ROOT).parts
            module = parts[1] if folder == "libminibox" else folder
            if parts[:2] == ("tools", "minibox-init"):
                module = "init"
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = re.match(r'#include "(\w+)/([\w./]+)\.h"', line)
                if not match or match.group(1) in ("minibox", module):
                    continue
                used, header = match.groups()
                if used not in table:  # a library's folder, or a tool's own
                    continue
                allowed = table[module]
                if used not in allowed:
                    report(path, number, f"{module} may not include {used}")
                elif allowed[used] is not None and header not in allowed[used]:
                    report(path, number, f"{module} may not include {used}/{header}.h")


def check_public_headers():
    for path in sorted((ROOT / "include/minibox").glob("*.h")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'#include [<"]([^>"]+)[>"]', line)
            if match and not match.group(1).startswith("minibox/") and (
                    "/" in match.group(1) or match.group(1).endswith(".h")):
                report(path, number, f"public headers use the standard library only: {match.group(1)}")


def check_files():
    for folder in ("include", "libminibox", "tools", "tests", "bench", "scripts", "bindings"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in SOURCES:
                continue
            text = path.read_text()
            lines = text.splitlines()
            if len(lines) > MAX_LINES:
                report(path, len(lines), f"longer than {MAX_LINES} lines: one file is one idea")
            if not lines or "SPDX-License-Identifier: Apache-2.0" not in lines[0]:
                report(path, 1, "the first line is the SPDX line")
            name = str(path.relative_to(ROOT))
            for pattern, homes in ONLY_IN.items():
                if any(name == home or (home.endswith("/") and name.startswith(home)) for home in homes):
                    continue
                for number, line in enumerate(lines, 1):
                    code = line if "TODO" in pattern else line.split("//")[0]
                    if re.search(pattern, code):
                        report(path, number, f"'{pattern}' belongs in {', '.join(homes)}")


check_layers(layer_table())
check_public_headers()
check_files()
for violation in violations:
    print(violation)
sys.exit(1 if violations else 0)
