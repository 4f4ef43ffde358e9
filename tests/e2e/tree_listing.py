#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One sorted line for each entry of a directory or of a tar, the same for the same tree:
path, type, mode, owner, time, size and SHA-256 or link target, hard links by their first name,
extended attributes.

    tree_listing.py DIRECTORY|TAR
"""
import hashlib
import os
import stat
import sys
import tarfile

KEPT = ("user.", "security.capability")


def line(path, kind, mode, owner, mtime, content, xattrs):
    text = f"{path!r} {kind} {mode:o} {owner} {content}"
    # A link's time is not kept by all tools.
    if kind != "link":
        text += f" {int(mtime)}"
    return text + "".join(f" {name}={value.hex()}" for name, value in sorted(xattrs.items()))


def of_bytes(stream):
    digest, size = hashlib.sha256(), 0
    while block := stream.read(1 << 20):
        digest.update(block)
        size += len(block)
    return f"{size} {digest.hexdigest()[:16]}"


def of_directory(root):
    first, entries = {}, []
    root = os.fsencode(root)
    todo = [b""]
    while todo:
        parent = todo.pop()
        for entry in os.scandir(os.path.join(root, parent)):
            path = os.path.join(parent, entry.name)
            entries.append(path)
            if entry.is_dir(follow_symlinks=False):
                todo.append(path)
    for path in sorted(entries):
        full = os.path.join(root, path)
        st = os.lstat(full)
        mode, kind, content = stat.S_IMODE(st.st_mode), "other", ""
        if stat.S_ISDIR(st.st_mode):
            kind = "dir"
        elif stat.S_ISLNK(st.st_mode):
            kind, content, mode = "link", repr(os.fsdecode(os.readlink(full))), 0o777
        elif stat.S_ISREG(st.st_mode):
            with open(full, "rb") as stream:
                kind, content = "file", of_bytes(stream)
        xattrs = {name: os.getxattr(full, name, follow_symlinks=False)
                  for name in os.listxattr(full, follow_symlinks=False) if name.startswith(KEPT)}
        name = os.fsdecode(path)
        if kind == "file":
            content += f" first={first.setdefault((st.st_dev, st.st_ino), name)!r}"
        yield line(name, kind, mode, f"{st.st_uid}:{st.st_gid}", st.st_mtime, content, xattrs)


def of_tar(file):
    with tarfile.open(file, errors="surrogateescape") as tar:
        members = {member.name.strip("/"): member for member in tar if member.name.strip("./")}
        groups = {}
        for name, member in members.items():
            groups.setdefault(member.linkname if member.islnk() else name, []).append(name)
        first = {name: min(group, key=os.fsencode) for group in groups.values() for name in group}
        for name in sorted(members, key=os.fsencode):
            member = members[name]
            data = members[member.linkname.strip("/")] if member.islnk() else member
            mode, kind, content = data.mode & 0o7777, "other", ""
            if data.isdir():
                kind = "dir"
            elif data.issym():
                kind, content, mode = "link", repr(data.linkname), 0o777
            elif data.isreg():
                kind, content = "file", of_bytes(tar.extractfile(data))
                content += f" first={first[name]!r}"
            prefix = "SCHILY.xattr."
            xattrs = {key[len(prefix):]: value.encode("utf-8", "surrogateescape")
                      for key, value in data.pax_headers.items() if key.startswith(prefix)}
            yield line(name, kind, mode, f"{data.uid}:{data.gid}", data.mtime, content, xattrs)


source = sys.argv[1]
print("\n".join(of_directory(source) if os.path.isdir(source) else of_tar(source)))
