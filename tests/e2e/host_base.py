#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a root file system of Debian packages that are installed on this host, with all that they
depend on, and of whole directories of it, without a network:

    host_base.py OUT.tar PACKAGE|/DIRECTORY...
"""
import io
import os
import re
import subprocess
import sys
import tarfile

LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
LEFT_OUT = re.compile(r"usr/share/(doc|man|locale|info|lintian|bug)/|usr/lib/x86_64-linux-gnu/gconv/")


def closure(wanted):
    """Installed packages that those need, by name."""
    rows = subprocess.run(
        ["dpkg-query", "-W", "-f",
         "${db:Status-Status}\t${Package}\t${binary:Package}\t${Provides}\t${Pre-Depends},${Depends}\n"],
        check=True, capture_output=True, text=True).stdout
    depends, providers = {}, {}
    for row in rows.splitlines():
        status, name, full, provides, needs = row.split("\t")
        if status != "installed":
            continue
        depends[full] = needs
        for one in [name] + re.findall(r"[a-z0-9][a-z0-9.+-]+(?=[ ,(]|$)", provides):
            providers.setdefault(one, full)
        providers[name] = full
    found, todo = set(), list(wanted)
    while todo:
        # Of alternatives the first that is there.
        names = [re.split(r"[ (:]", part.strip())[0] for part in todo.pop().split("|")]
        full = next((providers[name] for name in names if name in providers), None)
        if full is None:
            if len(names) == 1 and names[0] in wanted:
                sys.exit(f"host_base.py: package {names[0]} is not installed")
            continue
        if full not in found:
            found.add(full)
            todo += [part for part in depends[full].split(",") if part.strip()]
    return sorted(found)


def below(directory):
    for parent, _, files in os.walk(directory):
        yield parent
        yield from (os.path.join(parent, name) for name in files)


def paths(packages, directories):
    listed = subprocess.run(["dpkg-query", "-L", *packages], check=True, capture_output=True,
                            text=True).stdout
    result = set()
    lines = listed.splitlines()
    for directory in directories:
        lines += below(directory)
    for line in lines:
        if not line.startswith("/") or not os.path.lexists(line):
            continue
        parent, name = os.path.split(line)
        path = os.path.join(os.path.realpath(parent), name)[1:]
        if path and path not in LINKS and not LEFT_OUT.match(path):
            result.add(path)
    return sorted(result)


def main():
    out = sys.argv[1]
    wanted = [word for word in sys.argv[2:] if not word.startswith("/")]
    directories = [word for word in sys.argv[2:] if word.startswith("/")]
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, target in LINKS.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(link)
        for name, mode in {"tmp": 0o1777, "root": 0o700}.items():
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, mode
            tar.addfile(directory)
        for path in paths(closure(wanted), directories):
            tar.add("/" + path, path, recursive=False)
        shell = tarfile.TarInfo("usr/bin/sh")
        shell.type, shell.linkname, shell.mode = tarfile.SYMTYPE, "dash", 0o777
        tar.addfile(shell)
        for path, text in {
                "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
                "etc/group": "root:x:0:\nnogroup:x:65534:\n"}.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))


if __name__ == "__main__":
    main()
