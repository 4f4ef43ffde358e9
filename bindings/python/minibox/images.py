# SPDX-License-Identifier: Apache-2.0
"""Images, volumes and registries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, Dict, List, Mapping, Optional, Sequence
from typing import Union

from . import _abi
from ._abi import Callback, Cancel, DataFn, Handle, ask_json, byref, call

if TYPE_CHECKING:
    from .engine import Engine

Json = Dict[str, Any]
Progress = Callable[[Json], Any]
Lines = Callable[[str], Any]


class Store(Handle):
    _kind = "store"


class Registry(Handle):
    _kind = "registry"


def descriptor(file: Union[int, BinaryIO]) -> int:
    """A number of a descriptor, or that of an open file."""
    if isinstance(file, int):
        return file
    if file.writable():
        file.flush()
    return file.fileno()


def json_callback(function: Optional[Progress]) -> Optional[Callback]:
    if function is None:
        return None
    chosen = function
    return Callback(lambda data: chosen(json.loads(data)), DataFn)


def line_callback(function: Optional[Lines]) -> Optional[Callback]:
    if function is None:
        return None
    chosen = function
    return Callback(lambda data: chosen(data.decode("utf-8", "replace")), DataFn)


def given(*callbacks: Optional[Callback]) -> List[Callback]:
    return [callback for callback in callbacks if callback is not None]


def pointer(callback: Optional[Callback]) -> Any:
    return None if callback is None else callback.pointer


class Images:
    """Images of an engine. An image is named by its reference, or by a digest or a unique prefix
    of one. Results are dicts, as the HTTP API answers (docs/http-api.md)."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def list(self) -> List[Json]:
        return ask_json("image_list", self._engine.store)

    def get(self, image: str) -> Json:
        return ask_json("image_get", self._engine.store, image)

    def exists(self, image: str) -> bool:
        from .errors import NotFound
        try:
            self.get(image)
        except NotFound:
            return False
        return True

    def inspect(self, image: str, platform: Optional[str] = None) -> Json:
        """With configuration, manifest and layers."""
        return ask_json("image_inspect", self._engine.store, image, platform)

    def history(self, image: str) -> List[Json]:
        return ask_json("image_history", self._engine.store, image)

    def tag(self, image: str, reference: str) -> None:
        call("image_tag", self._engine.store, image, reference)

    def remove(self, image: str, force: bool = False) -> List[str]:
        """The names removed. force: also when containers use it."""
        return ask_json("image_remove", self._engine.store, image, force)

    def pull(self, image: str, *, platform: Optional[str] = None,
             credentials: Optional[Mapping[str, str]] = None, line: Optional[Lines] = None,
             progress: Optional[Progress] = None, cancel: Optional[Cancel] = None) -> Json:
        """credentials: username and password, identity_token, or registry_token; else those of
        the engine's auth_file."""
        lines, steps = line_callback(line), json_callback(progress)
        options = self._transfer(credentials, lines, steps, platform=platform)
        return ask_json("registry_pull", self._engine.registry, image, options, cancel,
                        callbacks=given(lines, steps))

    def push(self, image: str, *, name: Optional[str] = None,
             credentials: Optional[Mapping[str, str]] = None, line: Optional[Lines] = None,
             progress: Optional[Progress] = None, cancel: Optional[Cancel] = None) -> None:
        """name: that in the registry, if it is not the image's own."""
        lines, steps = line_callback(line), json_callback(progress)
        options = self._transfer(credentials, lines, steps, **{"as": name})
        call("registry_push", self._engine.registry, image, options, cancel,
             callbacks=given(lines, steps))

    @staticmethod
    def _transfer(credentials: Optional[Mapping[str, str]], lines: Optional[Callback],
                  steps: Optional[Callback], **more: Any) -> Any:
        held = _abi.Credentials(**credentials) if credentials is not None else None
        options = _abi.TransferOptions(line=pointer(lines), progress=pointer(steps), **more)
        if held is not None:
            options.credentials = _abi.POINTER(_abi.Credentials)(held)
            options._kept.append(held)
        return options

    def load(self, file: Union[int, BinaryIO], *, progress: Optional[Progress] = None,
             cancel: Optional[Cancel] = None) -> List[Json]:
        """From an archive that skopeo, docker or save() has written."""
        steps = json_callback(progress)
        return ask_json("image_load", self._engine.store, descriptor(file), pointer(steps), None,
                        cancel, callbacks=given(steps))

    def save(self, images: Union[str, Sequence[str]], file: Union[int, BinaryIO], *,
             compression: Optional[str] = None, progress: Optional[Progress] = None,
             cancel: Optional[Cancel] = None) -> None:
        """compression: "gzip" or "zstd"."""
        names = [images] if isinstance(images, str) else list(images)
        array = (_abi.c_char_p * len(names))(*[_abi.encode(name) for name in names])
        steps = json_callback(progress)
        options = _abi.SaveOptions(compression=compression, progress=pointer(steps))
        call("image_save", self._engine.store, array, _abi.c_size_t(len(names)), descriptor(file),
             options, cancel, callbacks=given(steps))

    def import_tar(self, file: Union[int, BinaryIO], image: str, *, message: Optional[str] = None,
                   progress: Optional[Progress] = None, cancel: Optional[Cancel] = None) -> Json:
        """An image of one layer from the tar of a root file system."""
        steps = json_callback(progress)
        options = _abi.ImportOptions(message=message, progress=pointer(steps))
        return ask_json("image_import", self._engine.store, descriptor(file), image, options,
                        cancel, callbacks=given(steps))


class Volumes:
    """Volumes of an engine."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def create(self, name: Optional[str] = None,
               labels: Optional[Mapping[str, str]] = None) -> Json:
        """Without a name: an anonymous one. One that there is already is returned."""
        text = None if labels is None else json.dumps(dict(labels))
        return ask_json("volume_create", self._engine.store, name, text)

    def inspect(self, name: str) -> Json:
        return ask_json("volume_inspect", self._engine.store, name)

    def list(self) -> List[Json]:
        return ask_json("volume_list", self._engine.store)

    def remove(self, name: str) -> None:
        call("volume_remove", self._engine.store, name)

    def prune(self, *, all: bool = False, dry_run: bool = False) -> Json:
        """Those that no container refers to: anonymous ones, or all."""
        return ask_json("volume_prune", self._engine.store, all, dry_run)


def save_credentials(file: str, host: str, **credentials: str) -> None:
    """Into a file in the form of Docker's config.json."""
    call("credentials_save", file, host, _abi.Credentials(**credentials))


def remove_credentials(file: str, host: str) -> bool:
    removed = _abi.c_int()
    call("credentials_remove", file, host, byref(removed))
    return bool(removed.value)
