"""Keys with dots: set where they are, refused where they are not, whatever the tree looks like."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkdcli.config.keys import like, set_key
from pkdcli.errors import PkdError

NAMES = st.sampled_from(["a", "b", "type", "lr"])
SCALARS = st.one_of(st.integers(-5, 5), st.sampled_from(["x", "y"]), st.none())
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.dictionaries(NAMES, inner, max_size=3),
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
    ),
    max_leaves=12,
)
MODELS = st.dictionaries(NAMES, TREES, min_size=1, max_size=4)


def places(node, path=()):
    """Every (path, what stands there) of a tree."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list | tuple) else ()
    for key, value in items:
        yield (*path, str(key)), value
        yield from places(value, (*path, str(key)))


@settings(deadline=None)
@given(MODELS, st.data())
def test_a_scalar_is_set_at_its_place_and_nowhere_else(model, data):
    before = dict(places(model))
    path = data.draw(st.sampled_from(sorted(before)))
    set_key(model, ".".join(path), 77, "config")
    after = dict(places(model))
    assert after[path] == 77
    apart = [one for one in before if one[: len(path)] != path and path[: len(one)] != one]
    assert {one: after[one] for one in apart} == {one: before[one] for one in apart}
    for depth in range(1, len(path)):  # dicts, lists and tuples stay what they were
        assert type(after[path[:depth]]) is type(before[path[:depth]])


@settings(deadline=None)
@given(MODELS, st.data())
def test_what_stands_there_already_changes_nothing(model, data):
    path, value = data.draw(st.sampled_from(sorted(places(model), key=str)))
    before = copy.deepcopy(model)
    set_key(model, ".".join(path), value, "config")
    assert model == before


@settings(deadline=None)
@given(MODELS)
def test_a_path_through_a_scalar_is_refused_and_changes_nothing(model):
    before = copy.deepcopy(model)
    for path, value in places(before):
        if not isinstance(value, dict | list | tuple):
            with pytest.raises(PkdError, match="there is no key"):
                set_key(model, ".".join([*path, "deeper"]), 1, "config")
    assert model == before


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(), st.text(max_size=2)), max_size=5), st.booleans())
def test_a_list_takes_the_kind_of_what_it_replaces(items, tuples):
    old = tuple(items[:2]) if tuples else items[:2]
    found = like(old, items, "key")
    assert list(found) == items
    assert type(found) is type(old)


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        (None, [1333, 800], "scale", (1333, 800)),
        (None, [1333, 800], "stages", [1333, 800]),
        (None, [[1333, 640], [1333, 800]], "scale", [(1333, 640), (1333, 800)]),
        ([(1, 2)], [[3, 4], [5, 6]], "any", [(3, 4), (5, 6)]),
        ({"type": "A", "size": (1, 2)}, {"type": "B", "steps": [1, 2]}, "any", {"type": "B", "steps": [1, 2]}),
        ({"type": "A", "steps": (1, 2)}, {"type": "A", "steps": [3, 4]}, "any", {"type": "A", "steps": (3, 4)}),
    ],
)
def test_tuples_stand_where_they_were_or_have_to_be(old, new, key, expected):
    found = like(old, new, key)
    assert found == expected
    assert repr(found) == repr(expected)


def test_a_list_grows_by_its_next_item_and_a_tuple_does_not():
    model = {"steps": [1, 2], "size": (1, 2)}
    set_key(model, "steps.2", 3, "config")
    assert model["steps"] == [1, 2, 3]
    with pytest.raises(PkdError) as caught:
        set_key(model, "size.2", 3, "config")
    assert caught.value.message == "config: size.2: there is no key '2'."
    assert caught.value.hint == "Items there: 0 to 1."
    with pytest.raises(PkdError) as caught:
        set_key(model, "step.0", 3, "config")
    assert caught.value.hint == "Did you mean 'steps'? Keys there: size, steps."


def test_sizes_and_values_of_padding_of_a_transform_are_tuples():
    config = {"pipeline": [{"type": "Flip"}]}
    mosaic = {"type": "CachedMosaic", "img_scale": [96, 96], "center_ratio_range": [0.5, 1.5]}
    set_key(config, "pipeline.0", mosaic, "config")
    set_key(config, "pipeline.1", {"type": "Pad", "size": [96, 96], "pad_val": {"img": [114, 114, 114]}}, "config")
    assert config["pipeline"][0]["img_scale"] == (96, 96)
    assert config["pipeline"][1] == {"type": "Pad", "size": (96, 96), "pad_val": {"img": (114, 114, 114)}}
