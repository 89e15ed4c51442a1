"""Every test here runs on the mended stack."""

from __future__ import annotations

import pytest
import torch

from pkdcli.compat import activate


@pytest.fixture(autouse=True, scope="session")
def _activated() -> None:
    """The stack is mended before any test imports it."""
    activate()


@pytest.fixture
def rng() -> torch.Generator:
    """A generator of random numbers, the same in every run."""
    return torch.Generator().manual_seed(20)
