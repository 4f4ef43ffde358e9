# SPDX-License-Identifier: Apache-2.0
"""libminibox_c.so.1 as ctypes sees it: structs, functions, errors. Nothing here is public."""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char, c_char_p, c_int, c_int32
from ctypes import c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Callable, Iterable, Optional

from .errors import MiniBoxError

SONAME = "libminibox_c.so.1"

STDOUT, STDERR = 1, 2

OutputFn = CFUNCTYPE(c_int, c_void_p, c_int, c_void_p, c_size_t)
DataFn = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t)
LogFn = CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_char_p)
Texts = POINTER(c_char_p)


class Options(Structure):
    """Fields by keyword; None and what is not given is the default. Lists become pairs of a
    pointer and a count, named <field> and <singular>_count in the order of the struct."""

    def __init__(self, **values: Any) -> None:
        super().__init__()
        self.struct_size = ctypes.sizeof(self)
        self._kept = []  # what the pointers point to
        names = [field[0] for field in self._fields_]
        kinds = dict(self._fields_)
        for name, value in values.items():
            if value is None:
                continue
            if kinds[name] is Texts:
                items = [encode(item) for item in value]
                array = (c_char_p * len(items))(*items)
                self._kept.append(array)
                setattr(self, name, ctypes.cast(array, Texts))
                setattr(self, names[names.index(name) + 1], len(items))
            elif kinds[name] is c_char_p:
                setattr(self, name, encode(value))
            else:
                self._kept.append(value)
                setattr(self, name, value)


def _struct(name: str, *fields: tuple) -> Any:
    return type(name, (Options,), {"_fields_": [("struct_size", c_size_t), *fields]})


def _texts(name: str, count: str) -> tuple:
    return (name, Texts), (count, c_size_t)


Exit = _struct("Exit", ("code", c_int32), ("signal", c_int32), ("oom_killed", c_int32),
               ("reason", c_char * 20))
StoreOptions = _struct("StoreOptions", ("root", c_char_p), ("must_exist", c_int32))
SaveOptions = _struct("SaveOptions", ("compression", c_char_p), ("progress", DataFn),
                      ("user", c_void_p))
ImportOptions = _struct("ImportOptions", ("message", c_char_p), ("progress", DataFn),
                        ("user", c_void_p))
PruneOptions = _struct("PruneOptions", ("build_cache", c_int32), ("dry_run", c_int32),
                       ("keep_bytes", c_uint64))
RegistryOptions = _struct(
    "RegistryOptions", ("auth_file", c_char_p), *_texts("mirrors", "mirror_count"),
    *_texts("insecure", "insecure_count"), ("https_proxy", c_char_p), ("http_proxy", c_char_p),
    ("no_proxy", c_char_p), ("ca_file", c_char_p), ("max_parallel_layers", c_int32))
Credentials = _struct("Credentials", ("username", c_char_p), ("password", c_char_p),
                      ("identity_token", c_char_p), ("registry_token", c_char_p))
TransferOptions = _struct(
    "TransferOptions", ("platform", c_char_p), ("as", c_char_p),
    ("credentials", POINTER(Credentials)), ("line", DataFn), ("progress", DataFn),
    ("user", c_void_p))
NetworkOptions = _struct(
    "NetworkOptions", ("state_dir", c_char_p), ("default_bridge", c_char_p),
    ("default_subnet", c_char_p), *_texts("subnet_pool", "subnet_pool_count"), ("ipv6", c_int32),
    ("resolv_conf", c_char_p))
RuntimeOptions = _struct(
    "RuntimeOptions", ("run_dir", c_char_p), ("cgroup_parent", c_char_p), ("subid_base", c_uint32),
    ("subid_count", c_uint32), *_texts("bind_prefixes", "bind_prefix_count"),
    ("supervise", c_int32))
RunOptions = _struct("RunOptions", ("output", OutputFn), ("started", DataFn), ("user", c_void_p))
StopOptions = _struct("StopOptions", ("signal", c_int32), ("has_grace", c_int32),
                      ("grace_ms", c_int64))
WaitOptions = _struct("WaitOptions", ("condition", c_int32), ("timeout_ms", c_int64))
CommitOptions = _struct("CommitOptions", ("message", c_char_p), ("author", c_char_p),
                        ("no_pause", c_int32), *_texts("changes", "change_count"))
ContainerPruneOptions = _struct("ContainerPruneOptions", ("dry_run", c_int32), ("until", c_char_p),
                                *_texts("labels", "label_count"))
LogOptions = _struct(
    "LogOptions", ("follow", c_int32), ("until_exit", c_int32), ("has_tail", c_int32),
    ("tail_lines", c_uint64), ("since", c_char_p), ("until", c_char_p), ("stream", c_int32),
    ("timestamps", c_int32))
EventOptions = _struct(
    "EventOptions", ("since", c_char_p), ("until", c_char_p), *_texts("types", "type_count"),
    *_texts("containers", "container_count"), *_texts("images", "image_count"),
    *_texts("projects", "project_count"), *_texts("labels", "label_count"), ("ready", DataFn))
BuilderOptions = _struct("BuilderOptions", ("max_parallel", c_int32), ("registry", c_void_p))
ComposeOptions = _struct(
    "ComposeOptions", ("file", c_char_p), ("directory", c_char_p), ("project", c_char_p),
    *_texts("profiles", "profile_count"), ("environment_json", c_char_p), ("env_file", c_char_p),
    ("home", c_char_p), ("lock_dir", c_char_p), ("attach", c_int32), ("registry", c_void_p))
ComposeCall = _struct(
    "ComposeCall", *_texts("services", "service_count"), ("event", DataFn), ("user", c_void_p),
    ("build", c_int32), ("force_recreate", c_int32), ("no_deps", c_int32),
    ("remove_orphans", c_int32), ("wait", c_int32), ("volumes", c_int32), ("no_cache", c_int32),
    ("stop_first", c_int32), ("signal", c_int32), ("has_stop_timeout", c_int32),
    ("stop_timeout_s", c_int64), ("timeout_s", c_int64))
ComposeLogOptions = _struct(
    "ComposeLogOptions", *_texts("services", "service_count"), ("follow", c_int32),
    ("has_tail", c_int32), ("tail_lines", c_uint64))


def _candidates() -> Iterable[str]:
    chosen = os.environ.get("MINIBOX_LIBRARY")
    if chosen:
        yield chosen
        return
    beside = pathlib.Path(__file__).with_name(SONAME)
    if beside.exists():
        yield str(beside)
    yield SONAME


def _load() -> ctypes.CDLL:
    failures = []
    for candidate in _candidates():
        try:
            return ctypes.CDLL(candidate)
        except OSError as error:
            failures.append(str(error))
    raise ImportError(
        f"MiniBox's library was not found ({'; '.join(failures)}): install the package libminibox, "
        "or name the file in MINIBOX_LIBRARY")


lib = _load()
lib.minibox_version.restype = c_char_p
lib.minibox_cancel_new.restype = c_void_p
for _name in ("reason", "message", "field"):
    getattr(lib, f"minibox_error_{_name}").restype = c_char_p
    getattr(lib, f"minibox_error_{_name}").argtypes = [c_void_p]
for _name in ("code", "errno", "exit_code", "free"):
    getattr(lib, f"minibox_error_{_name}").argtypes = [c_void_p]
for _name in ("store", "registry", "network", "runtime", "process", "builder", "compose", "cancel"):
    getattr(lib, f"minibox_{_name}_free").argtypes = [c_void_p]
    getattr(lib, f"minibox_{_name}_free").restype = None
lib.minibox_error_free.restype = None
lib.minibox_string_free.argtypes = [c_void_p]
lib.minibox_string_free.restype = None
lib.minibox_cancel_request.argtypes = [c_void_p]
lib.minibox_cancel_request.restype = None


def encode(text: Any) -> bytes:
    """Text or path for the library. NUL ends C's texts, so it is refused here."""
    data = os.fsencode(text) if isinstance(text, (str, os.PathLike)) else bytes(text)
    if b"\0" in data:
        raise ValueError("embedded null byte")
    return data


class Callback:
    """A C callback that hands bytes to `function`, for as long as the object lives. What the
    function raises ends the call and is raised again where the call was made."""

    def __init__(self, function: Callable[..., Any], kind: Any) -> None:
        self.error: Optional[BaseException] = None

        def data(_user: Any, address: int, size: int) -> int:
            return self._call(function, ctypes.string_at(address, size) if size else b"")

        def output(_user: Any, stream: int, address: int, size: int) -> int:
            return self._call(function, stream, ctypes.string_at(address, size) if size else b"")

        self.pointer = kind(output if kind is OutputFn else data)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> int:
        try:
            return 1 if function(*arguments) is False else 0
        except BaseException as error:  # noqa: B902 - it goes on at the caller's
            self.error = error
            return 1


def call(name: str, *arguments: Any, callbacks: Iterable[Callback] = ()) -> None:
    """Calls minibox_<name>; an error becomes a MiniBoxError, or what a callback has raised."""
    function = getattr(lib, f"minibox_{name}")
    function.restype = c_void_p
    error = function(*[_argument(argument) for argument in arguments])
    for callback in callbacks:
        if callback.error is not None:
            lib.minibox_error_free(error)
            raise callback.error
    if error:
        try:
            raise MiniBoxError.made(
                lib.minibox_error_code(error), _text(lib.minibox_error_reason(error)),
                _text(lib.minibox_error_message(error)), _text(lib.minibox_error_field(error)),
                lib.minibox_error_errno(error), lib.minibox_error_exit_code(error))
        finally:
            lib.minibox_error_free(error)


def _argument(value: Any) -> Any:
    if isinstance(value, (str, os.PathLike)):
        return c_char_p(encode(value))
    if isinstance(value, bool):
        return c_int(value)
    if isinstance(value, Options):
        return byref(value)
    if isinstance(value, Callback):
        return value.pointer
    return value


def _text(value: Optional[bytes]) -> str:
    return (value or b"").decode("utf-8", "replace")


def ask(name: str, *arguments: Any, callbacks: Iterable[Callback] = ()) -> str:
    """Calls minibox_<name>(…, char** result) and returns the text."""
    result = c_void_p()
    call(name, *arguments, byref(result), callbacks=callbacks)
    try:
        return ctypes.string_at(result.value).decode("utf-8", "replace")
    finally:
        lib.minibox_string_free(result)


def ask_json(name: str, *arguments: Any, callbacks: Iterable[Callback] = ()) -> Any:
    return json.loads(ask(name, *arguments, callbacks=callbacks))


class Handle:
    """A handle of the library, freed once: by close(), at the end of `with`, or with the object."""

    _kind = ""

    def __init__(self, pointer: c_void_p) -> None:
        self._pointer: Optional[c_void_p] = pointer

    @property
    def _as_parameter_(self) -> c_void_p:
        if self._pointer is None:
            raise ValueError(f"this {self._kind} is closed")
        return self._pointer

    def close(self) -> None:
        """Containers go on. Closing twice is no error; no call may be under way."""
        pointer, self._pointer = getattr(self, "_pointer", None), None
        if pointer is not None:
            getattr(lib, f"minibox_{self._kind}_free")(pointer)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def open_handle(name: str, *arguments: Any, callbacks: Iterable[Callback] = ()) -> c_void_p:
    """Calls minibox_<name>(…, handle** result)."""
    result = c_void_p()
    call(name, *arguments, byref(result), callbacks=callbacks)
    return result


class Cancel(Handle):
    """Ends calls that it was given to."""

    _kind = "cancel"

    def __init__(self) -> None:
        pointer = lib.minibox_cancel_new()
        if not pointer:
            raise MemoryError
        super().__init__(c_void_p(pointer))

    def request(self) -> None:
        lib.minibox_cancel_request(self._as_parameter_)
