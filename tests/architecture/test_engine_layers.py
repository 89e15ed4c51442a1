"""The law inside the engine: its rooms in layers, as the docstring of `pkdcli.engine` draws them."""

from __future__ import annotations

from pathlib import Path

from source import Source

ENGINE = "pkdcli.engine."
# Top to bottom: a room imports from itself and from the rows below its own, never upwards nor sideways.
LAYERS = (
    {"profile"},
    {"bench", "predict", "export"},
    {"analysis"},
    {"worker"},
    {"register"},
    {"train"},
    {"distill"},
    {"metrics", "losses", "speedups", "sizes"},
    {"data", "distributed", "checkpoint", "setup"},
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}


def room_of(module: str) -> str:
    return module.removeprefix(ENGINE).split(".")[0]


def test_rooms_of_the_engine_import_downwards_only():
    edges = {
        (room_of(module), room_of(target))
        for module, targets in Source(Path(__file__).parents[2]).imports.items()
        for target in targets
        if module.startswith(ENGINE) and target.startswith(ENGINE) and room_of(module) != room_of(target)
    }
    assert {room for edge in edges for room in edge} == RANK.keys()
    assert {f"{room} imports {target}" for room, target in edges if RANK[room] >= RANK[target]} == set()
