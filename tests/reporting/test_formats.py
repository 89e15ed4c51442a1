"""Each format of one small table, whole."""

from __future__ import annotations

import io
import json

from rich.console import Console

from pkdcli.reporting.formats import to_csv, to_json, to_latex, to_markdown, to_rich
from pkdcli.reporting.table import Table

TABLE = Table(
    title="a_b | 50% & more",
    columns=["method", "AP_S", "gain"],
    words=1,
    sections=[[["GFL~Res (teacher)", "70.0", ""]], [["<x> ^ [red]\\", "41.5 ±0.3", "+2.0"], ["*`{#$}", "9.9", "0.0"]]],
    bold={(1, 0, 1)},
    notes=["one | note"],
)


def test_markdown():
    assert to_markdown([TABLE, TABLE], ["last\nnote"]) == (
        """\
**a_b \\| 50% & more**

| method | AP_S | gain |
| --- | ---: | ---: |
| GFL~Res (teacher) | 70.0 |  |
| \\<x\\> ^ [red]\\\\ | **41.5 ±0.3** | +2.0 |
| \\*\\`{#$} | 9.9 | 0.0 |

- one \\| note

"""
        * 2
        + "- last note\n"
    )


def test_latex():
    assert to_latex([TABLE], ["last\nnote"]) == (
        r"""% needs \usepackage{booktabs}

\begin{table}
\centering
\caption{a\_b \textbar{} 50\% \& more}
\begin{tabular}{lrr}
\toprule
method & AP\_S & gain \\
\midrule
GFL\textasciitilde{}Res (teacher) & 70.0 &  \\
\midrule
\textless{}x\textgreater{} \textasciicircum{} [red]\textbackslash{} & \textbf{41.5 $\pm$ 0.3} & +2.0 \\
*`\{\#\$\} & 9.9 & 0.0 \\
\bottomrule
\end{tabular}
\end{table}
% one | note

% last note
"""
    )


def printed(width):
    out = io.StringIO()
    Console(file=out, width=width).print(to_rich(TABLE), crop=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_the_terminal():
    assert (
        printed(80)
        == """\

 method                  AP_S  gain
 ──────────────────────────────────
 GFL~Res (teacher)       70.0

 <x> ^ [red]\\       41.5 ±0.3  +2.0
 *`{#$}                   9.9   0.0
"""
    )


def test_a_narrow_terminal_breaks_words_and_cuts_no_number():
    assert (
        printed(20)
        == """\

 method      AP_S  gain
 ──────────────────────
 GFL~Res     70.0
 (teacher)

 <x> ^       41.5  +2.0
 [red]\\      ±0.3
 *`{#$}       9.9   0.0
"""
    )


RECORDS = [
    {"run": 'a,"b"', "weight": 10.0, "mAP": 41.123456789012345, "paper_mAP": [40.4, 40.3], "error": None},
    {"run": "ü", "weight": 0.5, "mAP": 40.0, "paper_mAP": 40.4, "more": 1},
]


def test_csv():
    assert to_csv(RECORDS, ("run", "weight", "mAP", "paper_mAP", "error")) == (
        'run,weight,mAP,paper_mAP,error\n"a,""b""",10,41.123456789012344,40.4 / 40.3,\nü,0.5,40.0,40.4,\n'
    )
    assert to_csv([], ("run", "mAP")) == "run,mAP\n"


def test_json():
    text = to_json(RECORDS, ("run", "weight", "mAP", "paper_mAP", "error"))
    assert json.loads(text) == [
        {"run": 'a,"b"', "weight": 10, "mAP": 41.123456789012345, "paper_mAP": [40.4, 40.3], "error": None},
        {"run": "ü", "weight": 0.5, "mAP": 40.0, "paper_mAP": 40.4, "error": None},
    ]
    assert '"weight": 10,' in text
    assert "ü" in text
    assert to_json([], ("run",)) == "[]\n"
