# SPDX-License-Identifier: Apache-2.0
import asyncio
import io
import signal
import subprocess
import tarfile
import threading

import pytest

import minibox

QUIET = {"network": "none"}


def test_run_is_like_subprocess_run(engine):
    done = engine.run("busybox", ["sh", "-c", "echo out; echo err >&2; exit 3"], text=True, **QUIET)
    assert isinstance(done, subprocess.CompletedProcess)
    assert (done.returncode, done.stdout, done.stderr, done.end) == (3, "out\n", "err\n", "exited")
    with pytest.raises(minibox.ProcessFailed) as caught:
        engine.run("busybox", "exit 4", check=True, **QUIET)
    assert caught.value.returncode == 4
    assert engine.containers.list() == {}
    assert minibox.run("busybox", ["true"], engine=engine, **QUIET).returncode == 0


def test_run_takes_input_and_environment(engine):
    text = b"line\n" * 100_000
    done = engine.run("busybox", ["wc", "-c"], input=text, **QUIET)
    assert int(done.stdout) == len(text)
    done = engine.run("busybox", "echo $A", env={"A": "b c"}, text=True, **QUIET)
    assert done.stdout == "b c\n"
    # One that does not read.
    assert engine.run("busybox", ["true"], input=text, **QUIET).returncode == 0


def test_limits_of_time_memory_and_output_end_a_run(engine):
    assert engine.run("busybox", ["sleep", "1000"], timeout=0.2, **QUIET).end == "timeout"
    done = engine.run("busybox", ["yes"], limit=1000, **QUIET)
    assert done.end == "output_limit" and len(done.stdout) == 1000
    done = engine.run("busybox", "x=a; while :; do x=$x$x; done", memory=16, **QUIET)
    assert done.end == "oom" and done.returncode == 137


def test_output_comes_live(engine):
    pieces = []
    engine.run("busybox", "echo a; echo b >&2", on_output=pieces.append, **QUIET)
    assert {piece.stream: piece.data for piece in pieces} == {"stdout": b"a\n", "stderr": b"b\n"}


def test_commands_that_cannot_start_say_why(engine):
    with pytest.raises(minibox.InvalidArgument) as caught:
        engine.run("busybox", ["/none"], **QUIET)
    assert (caught.value.reason, caught.value.exit_code) == ("command_not_found", 127)
    with pytest.raises(minibox.NotFound):
        engine.run("nothing", ["true"], **QUIET)


def test_a_container_lives_and_dies(engine):
    box = engine.containers.create("busybox", ["sleep", "1000"], name="life", **QUIET)
    assert box.status == "created"
    box.start()
    assert engine.containers["life"].name == box.id
    assert [container.name for container in engine.containers] == [box.id]
    with pytest.raises(minibox.FailedPrecondition) as caught:
        box.remove()
    assert caught.value.reason == "container_running"
    with pytest.raises(minibox.DeadlineExceeded):
        box.wait(timeout=0.01)
    box.pause()
    assert box.status == "paused"
    box.unpause()
    box.rename("lives")
    box.update(pids_limit=99)
    assert box.inspect(size=True)["limits"]["pids"] == 99
    assert box.stats()["memory_usage"] > 0
    assert [stats["name"] for stats in engine.containers.stats()] == ["lives"]
    assert any("sleep" in process["command"] for process in box.top())
    assert box.health()["probes"] == []
    assert box.stop(grace=0) == "killed"
    assert box.stop() == "not_running"
    assert box.wait() == minibox.Exit(137, 9, False, "signal")
    box.restart(grace=0)
    box.kill(signal.SIGKILL)
    id = box.id
    assert engine.containers.prune()["removed"] == [id]
    assert engine.containers.list() == {}
    with pytest.raises(minibox.NotFound):
        box.info()


def test_exec_and_attach(engine):
    box = engine.containers.run("busybox", ["sh", "-c", "read a; echo got $a; read b"],
                                interactive=True, tty=False, **QUIET)
    done = box.exec(["sh", "-c", "cat; exit 5"], input=b"spoken", text=True)
    assert (done.returncode, done.stdout) == (5, "spoken")
    with pytest.raises(minibox.ProcessFailed):
        box.exec("exit 1", check=True)
    with box.open_exec(["sleep", "1000"]) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait().signal == signal.SIGTERM
    with box.open_exec(["sh"], tty=True) as process:
        process.resize(30, 90)
        process.write(b"stty size; exit\n")
        seen = []
        process.wait(seen.append)
        assert b"30 90" in b"".join(piece.data for piece in seen)
    with box.attach(logs=True) as attached:
        attached.write(b"word\n")
        attached.close_stdin()
        seen = []
        attached.wait(seen.append)
    assert b"".join(piece.data for piece in seen) == b"got word\n"


def test_logs_are_read_and_followed(engine):
    box = engine.containers.run("busybox", "echo one; echo two >&2; read x; echo three",
                                interactive=True, tty=False, **QUIET)
    stream = box.follow()
    seen = b""
    while b"two\n" not in seen or b"one\n" not in seen:
        seen += next(stream).data
    with box.attach() as attached:
        attached.write(b"\n")
        attached.wait()
    seen += b"".join(piece.data for piece in stream)
    assert seen.endswith(b"three\n")
    assert box.logs(stream="stderr") == b"two\n"
    assert box.logs(tail=1) == b"three\n"
    with pytest.raises(ValueError):
        box.logs(stream="neither")


def test_a_stream_ends_with_its_block(engine):
    box = engine.containers.run("busybox", "while :; do echo again; sleep 0.01; done", **QUIET)
    threads = threading.active_count()
    with box.follow() as stream:
        assert next(stream).data.startswith(b"again")
    assert threading.active_count() == threads
    assert list(stream) == []


def test_events_are_told(engine):
    with engine.events(types=["container"]) as events:
        engine.run("busybox", ["true"], name="told", **QUIET)
        kinds = []
        for event in events:
            kinds.append(event["type"])
            if event["type"] == "container.die":
                break
    assert "container.start" in kinds
    engine.announce("program.ready", "me", a="b")
    past = list(engine.events(since="1h", until="0s", types=["program.ready"]))
    assert [event["id"] for event in past] == ["me"]
    with pytest.raises(minibox.InvalidArgument):
        engine.events(since="nonsense")


def test_files_come_out_and_go_in(engine):
    box = engine.containers.run("busybox", "echo mine > /made; exec sleep 1000", **QUIET)
    while not any(change["path"] == "/made" for change in box.diff()):
        pass
    out = io.BytesIO()
    box.copy_out("/etc/passwd", out)
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        assert tar.extractfile("passwd").read().startswith(b"root:")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("new")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    box.copy_in("/tmp", packed.getvalue())
    assert box.stat("/tmp/new")["size"] == 3
    whole = io.BytesIO()
    box.export(whole)
    assert len(whole.getvalue()) > 10240
    assert box.commit("made:1", changes=["ENV A=b"])["name"] == "made:1"
    box.remove(force=True)
    assert engine.run("made:1", "cat /made; echo $A", text=True, **QUIET).stdout == "mine\nb\n"
    engine.images.remove("made:1")


def test_asyncio(engine):
    async def both():
        runs = await asyncio.gather(*[
            engine.run_async("busybox", ["echo", str(number)], text=True, **QUIET)
            for number in range(4)])
        assert [done.stdout for done in runs] == [f"{number}\n" for number in range(4)]
        box = engine.containers.run("busybox", "echo a; echo b", **QUIET)
        async with box.follow() as stream:
            assert b"".join([piece.data async for piece in stream]) == b"a\nb\n"
        task = asyncio.create_task(engine.run_async("busybox", ["sleep", "1000"], name="long",
                                                    **QUIET))
        async with engine.events(since="1m", types=["container.start"],
                                 containers=["long"]) as events:
            async for _ in events:
                break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert all(info.get("name") != "long" for info in engine.containers.list().values())

    asyncio.run(both())


def test_threads_share_an_engine(engine):
    failures = []

    def often():
        try:
            for _ in range(3):
                assert engine.run("busybox", ["echo", "x"], **QUIET).stdout == b"x\n"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=often) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
