"""Starts and stops the foreign servers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from history_pipeline_tests.peers import node_peer
from history_pipeline_tests.peers.node_peer import NodePeer

StartPeer = Callable[..., NodePeer]
"""Options of the script by name, to a running server."""


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("GWS_", "HISTORY_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _packages() -> None:
    missing = node_peer.missing_tools()
    if missing:
        pytest.skip(f"{' and '.join(missing)} not on the path")
    node_peer.install()


def _starter(script: str) -> Iterator[StartPeer]:
    with ExitStack() as running:

        def start(**options: Any) -> NodePeer:
            return running.enter_context(NodePeer(script, options))

        yield start


@pytest.fixture
def start_cometd(_packages: None) -> Iterator[StartPeer]:
    """A gateway with the CometD project's own server."""
    yield from _starter("cometd_peer.js")


@pytest.fixture
def start_faye(_packages: None) -> Iterator[StartPeer]:
    """A gateway with faye, whose reference ids count through all sessions."""
    for start in _starter("faye_peer.js"):
        yield partial(start, sharedIds=True)
