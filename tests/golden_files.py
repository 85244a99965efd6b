"""Third-party results kept as files; golden/README.md says where they come from."""

import json
from pathlib import Path
from typing import Any

import numpy as np

DIRECTORY = Path(__file__).parent / "golden"
GOLDEN: list[str] = sorted(path.stem for path in DIRECTORY.glob("*.npz"))


def load_golden(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The parameters that differ from the defaults, and the arrays by name."""
    with np.load(DIRECTORY / f"{name}.npz", allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files if key != "params"}
        return json.loads(str(stored["params"])), arrays
