"""A loss of a plug-in: built by its name, or refused with the distribution it is of."""

from __future__ import annotations

import pytest
import torch
from asking import refused

from pkdcli.engine.losses import build_loss, register_loss, takes_temperature
from pkdcli.engine.losses.registry import _LOSSES, own_parameters
from pkdcli.plugins import GROUPS
from pkdcli.recipe import library

PLAIN = """
import torch
class Mine(torch.nn.Module):
    def __init__(self, power=2.0, temperature=1.0):
        super().__init__()
        self.power = power
    def forward(self, student, teacher):
        return (student - teacher).abs().pow(self.power).mean()
"""
STUDENT, TEACHER = torch.full((2, 3, 4, 4), 3.0), torch.ones(2, 3, 4, 4)


@pytest.fixture
def mine(install):
    def mine(text: str, value: str = "probe_mine:Mine") -> None:
        install({GROUPS["losses"]: {"mine": value}}, {"probe_mine.py": text})

    return mine


def test_the_simplest_is_one_class(mine):
    mine(PLAIN)
    assert build_loss("mine", weight=10)(STUDENT, TEACHER).item() == 40
    assert build_loss("mine", power=3.0)(STUDENT, TEACHER).item() == 8
    assert takes_temperature("mine")
    error = refused(lambda: build_loss("mine", powr=3.0))
    assert error.message == "unknown parameter of loss mine 'powr'."
    assert error.hint.startswith("Did you mean 'power'?")


def test_one_on_the_base_class_of_losses(mine):
    mine(
        "from pkdcli.engine.losses import FeatureLoss, register_loss\n"
        "@register_loss('mine')\n"
        "class Mine(FeatureLoss):\n"
        "    def compare(self, student, teacher):\n"
        "        return (student - teacher).mean()\n"
    )
    try:
        assert build_loss("mine", weight=2, stat_chunk=1)(STUDENT, TEACHER).item() == 4
    finally:
        _LOSSES.pop("mine", None)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("raise OSError('no library')", "OSError: no library"),
        ("x = 1", "AttributeError: module 'probe_mine' has no attribute 'Mine'"),
        ("def Mine(student, teacher): return 0", "probe_mine:Mine is no class of torch.nn.Module"),
        (
            "import torch\nclass Mine(torch.nn.Module): pass",
            "probe_mine:Mine can't be called as loss(student, teacher)",
        ),
        (
            "import torch\nclass Mine(torch.nn.Module):\n    def forward(self, one): pass",
            "probe_mine:Mine can't be called as loss(student, teacher): see its forward",
        ),
        (
            "from pkdcli.engine.losses import FeatureLoss\nclass Mine(FeatureLoss): pass",
            "probe_mine:Mine has no compare(student, teacher)",
        ),
    ],
)
def test_one_without_the_promised_interface_is_told_with_its_distribution(mine, text, cause):
    mine(text)
    error = refused(build_loss, "mine")
    source = "loss 'mine' of the plug-in pkd-probe 0.1 (entry point mine = probe_mine:Mine of pkdcli.losses): "
    assert error.message.startswith(source + cause)
    assert error.hint == "Type: pip install --upgrade pkd-probe; or be rid of it: pip uninstall pkd-probe"


def test_a_name_that_a_module_of_the_users_has_entered_too_is_refused(mine):
    mine(PLAIN)

    @register_loss("mine")
    class Other(torch.nn.Module):
        def forward(self, student, teacher):
            return 0

    try:
        assert refused(build_loss, "mine").message.endswith(
            f"its name is taken by {Other.__module__}:{Other.__qualname__}."
        )
    finally:
        _LOSSES.pop("mine")


def test_losses_of_pkds_own_need_no_plug_in(install):
    install({GROUPS["losses"]: {"pkd": "probe_absent:X"}})
    assert type(build_loss("pkd")).__module__.startswith("pkdcli.")
    # A name that a plug-in could take from them is one of a recipe, where it is refused.
    assert set(_LOSSES) <= set(library.names("losses"))


def test_an_unknown_loss_lists_those_of_plug_ins(mine):
    mine(PLAIN)
    error = refused(build_loss, "mimes")
    assert error.message == "unknown loss 'mimes'."
    assert "mine" in error.hint.removeprefix("Did you mean ")
    assert own_parameters(_LOSSES["mse"]) == {}
