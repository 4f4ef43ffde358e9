# SPDX-License-Identifier: Apache-2.0
"""Calls of the library that go on, as iterators."""

from __future__ import annotations

import asyncio
import collections
import threading
from typing import Any, AsyncIterator, Callable, Deque, Generic, Iterator, List, Optional, Tuple
from typing import TypeVar

from ._abi import Cancel
from .errors import Cancelled

T = TypeVar("T")

# What is told before the iterator's owner asks; then the library waits.
_AHEAD = 64


class _Channel(Generic[T]):
    """Between the thread that calls the library and whoever iterates."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.items: Deque[T] = collections.deque()
        self.closed = False
        self.finished = False
        self.error: Optional[BaseException] = None
        self.waiters: List[Tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]] = []

    def put(self, item: T) -> bool:
        with self.changed:
            while len(self.items) >= _AHEAD and not self.closed:
                self.changed.wait()
            if self.closed:
                return False
            self.items.append(item)
            self._wake()
        return True

    def finish(self, error: Optional[BaseException]) -> None:
        with self.changed:
            if not (self.closed and isinstance(error, Cancelled)):
                self.error = error
            self.finished = True
            self._wake()

    def _wake(self) -> None:
        self.changed.notify_all()
        waiters, self.waiters = self.waiters, []
        for loop, future in waiters:
            try:
                loop.call_soon_threadsafe(_done, future)
            except RuntimeError:
                pass  # its loop is closed: nobody waits any more

    def take(self) -> Tuple[bool, Any]:
        """(True, item), or (False, None) if there is none yet. Raises at the end."""
        if self.items:
            self.changed.notify_all()
            return True, self.items.popleft()
        if not self.finished:
            return False, None
        error, self.error = self.error, None
        raise error if error is not None else StopIteration


def _done(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


class Stream(Generic[T], Iterator[T], AsyncIterator[T]):
    """An iterator, for `for` and for `async for`, over what the library tells. It ends with the
    call, whose error it raises; close() or the end of `with` ends the call. One reader at a time;
    a slow one holds up what is told, and nothing is lost."""

    def __init__(self, run: Callable[[Callable[[T], bool], Cancel], None]) -> None:
        channel: _Channel[T] = _Channel()
        cancel = Cancel()

        def work() -> None:
            error: Optional[BaseException] = None
            try:
                run(channel.put, cancel)
            except BaseException as raised:  # noqa: B902 - the reader gets it
                error = raised
            channel.finish(error)

        self._channel = channel
        self._cancel = cancel
        self._thread = threading.Thread(target=work, name="minibox-stream", daemon=True)
        self._thread.start()

    def __iter__(self) -> "Stream[T]":
        return self

    def __next__(self) -> T:
        with self._channel.changed:
            while True:
                found, item = self._channel.take()
                if found:
                    return item
                self._channel.changed.wait()

    def __aiter__(self) -> "Stream[T]":
        return self

    async def __anext__(self) -> T:
        while True:
            with self._channel.changed:
                try:
                    found, item = self._channel.take()
                except StopIteration:
                    raise StopAsyncIteration from None
                if found:
                    return item
                loop = asyncio.get_running_loop()
                future = loop.create_future()
                self._channel.waiters.append((loop, future))
            await future

    def close(self) -> None:
        """Ends the call and waits for its end."""
        with self._channel.changed:
            self._channel.closed = True
            self._channel.items.clear()
            self._channel.changed.notify_all()
        self._cancel.request()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    async def aclose(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def __enter__(self) -> "Stream[T]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> "Stream[T]":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if hasattr(self, "_thread"):
            self.close()
