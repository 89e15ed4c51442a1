"""The broken runs, trained anew: what is recorded today leads to the same names as what is kept with the tests."""

from __future__ import annotations

import pytest
from battery import BATTERY, Battery

from pkdcli.reporting.diagnosis.facts import facts_of
from pkdcli.reporting.diagnosis.rank import diagnosed
from pkdcli.runs.paths import RunPaths

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trains an entry of the battery; all have one teacher."""
    battery = Battery(tmp_path_factory.mktemp("battery"))
    battery.prepare()
    return battery


@pytest.mark.parametrize("name", BATTERY)
def test_what_was_planted_is_named_first(trained, name):
    found = diagnosed(facts_of(RunPaths(trained.train(name)), trained.root / "cache"))
    first = found.named[0].key if found.named else "healthy"
    assert first == BATTERY[name].cause
