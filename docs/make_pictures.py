"""Draw the pictures of the docs from the bundled stocks.

pip install kaleido          # and a Chrome or Chromium for it to draw with
python docs/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

from atc_plugin import ParamGrid, atc, load_prices, sweep

HERE = Path(__file__).parent
close = load_prices(HERE.parent / "examples" / "data" / "us_stocks.csv.gz", symbols=["AAPL"])["AAPL"]
result = atc(close, hma_mode="hull")
grid = ParamGrid(
    ema_len=range(10, 70, 2), kama_len=range(10, 70, 2), lsma_len=[20, 28, 40], robustness=["Narrow", "Wide"]
)
searched = sweep(close.iloc[-1500:], grid, metrics=["sharpe_ratio"], fees=0.001, cache=False, progress=False)
for name, figure in {
    "verdict": result.plot(last=375, title_text="AAPL: Adaptive Trend Classification, hma_mode='hull'"),
    "calibration": result.plot(ma="EMA", last=375),
    "heatmap": searched.heatmap("ema_len", "kama_len", reduce="median"),
    "parallel_coordinates": searched.parallel_coordinates(),
}.items():
    scale = 1.0 if name == "parallel_coordinates" else 1.5  # thin lines compress badly
    figure.update_layout(height=620).write_image(HERE / "images" / f"{name}.png", scale=scale)
