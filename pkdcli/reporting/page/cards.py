"""The cards on top of the page: of each pair the teacher, the baseline and the best of each loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pkdcli.reporting.plots.groups import best_of_each_loss, groups_of, over_seeds
from pkdcli.reporting.table import points, signed
from pkdcli.runs.record import Record


def cards(records: Sequence[Record], everything: Sequence[Record]) -> list[dict[str, Any]]:
    """By pair, schedule and data: the teacher, the baseline, and the best of each loss over its seeds.

    Args:
        records: The runs to show.
        everything: All runs: the baselines are among them.
    """
    found = []
    for group in groups_of(records, everything):
        # A teacher's number stands in each of its runs: it counts once.
        teachers = {record["teacher_mAP"]: record for record in group.runs}.values()
        rows = [("teacher", "", *over_seeds(teachers, "teacher_mAP"), None, 7)]
        rows.append(("baseline", "", *over_seeds(group.baselines, "mAP"), None, 6))
        for name, members in best_of_each_loss(group.runs, 4):
            seeds = f"mean of {len(members)} seeds" if len(members) > 1 else ""
            gain = over_seeds(members, "gain")[0] if all(one["gain"] is not None for one in members) else None
            rows.append((name, seeds, *over_seeds(members, "mAP"), gain, 0))
        most = max(mean for _, _, mean, *_ in rows if mean is not None)
        shown = [
            {
                "name": name,
                "note": note,
                "text": points(mean, std),
                "gain": signed(gain),
                "width": round(100 * mean / most, 1) if most else 0,
                "place": place,
            }
            for name, note, mean, std, gain, place in rows
            if mean is not None
        ]
        pair, schedule, data = group.key
        found.append(
            {"title": group.title, "rows": shown, "pair": pair or "", "schedule": schedule or "", "data": data or ""}
        )
    return found
