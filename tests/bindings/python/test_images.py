# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile

import pytest

import minibox


def test_the_library_says_its_version():
    assert minibox.library_version() == minibox.__version__


def test_images_are_found_tagged_saved_loaded_and_removed(engine, work):
    assert [image["name"] for image in engine.images.list()] == ["busybox"]
    engine.images.tag("busybox", "copy:1")
    assert engine.images.exists("copy:1")
    assert engine.images.get("copy:1")["id"] == engine.images.get("busybox")["id"]
    assert engine.images.inspect("busybox")["layers"]
    assert engine.images.history("busybox")
    steps = []
    with open(work / "saved.tar", "w+b") as file:
        engine.images.save("copy:1", file, compression="gzip")
        file.seek(0)
        with minibox.Engine(work / "other") as other:
            loaded = other.images.load(file, progress=steps.append)
            assert [image["name"] for image in loaded] == ["copy:1"]
            assert other.verify()["problems"] == []
    assert steps and all(step["type"] == "progress" for step in steps)
    assert engine.images.remove("copy:1") == ["copy:1"]
    assert not engine.images.exists("copy:1")
    assert "images" in engine.disk_usage()
    assert "blobs_removed" in engine.prune(dry_run=True)


def test_errors_carry_code_reason_and_field(engine):
    with pytest.raises(minibox.NotFound) as caught:
        engine.images.get("nothing")
    error = caught.value
    assert (error.code, error.reason) == ("not_found", "image_not_found")
    assert isinstance(error, LookupError)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.reason, str(copy)) == (type(error), error.reason, str(error))
    with pytest.raises(minibox.InvalidArgument) as caught:
        engine.containers.create("busybox", ["true"], memory="much")
    assert caught.value.field == "memory"
    with pytest.raises(minibox.InvalidArgument):
        engine.containers.create("busybox", ["true"], no_such_field=1)
    with pytest.raises(ValueError):
        engine.images.get("a\0b")


def test_what_a_callback_raises_comes_out_of_the_call(engine, base):
    class Mine(Exception):
        pass

    def progress(step):
        raise Mine(step["phase"])

    with open(base, "rb") as tar, pytest.raises(Mine):
        engine.images.import_tar(tar, "never", progress=progress)


def test_closed_engines_refuse(work):
    engine = minibox.Engine(work / "closed")
    engine.close()
    engine.close()
    with pytest.raises(ValueError):
        engine.images.list()


def test_volumes(engine):
    made = engine.volumes.create("data", {"of": "mine"})
    assert made["labels"] == {"of": "mine"}
    assert [volume["name"] for volume in engine.volumes.list()] == ["data"]
    assert engine.volumes.inspect("data")["name"] == "data"
    engine.volumes.create()
    assert engine.volumes.prune()["removed"]
    engine.volumes.remove("data")
    with pytest.raises(minibox.NotFound):
        engine.volumes.remove("data")


def test_credentials_are_kept_in_a_file(work):
    file = str(work / "auth.json")
    minibox.save_credentials(file, "registry.example", username="me", password="secret")
    assert minibox.remove_credentials(file, "registry.example")
    assert not minibox.remove_credentials(file, "registry.example")


def test_a_library_that_is_not_there_is_said():
    code = "import minibox"
    environment = {**os.environ, "MINIBOX_LIBRARY": "/nonexistent.so"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True,
                          text=True)
    assert done.returncode == 1 and "MINIBOX_LIBRARY" in done.stderr


def test_without_privileges_images_are_seen_and_runs_refused():
    root = pathlib.Path(tempfile.mkdtemp())
    os.chown(root, 65534, 65534)
    code = f"""
import os
os.setgid(65534); os.setuid(65534)
import minibox
engine = minibox.Engine({str(root)!r})
engine.images.import_tar(0, "box")
assert engine.images.inspect("box")["layers"]
try:
    engine.network, engine.runtime
    engine.run("box", ["true"], network="none")
except minibox.PermissionDenied as error:
    print(error.reason)
"""
    source = pathlib.Path(minibox.__file__).parents[1]
    try:
        with tempfile.TemporaryFile() as tar:
            # Their own file: owners of others need privileges.
            with tarfile.open(fileobj=tar, mode="w") as archive:
                entry = tarfile.TarInfo("file")
                entry.uid = entry.gid = 65534
                archive.addfile(entry)
            tar.seek(0)
            done = subprocess.run([sys.executable, "-c", code], stdin=tar, capture_output=True,
                                  text=True, env={**os.environ, "PYTHONPATH": str(source)})
    finally:
        shutil.rmtree(root)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "missing_privilege\n"


def test_a_wheel_is_made_and_serves_without_anything_compiled(tmp_path):
    source = shutil.copytree(pathlib.Path(minibox.__file__).parents[1], tmp_path / "source")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-index", "--no-deps",
                    "--no-build-isolation", "-w", str(tmp_path), str(source)], check=True)
    [wheel] = tmp_path.glob("minibox-*-py3-none-any.whl")
    done = subprocess.run([sys.executable, "-c", "import minibox; print(minibox.library_version())"],
                          env={**os.environ, "PYTHONPATH": str(wheel)}, cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.stdout == minibox.__version__ + "\n", done.stderr
