"""Plots for materialisations: numbers in, PNG bytes out."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from phoenix_assets.histogram import Histogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH: Final = 7.2
_DPI: Final = 90
_BLUE: Final = "#3b6fb6"
_RED: Final = "#c0392b"
_LAYERS: Final = (_BLUE, "#d98880", "#e67e22", "#27ae60")


def _axes(title: str, height: float) -> "tuple[Figure, Axes]":
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    # Over the whole picture: long names on the left would cut off the title of the axes.
    figure.suptitle(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def bars(values: Mapping[str, float], *, title: str, unit: str) -> bytes:
    """Draw one horizontal bar a name, the first on top, each with its value."""
    figure, axes = _axes(title, 0.9 + 0.32 * max(1, len(values)))
    names = list(values)[::-1]
    drawn = axes.barh(names, [values[name] for name in names], color=_BLUE)
    axes.bar_label(drawn, fmt=lambda value: f"{value:,.4g}" if value < 10 else f"{value:,.0f}", padding=3)
    axes.margins(x=0.15)
    axes.set_xlabel(unit)
    return _png(figure)


def histograms(panels: Mapping[str, Histogram], thresholds: Mapping[str, float], *, title: str) -> bytes:
    """Draw one histogram a panel, its threshold (if any) as a red line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    columns = 3
    rows = -(-max(1, len(panels)) // columns)
    height = 1.9 * rows
    figure = Figure(figsize=(_WIDTH * 1.25, height), dpi=_DPI)
    # Margins in inches: to fit them to the labels would take as long as to draw them.
    figure.subplots_adjust(left=0.05, right=0.99, bottom=0.25 / height, top=1 - 0.5 / height, hspace=0.45)
    figure.suptitle(title, fontsize=10)
    for place, (name, panel) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.stairs(panel.counts, panel.edges, fill=True, color=_BLUE)
        axes.set_title(name, fontsize=7)
        axes.tick_params(labelsize=6)
        axes.set_yscale("symlog")
        if name in thresholds:
            axes.axvline(thresholds[name], color=_RED, linewidth=1)
    return _png(figure)


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, title: str, x: str, y: str
) -> bytes:
    """Draw each named (xs, ys) series as a line with points where it is short."""
    figure, axes = _axes(title, 2.8)
    for name, (xs, ys) in series.items():
        axes.plot(xs, ys, label=name, marker="o" if len(xs) <= 20 else "", linewidth=1.4, markersize=4)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if len(series) > 1:
        axes.legend(fontsize=8)
    return _png(figure)


@dataclass(frozen=True)
class Distribution:
    """What `distributions` draws in one panel: documents a bin in stacked layers, and values marked by a line."""

    name: str
    edges: Sequence[float]  # one more than there are bins
    layers: Mapping[str, Sequence[float]]  # at most four
    bounds: Mapping[str, float]  # in force
    tried: Mapping[str, float]  # instead of them
    log: bool = False


def distributions(panels: Sequence[Distribution], *, title: str, x: str) -> bytes:
    """Draw one distribution a panel, one below the other on the same axis, with the share of documents up to a value."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH * 1.15, 1.0 + 2.3 * len(panels)), dpi=_DPI * 1.3, layout="constrained")
    figure.suptitle(title, fontsize=10)
    for axes, panel in zip(figure.subplots(len(panels), 1, squeeze=False).flat, panels, strict=True):
        _distribution(axes, panel)
    axes.set_xlabel(x, fontsize=8)
    return _png(figure)


def _distribution(axes: "Axes", panel: Distribution) -> None:
    from matplotlib.ticker import PercentFormatter

    below = [0.0] * (len(panel.edges) - 1)
    for colour, (name, counts) in zip(_LAYERS, panel.layers.items(), strict=False):
        above = [low + count for low, count in zip(below, counts, strict=True)]
        if sum(counts):
            label = f"{name}: {sum(counts):,.0f}"
            axes.stairs(above, panel.edges, baseline=below, fill=True, color=colour, label=label)
        below = above
    for marks, colour, style in ((panel.bounds, _RED, "-"), (panel.tried, "black", "--")):
        for label, value in marks.items():
            axes.axvline(value, color=colour, linestyle=style, label=label)
    total = sum(below) or 1.0
    reached = [sum(below[: place + 1]) / total for place in range(len(below))]
    share = axes.twinx()
    share.plot(panel.edges[1:], reached, color="#555555", linewidth=0.9, alpha=0.8)
    share.set_ylim(0, 1.02)
    share.yaxis.set_major_formatter(PercentFormatter(1.0))
    share.set_ylabel("share up to the value", fontsize=7)
    axes.set_ylabel("documents", fontsize=8)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, max([1.0, *below]) * 2)
    if panel.log:
        axes.set_xscale("log")
    axes.set_xlim(panel.edges[0], panel.edges[-1])
    axes.set_title(panel.name, fontsize=9, loc="left")
    for one in (axes, share):
        one.tick_params(labelsize=7)
        one.spines[["top"]].set_visible(False)
    axes.legend(
        fontsize=7, loc="lower right", bbox_to_anchor=(1, 1), ncols=6, frameon=False, borderaxespad=0.2
    )
