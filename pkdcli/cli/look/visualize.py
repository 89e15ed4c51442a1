"""`pkd visualize`: Figures 4 to 8 of the paper's appendix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pkdcli.api.options import VisualizeOptions
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions

if TYPE_CHECKING:
    from pkdcli.api.visualize.plan import FigurePlan
    from pkdcli.api.visualize.visualize import DrawnFigure


@spread
def command(options: VisualizeOptions, output: Annotated[OutputOptions, Only("json", "quiet")]) -> None:
    """Draw Figures 4 to 8 of the paper from the real features of detectors: a teacher, its student before distillation.

    4: activation patterns and distribution of P3. 5: dominant stages, P3 to P6. 6: noise off the objects, and dominant
    channels. 7: dominant channels. 8: patterns and distributions, P3 to P6. Each of the paper's own pair unless --pair
    or a run says another. Beside the pictures: the numbers as CSV, and a caption.

    [bold]Examples[/bold]

      pkd visualize --pair gfl101-fcos50 --scale tiny

      pkd visualize --figure 4 --pair gfl101-fcos50 --scale tiny --image street.jpg --reduce norm

      pkd visualize --figure 5,8 --distilled gfl101-fcos50__pkd

      pkd visualize --figure 6 --teacher zoo --student faster.pth --image street.jpg --format pdf
    """
    from pkdcli.api.visualize.visualize import visualize
    from pkdcli.cli.progress.choose import watcher

    shown: list[DrawnFigure] = []

    def show(figure: DrawnFigure) -> None:
        first = not shown or shown[-1].features is not figure.features  # of its pair
        _show(figure, output, first)
        shown.append(figure)

    watch = watcher(json=output.json, quiet=output.quiet)
    found = visualize(options, on_figure=show, watcher=watch)
    if options.dry_run:
        for one in found.plans:
            _show_plan(one, options, output.json)


def _show(figure: DrawnFigure, output: OutputOptions, first: bool) -> None:
    """What was drawn; of the first figure of a pair also what was measured."""
    import json

    from pkdcli.cli.console import tell

    if output.json:
        print(json.dumps(figure.record()))
    elif output.quiet:
        print("\n".join(map(str, figure.pictures)))
    else:
        if first:
            from pkdcli.reporting.formats import print_rich
            from pkdcli.reporting.paper_figures.numbers import overview

            print_rich([overview(figure.features)], [])
        more = f", {len(figure.files) - 1} more files beside" if len(figure.files) > 1 else ""
        tell(f"Wrote {figure.files[0]}{more}")


def _show_plan(one: FigurePlan, options: VisualizeOptions, as_json: bool) -> None:
    """What would be measured and drawn."""
    import json

    from pkdcli.api.visualize.visualize import planned

    content = planned(one, options.formats)
    if as_json:
        print(json.dumps(content))
        return
    print(f"pair {content['pair']}: figure {', '.join(map(str, content['figures']))}")
    for source in one.shown:
        print(f"  {source.key}: {source.title}, {source.source}")
    later = f"{options.count} of the val split of {one.recipe.data.name}, which is not there yet"
    for path in content["images"] or [later]:
        print(f"  image: {path}")
    for path in content["files"]:
        print(f"  would write: {path}")
