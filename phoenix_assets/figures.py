"""Plots for materialisations: numbers in, PNG bytes out."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH: Final = 7.2
_DPI: Final = 90
_BLUE: Final = "#3b6fb6"
_RED: Final = "#c0392b"


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


def histograms(
    panels: Mapping[str, Sequence[float]], thresholds: Mapping[str, float], *, title: str
) -> bytes:
    """Draw one histogram a panel, its threshold (if any) as a red line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    columns = 3
    rows = -(-max(1, len(panels)) // columns)
    figure = Figure(figsize=(_WIDTH * 1.25, 1.9 * rows), dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=10)
    for axes, (name, values) in zip(
        figure.subplots(rows, columns, squeeze=False).flat, panels.items(), strict=False
    ):
        axes.hist(values, bins=50, color=_BLUE, histtype="stepfilled")
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
