# SPDX-License-Identifier: Apache-2.0
"""What calls raise. The class follows the code; `reason` says what a program can act on."""

from __future__ import annotations

import subprocess
from typing import Any, Dict, Sequence, Type


class MiniBoxError(Exception):
    """A call has failed.

    code       "not_found", "failed_precondition", …; see docs/errors.md
    reason     "image_not_found", "name_in_use", …; "" if there is none
    message    for people
    field      the field of the request or the parameter at fault, or ""
    errno      of the system call that failed, or 0
    exit_code  what a failed start means to a command line: 125, 126 or 127
    """

    def __init__(self, message: str, *, code: str = "unknown", reason: str = "", field: str = "",
                 errno: int = 0, exit_code: int = 125) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.field = field
        self.errno = errno
        self.exit_code = exit_code

    def __str__(self) -> str:
        return self.message + (f" [{self.reason}]" if self.reason else "")

    def __reduce__(self) -> Any:
        return _remade, (type(self), self.message, dict(self.__dict__))

    @staticmethod
    def made(code: int, reason: str, message: str, field: str, errno: int,
             exit_code: int) -> "MiniBoxError":
        name = _NAMES[code] if 0 < code < len(_NAMES) else "unknown"
        return _CLASSES.get(name, MiniBoxError)(
            message, code=name, reason=reason, field=field, errno=errno, exit_code=exit_code)


def _remade(kind: Type[MiniBoxError], message: str, state: Dict[str, Any]) -> MiniBoxError:
    error = kind(message)
    error.__dict__.update(state)
    return error


class Cancelled(MiniBoxError):
    """The call was cancelled."""


class InvalidArgument(MiniBoxError, ValueError):
    """`field` names what is wrong."""


class NotFound(MiniBoxError, LookupError):
    """No image, container, volume or network of that name."""


class FailedPrecondition(MiniBoxError):
    """The state does not permit it: something is in use, does not run, exists already."""


class PermissionDenied(MiniBoxError, PermissionError):
    """A privilege is missing, or a registry refuses."""


class DeadlineExceeded(MiniBoxError, TimeoutError):
    """What was waited for has not happened in time."""


class ProcessFailed(MiniBoxError, subprocess.SubprocessError):
    """A run with check=True has not exited with 0: `returncode`, `stdout`, `stderr`."""

    def __init__(self, command: Sequence[str], returncode: int, stdout: Any, stderr: Any,
                 end: str = "exited") -> None:
        super().__init__(f"{list(command)!r} returned {returncode} ({end})", reason="process_failed")
        self.cmd = list(command)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr

    def __reduce__(self) -> Any:
        return ProcessFailed, (self.cmd, self.returncode, self.stdout, self.stderr)


_NAMES = ("ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found",
          "already_exists", "permission_denied", "resource_exhausted", "failed_precondition",
          "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss",
          "unauthenticated")
_CLASSES: Dict[str, Type[MiniBoxError]] = {
    "cancelled": Cancelled,
    "invalid_argument": InvalidArgument,
    "not_found": NotFound,
    "failed_precondition": FailedPrecondition,
    "permission_denied": PermissionDenied,
    "deadline_exceeded": DeadlineExceeded,
}
