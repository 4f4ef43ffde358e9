# SPDX-License-Identifier: Apache-2.0
import os
import pathlib

import pytest

import minibox


@pytest.fixture(scope="session")
def base():
    return pathlib.Path(os.environ["MINIBOX_TEST_BASE"])


@pytest.fixture(scope="session")
def work():
    return pathlib.Path(os.environ["MINIBOX_TEST_DIR"])


@pytest.fixture(scope="session")
def shared_engine(work, base):
    with minibox.Engine(work / "data", runtime={"run_dir": work / "run",
                                                "cgroup_parent": "mbxtest-python"}) as engine:
        with open(base, "rb") as tar:
            engine.images.import_tar(tar, "busybox")
        # What is opened once is open before anything is counted.
        assert engine.builder and engine.registry
        engine.run("busybox", ["true"], network="none")
        yield engine
        assert engine.containers.list() == {}
        if any(network["name"] == "bridge" for network in engine.networks.list()):
            engine.networks.remove("bridge")


def process_descriptors():
    """How many processes are held; what an engine opens when it is first needed is not counted."""
    count = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{number}") == "anon_inode:[pidfd]"
        except FileNotFoundError:
            pass  # that of the listing itself
    return count


@pytest.fixture
def engine(shared_engine):
    """With nothing left of the test before, and nothing of this one after."""
    before = process_descriptors()
    yield shared_engine
    for container in shared_engine.containers:
        container.remove(force=True)
    # Monitors that were still ending are reaped by later runs.
    for _ in range(20):
        if process_descriptors() <= before:
            return
        shared_engine.run("busybox", ["true"], network="none")
    pytest.fail("descriptors of processes leak")
