"""How figures are written."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pkdcli.errors import PkdError
from pkdcli.reporting.plots import style


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_a_full_disk_is_told_with_the_file(kind, tmp_path, monkeypatch):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def draw():
        figure = Figure()
        FigureCanvasAgg(figure)
        return figure

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(PkdError) as caught:
        style.save(draw, {kind: tmp_path / f"a.{kind}"})
    assert (caught.value.message, caught.value.code) == (f"no space left to write {tmp_path / f'a.{kind}'}.", 3)
    assert list(tmp_path.iterdir()) == []
