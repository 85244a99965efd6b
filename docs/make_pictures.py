"""Draw the pictures of the docs from the bundled stocks; those of the tutorial by its own code.

pip install kaleido          # and a Chrome or Chromium for it to draw with
python docs/make_pictures.py
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from atc_plugin import ParamGrid, atc, load_prices, sweep, walk_forward

HERE = Path(__file__).parent
close = load_prices(HERE.parent / "examples" / "data" / "us_stocks.csv.gz", symbols=["AAPL"])["AAPL"]
result = atc(close, hma_mode="hull")
grid = ParamGrid(
    ema_len=range(10, 70, 2), kama_len=range(10, 70, 2), lsma_len=[20, 28, 40], robustness=["Narrow", "Wide"]
)
searched = sweep(close.iloc[-1500:], grid, metrics=["sharpe_ratio"], fees=0.001, cache=False, progress=False)
lengths = range(10, 60, 5)
walked = walk_forward(
    close,
    ParamGrid(ema_len=lengths, kama_len=lengths, robustness=["Narrow", "Wide"]),
    train="1095D",
    test="182D",
    fees=0.001,
    direction="longonly",
    cache=False,
    progress=False,
)
tutorial: dict[str, Any] = {}
for block in re.findall(r"^```python\n(.*?)^```", (HERE / "tutorial.md").read_text(encoding="utf-8"), re.M | re.S):
    exec(block, tutorial)  # our own page

for name, figure in {
    "verdict": result.plot(last=375, title_text="AAPL: Adaptive Trend Classification, hma_mode='hull'"),
    "calibration": result.plot(ma="EMA", last=375),
    "heatmap": searched.heatmap("ema_len", "kama_len", reduce="median"),
    "parallel_coordinates": searched.parallel_coordinates(),
    "walk_forward": walked.plot(),
    "walk_forward_drift": walked.plot_drift(),
    "tutorial_verdict": tutorial["verdict"],
    "tutorial_plateau": tutorial["plateau"],
}.items():
    scale = 1.0 if name == "parallel_coordinates" else 1.5  # thin lines compress badly
    if name != "walk_forward_drift":
        figure.update_layout(height=620)
    figure.write_image(HERE / "images" / f"{name}.png", scale=scale)
