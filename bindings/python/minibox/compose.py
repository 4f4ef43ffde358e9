# SPDX-License-Identifier: Apache-2.0
"""Compose projects."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Optional, Sequence

from . import _abi
from ._abi import Callback, Cancel, DataFn, Handle, ask, ask_json, call
from ._stream import Stream
from .images import given, json_callback, pointer

Json = Dict[str, Any]
Event = Callable[[Json], Any]


class Compose(Handle):
    """A project, from Engine.compose(). `services` of calls: none means all. `event` is told what
    happens: {"kind", "service", "id", "text"}."""

    _kind = "compose"

    def describe(self) -> Json:
        """project, services (each after what it depends on) and warnings."""
        return ask_json("compose_describe", self)

    def config(self) -> str:
        """The file with every variable replaced, as YAML."""
        return ask("compose_config", self)

    def ps(self) -> List[Json]:
        return ask_json("compose_ps", self)

    def up(self, services: Sequence[str] = (), *, event: Optional[Event] = None,
           stop_timeout: Optional[int] = None, cancel: Optional[Cancel] = None,
           **flags: Any) -> None:
        """flags: build, force_recreate, no_deps, remove_orphans, wait, timeout_s."""
        self._call("up", services, event, stop_timeout, cancel, flags)

    def down(self, *, event: Optional[Event] = None, stop_timeout: Optional[int] = None,
             cancel: Optional[Cancel] = None, **flags: Any) -> None:
        """flags: volumes, remove_orphans."""
        self._call("down", (), event, stop_timeout, cancel, flags)

    def start(self, services: Sequence[str] = (), *, event: Optional[Event] = None,
              cancel: Optional[Cancel] = None) -> None:
        self._call("start", services, event, None, cancel, {})

    def stop(self, services: Sequence[str] = (), *, event: Optional[Event] = None,
             stop_timeout: Optional[int] = None, cancel: Optional[Cancel] = None) -> None:
        self._call("stop", services, event, stop_timeout, cancel, {})

    def restart(self, services: Sequence[str] = (), *, event: Optional[Event] = None,
                stop_timeout: Optional[int] = None, cancel: Optional[Cancel] = None) -> None:
        self._call("restart", services, event, stop_timeout, cancel, {})

    def kill(self, services: Sequence[str] = (), *, signal: int = 9,
             event: Optional[Event] = None) -> None:
        steps = json_callback(event)
        call("compose_kill", self, self._options(services, steps, None, {"signal": int(signal)}),
             callbacks=given(steps))

    def remove(self, services: Sequence[str] = (), *, stop_first: bool = False,
               event: Optional[Event] = None, cancel: Optional[Cancel] = None) -> None:
        self._call("remove", services, event, None, cancel, {"stop_first": stop_first})

    def build(self, services: Sequence[str] = (), *, no_cache: bool = False,
              event: Optional[Event] = None, cancel: Optional[Cancel] = None) -> None:
        self._call("build", services, event, None, cancel, {"no_cache": no_cache})

    def pull(self, services: Sequence[str] = (), *, event: Optional[Event] = None,
             cancel: Optional[Cancel] = None) -> None:
        self._call("pull", services, event, None, cancel, {})

    def logs(self, services: Sequence[str] = (), *, follow: bool = False,
             tail: Optional[int] = None) -> "Stream[Json]":
        """Lines: {"service", "time", "text", "stream"}. For `for` and for `async for`."""
        options = _abi.ComposeLogOptions(services=services, follow=int(follow),
                                         has_tail=int(tail is not None), tail_lines=tail)

        def run(put: Callable[[Json], bool], cancel: Cancel) -> None:
            line = Callback(lambda data: put(json.loads(data)), DataFn)
            call("compose_logs", self, options, line, None, cancel, callbacks=[line])

        return Stream(run)

    def _call(self, name: str, services: Sequence[str], event: Optional[Event],
              stop_timeout: Optional[int], cancel: Optional[Cancel], flags: Json) -> None:
        steps = json_callback(event)
        call(f"compose_{name}", self, self._options(services, steps, stop_timeout, flags), cancel,
             callbacks=given(steps))

    @staticmethod
    def _options(services: Sequence[str], steps: Optional[Callback], stop_timeout: Optional[int],
                 flags: Json) -> Any:
        return _abi.ComposeCall(services=services, event=pointer(steps),
                                has_stop_timeout=int(stop_timeout is not None),
                                stop_timeout_s=stop_timeout,
                                **{name: int(value) for name, value in flags.items()})
