"""How long a teacher is trained where no weights exist."""

from __future__ import annotations

import pytest

from pkdcli.config.teacher import own_schedule
from pkdcli.recipe.resolve import Request, resolve


@pytest.mark.parametrize(
    ("pair", "sets", "epochs", "milestones"),
    [
        ("gfl101-fcos50", (), 8, [5.3333, 7.3333]),
        ("retinax101-retina50", (), 16, [10.6667, 14.6667]),  # by the type of the backbone
        ("maskswin-faster50", (), 8, [6.0, 7.3333]),
        ("retinax101-retina50", ("scale.teacher.epochs=3",), 3, [2.0, 2.75]),  # for all
        ("retinax101-retina50", ("scale.teacher.epochs={ResNet: 8}",), 6, [4.0, 5.5]),  # its own 24, a quarter of them
    ],
)
def test_epochs_for_all_or_by_the_backbone(pair, sets, epochs, milestones):
    schedule = own_schedule(resolve(Request(pair=pair, scale="tiny", sets=sets)))
    assert (schedule.epochs, schedule.milestones) == (epochs, milestones)
