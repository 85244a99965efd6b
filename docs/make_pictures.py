"""Draw the pictures of the docs from the bundled stocks.

pip install kaleido          # and a Chrome or Chromium for it to draw with
python docs/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

from atc_plugin import atc, load_prices

HERE = Path(__file__).parent
close = load_prices(HERE.parent / "examples" / "data" / "us_stocks.csv.gz", symbols=["AAPL"])["AAPL"]
result = atc(close, hma_mode="hull")
for name, figure in {
    "verdict": result.plot(last=375, title_text="AAPL: Adaptive Trend Classification, hma_mode='hull'"),
    "calibration": result.plot(ma="EMA", last=375),
}.items():
    figure.update_layout(height=620).write_image(HERE / "images" / f"{name}.png", scale=1.5)
