"""The network interface that the processes of a run meet on."""

from __future__ import annotations

import os
import socket

import pytest

from pkdcli.engine.distributed import processes
from pkdcli.errors import PkdError

VARIABLES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "TP_SOCKET_IFNAME")


@pytest.fixture
def named(monkeypatch):
    """Name an interface as a user does; what every backend is then told."""
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, "eth0"), (3, "ib0")])
    monkeypatch.setattr(socket, "gethostname", lambda: "node1")
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "")  # so that it is put back
        monkeypatch.delenv(variable)

    def named(text, **more):
        for name, value in {"PKD_IFNAME": text, **more}.items():
            monkeypatch.setenv(name, value)
        processes.name_interface()
        return tuple(os.environ.get(variable) for variable in VARIABLES)

    return named


def test_every_backend_is_told_and_keeps_what_it_was_told_itself(named):
    assert named("ib0") == ("ib0", "=ib0", "ib0")
    for variable in VARIABLES:
        del os.environ[variable]
    assert named("ib0,eth0", GLOO_SOCKET_IFNAME="lo") == ("lo", "=ib0,eth0", "ib0,eth0")


def test_without_a_name_every_backend_chooses(named):
    assert named("") == (None, None, None)


def test_an_interface_that_is_not_there(named):
    with pytest.raises(PkdError) as caught:
        named("ib9")
    assert caught.value.message == "PKD_IFNAME: node1 has no network interface 'ib9'."
    assert (caught.value.hint, caught.value.code) == ("It has lo, eth0, ib0.", 3)
