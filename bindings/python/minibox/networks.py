# SPDX-License-Identifier: Apache-2.0
"""Networks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List

from ._abi import Handle, ask_json, call

if TYPE_CHECKING:
    from .engine import Engine

Json = Dict[str, Any]


class Network(Handle):
    _kind = "network"


class Networks:
    """Networks of an engine, by name; the default one is "bridge". Changes need CAP_NET_ADMIN."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def ensure_default(self) -> Json:
        return ask_json("network_ensure_default", self._engine.network)

    def list(self) -> List[Json]:
        return ask_json("network_list", self._engine.network)

    def inspect(self, name: str) -> Json:
        return ask_json("network_inspect", self._engine.network, name)

    def create(self, name: str, **spec: Any) -> Json:
        """spec: subnet, gateway, subnet6, internal, dns, mtu, labels."""
        return ask_json("network_create", self._engine.network, json.dumps({"name": name, **spec}))

    def remove(self, name: str) -> None:
        call("network_remove", self._engine.network, name)

    def warnings(self) -> List[str]:
        return ask_json("network_warnings", self._engine.network)
