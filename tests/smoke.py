"""What an installed package must do with nothing but its own dependencies: the golden files to the bit, and `atc`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from golden_files import GOLDEN, load_golden
from same_bits import assert_same_bits

import atc_plugin
from atc_plugin import atc

PACKAGE = Path(atc_plugin.__file__).parent


def check_files() -> None:
    """It is the installed package that runs, with its types and the source of its kernels."""
    assert Path(__file__).parents[1] not in PACKAGE.parents, f"{PACKAGE} is the checkout, not an installed package"
    assert (PACKAGE / "py.typed").exists()
    assert (PACKAGE / "accel" / "kernels" / "common.cu").exists()


def check_script() -> None:
    """The script that was installed beside this Python."""
    script = Path(sys.executable).parent / "atc"
    said = subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout
    assert atc_plugin.__version__ in said, said
    prices = Path(__file__).parents[1] / "examples" / "data" / "us_stocks.csv.gz"
    run = [script, "run", str(prices), "--symbols", "AAPL", "--json"]
    assert json.loads(subprocess.run(run, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    check_files()
    check_script()
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
