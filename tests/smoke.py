"""What an installed wheel must do with nothing but its own dependencies: the golden files, to the bit."""

from __future__ import annotations

import sys

from golden_files import GOLDEN, load_golden
from same_bits import assert_same_bits

import atc_plugin
from atc_plugin import atc


def main() -> None:
    for name in GOLDEN:
        params, arrays = load_golden(name)
        result = atc(arrays["close"], arrays.get("source"), **params)
        assert_same_bits(result.average, arrays["average"], name)
        assert_same_bits(result.direction, arrays["direction"], name)
        for i, type_ in enumerate(result.signals):
            assert_same_bits(result.signals[type_], arrays["layer1_signals"][i], f"{name} {type_}")
            assert_same_bits(result.weights[type_], arrays["layer2_equities"][i], f"{name} {type_}")
            assert_same_bits(result.moving_averages[type_].T, arrays["moving_averages"][i], f"{name} {type_}")
            assert_same_bits(result.equities[type_].T, arrays["equities"][i], f"{name} {type_}")
    print(f"{len(GOLDEN)} golden files to the bit, {atc_plugin.__version__} on Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
