# SPDX-License-Identifier: Apache-2.0
"""Containers and the processes in them."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, Dict, Iterator, List, Mapping, NamedTuple
from typing import Optional, Sequence, Union

from . import _abi
from ._abi import STDERR, STDOUT, Callback, Cancel, DataFn, Handle, OutputFn, ask_json, byref, call
from ._abi import open_handle
from ._stream import Stream
from .errors import Cancelled, MiniBoxError, ProcessFailed
from .images import descriptor

if TYPE_CHECKING:
    from .engine import Engine

Json = Dict[str, Any]
Command = Union[str, Sequence[str]]
Environment = Union[Mapping[str, str], Sequence[str]]

OUTCOMES = ("stopped", "killed", "not_running")
CONDITIONS = {"exited": 0, "removed": 1, "healthy": 2}


class Runtime(Handle):
    _kind = "runtime"


class Output(NamedTuple):
    """A piece of output: "stdout" or "stderr", and bytes."""
    stream: str
    data: bytes


class Exit(NamedTuple):
    """How a run ended. code: 128 + signal if killed, -1 if nobody saw it. reason: "exited",
    "signal", "oom", "timeout", or "" if nobody saw it."""
    code: int
    signal: int = 0
    oom_killed: bool = False
    reason: str = "exited"

    @staticmethod
    def of(struct: Any) -> "Exit":
        return Exit(struct.code, struct.signal, bool(struct.oom_killed), struct.reason.decode())


class CompletedProcess(subprocess.CompletedProcess):  # type: ignore[type-arg]
    """What subprocess.run() returns, and `end`: why it ended, as Exit.reason, or "output_limit"."""

    def __init__(self, args: Any, returncode: int, stdout: Any = None, stderr: Any = None,
                 end: str = "exited") -> None:
        super().__init__(args, returncode, stdout, stderr)
        self.end = end

    def check_returncode(self) -> None:
        if self.returncode != 0:
            raise ProcessFailed(self.args, self.returncode, self.stdout, self.stderr, self.end)


def words(command: Optional[Command]) -> List[str]:
    """A text is a script for /bin/sh."""
    if command is None:
        return []
    if isinstance(command, str):
        return ["/bin/sh", "-c", command]
    return [str(word) for word in command]


def assignments(env: Optional[Environment]) -> Optional[List[str]]:
    if env is None:
        return None
    if isinstance(env, Mapping):
        return [f"{key}={value}" for key, value in env.items()]
    return list(env)


def request(image: str, command: Optional[Command], env: Optional[Environment],
            fields: Mapping[str, Any]) -> str:
    """The body of POST /containers/run."""
    body = {"image": image, **fields}
    if command is not None:
        body["command"] = words(command)
    if env is not None:
        body["env"] = assignments(env)
    return json.dumps(body)


class Collected:
    """Output that is kept, up to a limit, and handed on."""

    def __init__(self, limit: Optional[int], on_output: Optional[Callable[[Output], Any]]) -> None:
        self.parts: Dict[int, List[bytes]] = {STDOUT: [], STDERR: []}
        self._left = limit
        self._on_output = on_output
        self.full = False

    def add(self, stream: int, data: bytes) -> bool:
        if self._left is not None:
            self.full = len(data) > self._left
            data = data[:self._left]
            self._left -= len(data)
        self.parts[stream].append(data)
        if self._on_output is not None and data:
            self._on_output(Output("stdout" if stream == STDOUT else "stderr", data))
        return not self.full

    def text(self, stream: int, as_text: bool) -> Union[str, bytes]:
        data = b"".join(self.parts[stream])
        return data.decode("utf-8", "replace") if as_text else data


class Process(Handle):
    """A process that is talked to. One thread at a time waits; the rest may be called meanwhile.
    Closing it ends an exec that has not ended; an attachment is only detached."""

    _kind = "process"

    def __init__(self, pointer: Any, args: Sequence[str] = ()) -> None:
        super().__init__(pointer)
        self.args = list(args)

    def write(self, data: bytes, cancel: Optional[Cancel] = None) -> None:
        """To its stdin. Blocks while the process does not read."""
        call("process_write", self, data, _abi.c_size_t(len(data)), cancel)

    def close_stdin(self) -> None:
        call("process_close_stdin", self)

    def resize(self, rows: int, cols: int) -> None:
        call("process_resize", self, rows, cols)

    def send_signal(self, signal: int) -> None:
        call("process_signal", self, int(signal))

    def wait(self, on_output: Optional[Callable[[Output], Any]] = None,
             cancel: Optional[Cancel] = None) -> Exit:
        """Hands the output on until the process has ended. Once. on_output may return False to
        end the wait."""
        seen = Collected(None, on_output)
        end = _abi.Exit()
        output = Callback(lambda stream, data: _pass(seen, stream, data), OutputFn)
        call("process_wait", self, output, None, cancel, end, callbacks=[output])
        return Exit.of(end)

    def communicate(self, input: Optional[bytes] = None, *, limit: Optional[int] = None,
                    on_output: Optional[Callable[[Output], Any]] = None, text: bool = False,
                    cancel: Optional[Cancel] = None) -> CompletedProcess:
        """Writes `input`, closes stdin, and waits. limit: of the output, in bytes; more ends it
        with `end` "output_limit"."""
        seen = Collected(limit, on_output)
        end = _abi.Exit()
        output = Callback(seen.add, OutputFn)
        ended = Cancel()
        feeder = None
        if input is not None:
            feeder = threading.Thread(target=self._feed, args=(input, ended), daemon=True)
            feeder.start()
        stopped = False
        try:
            call("process_wait", self, output, None, cancel, end, callbacks=[output])
        except Cancelled as error:
            if not seen.full or error.reason != "callback_stopped":
                raise
            stopped = True
        finally:
            if feeder is not None:
                ended.request()
                feeder.join()
        how = Exit(137, 9, False, "output_limit") if stopped else Exit.of(end)
        return CompletedProcess(self.args, how.code, seen.text(STDOUT, text),
                                seen.text(STDERR, text), how.reason)

    def _feed(self, data: bytes, ended: Cancel) -> None:
        # A process that reads no further, or has ended, is no error of the program's.
        try:
            self.write(data, ended)
            self.close_stdin()
        except MiniBoxError:
            pass


def _pass(seen: Collected, stream: int, data: bytes) -> bool:
    if seen._on_output is None:
        return True
    return seen._on_output(Output("stdout" if stream == STDOUT else "stderr", data)) is not False


class Container:
    """One container, by id, name or unique prefix. Asking for it costs nothing; calls on one that
    there is not raise NotFound."""

    def __init__(self, engine: "Engine", name: str) -> None:
        self._engine = engine
        self.name = name

    def __repr__(self) -> str:
        return f"<minibox.Container {self.name}>"

    def info(self) -> Json:
        return ask_json("container_get", self._engine.runtime, self.name)

    @property
    def id(self) -> str:
        return self.info()["id"]

    @property
    def status(self) -> str:
        """"created", "running", "paused", "exited" or "removing"."""
        return self.info()["status"]

    def inspect(self, size: bool = False) -> Json:
        return ask_json("container_inspect", self._engine.runtime, self.name, size)

    def start(self, cancel: Optional[Cancel] = None) -> Json:
        return ask_json("container_start", self._engine.runtime, self.name, cancel)

    def stop(self, grace: Optional[float] = None, signal: int = 0,
             cancel: Optional[Cancel] = None) -> str:
        """"stopped", "killed" after the grace period (seconds), or "not_running"."""
        outcome = _abi.c_int()
        call("container_stop", self._engine.runtime, self.name, _stop_options(grace, signal),
             cancel, byref(outcome))
        return OUTCOMES[outcome.value]

    def restart(self, grace: Optional[float] = None, signal: int = 0,
                cancel: Optional[Cancel] = None) -> Json:
        return ask_json("container_restart", self._engine.runtime, self.name,
                        _stop_options(grace, signal), cancel)

    def kill(self, signal: int = 9) -> None:
        call("container_kill", self._engine.runtime, self.name, int(signal))

    def remove(self, force: bool = False) -> None:
        call("container_remove", self._engine.runtime, self.name, force)

    def pause(self) -> None:
        call("container_pause", self._engine.runtime, self.name)

    def unpause(self) -> None:
        call("container_unpause", self._engine.runtime, self.name)

    def rename(self, name: str) -> None:
        call("container_rename", self._engine.runtime, self.name, name)
        self.name = name

    def update(self, **changes: Any) -> None:
        """memory and memory_swap (MiB), cpu, cpuset, io_weight, pids_limit, restart; -1 removes a
        limit. All or nothing."""
        call("container_update", self._engine.runtime, self.name, json.dumps(changes))

    def wait(self, condition: str = "exited", timeout: Optional[float] = None,
             cancel: Optional[Cancel] = None) -> Exit:
        """condition: "exited", "removed" or "healthy". DeadlineExceeded after `timeout` seconds."""
        if condition not in CONDITIONS:
            raise ValueError(f"condition {condition!r}: one of {', '.join(CONDITIONS)}")
        milliseconds = None if timeout is None else max(1, int(timeout * 1000))
        options = _abi.WaitOptions(condition=CONDITIONS[condition], timeout_ms=milliseconds)
        end = _abi.Exit()
        call("container_wait", self._engine.runtime, self.name, options, cancel, end, None)
        return Exit.of(end)

    def health(self) -> Json:
        return ask_json("container_health", self._engine.runtime, self.name)

    def stats(self) -> Json:
        return ask_json("container_stats", self._engine.runtime, self.name)

    def top(self) -> List[Json]:
        return ask_json("container_top", self._engine.runtime, self.name)

    def diff(self) -> List[Json]:
        return ask_json("container_diff", self._engine.runtime, self.name)

    def export(self, file: BinaryIO, cancel: Optional[Cancel] = None) -> None:
        """The root file system without mounts as a tar."""
        tar = Callback(lambda data: _write_all(file, data), DataFn)
        call("container_export", self._engine.runtime, self.name, tar, None, cancel,
             callbacks=[tar])

    def stat(self, path: str, follow_link: bool = False) -> Json:
        """name, size, mode, mtime and link_target of what a path in it stands for."""
        return ask_json("container_stat", self._engine.runtime, self.name, path, follow_link)

    def copy_out(self, path: str, file: BinaryIO, *, follow_link: bool = False,
                 cancel: Optional[Cancel] = None) -> None:
        """What `path` stands for and all below it, as a tar whose entries begin with its last
        component."""
        tar = Callback(lambda data: _write_all(file, data), DataFn)
        call("container_copy_out", self._engine.runtime, self.name, path, follow_link, tar, None,
             cancel, callbacks=[tar])

    def copy_in(self, directory: str, tar: Union[bytes, int, BinaryIO], *, keep_ids: bool = False,
                cancel: Optional[Cancel] = None) -> None:
        """Merges a tar, plain, gzip or zstd, into an existing directory. tar: its bytes, a
        descriptor, or an open file that has one."""
        if isinstance(tar, bytes):
            with tempfile.TemporaryFile() as file:
                file.write(tar)
                file.seek(0)
                return self.copy_in(directory, file, keep_ids=keep_ids, cancel=cancel)
        call("container_copy_in", self._engine.runtime, self.name, directory, descriptor(tar),
             keep_ids, cancel)
        return None

    def commit(self, image: str, *, message: Optional[str] = None, author: Optional[str] = None,
               changes: Sequence[str] = (), pause: bool = True,
               cancel: Optional[Cancel] = None) -> Json:
        options = _abi.CommitOptions(message=message, author=author, no_pause=int(not pause),
                                     changes=changes)
        return ask_json("container_commit", self._engine.runtime, self.name, image, options, cancel)

    def logs(self, *, tail: Optional[int] = None, since: Optional[str] = None,
             until: Optional[str] = None, stream: Optional[str] = None,
             timestamps: bool = False) -> bytes:
        """What has been written so far. since, until: RFC 3339, seconds since 1970, or a duration
        ago such as "10m"."""
        parts: List[bytes] = []
        output = Callback(lambda _, data: parts.append(data), OutputFn)
        options = _log_options(tail, since, until, stream, timestamps)
        call("container_logs", self._engine.runtime, self.name, options, output, None, None,
             callbacks=[output])
        return b"".join(parts)

    def follow(self, *, until_exit: bool = True, tail: Optional[int] = None,
               since: Optional[str] = None, stream: Optional[str] = None,
               timestamps: bool = False) -> "Stream[Output]":
        """The log as it is written, until the container has exited, or without `until_exit` until
        it is removed. For `for` and for `async for`."""
        options = _log_options(tail, since, None, stream, timestamps, follow=1,
                               until_exit=int(until_exit))
        runtime, name = self._engine.runtime, self.name

        def run(put: Callable[[Output], bool], cancel: Cancel) -> None:
            output = Callback(
                lambda number, data: put(Output("stdout" if number == STDOUT else "stderr", data)),
                OutputFn)
            call("container_logs", runtime, name, options, output, None, cancel,
                 callbacks=[output])

        return Stream(run)

    def exec(self, command: Command, *, input: Optional[bytes] = None,
             env: Optional[Environment] = None, check: bool = False, text: bool = False,
             limit: Optional[int] = None, on_output: Optional[Callable[[Output], Any]] = None,
             cancel: Optional[Cancel] = None, **fields: Any) -> CompletedProcess:
        """Runs a command in it and waits. fields: workdir, user, privileged."""
        with self.open_exec(command, env=env, stdin=input is not None, cancel=cancel,
                            **fields) as process:
            done = process.communicate(input, limit=limit, on_output=on_output, text=text,
                                       cancel=cancel)
        if check:
            done.check_returncode()
        return done

    def open_exec(self, command: Command, *, env: Optional[Environment] = None,
                  stdin: bool = False, tty: bool = False, cancel: Optional[Cancel] = None,
                  **fields: Any) -> Process:
        """Starts a command in it that is talked to."""
        body = {"id": self.name, "command": words(command), **fields}
        if env is not None:
            body["env"] = assignments(env)
        if stdin or tty:
            body.update(interactive=True, tty=tty)
        pointer = open_handle("process_exec", self._engine.runtime, json.dumps(body), cancel)
        return Process(pointer, words(command))

    def attach(self, logs: bool = False) -> Process:
        """Joins what it does. logs: with its log first."""
        return Process(open_handle("process_attach", self._engine.runtime, self.name, logs))


def _write_all(file: BinaryIO, data: bytes) -> None:
    file.write(data)


def _stop_options(grace: Optional[float], signal: int) -> Any:
    return _abi.StopOptions(signal=int(signal), has_grace=int(grace is not None),
                            grace_ms=int((grace or 0) * 1000))


def _log_options(tail: Optional[int], since: Optional[str], until: Optional[str],
                 stream: Optional[str], timestamps: bool, **more: int) -> Any:
    numbers = {None: 0, "stdout": STDOUT, "stderr": STDERR}
    if stream not in numbers:
        raise ValueError(f"stream {stream!r}: 'stdout' or 'stderr'")
    return _abi.LogOptions(has_tail=int(tail is not None), tail_lines=tail, since=since,
                           until=until, stream=numbers[stream], timestamps=int(timestamps), **more)


class Containers:
    """Containers of an engine."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def list(self) -> Dict[str, Json]:
        """By id."""
        return ask_json("container_list", self._engine.runtime)

    def __iter__(self) -> Iterator[Container]:
        return iter([Container(self._engine, name) for name in self.list()])

    def __getitem__(self, name: str) -> Container:
        container = Container(self._engine, name)
        container.name = container.id
        return container

    def create(self, image: str, command: Optional[Command] = None, *,
               env: Optional[Environment] = None, **fields: Any) -> Container:
        """fields: those of the HTTP API's run request: name, network, memory, cpu, volumes, …"""
        made = ask_json("container_create", self._engine.runtime,
                        request(image, command, env, fields))
        return Container(self._engine, made["id"])

    def run(self, image: str, command: Optional[Command] = None, *,
            env: Optional[Environment] = None, cancel: Optional[Cancel] = None,
            **fields: Any) -> Container:
        """Create and start, in the background."""
        made = ask_json("container_run", self._engine.runtime,
                        request(image, command, env, fields), cancel)
        return Container(self._engine, made["id"])

    def stats(self) -> List[Json]:
        """Of all that run."""
        return ask_json("container_stats", self._engine.runtime, None)

    def prune(self, *, dry_run: bool = False, until: Optional[str] = None,
              labels: Sequence[str] = ()) -> Json:
        options = _abi.ContainerPruneOptions(dry_run=int(dry_run), until=until, labels=labels)
        return ask_json("container_prune", self._engine.runtime, options)
