"""Two tests of which the first leaves mmengine's scope behind, in this order."""

from __future__ import annotations

from mmengine.registry import DefaultScope

LEFT = "left-behind"


def test_a_scope_is_current_within_a_test():
    DefaultScope.get_instance(LEFT, scope_name="mmengine")
    assert DefaultScope.get_current_instance().instance_name == LEFT


def test_and_gone_in_the_next():
    assert not DefaultScope.check_instance_created(LEFT)
