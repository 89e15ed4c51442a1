"""`pkd report` as the user sees it: whole outputs."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from pkdcli.cli.look.report import command as report
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.record import COLUMNS
from pkdcli.runs.store import write_json, write_text

SIX = ("mAP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")


class Runs:
    """Run directories and the report on them."""

    def __init__(self, folder):
        self.folder, self.root, self.add = folder, folder.root, folder.add

    def sweep(self):
        self.folder.sweep()
        return self

    def report(self, *words, code=0):
        app = typer.Typer()
        app.command()(report)
        result = CliRunner().invoke(app, ["--runs", str(self.root), *map(str, words)])
        if isinstance(result.exception, PkdError):
            raise result.exception
        assert result.exit_code == code, result.output
        return result


@pytest.fixture
def runs(run_folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    return Runs(run_folder)


def trimmed(text):
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


TABLE = """\
shapes val, scale tiny, batch 8, seed 0

 method                schedule   mAP  AP50  AP75  AP_S  AP_M  AP_L   gain
 ─────────────────────────────────────────────────────────────────────────
 GFL-Res101 (teacher)            70.3  91.5  80.0        69.0  81.2
 FCOS-Res50 (student)  2x        16.0  36.5  17.0        15.0  21.0
 mse, weight 10        2x        31.5  52.0  32.5        30.5  36.5  +15.5
 mse, weight 30        2x        33.3  53.8  34.3        32.3  38.3  +17.2
 mse, weight 50        2x        12.0  32.5  13.0        11.0  17.0   -4.0

mse: mAP by loss weight, shapes val, scale tiny, batch 8, seed 0

 teacher     student     schedule  baseline  weight   mAP   gain
 ───────────────────────────────────────────────────────────────
 GFL-Res101  FCOS-Res50  2x            16.0      10  31.5  +15.5
 GFL-Res101  FCOS-Res50  2x            16.0      30  33.3  +17.2
 GFL-Res101  FCOS-Res50  2x            16.0      50  12.0   -4.0

"""


def test_a_sweep_is_shown_like_table_7_and_table_8(runs):
    result = runs.sweep().report()
    assert trimmed(result.stdout) == TABLE
    assert result.stderr == ""


def test_each_table_alone(runs):
    runs.sweep()
    first, second = TABLE.split("mse: mAP")
    assert trimmed(runs.report("--layout", "table7").stdout) == first
    assert trimmed(runs.report("--layout", "table8").stdout) == "mse: mAP" + second


def test_markdown(runs):
    assert (
        runs.sweep().report("--format", "md").stdout
        == """\
**shapes val, scale tiny, batch 8, seed 0**

| method | schedule | mAP | AP50 | AP75 | AP_S | AP_M | AP_L | gain |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| GFL-Res101 (teacher) |  | 70.3 | 91.5 | 80.0 |  | 69.0 | 81.2 |  |
| FCOS-Res50 (student) | 2x | 16.0 | 36.5 | 17.0 |  | 15.0 | 21.0 |  |
| mse, weight 10 | 2x | 31.5 | 52.0 | 32.5 |  | 30.5 | 36.5 | +15.5 |
| mse, weight 30 | 2x | **33.3** | **53.8** | **34.3** |  | **32.3** | **38.3** | +17.2 |
| mse, weight 50 | 2x | 12.0 | 32.5 | 13.0 |  | 11.0 | 17.0 | -4.0 |

**mse: mAP by loss weight, shapes val, scale tiny, batch 8, seed 0**

| teacher | student | schedule | baseline | weight | mAP | gain |
| --- | --- | --- | ---: | ---: | ---: | ---: |
| GFL-Res101 | FCOS-Res50 | 2x | 16.0 | 10 | 31.5 | +15.5 |
| GFL-Res101 | FCOS-Res50 | 2x | 16.0 | 30 | **33.3** | +17.2 |
| GFL-Res101 | FCOS-Res50 | 2x | 16.0 | 50 | 12.0 | -4.0 |
"""
    )


def test_latex(runs):
    assert (
        runs.sweep().report("--format", "latex", "--layout", "table8").stdout
        == r"""% needs \usepackage{booktabs}

\begin{table}
\centering
\caption{mse: mAP by loss weight, shapes val, scale tiny, batch 8, seed 0}
\begin{tabular}{lllrrrr}
\toprule
teacher & student & schedule & baseline & weight & mAP & gain \\
\midrule
GFL-Res101 & FCOS-Res50 & 2x & 16.0 & 10 & 31.5 & +15.5 \\
GFL-Res101 & FCOS-Res50 & 2x & 16.0 & 30 & \textbf{33.3} & +17.2 \\
GFL-Res101 & FCOS-Res50 & 2x & 16.0 & 50 & 12.0 & -4.0 \\
\bottomrule
\end{tabular}
\end{table}
"""
    )


def test_csv(runs):
    runs.add("base", 16.0, role="baseline")
    runs.add("mse-10", 31.5)
    runs.add("mse-30", weight=30.0, state="failed", epoch=2, error={"message": "loss is NaN", "hint": "-"})
    head = (
        "run,pair,teacher,student,role,loss,weight,temperature,schedule,data,scale,seed,state,mAP,AP50,AP75,AP_S,AP_M,"
        "AP_L,gain,split,batch,init,levels,stat_chunk,training,distill_until,epoch,seconds,images_per_second,peak_memory_mb,teacher_mAP,"
        "baseline,baseline_mAP,smoke,foreign,error,path\n"
    )
    who = "gfl101-fcos50,gfl101,fcos50"
    assert runs.report("--format", "csv").stdout == (
        f"{head}base,{who},baseline,none,,,2x,shapes,tiny,0,done,16.0,36.5,17.0,,15.0,21.0,,val,8,scratch,index,,paper,,6,,,,,"
        f",,,,,{runs.root / 'base'}\n"
        f"mse-10,{who},distill,mse,10,,2x,shapes,tiny,0,done,31.5,52.0,32.5,,30.5,36.5,15.5,val,8,scratch,index,,paper,,6,,,,"
        f"70.26,base,16.0,,,,{runs.root / 'mse-10'}\n"
        f"mse-30,{who},distill,mse,30,,2x,shapes,tiny,0,failed,,,,,,,,val,8,scratch,index,,paper,,2,,,,,base,16.0,"
        f",,loss is NaN,{runs.root / 'mse-30'}\n"
    )


def test_json_has_the_keys_and_numbers_of_the_csv(runs):
    runs.sweep().add("mse-70", weight=70.0, state="queued", epoch=0)
    data = json.loads(runs.report("--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(runs.report("--format", "csv").stdout)))
    assert [tuple(record) for record in data] == [COLUMNS] * 5
    assert [{k: "" if v is None else str(v) for k, v in record.items()} for record in data] == rows
    assert data[2]["mAP"] == 33.26
    assert data[2]["gain"] == 33.26 - 16.04


def test_every_format_agrees_to_the_digit(runs):
    runs.sweep()
    rows = list(csv.DictReader(io.StringIO(runs.report("--format", "csv").stdout)))
    wanted = [[f"{float(row[name]):.1f}" for name in SIX if row[name]] for row in rows]
    for name in ("table", "md", "latex"):
        lines = runs.report("--format", name, "--layout", "table7").stdout.splitlines()
        lines = [line for line in lines if "(student)" in line or "mse, weight" in line]
        found = [re.findall(r"(?<![\w.+-])\d+\.\d(?!\w)", line)[:5] for line in lines]
        assert found == wanted, name


def test_no_runs_yet(runs):
    line = f"No runs in {runs.root} yet. Start with: pkd sweep --loss mse --weights 10,30,50 --scale tiny\n"
    assert runs.report().stdout == line
    runs.root.mkdir()
    assert runs.report().stdout == line
    assert runs.report("--format", "md").stdout == "- " + line
    assert runs.report("--format", "latex").stdout == f"% needs \\usepackage{{booktabs}}\n\n% {line}"
    as_csv = runs.report("--format", "csv")
    assert (as_csv.stdout, as_csv.stderr) == (",".join(COLUMNS) + "\n", line)
    as_json = runs.report("--format", "json")
    assert (as_json.stdout, as_json.stderr) == ("[]\n", line)


def test_one_run(runs):
    runs.add("only", 16.04, role="baseline")
    assert (
        trimmed(runs.report().stdout)
        == """\
shapes val, scale tiny, batch 8, seed 0

 method                schedule   mAP  AP50  AP75  AP_S  AP_M  AP_L  gain
 ────────────────────────────────────────────────────────────────────────
 FCOS-Res50 (student)  2x        16.0  36.5  17.0        15.0  21.0

"""
    )


def test_unfinished_runs_stand_below_the_tables(runs):
    runs.add("base", 16.04, role="baseline")
    error = {"message": "the loss is NaN at iteration 7", "hint": "lower the weight"}
    runs.add("mse-10", state="failed", epoch=2, error=error)
    runs.add("mse-30", weight=30.0, state="queued", epoch=0)
    assert trimmed(runs.report().stdout).splitlines()[-2:] == [
        "failed at epoch 2/6: mse-10: the loss is NaN at iteration 7",
        "queued at epoch 0/6: mse-30",
    ]


def test_runs_without_any_result_are_listed(runs):
    error = {"message": "the loss is NaN at iteration 7", "hint": "lower the weight"}
    runs.add("mse-10", state="failed", epoch=2, error=error)
    runs.add("mse-30", weight=30.0, state="interrupted", epoch=4)
    wanted = """\
2 runs

 run     state        last error                      epoch  mAP  gain
 ─────────────────────────────────────────────────────────────────────
 mse-10  failed       the loss is NaN at iteration 7    2/6
 mse-30  interrupted                                    4/6

"""
    assert trimmed(runs.report().stdout) == wanted
    assert trimmed(runs.report("--layout", "runs").stdout) == wanted


def test_filters(runs):
    runs.sweep().add("pkd", 30.0, loss="pkd")

    def names(*words):
        return [row["run"] for row in csv.DictReader(io.StringIO(runs.report("--format", "csv", *words).stdout))]

    assert names("--loss", "mse") == ["mse-10", "mse-30", "mse-50"]
    assert names("--loss", "mse", "--where", "weight=30") == ["mse-30"]
    assert names("--loss", "pkd", "--loss", "none") == ["base", "pkd"]
    assert names("--pair", "gfl101-fcos50") == ["base", "mse-10", "mse-30", "mse-50", "pkd"]
    # A table keeps the baseline its gains are over.
    rows = [line.split(" |")[0] for line in runs.report("--loss", "pkd", "--format", "md").stdout.splitlines()[4:]]
    assert rows == ["| GFL-Res101 (teacher)", "| FCOS-Res50 (student)", "| pkd, weight 10"]
    nothing = runs.report("--loss", "pkd", "--where", "weight=50")
    assert nothing.stdout == "No run meets all of: loss=pkd, weight=50.\n"


def test_wrong_words_get_the_nearest(runs, tmp_path):
    runs.sweep()
    for words, message, hint in (
        (("--pair", "gfl101-fcos5"), "no run here has pair", "Did you mean 'gfl101-fcos50'?"),
        (("--where", "wight=10"), "unknown column 'wight'", "Did you mean 'weight'?"),
        (("--format", "cvs"), "unknown --format 'cvs'", "Did you mean 'csv'?"),
        (("--layout", "table9"), "unknown --layout 'table9'", "Did you mean 'table"),
        (("--seeds", "means"), "unknown --seeds 'means'", "Did you mean 'mean'?"),
        (("--compare", "mse-1", "mse-40"), "--compare: no run begins with 'mse-40'.", "? `pkd status` lists the runs"),
        (("--compare", "mse", "base"), "--compare: 3 runs begin with 'mse':\n  mse-10\n  mse-30\n  mse-50", "Give"),
        (("--runs", runs.root / "base"), "is itself a run", f"--runs {runs.root}"),
        (("--runs", runs.root / "base" / "status.json"), "is a file", "--runs DIR"),
    ):
        with pytest.raises(PkdError) as caught:
            runs.report(*words)
        assert message in caught.value.message
        assert hint in caught.value.hint
        assert caught.value.code == ExitCode.USAGE


def test_mean_over_seeds(runs):
    for seed, (base, mAP) in enumerate([(16.0, 31.0), (17.0, 33.0), (18.0, 35.0)]):
        runs.add(f"base-{seed}", base, role="baseline", seed=seed)
        runs.add(f"pkd-{seed}", mAP, loss="pkd", seed=seed)
    runs.add("mse-0", 20.0, seed=0)
    assert (
        runs.report("--seeds", "mean", "--format", "md").stdout
        == """\
**shapes val, scale tiny, batch 8, mean ± standard deviation over seeds**

| method | schedule | seeds | mAP | AP50 | AP75 | AP_S | AP_M | AP_L | gain |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| GFL-Res101 (teacher) |  |  | 70.3 | 91.5 | 80.0 |  | 69.0 | 81.2 |  |
| FCOS-Res50 (student) | 2x | 3 | 17.0 ±1.0 | 37.5 ±1.0 | 18.0 ±1.0 |  | 16.0 ±1.0 | 22.0 ±1.0 |  |
| mse, weight 10 | 2x | 1 | 20.0 | 40.5 | 21.0 |  | 19.0 | 25.0 | +4.0 |
| pkd, weight 10 | 2x | 3 | **33.0 ±2.0** | **53.5 ±2.0** | **34.0 ±2.0** |  | **32.0 ±2.0** | **38.0 ±2.0** | +16.0 ±1.0 |
"""  # noqa: E501
    )
    text = runs.report("--seeds", "mean", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    shown = ("loss", "seeds", "n", "mAP", "mAP_std", "gain", "gain_std", "AP_S", "AP_S_std")
    assert [tuple(row[key] for key in shown) for row in rows] == [
        ("none", "0 1 2", "3", "17.0", "1.0", "", "", "", ""),
        ("mse", "0", "1", "20.0", "", "4.0", "", "", ""),
        ("pkd", "0 1 2", "3", "33.0", "2.0", "16.0", "1.0", "", ""),
    ]


def test_the_papers_numbers_stand_beside(runs):
    paper = {"scale": "paper", "data": "coco", "batch": 16}
    runs.add("base", 39.0, role="baseline", **paper)
    runs.add("mse-70", 43.25, weight=70, **paper)
    runs.add("mse-60", 43.0, weight=60, **paper)
    assert (
        runs.report("--paper", "--format", "md", "--layout", "table7").stdout
        == """\
**coco val, scale paper, batch 16, seed 0**

| method | schedule | mAP | AP50 | AP75 | AP_S | AP_M | AP_L | gain | paper | diff |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| GFL-Res101 (teacher) |  | 70.3 | 91.5 | 80.0 |  | 69.0 | 81.2 |  | 44.9 |  |
| FCOS-Res50 (student) | 2x | 39.0 | 59.5 | 40.0 |  | 38.0 | 44.0 |  | 39.1 | -0.1 |
| mse, weight 60 | 2x | 43.0 | 63.5 | 44.0 |  | 42.0 | 48.0 | +4.0 |  |  |
| mse, weight 70 | 2x | **43.2** | **63.8** | **44.2** |  | **42.2** | **48.2** | +4.2 | 43.0 | +0.2 |

- paper appendix, GFL-Res101 2x+ms: the mmdet model zoo reports 44.7.
"""
    )
    (row,) = json.loads(runs.report("--paper", "--format", "json", "--where", "weight=70").stdout)
    assert (row["paper_mAP"], row["paper_difference"], row["paper_source"]) == (43.0, 0.25, "paper appendix")


def test_published_numbers_beside_small_runs_are_marked(runs):
    text = runs.sweep().report("--paper", "--format", "md", "--layout", "table8").stdout
    assert "| GFL-Res101 | FCOS-Res50 | 2x | 16.0 | 10 | 31.5 | +15.5 | 41.5 |  |\n" in text
    assert text.endswith("- Published numbers are COCO val2017's at scale paper; beside other runs they only orient.\n")


def test_compare_two_runs(runs):
    runs.sweep()
    for run, weight, tricks in (("mse-10", 10, True), ("mse-30", 30, False)):
        recipe = f"pair: gfl101-fcos50\nloss: {{name: mse, weight: {weight}}}\nset: {{tricks: {tricks}, lr: 0.01}}\n"
        write_text(runs.root / run / "recipe.yaml", recipe)
    assert (
        trimmed(runs.report("--compare", "mse-1", "mse-30").stdout)
        == """\
A: mse-10, B: mse-30

 metric      A      B  B - A
 ───────────────────────────
 mAP      31.5   33.3   +1.8
 AP50     52.0   53.8   +1.8
 AP75     32.5   34.3   +1.8
 AP_S
 AP_M     30.5   32.3   +1.8
 AP_L     36.5   38.3   +1.8
 gain    +15.5  +17.2   +1.8

Where the recipes differ

 key          A     B
 ────────────────────────
 loss.weight  10    30
 set.tricks   true  false

"""
    )
    rows = json.loads(runs.report("--compare", "mse-10", "mse-30", "--format", "json").stdout)
    assert rows[1] == {"kind": "metric", "key": "mAP", "a": 31.5, "b": 33.26, "difference": 33.26 - 31.5}
    assert [row["key"] for row in rows if row["kind"] == "recipe"] == ["loss.weight", "set.tricks"]


def test_compare_without_recipes_uses_what_the_results_tell(runs):
    rows = json.loads(runs.sweep().report("--compare", "base", "mse-50", "--format", "json").stdout)
    assert {row["key"]: (row["a"], row["b"]) for row in rows if row["kind"] == "recipe"} == {
        **{"role": ("baseline", "distill"), "loss": ("none", "mse"), "weight": (None, 50)},
    }
    same = runs.report("--compare", "mse-10", "mse-10", "--format", "md").stdout
    assert same.endswith("\n\n- The recipes do not differ.\n")


@pytest.mark.parametrize(("name", "format"), [("r.csv", "csv"), ("r.md", "md"), ("r.tex", "latex"), ("r.json", "json")])
def test_output_is_the_same_text_in_the_format_of_its_ending(runs, tmp_path, name, format):
    runs.sweep()
    path = tmp_path / "new" / name
    result = runs.report("--output", path)
    assert (result.stdout, result.stderr) == ("", f"Wrote {path}\n")
    assert path.read_text(encoding="utf-8") == runs.report("--format", format).stdout
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_output_of_the_terminals_table(runs, tmp_path):
    runs.sweep().report("-o", tmp_path / "r.txt")
    assert trimmed((tmp_path / "r.txt").read_text(encoding="utf-8")) == TABLE


def test_a_narrow_terminal_cuts_nothing(runs, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    narrow = runs.sweep().report("--layout", "table7").stdout.replace("─", "")
    assert sorted(narrow.split()) == sorted(TABLE.split("mse: mAP")[0].replace("─", "").split())


def test_titles_with_markup_are_shown_as_they_are(runs):
    runs.add("x", 30.0, teacher_title="[red]A|B_C[/red]")
    assert "[red]A|B_C[/red] (teacher)" in runs.report().stdout
    assert "| [red]A\\|B_C[/red] (teacher) |" in runs.report("--format", "md").stdout
    assert r"[red]A\textbar{}B\_C[/red] (teacher)" in runs.report("--format", "latex").stdout


def test_broken_and_foreign_folders_break_nothing(runs):
    runs.sweep()
    write_text(runs.root / "half" / "result.json", '{"metrics": {"mAP": 3')
    write_text(runs.root / "photos" / "readme.txt", "mine")
    write_json(runs.root / "foreign" / "status.json", {"ok": True})
    result = runs.report()
    assert trimmed(result.stdout) == TABLE + "unknown: foreign\nunknown: half\n"
    assert result.stderr.startswith(f"warning: can't read {runs.root / 'half' / 'result.json'}: ")
    assert result.stderr.count("\n") == 1


def test_three_hundred_runs(runs):
    for seed in range(60):
        runs.add(f"base-{seed:02}", 16.0, role="baseline", seed=seed)
        for weight in (5, 10, 20, 40):
            runs.add(f"mse-{weight:02}-{seed:02}", 16.0 + weight / 10, weight=weight, seed=seed)
    rows = list(csv.DictReader(io.StringIO(runs.report("--format", "csv").stdout)))
    assert len(rows) == 300
    order = [(row["loss"], float(row["weight"] or 0), int(row["seed"])) for row in rows]
    assert order == sorted(order, key=lambda row: (row[0] != "none", *row[1:]))
    assert {(row["weight"], row["gain"]) for row in rows if row["gain"]} == {
        *(("5", "0.5"), ("10", "1.0"), ("20", "2.0"), ("40", "4.0"))
    }
    table = runs.report("--layout", "table7").stdout
    assert table.count("mse, weight") == 240
    assert "…" not in table
    means = runs.report("--seeds", "mean", "--format", "md", "--layout", "table8").stdout
    assert [line.split(" | ")[4:7] for line in means.splitlines() if line.startswith("| GFL")] == [
        *(["5", "16.5 ±0.0", "+0.5 ±0.0 |"], ["10", "17.0 ±0.0", "+1.0 ±0.0 |"]),
        *(["20", "18.0 ±0.0", "+2.0 ±0.0 |"], ["40", "**20.0 ±0.0**", "+4.0 ±0.0 |"]),
    ]


def test_a_pipe_is_wide_enough_for_long_names(runs):
    name = "reppointsx101-reppoints50__norm-kl-w10-t50__2x+ms__my-own-photographs-tiny__s0-1a2b3c4d"
    runs.add(name, 30.0)
    script = f"import typer; from pkdcli.cli.look.report import command as report; typer.run(report)  # {name}"
    words = ["--runs", str(runs.root), "--layout", "runs"]
    env = {"NO_COLOR": "1", "PATH": "", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", script, *words], env=env, capture_output=True, check=True)
    assert f" {name}  done " in done.stdout.decode("utf-8")


def test_the_report_needs_neither_torch_nor_mmengine_nor_pandas(runs):
    script = (
        "import sys, typer; from pkdcli.cli.look.report import command as report\n"
        "try: typer.run(report)\n"
        "finally: print([m for m in ('torch', 'mmengine', 'mmdet', 'pandas', 'numpy') if m in sys.modules])\n"
    )
    words = ["--runs", str(runs.sweep().root), "--format", "json"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, check=True, text=True)
    assert done.stdout.endswith("]\n[]\n")


# Groups and the best of them


def names_of(runs, *words):
    return [row["run"] for row in csv.DictReader(io.StringIO(runs.report("--format", "csv", *words).stdout))]


def test_the_best_of_each_group(runs):
    runs.sweep().add("pkd-6", 33.0, loss="pkd", weight=6.0)
    runs.add("pkd-10", 34.0, loss="pkd")
    runs.add("pkd-20", loss="pkd", weight=20.0, state="failed", error="no")
    runs.add("mse-1x", 20.0, schedule="1x")
    assert names_of(runs, "--best") == ["mse-1x", "base", "mse-30", "pkd-10"]
    assert names_of(runs, "--best", "--group-by", "schedule") == ["mse-1x", "pkd-10"]
    assert names_of(runs, "--best", "--group-by", "pair") == ["pkd-10"]
    # In tables the baseline of what is shown stays beside it.
    md = runs.report("--best", "--format", "md", "--where", "schedule=2x").stdout
    rows = [line.split(" |")[0] for line in md.splitlines() if line.startswith("| ")]
    assert rows[2:] == [
        *("| GFL-Res101 (teacher)", "| FCOS-Res50 (student)", "| mse, weight 30", "| pkd, weight 10"),
    ]
    assert md.splitlines()[-1] == "- failed at epoch 6/6: pkd-20: no"


def test_runs_of_one_printed_mAP_are_both_the_best(runs):
    runs.add("a", 30.04)
    runs.add("b", 30.01, weight=30.0)
    assert names_of(runs, "--best") == ["a", "b"]


def test_the_best_mean(runs):
    for seed, (low, high) in enumerate([(30.0, 29.0), (31.0, 33.0)]):
        runs.add(f"mse-10-{seed}", low, seed=seed)
        runs.add(f"mse-30-{seed}", high, weight=30.0, seed=seed)
    rows = list(csv.DictReader(io.StringIO(runs.report("--seeds", "mean", "--best", "--format", "csv").stdout)))
    assert [(row["weight"], row["seeds"], row["mAP"]) for row in rows] == [("30", "0 1", "31.0")]


def test_a_smoke_run_is_never_the_best_beside_a_whole_one(runs):
    runs.add("whole", 20.0)
    runs.add("smoke", 90.0, weight=30.0, max_iters=2, val_images=8)
    assert names_of(runs, "--best") == ["whole"]


def test_smoke_runs_are_counted_and_shown_when_asked_for(runs):
    runs.add("whole", 20.0)
    for name, weight in (("cut", 30.0), ("short", 50.0)):
        runs.add(name, 90.0, weight=weight, max_iters=2, val_images=8)
    for layout in ("auto", "runs"):
        said = runs.report("--format", "md", "--layout", layout).stdout
        assert said.splitlines()[-1] == "- 2 smoke runs hidden: --all"
        assert "90.0" not in said
        for asked in (("--all",), ("--where", "smoke=2 steps, 8 images")):
            everything = runs.report("--format", "md", "--layout", layout, *asked).stdout
            assert "2 steps, 8 images" in everything
            assert "90.0" in everything
            assert "hidden" not in everything
    # Data have the column `smoke`, and all rows.
    assert names_of(runs) == ["whole", "cut", "short"]
    # Where there is nothing else, they are what there is to see.
    assert "90.0" in runs.report("--format", "md", "--where", "weight=30").stdout


def test_groups_are_tables_of_their_own(runs):
    runs.sweep().add("mse-1x", 20.0, schedule="1x")
    text = runs.report("--group-by", "schedule,weight", "--format", "md", "--layout", "table7").stdout
    assert re.findall(r"^\*\*(.*?): ", text, re.MULTILINE) == [
        *("schedule 1x, weight 10", "schedule 2x, no weight", "schedule 2x, weight 10", "schedule 2x, weight 30"),
        "schedule 2x, weight 50",
    ]
    # A group keeps the baseline its gains are over.
    assert text.count("| FCOS-Res50 (student) | 2x |") == 4
    ordered = [row["weight"] for row in json.loads(runs.report("--group-by", "weight", "--format", "json").stdout)]
    assert ordered == [10, 10, None, 30, 50]
    with pytest.raises(PkdError) as caught:
        runs.report("--group-by", "shedule")
    assert "unknown column 'shedule'" in caught.value.message
    assert "Did you mean 'schedule'?" in caught.value.hint


# Every number of every format


def cells_of_markdown(text):
    rows = [line[2:-2].split(" | ") for line in text.replace("|  |", "| |").splitlines() if line.startswith("| ")]
    rows = [
        [re.sub(r"\\(.)", r"\1", cell.strip(" |")) for cell in row] for row in rows if not set(row[0]) <= set("-: ")
    ]
    return [[cell.strip("*") for cell in row if cell] for row in rows], [
        [cell.strip("*") for cell in row if cell.startswith("**")] for row in rows
    ]


def cells_of_latex(text):
    rows = [line[:-3].split(" & ") for line in text.splitlines() if line.endswith(r" \\")]
    bold = [[cell[8:-1] for cell in row if cell.startswith(r"\textbf{")] for row in rows]
    rows = [[cell[8:-1] if cell.startswith(r"\textbf{") else cell for cell in row] for row in rows]

    def plain(row):
        row = [re.sub(r"\\([_%&#$])", r"\1", cell.replace(r" $\pm$ ", " ±")).strip() for cell in row]
        return [cell for cell in row if cell]

    return [plain(row) for row in rows], [plain(row) for row in bold]


def words_of_terminal(text):
    return [line.split() for line in text.splitlines() if line.startswith(" ") and not set(line.strip()) <= {"─"}]


WAYS = [
    (),
    ("--layout", "table7"),
    ("--layout", "table8"),
    ("--layout", "runs"),
    ("--seeds", "mean"),
    ("--paper",),
    ("--paper", "--seeds", "mean"),
    ("--best",),
    ("--best", "--seeds", "mean"),
    ("--group-by", "loss"),
    ("--group-by", "loss,weight", "--seeds", "mean", "--paper"),
    ("--loss", "mse", "--where", "weight=30"),
]


@pytest.mark.parametrize("words", WAYS, ids=" ".join)
def test_all_formats_agree_number_by_number(runs, monkeypatch, words):
    monkeypatch.setenv("COLUMNS", "300")
    for seed, shift in ((0, 0.0), (1, 0.35), (2, -1.25)):
        runs.add(f"base-{seed}", 16.04 + shift, role="baseline", seed=seed)
        for weight in (10, 30, 50):
            runs.add(f"mse-{weight}-{seed}", 31.449 + weight / 7 - shift, weight=float(weight), seed=seed)
        runs.add(f"pkd-{seed}", 40.05 + shift / 3, loss="pkd", seed=seed)
    runs.add("broken", loss="pkd", seed=3, state="failed", epoch=1, error="the loss is NaN at step 3")
    md, bold_md = cells_of_markdown(runs.report("--format", "md", *words).stdout)
    latex, bold_latex = cells_of_latex(runs.report("--format", "latex", *words).stdout)
    assert len(md) > 1
    assert md == latex
    assert bold_md == bold_latex
    terminal = words_of_terminal(runs.report("--format", "table", *words).stdout)
    assert terminal == [" ".join(row).split() for row in md]

    data = [word for word in words if word not in ("--layout", "table7", "table8", "runs")]
    rows = list(csv.DictReader(io.StringIO(runs.report("--format", "csv", *data).stdout)))
    objects = json.loads(runs.report("--format", "json", *data).stdout)
    assert [{k: "" if v is None else str(v) for k, v in one.items()} for one in objects] == rows

    def shown(row, name, sign=""):
        std = row.get(f"{name}_std")
        return f"{float(row[name]):{sign}.1f}" + (f" ±{float(std):.1f}" if std else "")

    # Every row of csv stands in the tables with the numbers it has; those of a run's kind in the order of its columns.
    for row in rows:
        if not row["mAP"]:
            assert row["run"] == "broken"
            continue
        parts = [shown(row, name) for name in SIX if row[name]] + ([shown(row, "gain", "+")] if row["gain"] else [])
        if words[:2] == ("--layout", "table8"):
            parts = None if row["role"] == "baseline" else [row["weight"], shown(row, "mAP"), shown(row, "gain", "+")]
        elif words[:2] == ("--layout", "runs"):
            parts = [row["run"], "done", "6", shown(row, "mAP"), *([shown(row, "gain", "+")] if row["gain"] else [])]
        if parts and row.get("paper_mAP") and "--paper" in words:
            parts.append(f"{float(row['paper_mAP']):.1f}")
        assert parts is None or any(holds(cells, parts) for cells in md), (parts, md)


def holds(cells, parts):
    """Whether some cells hold others, side by side."""
    return any(cells[n : n + len(parts)] == parts for n in range(len(cells)))


def test_comparisons_agree_in_every_format(runs, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    runs.sweep()
    words = ("--compare", "mse-10", "base")
    md, _ = cells_of_markdown(runs.report("--format", "md", *words).stdout)
    latex, _ = cells_of_latex(runs.report("--format", "latex", *words).stdout)
    assert md == latex
    assert words_of_terminal(runs.report(*words).stdout) == [" ".join(row).split() for row in md]
    rows = list(csv.DictReader(io.StringIO(runs.report("--format", "csv", *words).stdout)))
    numbers = [[row["key"], *(f"{float(row[k]):.1f}" for k in ("a", "b")), f"{float(row['difference']):+.1f}"]
               for row in rows if row["kind"] == "metric" and row["difference"]]  # fmt: skip
    assert len(numbers) == 5
    assert all(row in md for row in numbers)
