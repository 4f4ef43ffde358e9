# SPDX-License-Identifier: Apache-2.0
import shutil

import pytest

import minibox


def test_builds(engine, work, base):
    context = work / "context"
    context.mkdir()
    shutil.copy(base, context / "base.tar.gz")
    (context / "MiniBox").write_text("BASE base.tar.gz\nBLOCK a\n  RUN echo built > /result\n"
                                     "  START cat /result\n")
    plan = engine.plan("built", context, network="none")
    assert [step["instruction"] for step in plan["blocks"][-1]["steps"]]
    lines = []
    image = engine.build("built", context, network="none", line=lines.append)
    assert image["name"] == "built" and lines
    assert engine.run("built", network="none", text=True).stdout == "built\n"
    engine.images.remove("built")
    assert minibox.Engine.check("RNU x\n")[0]["severity"] == "error"
    with pytest.raises(minibox.InvalidArgument) as caught:
        engine.build("x", context, file="RNU x")
    assert caught.value.reason == "invalid_build_file"


def test_networks(engine):
    assert engine.networks.ensure_default()["name"] == "bridge"
    assert engine.networks.create("apart", internal=True)["internal"]
    assert "apart" in [network["name"] for network in engine.networks.list()]
    assert b"eth0" in engine.run("busybox", ["ip", "addr"], network="apart").stdout
    engine.networks.remove("apart")
    with pytest.raises(minibox.NotFound):
        engine.networks.inspect("apart")
    assert isinstance(engine.networks.warnings(), list)
    assert engine.info()["kernel"]


def test_compose(engine, work):
    directory = work / "project"
    directory.mkdir()
    (directory / "compose.yaml").write_text("""
services:
  web:
    image: busybox
    command: [sh, -c, 'echo ${WORD}; exec sleep 1000']
    depends_on: [store]
  store:
    image: busybox
    command: [sleep, '1000']
""")
    options = {"project": "mine", "lock_dir": str(work / "locks")}
    events = []
    with engine.compose(directory, environment={"WORD": "spoken"}, **options) as project:
        assert project.describe()["services"] == ["store", "web"]
        assert "echo spoken" in project.config()
        project.up(event=events.append)
        assert {"started", "network_created"} <= {event["kind"] for event in events}
        assert {one["service"] for one in project.ps()} == {"store", "web"}
        with project.logs(["web"], follow=True) as lines:
            assert next(lines)["text"] == "spoken"
        project.stop(["web"], stop_timeout=0)
    with engine.compose(directory, attach=True, **options) as project:
        project.down(stop_timeout=0)
        assert project.ps() == []
    with pytest.raises(minibox.NotFound) as caught:
        engine.compose(directory, file="/nonexistent/compose.yaml")
    assert caught.value.reason == "compose_file_not_found"
