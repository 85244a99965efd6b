# `make demo` and `make test` do all the set-up themselves, in .venv, with nothing but Python 3.11 or later.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
RUN := .venv/bin/python

.PHONY: demo test lint coverage docs benchmark clean

demo: .venv/demo  ## ATC on real prices, then a first sweep and a backtest of its winner
	$(RUN) examples/first_look.py
	$(RUN) examples/warm_sweep.py

test: .venv/test  ## all tests, in two processes
	$(RUN) -m pytest -n 2 --dist loadfile

coverage: .venv/test  ## branch coverage of everything, the kernels running as Python, in two processes
	$(RUN) -m coverage erase
	$(RUN) -m coverage run --parallel-mode -m pytest -q tests/test_atc.py tests/test_compiling.py tests/test_simd.py tests/test_bits.py
	NUMBA_DISABLE_JIT=1 $(RUN) -m coverage run --parallel-mode -m pytest -q tests/test_[a-l]*.py & first=$$!; \
	NUMBA_DISABLE_JIT=1 $(RUN) -m coverage run --parallel-mode -m pytest -q tests/test_[m-z]*.py tests/gpu atc_plugin; \
	second=$$?; wait $$first && exit $$second
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage report --fail-under=95

lint: .venv/dev  ## style and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

docs: .venv/dev  ## the documentation as a site that needs no network, build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

benchmark: .venv/test  ## the figures of docs/performance.md
	for benchmark in single sweep walk_forward optimize stream asynchronous cache gpu vectorbt_native backtrader_native; do $(RUN) benchmarks/$$benchmark.py; done

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; none was found on the PATH"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/demo: pyproject.toml | .venv/bin/python
	$(RUN) -m pip install --quiet --editable ".[vectorbt,plot]"
	@touch $@

.venv/test: pyproject.toml | .venv/bin/python
	$(RUN) -m pip install --quiet --editable ".[test]"
	@touch $@

.venv/dev: pyproject.toml | .venv/bin/python
	$(RUN) -m pip install --quiet --editable ".[dev]"
	@touch $@

clean:
	rm -rf .venv .atc_cache out build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
