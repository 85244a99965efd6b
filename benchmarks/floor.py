"""The floor of one configuration: what ATC's formulas order at a bar, at what this machine does at best."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from measuring import Table, in_turns
from numba import njit

from atc_plugin import AtcParams
from atc_plugin.law.simd import splat8, store

MODES = ("sma", "hull")


@dataclasses.dataclass(frozen=True)
class Stage:
    """What docs/law.md orders at one bar, the published defaults assumed.

    `plain` operations count one each: add, subtract, multiply, compare, choose, absolute value, sign, floor. `waits`
    is the number of operations on the shortest way from a state at one bar to the same state at the next.
    """

    name: str
    plain: int
    divisions: int
    waits: int


def stages(mode: str) -> list[Stage]:
    """The stages in the order in which one bar passes through them."""
    lengths = AtcParams().lengths("EMA")
    nine, types = len(lengths), 6
    # Window sums that start at one bar (RSUM's: that end there) are one chain that all nine lengths share.
    steps = max(lengths)
    halves = len({length // 2 for length in lengths})
    outer = sum(int(length**0.5) for length in lengths)
    rsum = 8 + 4 + 3  # the compensated sum, whether it fires, what is chosen then
    equity = 3 + 2  # (E * d) * (1 + a), then the least value
    round2 = 6
    return [
        Stage("WMA and LSMA", 3 * steps + nine * 8, nine + nine * 3, 0),
        Stage("HMA, hull", nine * 2 + outer * 2, halves + nine, 0)
        if mode == "hull"
        else Stage("HMA, sma", steps + nine * rsum, nine, 9),
        Stage("EMA", nine * 3, 0, 3),
        Stage("DEMA", nine * (3 + 3 + 2), 0, 3),
        Stage("KAMA", 2 + steps + nine * (rsum + 4 + 3 + 3), nine, 9),
        Stage("growth-weighted return", 2, 1, 0),
        Stage("54 trend states and equities", types * nine * (3 + 1 + equity), 0, 4),
        Stage("six layer-1 signals", types * (nine + 2 * (nine - 1) + round2), types, 0),
        Stage("six layer-2 equities", types * (5 + equity), 0, 4),
        Stage("average and direction", types * 7 + 8, 1, 2),
    ]


@njit
def _six_a_round(rounds, step, factor, out):  # 6 independent vectors fit into 16 registers of 4 lanes
    a, b, c = splat8(1.0), splat8(1.1), splat8(1.2)
    p, q, r = splat8(1.0), splat8(1.1), splat8(1.2)
    for _ in range(rounds):
        a, b, c = a + step, b + step, c + step
        p, q, r = p * factor, q * factor, r * factor
    store(out, 0, a + b + c + p + q + r)


@njit
def _twenty_a_round(rounds, step, factor, out):  # 20 into 32 registers of 8
    a, b, c, d, e = splat8(1.0), splat8(1.1), splat8(1.2), splat8(1.3), splat8(1.4)
    f, g, h, i, j = splat8(1.5), splat8(1.6), splat8(1.7), splat8(1.8), splat8(1.9)
    k, m, n, o, p = splat8(1.0), splat8(1.1), splat8(1.2), splat8(1.3), splat8(1.4)
    q, r, s, t, u = splat8(1.5), splat8(1.6), splat8(1.7), splat8(1.8), splat8(1.9)
    for _ in range(rounds):
        a, b, c, d, e = a + step, b + step, c + step, d + step, e + step
        k, m, n, o, p = k * factor, m * factor, n * factor, o * factor, p * factor
        f, g, h, i, j = f + step, g + step, h + step, i + step, j + step
        q, r, s, t, u = q * factor, r * factor, s * factor, t * factor, u * factor
    store(out, 0, (a + b + c + d + e) + (f + g + h + i + j) + (k + m + n + o + p) + (q + r + s + t + u))


@njit
def _six_divisions_a_round(rounds, step, factor, out):
    a, b, c = splat8(1.0), splat8(1.1), splat8(1.2)
    p, q, r = splat8(1.0), splat8(1.1), splat8(1.2)
    for _ in range(rounds):
        a, b, c = a / factor, b / factor, c / factor
        p, q, r = p / factor, q / factor, r / factor
    store(out, 0, a + b + c + p + q + r)


@njit
def _two_in_a_row_a_round(rounds, step, factor, out):
    a = splat8(1.0)
    for _ in range(rounds):
        a = (a + step) * factor
    store(out, 0, a)


def machine_speed() -> dict[str, float]:
    """ns of one operation a lane at the machine's best, of one division, and of waiting for one result."""
    out = np.zeros(8)
    rounds = 100_000
    kernels = (
        (_six_a_round, 6 * 8),
        (_twenty_a_round, 20 * 8),
        (_six_divisions_a_round, 6 * 8),
        (_two_in_a_row_a_round, 2),
    )
    tasks = [lambda k=kernel: k(rounds, 1e-9, 1.0000001, out) for kernel, _ in kernels]
    best = [
        min(seconds) / rounds / operations * 1e9
        for seconds, (_, operations) in zip(in_turns(50, *tasks), kernels, strict=True)
    ]
    return {"plain_ns": min(best[:2]), "division_ns": best[2], "wait_ns": best[3]}


def floor_table(columns: dict[str, Any]) -> tuple[Table, dict[str, Any]]:
    """The time no arrangement of one stage after another can beat, and how far `atc` is from it."""
    speed = machine_speed()
    figures: dict[str, Any] = {"speed": speed}

    def least(stage: Stage) -> float:
        work = max(stage.plain * speed["plain_ns"], stage.divisions * speed["division_ns"])
        return max(work, stage.waits * speed["wait_ns"])

    first, hma, *rest = stages("sma")
    rows = [
        (stage.name, str(stage.plain), str(stage.divisions), str(stage.waits), f"{least(stage):.1f}", "", "")
        for stage in (first, hma, stages("hull")[1], *rest)
    ]
    for mode in MODES:
        whole = stages(mode)
        total = sum(map(least, whole))
        measured = columns[f"100000 bars, atc, {mode}"]["median_ns"]
        figures[mode] = {"floor_ns": total, "measured_ns": measured, "times_the_floor": measured / total}
        plain, divisions = sum(stage.plain for stage in whole), sum(stage.divisions for stage in whole)
        cells = (f"{total:.1f}", f"{measured:.1f}", f"{measured / total:.1f}")
        rows.append((f"all, {mode}", str(plain), str(divisions), "", *cells))
    notes = (
        f"On this machine, measured in this run with nothing but registers: {1 / speed['plain_ns']:.0f} operations "
        f"or {1 / speed['division_ns']:.1f} divisions a ns, and {speed['wait_ns']:.2f} ns from one operation to one "
        "that needs its result. A stage's floor is the largest of the three; loads, stores and turning rows into "
        "lanes are not counted. Measured: 100,000 bars."
    )
    header = ("stage", "operations a bar", "divisions", "in a row", "floor, ns a bar", "measured", "times the floor")
    return Table("The floor", header, rows, notes), figures
