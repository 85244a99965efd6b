"""`register()` and what importing an indicator does: explicit, idempotent, never over somebody else's name."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

import atc_plugin
from atc_plugin.registering import register

OF_PANDAS = ["Series.atc", "DataFrame.atc"]
OF_VECTORBT = ["vbt.ATC", "vbt.indicators.ATC", "Series.vbt.atc", "DataFrame.vbt.atc"]


def run(code: str) -> str:
    """What a new process prints, and its errors."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_registers_what_is_there_and_again_nothing_new() -> None:
    import pandas as pd
    import vectorbt as vbt

    first = register()
    assert first[:6] == OF_PANDAS + OF_VECTORBT
    indicator, accessor = vbt.ATC, pd.DataFrame.atc
    assert register() == first
    assert vbt.ATC is indicator is vbt.indicators.ATC
    assert pd.DataFrame.atc is accessor
    assert atc_plugin.register is register


def test_sets_again_what_was_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    import vectorbt as vbt

    register()
    indicator = vbt.ATC
    monkeypatch.delattr(vbt, "ATC")
    register()
    assert vbt.ATC is indicator


def test_importing_the_package_registers_nothing_and_one_indicator_itself() -> None:
    code = """
        import pandas, vectorbt, atc_plugin
        atc_plugin.atc([1.0, 2.0])
        print(hasattr(vectorbt, "ATC"), hasattr(pandas.Series, "atc"))
        import atc_plugin.indicators.vectorbt
        print(vectorbt.ATC is atc_plugin.indicators.vectorbt.ATC, hasattr(pandas.Series, "atc"))
    """
    assert run(code) == "False False\nTrue False\n"


def test_a_taken_name_is_an_error_and_nothing_is_set() -> None:
    code = """
        import vectorbt
        accessors = vectorbt.root_accessors.Vbt_SRAccessor
        for place, name in ((vectorbt, "ATC"), (vectorbt.indicators, "ATC"), (accessors, "atc")):
            setattr(place, name, 5)
            try:
                import atc_plugin.indicators.vectorbt
            except RuntimeError as error:
                print(error)
            there = [getattr(where, "ATC", None) for where in (vectorbt, vectorbt.indicators)]
            print(there, getattr(accessors, "atc", None))
            delattr(place, name)
        import atc_plugin.indicators.vectorbt
        print(vectorbt.ATC.__name__)
    """
    printed = run(code).splitlines()
    why = "is taken by 5, and atc_plugin replaces nothing. Free the name first: del "
    assert [line.partition(";")[0] for line in printed[::2]][:3] == [
        f"vbt.ATC {why}vbt.ATC",
        f"vbt.indicators.ATC {why}vbt.indicators.ATC",
        f"Series.vbt.atc {why}Series.vbt.atc",
    ]
    assert printed[1::2] == ["[5, None] None", "[None, 5] None", "[None, None] 5"]
    assert printed[-1] == "ATC"


def test_a_taken_accessor_is_an_error() -> None:
    code = """
        import pandas
        pandas.DataFrame.atc = "mine"
        try:
            import atc_plugin.indicators.pandas
        except RuntimeError as error:
            print(error)
        print(pandas.DataFrame.atc, hasattr(pandas.Series, "atc"))
    """
    printed = run(code)
    assert printed.startswith("DataFrame.atc is taken by 'mine'")
    assert printed.endswith("mine False\n")


def test_what_is_missing_is_skipped_and_logged() -> None:
    code = """
        import importlib.util, logging, sys
        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *rest: None if name in ("vectorbt", "backtrader") else find(name, *rest)
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
        from atc_plugin import register
        print(register())
    """
    assert run(code).splitlines() == [
        "register: vectorbt is not here, skipped",
        "register: backtrader is not here, skipped",
        str(OF_PANDAS),
    ]


def test_a_direct_import_names_what_to_install() -> None:
    code = "import sys; sys.modules['vectorbt'] = None\nimport atc_plugin.indicators.vectorbt"
    assert 'needs vectorbt: pip install "atc_plugin[vectorbt]"' in run(code)
