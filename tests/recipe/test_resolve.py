"""From what was typed to a complete recipe."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe import library
from pkdcli.recipe.assign import CARRIED_OUT, assign
from pkdcli.recipe.carried_out import ALPHA, scaled
from pkdcli.recipe.resolve import Request, load_data, resolve
from pkdcli.recipe.schema import Recipe


def refused(**changes) -> PkdError:
    with pytest.raises(PkdError) as caught:
        resolve(Request(**{"scale": "tiny", **changes}))
    assert caught.value.code == ExitCode.USAGE
    return caught.value


def test_the_defaults_are_the_papers():
    recipe = resolve(Request())
    assert (recipe.pair, recipe.teacher.name, recipe.student.name) == ("gfl101-fcos50", "gfl101", "fcos50")
    assert (recipe.scale.name, recipe.data.name, recipe.schedule.name, recipe.loss.name) == (
        "paper",
        "coco",
        "2x",
        "pkd",
    )
    assert (recipe.loss.weight, recipe.loss.stat_chunk, recipe.batch, recipe.schedule.epochs) == (10.0, 2, 2, 24)
    assert (recipe.init, recipe.role, recipe.seed, recipe.pretrained) == ("scratch", "distill", 0, True)


@pytest.mark.parametrize("pair", library.names("pairs"))
def test_alpha_is_by_the_teachers_kind(pair):
    recipe = resolve(Request(pair=pair))
    assert (
        recipe.loss.weight == {"two-stage": 6.0, "one-stage": 10.0}[recipe.teacher.kind] == ALPHA[recipe.teacher.kind]
    )
    named = library.load("pairs", pair)
    assert recipe.schedule.name == ("own" if named.training == "own" else named.schedule)


def test_scale_tiny_implies_the_embedded_data():
    recipe = resolve(Request(scale="tiny"))
    assert (recipe.data.name, recipe.pretrained) == ("shapes", False)
    assert resolve(Request(scale="tiny", data="coco")).data.name == "coco"
    assert resolve(Request(scale="paper", data="shapes")).pretrained is True


def test_what_is_typed_has_the_last_word():
    recipe = resolve(
        Request(
            scale="tiny",
            loss="norm-kl",
            weight=3.5,
            temperature=20,
            schedule="1x",
            seed=7,
            batch_size=6,
            accumulate=2,
            amp=True,
            epochs=5,
            val_interval=2,
            checkpoint_minutes=0.0,
            checkpoint_iters=50,
            workers=0,
            sets=("schedule.gamma=0.5", "loss.stat_chunk=batch", "config.a.b=3", "student.set.neck.num_outs=4"),
        )
    )
    assert (recipe.loss.weight, recipe.loss.temperature, recipe.loss.stat_chunk) == (3.5, 20, "batch")
    assert (recipe.schedule.name, recipe.schedule.epochs, recipe.schedule.gamma) == ("1x", 5, 0.5)
    assert (recipe.seed, recipe.batch, recipe.accumulate, recipe.amp) == (7, 6, 2, True)
    assert (recipe.val_interval, recipe.workers) == (2, 0)
    assert (recipe.checkpoint_minutes, recipe.checkpoint_iters) == (0.0, 50)
    assert (recipe.config, recipe.student.set) == ({"a.b": 3}, {"neck.num_outs": 4})


def test_a_resolved_recipe_is_complete():
    recipe = resolve(Request(scale="tiny"))
    assert Recipe.model_validate(recipe.model_dump()) == recipe


def test_milestones_follow_the_length():
    schedule, scale = library.load("schedules", "2x"), library.load("scales", "paper")
    assert (scaled(schedule, scale).epochs, scaled(schedule, scale).milestones) == (24, [16, 22])
    assert (scaled(schedule, scale, 6).epochs, scaled(schedule, scale, 6).milestones) == (6, [4, 5.5])
    assert scaled(schedule, scale, 1).milestones == [0.6667, 0.9167]


def test_a_baseline_has_neither_teacher_nor_weight():
    recipe = resolve(Request(scale="tiny", loss="none", teacher_checkpoint="/x.pth"))
    assert (recipe.role, recipe.teacher, recipe.teacher_checkpoint) == ("baseline", None, None)
    assert (recipe.loss.weight, recipe.loss.temperature, recipe.init) == (None, None, "scratch")


def test_a_baseline_never_inherits_even_where_its_pair_does():
    pairs = [pair.name for pair in library.load_all("pairs") if pair.init == "inherit"]
    assert pairs
    for pair in pairs:
        assert resolve(Request(pair=pair)).init == "inherit"
        assert resolve(Request(pair=pair, init="scratch")).init == "scratch"
        assert resolve(Request(pair=pair, loss="none")).init == "scratch"


def test_a_smoke_run_evaluates_eight_images_unless_told_otherwise():
    assert resolve(Request(max_iters=2)).val_images == 8
    assert resolve(Request(max_iters=2, val_images=3)).val_images == 3
    assert resolve(Request()).val_images is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pair": "gfl101-fcos51"}, "unknown pair 'gfl101-fcos51'."),
        ({"loss": "pdk"}, "unknown loss 'pdk'."),
        ({"schedule": "3x"}, "unknown schedule '3x'."),
        ({"scale": "tinny"}, "unknown scale 'tinny'."),
        ({"data": "cocoo"}, "unknown data set 'cocoo'."),
        ({"init": "random"}, "unknown way to start (--init) 'random'."),
        ({"weight": -1.0}, "--weight: -1.0 is not a loss weight."),
        ({"weight": float("nan")}, "--weight: nan is not a loss weight."),
        ({"weight": float("inf")}, "--weight: inf is not a loss weight."),
        ({"temperature": 5.0}, "loss pkd has no temperature."),
        ({"loss": "norm-kl", "temperature": 0.5}, "--temperature: 0.5 is not a temperature of norm-kl."),
        ({"loss": "norm-kl", "temperature": 1e6}, "--temperature: 1e+06 is not a temperature of norm-kl."),
        ({"loss": "none", "weight": 3.0}, "loss none is the baseline and takes no weight or temperature."),
        ({"seed": -1}, "the resolved recipe: seed: should be greater than or equal to 0, not -1."),
        ({"seed": 2**31}, "the resolved recipe: seed: should be less than 2147483648, not 2147483648."),
    ],
)
def test_wrong_words_and_values(changes, message):
    error = refused(**changes)
    assert error.message == message
    assert error.hint or "seed" in message


@pytest.mark.parametrize(
    ("assignment", "message", "hint"),
    [
        ("foo", "--set: 'foo' should look like a.b.c=value.", "Example: --set schedule.epochs=4"),
        ("=3", "--set: '=3' should look like a.b.c=value.", "Example: --set schedule.epochs=4"),
        ("a..b=3", "--set: 'a..b=3' should look like a.b.c=value.", "Example: --set schedule.epochs=4"),
        ("seed=[", "--set seed: '[' is not a YAML value.", None),
        ("sed=1", "--set sed: the recipe has no key 'sed'.", "Did you mean 'seed'? Keys of the recipe: acc"),
        (
            "schedule.epoch=3",
            "--set schedule.epoch: schedule has no key 'epoch'.",
            "Did you mean 'epochs'? Keys of schedule: epochs, gamma",
        ),
        ("seed.x=3", "--set seed.x: seed has no key 'x'.", None),
        ("schedule.milestones.7=3", "--set schedule.milestones.7: schedule.milestones has no key '7'.", None),
        (
            "scale.batch=3",
            "--set scale.batch: the scale is carried out already, so this would change nothing.",
            "Type instead: --set batch=8",
        ),
        ("seed=abc", "the resolved recipe: seed: should be a valid integer, unable to parse string as an integer, not "
         "'abc'.", None),
        ("data.train=3", "the resolved recipe: data.train: should be a mapping of keys to values, not 3.", None),
        ("loss.weight=-1", "the resolved recipe: loss.weight: should be greater than or equal to 0, not -1.", None),
        ("role=teacher", "the resolved recipe: (the whole): a distilled run needs a teacher", None),
    ],
)  # fmt: skip
def test_wrong_settings(assignment, message, hint):
    error = refused(sets=(assignment,))
    assert error.message.startswith(message)
    assert (error.hint or "").startswith(hint or "")
    assert message.endswith("teacher") or error.message == message


# What a remedy's placeholders stand for.
_TYPED = {"NAME": "shapes", "FILE.py": "{mmdet}/gfl/gfl_r50_fpn_1x_coco.py"}


@pytest.mark.parametrize("path", sorted(CARRIED_OUT))
def test_what_is_to_be_typed_instead_does_something(path):
    """The remedy is typed behind a command, and what it speaks of is then in the recipe."""
    import shlex

    from pkdcli.recipe.configs import configs_root

    option, *value = shlex.split(CARRIED_OUT[path])
    for word, meant in _TYPED.items():
        value = [text.replace(word, meant.format(mmdet=configs_root())) for text in value]
    field = {"--set": "sets", "--data": "data", "--levels": "levels", "--no-pretrained": "pretrained",
             "--batch-size": "batch_size"}[option]  # fmt: skip
    special = {"--set": tuple(value), "--no-pretrained": False, "--batch-size": 8}
    given = special.get(option, value[0] if value else None)
    before = resolve(Request(scale="paper", data="coco"))
    after = resolve(Request(**{"scale": "paper", "data": "coco", field: given}))
    assert after != before or path == "adapters"  # whose remedy is the default
    assert error_of(path).hint == f"Type instead: {CARRIED_OUT[path]}"


def error_of(path: str) -> PkdError:
    return refused(sets=(f"{path}=3",))


def test_every_problem_of_the_settings_is_told_at_once():
    error = refused(sets=("seed=-1", "batch=0", "loss.weight=x"))
    assert error.message.startswith("the resolved recipe: 3 problems:\n")
    assert [line.split(":")[0].strip() for line in error.message.splitlines()[1:]] == ["loss.weight", "batch", "seed"]


def test_settings_on_lists_and_new_keys():
    content = {"schedule": {"milestones": [8, 11]}, "loss": {"params": {}}, "scale": {"rules": [{"set": {"a": 1}}]}}
    assign(content, "schedule.milestones.1=10")
    assign(content, " loss.params.a.b = {c: 1}")
    assign(content, "config.optim_wrapper.optimizer.lr=0.5")
    assign(content, "scale.rules.0.set.a=null")
    assert content == {
        "schedule": {"milestones": [8, 10]},
        "loss": {"params": {"a.b": {"c": 1}}},
        "scale": {"rules": [{"set": {"a": None}}]},
        "config": {"optim_wrapper.optimizer.lr": 0.5},
    }


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=30), st.text(max_size=10))
def test_whatever_is_set_is_carried_out_or_refused_in_words(path, value):
    error = None
    try:
        resolve(Request(scale="tiny", sets=(f"{path}={value}",)))
    except PkdError as caught:
        error = caught
    assert error is None or (error.code == ExitCode.USAGE and error.message)


# Where data lie


def test_paths_of_coco(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PKD_COCO", raising=False)
    assert load_data("coco").val.annotations == str(tmp_path / "data/coco/annotations/instances_val2017.json")
    monkeypatch.setenv("PKD_COCO", "~/elsewhere")
    monkeypatch.setenv("HOME", "/home/x")
    assert load_data("coco").train.images == "/home/x/elsewhere/train2017"


def test_paths_of_ones_own_data(monkeypatch, tmp_path):
    text = "name: own\ntrain: {images: a/, annotations: ../t.json}\nval: {images: /abs/v, annotations: v.json}\n"
    (tmp_path / "own.yaml").write_text(text)
    monkeypatch.chdir("/")
    data = load_data(str(tmp_path / "own.yaml"))
    assert data.train.images == str(tmp_path / "a")
    assert data.val.images == "/abs/v"
    (tmp_path / "own.yaml").write_text(text + "root: deeper\n")
    assert load_data(str(tmp_path / "own.yaml")).val.annotations == str(tmp_path / "deeper" / "v.json")


# Processes


def test_processes_share_a_batch_except_where_it_is_of_each_of_them(tmp_path):
    for scale, batches in (("tiny", [8, 8, 8]), ("paper", [2, 4, 16])):
        assert [resolve(Request(scale=scale, devices=n)).batch for n in (1, 2, 8)] == batches
    assert resolve(Request(scale="paper", devices=8, batch_size=4)).batch == 4
    own = library.path_of("scales", "tiny").read_text().replace("name: tiny", "name: mine")
    (tmp_path / "mine.yaml").write_text(own + "batch_per_process: true\n")
    assert resolve(Request(scale=str(tmp_path / "mine.yaml"), devices=2)).batch == 16
