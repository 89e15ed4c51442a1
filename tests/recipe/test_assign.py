"""`--set` on any recipe, against a walk by hand; configs of one's own written as text and read back."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkdcli.errors import PkdError
from pkdcli.recipe.assign import CARRIED_OUT, assign
from pkdcli.recipe.configs import SECTIONS, as_text, from_text

KEYS = st.sampled_from(["batch", "seed", "gamma", "lr"])
VALUES = st.one_of(st.integers(), st.booleans(), st.none(), st.lists(st.integers(), max_size=3), st.sampled_from(["x"]))
RECIPES = st.recursive(
    VALUES, lambda inner: st.one_of(st.dictionaries(KEYS, inner, min_size=1, max_size=3), st.lists(inner, max_size=2))
).filter(lambda one: isinstance(one, dict))


def paths(node, path=()):
    """Every path of a recipe that leads somewhere."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from paths(value, (*path, key))


@settings(deadline=None)
@given(RECIPES, VALUES, st.data())
def test_one_value_is_set_and_nothing_else(content, value, data):
    path = data.draw(st.sampled_from(sorted(paths(content), key=str)))
    expected = node = copy.deepcopy(content)
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    assign(content, f"{'.'.join(map(str, path))}={json.dumps(value)}")
    assert content == expected


@settings(deadline=None)
@given(RECIPES, st.data())
def test_a_path_that_leads_nowhere_changes_nothing(content, data):
    path = data.draw(st.sampled_from(sorted(paths(content), key=str)))
    before = copy.deepcopy(content)
    with pytest.raises(PkdError, match="has no key 'absent'"):
        assign(content, f"{'.'.join(map(str, [*path[:-1], 'absent']))}=1")
    assert content == before


@pytest.mark.parametrize("path", sorted(CARRIED_OUT))
def test_what_is_carried_out_already_names_what_to_type(path):
    with pytest.raises(PkdError, match="so this would change nothing") as caught:
        assign({}, f"{path}=1")
    assert caught.value.hint == f"Type instead: {CARRIED_OUT[path]}"


LITERALS = st.recursive(
    st.one_of(st.integers(), st.floats(allow_nan=False), st.text(max_size=5), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=4), inner, max_size=3),
    ),
    max_leaves=15,
)


@settings(deadline=None)
@given(st.fixed_dictionaries({name: LITERALS for name in SECTIONS}))
def test_a_config_reads_back_as_it_was_written_tuples_and_infinities_too(content):
    found = from_text(as_text(content, "mine.py"))
    assert found == content
    assert [repr(found[key]) for key in SECTIONS] == [repr(content[key]) for key in SECTIONS]


@settings(deadline=None)
@given(LITERALS)
def test_keys_of_which_no_run_depends_are_left_out(value):
    content = {**{key: {} for key in SECTIONS}, "work_dir": value, "custom_hooks": [object()]}
    assert from_text(as_text(content, "mine.py")) == {key: {} for key in SECTIONS}


def test_what_is_no_literal_is_refused_with_its_key_path():
    content = {**{key: {} for key in SECTIONS}, "model": {"neck": [{"act": object()}]}}
    with pytest.raises(PkdError) as caught:
        as_text(content, "mine.py: config")
    assert caught.value.message == "mine.py: config: model.neck.0.act: a object can't be kept in a recipe."


@pytest.mark.parametrize(
    "text", ["import os", "model = open('x')", "model = (", "model.a = 1", "print(1)", "model = [1 for _ in 'ab']"]
)
def test_text_that_is_more_than_literals_is_not_run(text):
    with pytest.raises(PkdError, match=r"^recipe\.yaml: not a config as pkd keeps it"):
        from_text(text, "recipe.yaml")
