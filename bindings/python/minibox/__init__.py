# SPDX-License-Identifier: Apache-2.0
"""MiniBox: images, containers, builds and networks as a library.

    import minibox

    done = minibox.run("alpine", ["echo", "hello"], memory=64, network="none", text=True)
    print(done.stdout, done.returncode)

    with minibox.Engine("/srv/boxes") as engine:
        web = engine.containers.run("web", name="web", ports={"8080": "80"})
        for chunk in web.follow():
            print(chunk.data)
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Optional

from . import _abi
from ._abi import Cancel
from ._stream import Stream
from .compose import Compose
from .containers import CompletedProcess, Container, Exit, Output, Process
from .engine import Engine
from .errors import Cancelled, DeadlineExceeded, FailedPrecondition, InvalidArgument, MiniBoxError
from .errors import NotFound, PermissionDenied, ProcessFailed
from .images import remove_credentials, save_credentials

__version__ = "0.1.0"
__all__ = [
    "Cancel", "Cancelled", "CompletedProcess", "Compose", "Container", "DeadlineExceeded",
    "Engine", "Exit", "FailedPrecondition", "InvalidArgument", "MiniBoxError", "NotFound",
    "Output", "PermissionDenied", "Process", "ProcessFailed", "Stream", "default_engine",
    "library_version", "remove_credentials", "run", "save_credentials", "set_log",
]

_lock = threading.Lock()
_default: Optional[Engine] = None
_log: Any = None


def library_version() -> str:
    """Of the library in the process."""
    return _abi.lib.minibox_version().decode()


def default_engine() -> Engine:
    """The one on /var/lib/minibox, opened once."""
    global _default
    with _lock:
        if _default is None:
            _default = Engine()
        return _default


def run(image: str, command: Any = None, *, engine: Optional[Engine] = None,
        **arguments: Any) -> CompletedProcess:
    """Engine.run() on `engine`, or on the default one."""
    return (engine or default_engine()).run(image, command, **arguments)


def set_log(sink: Optional[Callable[[int, str, str], Any]]) -> None:
    """Where the library's warnings go: sink(severity, module, message), severity 0 (debug) to 3
    (error). For the whole process; None: nowhere, as at first."""
    global _log
    if sink is None:
        _abi.call("set_log", None, None)
        return
    chosen = sink
    kept = _abi.LogFn(lambda _, severity, module, message: chosen(
        severity, module.decode("utf-8", "replace"), message.decode("utf-8", "replace")))
    _abi.call("set_log", kept, None)
    # The one before may still be running in another thread, so it is kept too.
    _log = (kept, _log)
