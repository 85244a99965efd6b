"""@pyne"""

from atc_parts import equity, growth, rate_of_change
from pynecore import Persistent, Series
from pynecore.lib import close, input, math, na, open, script, ta


def dema(source: float, length: int) -> float:
    e1 = ta.ema(source, length)
    return 2 * e1 - ta.ema(e1, length)


def kama(source: Series[float], length: int) -> float:
    k: Persistent[float] = 0.0
    change = math.abs(source - source[1])
    moved = math.abs(source - source[length])
    noise = math.sum(change, length)
    ratio = moved / noise if not na(noise) and noise != 0 else 0.0
    smooth = math.pow(ratio * (0.666 - 0.064) + 0.064, 2)
    k = k + smooth * (source - k)
    return k


def crossing(series: float, over: float, under: float) -> int:
    """+1 since `series` crossed over the level `over`, -1 since it crossed under the level `under`."""
    side: Persistent[int] = 0
    up = ta.crossover(series, over)
    down = ta.crossunder(series, under)
    if up:
        side = 1
    if down:
        side = -1
    return side


def layer_one(nine: list[float], grown_return: float, keep: float, cutout: int):
    """States, equities and the layer-1 signal of nine moving averages."""
    m0, m1, m2, m3, m4, m5, m6, m7, m8 = nine
    # each call written out: a call site is what owns a state
    s0 = crossing(close, m0, m0)
    s1 = crossing(close, m1, m1)
    s2 = crossing(close, m2, m2)
    s3 = crossing(close, m3, m3)
    s4 = crossing(close, m4, m4)
    s5 = crossing(close, m5, m5)
    s6 = crossing(close, m6, m6)
    s7 = crossing(close, m7, m7)
    s8 = crossing(close, m8, m8)
    e0 = equity(1.0, s0, grown_return, keep, cutout)
    e1 = equity(1.0, s1, grown_return, keep, cutout)
    e2 = equity(1.0, s2, grown_return, keep, cutout)
    e3 = equity(1.0, s3, grown_return, keep, cutout)
    e4 = equity(1.0, s4, grown_return, keep, cutout)
    e5 = equity(1.0, s5, grown_return, keep, cutout)
    e6 = equity(1.0, s6, grown_return, keep, cutout)
    e7 = equity(1.0, s7, grown_return, keep, cutout)
    e8 = equity(1.0, s8, grown_return, keep, cutout)
    num = s0 * e0 + s1 * e1 + s2 * e2 + s3 * e3 + s4 * e4 + s5 * e5 + s6 * e6 + s7 * e7 + s8 * e8
    den = e0 + e1 + e2 + e3 + e4 + e5 + e6 + e7 + e8
    signal = math.round(num / den, 2)
    return [s0, s1, s2, s3, s4, s5, s6, s7, s8], [e0, e1, e2, e3, e4, e5, e6, e7, e8], signal


def vote(signal: float) -> int:
    return 1 if signal > 0.49 else -1 if signal < -0.49 else 0


@script.indicator("Adaptive Trend Classification: Moving Averages")
def main(
    ema_len: int = input.int(28),
    hma_len: int = input.int(28),
    wma_len: int = input.int(28),
    dema_len: int = input.int(28),
    lsma_len: int = input.int(28),
    kama_len: int = input.int(28),
    ema_w: float = input.float(1.0),
    hma_w: float = input.float(1.0),
    wma_w: float = input.float(1.0),
    dema_w: float = input.float(1.0),
    lsma_w: float = input.float(1.0),
    kama_w: float = input.float(1.0),
    lambda_: float = input.float(0.02),
    decay: float = input.float(0.03),
    cutout: int = input.int(0),
    robustness: str = input.string("Medium"),
    long_threshold: float = input.float(0.1),
    short_threshold: float = input.float(-0.1),
    hma_mode: str = input.string("sma"),
):
    """The source arrives in the field `open`."""
    o1, o2, o3, o4 = (
        (1, 2, 3, 4) if robustness == "Narrow" else (1, 2, 4, 6) if robustness == "Medium" else (1, 3, 5, 7)
    )
    grown_return = rate_of_change() * growth(lambda_ / 1000, cutout)
    keep = 1 - decay / 100

    ema_nine = [
        ta.ema(open, ema_len),
        ta.ema(open, ema_len + o1),
        ta.ema(open, ema_len + o2),
        ta.ema(open, ema_len + o3),
        ta.ema(open, ema_len + o4),
        ta.ema(open, ema_len - o1),
        ta.ema(open, ema_len - o2),
        ta.ema(open, ema_len - o3),
        ta.ema(open, ema_len - o4),
    ]
    if hma_mode == "hull":
        hma_nine = [
            ta.hma(open, hma_len),
            ta.hma(open, hma_len + o1),
            ta.hma(open, hma_len + o2),
            ta.hma(open, hma_len + o3),
            ta.hma(open, hma_len + o4),
            ta.hma(open, hma_len - o1),
            ta.hma(open, hma_len - o2),
            ta.hma(open, hma_len - o3),
            ta.hma(open, hma_len - o4),
        ]
    else:
        hma_nine = [
            ta.sma(open, hma_len),
            ta.sma(open, hma_len + o1),
            ta.sma(open, hma_len + o2),
            ta.sma(open, hma_len + o3),
            ta.sma(open, hma_len + o4),
            ta.sma(open, hma_len - o1),
            ta.sma(open, hma_len - o2),
            ta.sma(open, hma_len - o3),
            ta.sma(open, hma_len - o4),
        ]
    wma_nine = [
        ta.wma(open, wma_len),
        ta.wma(open, wma_len + o1),
        ta.wma(open, wma_len + o2),
        ta.wma(open, wma_len + o3),
        ta.wma(open, wma_len + o4),
        ta.wma(open, wma_len - o1),
        ta.wma(open, wma_len - o2),
        ta.wma(open, wma_len - o3),
        ta.wma(open, wma_len - o4),
    ]
    dema_nine = [
        dema(open, dema_len),
        dema(open, dema_len + o1),
        dema(open, dema_len + o2),
        dema(open, dema_len + o3),
        dema(open, dema_len + o4),
        dema(open, dema_len - o1),
        dema(open, dema_len - o2),
        dema(open, dema_len - o3),
        dema(open, dema_len - o4),
    ]
    lsma_nine = [
        ta.linreg(open, lsma_len, 0),
        ta.linreg(open, lsma_len + o1, 0),
        ta.linreg(open, lsma_len + o2, 0),
        ta.linreg(open, lsma_len + o3, 0),
        ta.linreg(open, lsma_len + o4, 0),
        ta.linreg(open, lsma_len - o1, 0),
        ta.linreg(open, lsma_len - o2, 0),
        ta.linreg(open, lsma_len - o3, 0),
        ta.linreg(open, lsma_len - o4, 0),
    ]
    kama_nine = [
        kama(open, kama_len),
        kama(open, kama_len + o1),
        kama(open, kama_len + o2),
        kama(open, kama_len + o3),
        kama(open, kama_len + o4),
        kama(open, kama_len - o1),
        kama(open, kama_len - o2),
        kama(open, kama_len - o3),
        kama(open, kama_len - o4),
    ]

    ema_states, ema_equities, ema_signal = layer_one(ema_nine, grown_return, keep, cutout)
    hma_states, hma_equities, hma_signal = layer_one(hma_nine, grown_return, keep, cutout)
    wma_states, wma_equities, wma_signal = layer_one(wma_nine, grown_return, keep, cutout)
    dema_states, dema_equities, dema_signal = layer_one(dema_nine, grown_return, keep, cutout)
    lsma_states, lsma_equities, lsma_signal = layer_one(lsma_nine, grown_return, keep, cutout)
    kama_states, kama_equities, kama_signal = layer_one(kama_nine, grown_return, keep, cutout)
    ema_weight = equity(ema_w, ema_signal, grown_return, keep, cutout)
    hma_weight = equity(hma_w, hma_signal, grown_return, keep, cutout)
    wma_weight = equity(wma_w, wma_signal, grown_return, keep, cutout)
    dema_weight = equity(dema_w, dema_signal, grown_return, keep, cutout)
    lsma_weight = equity(lsma_w, lsma_signal, grown_return, keep, cutout)
    kama_weight = equity(kama_w, kama_signal, grown_return, keep, cutout)
    num = (
        vote(ema_signal) * ema_weight
        + vote(hma_signal) * hma_weight
        + vote(wma_signal) * wma_weight
        + vote(dema_signal) * dema_weight
        + vote(lsma_signal) * lsma_weight
        + vote(kama_signal) * kama_weight
    )
    average = num / (ema_weight + hma_weight + wma_weight + dema_weight + lsma_weight + kama_weight)
    return {
        "moving_averages": [ema_nine, hma_nine, wma_nine, dema_nine, lsma_nine, kama_nine],
        "states": [ema_states, hma_states, wma_states, dema_states, lsma_states, kama_states],
        "equities": [ema_equities, hma_equities, wma_equities, dema_equities, lsma_equities, kama_equities],
        "layer1_signals": [ema_signal, hma_signal, wma_signal, dema_signal, lsma_signal, kama_signal],
        "layer2_equities": [ema_weight, hma_weight, wma_weight, dema_weight, lsma_weight, kama_weight],
        "average": average,
        "direction": crossing(average, long_threshold, short_threshold),
    }
