"""@pyne"""

from atc_parts import equity, growth, rate_of_change
from pynecore.lib import high, input, script


@script.indicator("Equity of a given signal")
def main(
    weight: float = input.float(1.0),
    lambda_: float = input.float(0.02),
    decay: float = input.float(0.03),
    cutout: int = input.int(0),
):
    """The signal arrives in the field `high`."""
    grown_return = rate_of_change() * growth(lambda_ / 1000, cutout)
    return {"equity": equity(weight, high, grown_return, 1 - decay / 100, cutout)}
