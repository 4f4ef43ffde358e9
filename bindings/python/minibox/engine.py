# SPDX-License-Identifier: Apache-2.0
"""The engine: everything on one data root."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import threading
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

from . import _abi
from ._abi import Callback, Cancel, DataFn, Handle, ask_json, call, open_handle
from ._stream import Stream
from .compose import Compose
from .containers import Command, CompletedProcess, Containers, Environment, Output, Process
from .containers import Runtime, request, words
from .images import Images, Lines, Registry, Store, Volumes, given, line_callback
from .networks import Network, Networks

Json = Dict[str, Any]


class Builder(Handle):
    _kind = "builder"


class Engine:
    """Images, containers, networks, volumes and builds on one data root. Any thread, any number
    of processes. What needs a privilege is opened when it is first used, so that looking at images
    needs none.

    root       data root; /var/lib/minibox if it is not given
    store, registry, network, runtime, builder   options of those handles (docs/c-api.md), e.g.
               runtime={"cgroup_parent": "mine", "supervise": True}
    """

    def __init__(self, root: Union[str, "os.PathLike[str]", None] = None, *,
                 store: Optional[Json] = None, registry: Optional[Json] = None,
                 network: Optional[Json] = None, runtime: Optional[Json] = None,
                 builder: Optional[Json] = None) -> None:
        self._lock = threading.RLock()
        self._options = {"registry": registry, "network": network, "runtime": runtime,
                         "builder": builder}
        options = _abi.StoreOptions(root=root, **(store or {}))
        self._handles: Dict[str, Handle] = {
            "store": Store(open_handle("store_open", options))}
        self.images = Images(self)
        self.volumes = Volumes(self)
        self.networks = Networks(self)
        self.containers = Containers(self)

    # ---- handles, opened once ----

    def _handle(self, kind: str, make: Callable[[Any], Handle]) -> Any:
        with self._lock:
            if "store" not in self._handles:
                raise ValueError("this engine is closed")
            if kind not in self._handles:
                self._handles[kind] = make(self._options[kind] or {})
            return self._handles[kind]

    @property
    def store(self) -> Store:
        with self._lock:
            if "store" not in self._handles:
                raise ValueError("this engine is closed")
            return self._handles["store"]  # type: ignore[return-value]

    @property
    def registry(self) -> Registry:
        return self._handle("registry", lambda options: Registry(
            open_handle("registry_open", self.store, _abi.RegistryOptions(**options))))

    @property
    def network(self) -> Network:
        return self._handle("network", lambda options: Network(
            open_handle("network_open", self.store, _abi.NetworkOptions(**options))))

    @property
    def runtime(self) -> Runtime:
        return self._handle("runtime", lambda options: Runtime(
            open_handle("runtime_open", self.store, self.network,
                        _abi.RuntimeOptions(**options))))

    @property
    def builder(self) -> Builder:
        def make(options: Json) -> Builder:
            chosen = _abi.BuilderOptions(**options)
            chosen.registry = self.registry._as_parameter_
            return Builder(open_handle("builder_open", self.store, self.runtime, chosen))
        return self._handle("builder", make)

    def close(self) -> None:
        """Containers go on. No call may be under way."""
        with self._lock:
            handles, self._handles = self._handles, {}
        for handle in handles.values():
            handle.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- runs ----

    def run(self, image: str, command: Optional[Command] = None, *,
            input: Optional[bytes] = None, env: Optional[Environment] = None,
            check: bool = False, text: bool = False, limit: Optional[int] = None,
            on_output: Optional[Callable[[Output], Any]] = None, cancel: Optional[Cancel] = None,
            **fields: Any) -> CompletedProcess:
        """Runs `command` in a new container, waits for its end and removes it, as subprocess.run()
        does with a process.

        command    words, or a text for /bin/sh; None: the image's
        input      for its stdin
        text       output as str
        check      ProcessFailed unless it exits with 0
        limit      of the output in bytes; more kills it, and `end` is "output_limit"
        on_output  gets each piece as it comes
        fields     those of the HTTP API's run request: memory (MiB), cpu, timeout (seconds; `end`
                   is then "timeout"), network, volumes, user, workdir, read_only, …
        """
        fields = {"rm": True, "on_disconnect": "kill", **fields}
        if input is not None:
            fields.update(interactive=True, tty=False)
        with self.start(image, command, env=env, cancel=cancel, **fields) as process:
            done = process.communicate(input, limit=limit, on_output=on_output, text=text,
                                       cancel=cancel)
        if check:
            done.check_returncode()
        return done

    async def run_async(self, image: str, command: Optional[Command] = None,
                        **arguments: Any) -> CompletedProcess:
        """run() for asyncio. When the task is cancelled, the container is killed and removed
        before CancelledError goes on."""
        cancel = Cancel()
        work = asyncio.get_running_loop().run_in_executor(
            None, functools.partial(self.run, image, command, cancel=cancel, **arguments))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            cancel.request()
            await asyncio.wait([work])
            if not work.cancelled():
                work.exception()  # it has been seen
            raise

    def start(self, image: str, command: Optional[Command] = None, *,
              env: Optional[Environment] = None, cancel: Optional[Cancel] = None,
              **fields: Any) -> Process:
        """A new container that is talked to; see Process. interactive=True gives it a stdin."""
        pointer = open_handle("process_run", self.runtime, request(image, command, env, fields),
                              None, cancel)
        return Process(pointer, words(command))

    # ---- builds and projects ----

    @staticmethod
    def check(minibox_file: str) -> List[Json]:
        """Errors and warnings of a MiniBox file: severity, line, column, message."""
        return ask_json("build_check", minibox_file)

    def build(self, image: str, context: Union[str, "os.PathLike[str]"], *,
              file: Optional[str] = None, line: Optional[Lines] = None,
              cancel: Optional[Cancel] = None, **fields: Any) -> Json:
        """Builds `image` from a directory. file: the text of the MiniBox file, else the one called
        MiniBox in the directory. fields: those of the HTTP API's build request."""
        lines = line_callback(line)
        return ask_json("builder_build", self.builder, _build_request(image, context, file, fields),
                        lines, None, cancel, callbacks=given(lines))

    def plan(self, image: str, context: Union[str, "os.PathLike[str]"], *,
             file: Optional[str] = None, cancel: Optional[Cancel] = None, **fields: Any) -> Json:
        """What build() would do."""
        return ask_json("builder_plan", self.builder, _build_request(image, context, file, fields),
                        cancel)

    def compose(self, directory: Union[str, "os.PathLike[str]", None] = None, *,
                environment: Optional[Dict[str, str]] = None, attach: bool = False,
                **options: Any) -> Compose:
        """A project. options: file, project, profiles, env_file, home, lock_dir. attach: without
        the file, what there is of `project`."""
        text = None if environment is None else json.dumps(environment)
        chosen = _abi.ComposeOptions(directory=directory, environment_json=text,
                                     attach=int(attach), **options)
        chosen.registry = self.registry._as_parameter_
        return Compose(open_handle("compose_open", self.store, self.network, self.runtime,
                                   self.builder, chosen))

    # ---- the whole ----

    def events(self, *, since: Optional[str] = None, until: Optional[str] = None,
               types: Sequence[str] = (), containers: Sequence[str] = (),
               images: Sequence[str] = (), projects: Sequence[str] = (),
               labels: Sequence[str] = ()) -> "Stream[Json]":
        """What happens from now on, and with `since` what has happened. Returns when nothing that
        happens from then on can be missed."""
        ready = threading.Event()
        failed: List[BaseException] = []
        runtime = self.runtime

        def run(put: Callable[[Json], bool], cancel: Cancel) -> None:
            started = Callback(lambda _: ready.set(), DataFn)
            event = Callback(lambda data: put(json.loads(data)), DataFn)
            options = _abi.EventOptions(
                since=since, until=until, types=types, containers=containers, images=images,
                projects=projects, labels=labels, ready=started.pointer)
            try:
                call("events", runtime, options, event, None, cancel, callbacks=[started, event])
            except BaseException as error:
                if not ready.is_set():
                    failed.append(error)
                raise
            finally:
                ready.set()

        stream: Stream[Json] = Stream(run)
        ready.wait()
        if failed:
            stream.close()
            raise failed[0]
        return stream

    def announce(self, type: str, id: Optional[str] = None, **attributes: str) -> None:
        """Adds an event of the program's own, "<family>.<what>"."""
        call("announce", self.runtime, type, id, json.dumps(attributes))

    def info(self) -> Json:
        return ask_json("system_info", self.runtime)

    def disk_usage(self, items: bool = False) -> Json:
        return ask_json("store_usage", self.store, items)

    def prune(self, *, build_cache: bool = False, keep_bytes: Optional[int] = None,
              dry_run: bool = False, cancel: Optional[Cancel] = None) -> Json:
        options = _abi.PruneOptions(build_cache=int(build_cache), dry_run=int(dry_run),
                                    keep_bytes=keep_bytes)
        return ask_json("store_prune", self.store, options, cancel)

    def verify(self, cancel: Optional[Cancel] = None) -> Json:
        return ask_json("store_verify", self.store, cancel)


def _build_request(image: str, context: Any, file: Optional[str], fields: Json) -> str:
    directory = os.path.abspath(context)
    if file is None:
        with open(os.path.join(directory, "MiniBox"), encoding="utf-8") as text:
            file = text.read()
    return json.dumps({"image": image, "context": directory, "minibox": file, **fields})
