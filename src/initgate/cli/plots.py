"""Draws what ``initgate calibrate`` found, with Matplotlib, which is an extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from initgate.calibration import Estimate
from initgate.errors import ConfigError, SourceUnavailable

_SUFFIXES = (".svg", ".png")
_LEAST = 1e-16  # shares below are not drawn


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """What is drawn over the thresholds from 0 on.

    Args:
        title: Of the plot.
        counted: Shares of pairs within each threshold.
        drawn: The same of the benign reference, if it was compared.
        estimated: The same, estimated, if it could be.
        recall: The share recognised at each threshold, by edit.
        wished: The share of pairs that the wished rate allows.
        marks: Thresholds to mark, by what they are.
    """

    title: str
    counted: Sequence[float]
    drawn: Sequence[float]
    estimated: Estimate | None
    recall: Mapping[str, Sequence[float]]
    wished: float
    marks: Mapping[str, int]


def check(out: Path) -> None:
    """Tells what would keep a plot from being drawn, before any work.

    Raises:
        ConfigError: Of the suffix, or because Matplotlib is missing.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"--out {out}: the suffix must be one of: {', '.join(_SUFFIXES)}")
    _figure()


def draw(curves: Curves, out: Path) -> None:
    """Writes the plot, SVG or PNG by the suffix.

    Raises:
        SourceUnavailable: It cannot be written.
    """
    figure = _figure()(figsize=(9, 8 if curves.recall else 5), layout="constrained")
    axes = figure.subplots(2 if curves.recall else 1, 1, sharex=True, squeeze=False)[:, 0]
    _draw_shares(axes[0], curves)
    if curves.recall:
        _draw_recall(axes[1], curves.recall)
    for one in axes:
        for style, (name, threshold) in zip((":", "--", "-."), curves.marks.items(), strict=False):
            one.axvline(threshold, color="0.3", linestyle=style, label=f"{name}: {threshold}")
        one.legend(fontsize="small")
        one.grid(alpha=0.3)
    axes[-1].set_xlabel("threshold in bits")
    try:
        figure.savefig(out)
    except OSError as error:
        raise SourceUnavailable(f"{out}: {error.strerror or error}") from error


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  # heavy, and an extra
    except ImportError as error:
        raise ConfigError(f"--out needs {error.name}: pip install 'initgate[plot]'") from error
    return Figure


def _draw_shares(axes: Any, curves: Curves) -> None:
    axes.set_title(curves.title)
    axes.set_yscale("log")
    axes.set_ylabel("share of pairs within the threshold")
    places = range(len(curves.counted))
    axes.step(places, _shown(curves.counted), where="post", label="your pictures, counted")
    if curves.drawn:
        axes.step(places, _shown(curves.drawn), where="post", label="drawn pictures, counted")
    if curves.estimated is not None:
        until = curves.estimated.nearest + 1
        rates = curves.estimated.rates[:until]
        axes.plot(places[:until], _shown([one.value for one in rates]), label="estimated")
        low, high = ([max(_LEAST, one) for one in side] for side in _ends(curves.estimated, until))
        axes.fill_between(places[:until], low, high, alpha=0.2)
    axes.axhline(curves.wished, color="0.6", label="the wished rate")
    axes.set_ylim(bottom=_LEAST)


def _ends(estimated: Estimate, until: int) -> tuple[list[float], list[float]]:
    rates = estimated.rates[:until]
    return [one.low for one in rates], [one.high for one in rates]


def _draw_recall(axes: Any, recall: Mapping[str, Sequence[float]]) -> None:
    axes.set_ylabel("share recognised")
    for name, shares in recall.items():
        axes.plot(range(len(shares)), shares, label=name)


def _shown(shares: Sequence[float]) -> list[float]:
    """A logarithm has no zero: what is none is a gap."""
    return [one if one > 0 else float("nan") for one in shares]
