"""What `tune` makes of timed sweeps, who believes its file, and what "auto", jobs and profiles are then."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numba.core.config import DISABLE_JIT
from same_bits import assert_same_bits

import atc_plugin
from atc_plugin import ParamGrid, atc, crossovers, plan, profiles, sweep, tune, tuning, use_profile, warm
from atc_plugin.cache import configure
from atc_plugin.cache.settings import current, default_store, forget
from atc_plugin.cache.store import RECENT, SIZE_LIMIT
from atc_plugin.cache.worth import Speed, speed_of
from atc_plugin.commands.group import atc as command_line
from atc_plugin.crossovers import Crossovers, Line, found_in, keep, tuned, tuning_file, tuning_folder
from atc_plugin.engine import job_count
from atc_plugin.sweeps import backends, resolving, settling
from atc_plugin.sweeps.estimates import Estimate
from atc_plugin.sweeps.resolving import resolve
from atc_plugin.sweeps.settling import settled
from atc_plugin.tuning import Trial, job_candidates, measured

NO_GPU = "there is none"
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ATC_BACKEND", "ATC_JOBS", "NUMBA_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)


class Machine:
    """A clock, and the time that sweeps take on a made-up machine; `noise` by the number of the trial."""

    def __init__(
        self,
        lines: dict[str, Line],
        speedup: Callable[[int], float] = lambda jobs: jobs,
        workers: float = 0.0,
        noise: Callable[[int], float] = lambda trial: 1.0,
    ) -> None:
        self.now = 1000.0
        self.trials: list[Trial] = []
        self._lines, self._speedup, self._workers, self._noise = lines, speedup, workers, noise

    def clock(self) -> float:
        return self.now

    def __call__(self, trial: Trial) -> float:
        line = self._lines[trial.backend]
        took = line.start + line.each * trial.work / self._speedup(trial.jobs)
        took *= self._noise(len(self.trials))
        took += self._workers if trial.cold and trial.backend == "loky" else 0.0
        self.trials.append(trial)
        self.now += took
        return took

    def measure(
        self, candidates: list[int], without_gpu: str = NO_GPU, seconds: float = 1000.0
    ) -> tuple[Crossovers, dict[str, str]]:
        return measured(self, candidates, without_gpu, seconds, lambda _: None, self.clock)


ALIKE = {"cpu": Line(0.01, 1.0), "loky": Line(0.02, 1.0)}


# ---------------------------------------------------------------- measuring
def test_a_machine_without_noise_is_found_as_it_is() -> None:
    machine = Machine({"cpu": Line(0.02, 1.0), "loky": Line(0.05, 0.5)}, workers=1.5)
    found, missing = machine.measure([4])
    assert missing == {"gpu": NO_GPU}
    assert found.jobs == 4
    assert found.threads is not None
    assert found.loky is not None
    assert found.threads == pytest.approx((0.02, 0.25))
    assert found.loky == pytest.approx((1.55, 0.125))
    # 1.55 + 0.125 w = 0.9 (0.02 + 0.25 w)
    assert found.pays_from("loky") == pytest.approx((1.55 - 0.018) / (0.225 - 0.125))
    assert found.pays_from("gpu") == math.inf
    assert {trial.backend for trial in machine.trials} == {"cpu", "loky"}
    assert sum(trial.cold for trial in machine.trials) == 1


def test_the_fewest_threads_that_are_as_fast_are_taken() -> None:
    hyperthreads = Machine(ALIKE, speedup=lambda jobs: min(jobs, 4) * 1.0)
    assert hyperthreads.measure([4, 8])[0].jobs == 4
    cores = Machine(ALIKE, speedup=lambda jobs: jobs**0.9)
    assert cores.measure([4, 8])[0].jobs == 8
    found, missing = Machine(ALIKE, speedup=lambda jobs: 1.0).measure([1, 2])
    assert found.jobs == 1
    assert found.loky is None
    assert missing["loky"] == "one thread is as fast as more"


def test_workers_that_are_as_fast_never_pay() -> None:
    found, _ = Machine(ALIKE, workers=1.0).measure([2])
    assert found.loky is not None
    assert found.pays_from("loky") == math.inf
    assert found.backends_for(1e9, 2) == []


@pytest.mark.parametrize("disturbed", range(16))
def test_a_disturbance_never_makes_workers_look_faster(disturbed: int) -> None:
    machine = Machine(ALIKE, workers=1.0, noise=lambda trial: 3.0 if trial == disturbed else 1.0)
    found, _ = machine.measure([2])
    assert found.pays_from("loky") == math.inf
    assert found.threads == pytest.approx((0.01, 0.5))


@pytest.mark.parametrize("quiet", range(16))
def test_a_quiet_moment_never_makes_workers_look_faster(quiet: int) -> None:
    machine = Machine(ALIKE, workers=1.0, noise=lambda trial: 1.0 if trial == quiet else 3.0)
    assert machine.measure([2])[0].pays_from("loky") == math.inf


def test_a_gpu_is_measured_where_there_is_one() -> None:
    machine = Machine({**ALIKE, "gpu": Line(0.2, 0.02)}, workers=1.0)
    found, missing = machine.measure([2], without_gpu="")
    assert missing == {}
    assert found.gpu is not None
    assert found.gpu.start == pytest.approx(0.2)
    assert 0.2 < found.pays_from("gpu") < 1.0
    assert found.backends_for(100.0, 2) == ["gpu"]
    assert found.backends_for(100.0, 7) == ["gpu"]
    assert found.backends_for(0.01, 2) == []


def test_time_that_is_over_leaves_the_rest_out() -> None:
    machine = Machine(ALIKE, workers=1.0)
    found, missing = machine.measure([2], seconds=0.5)
    assert found.jobs == 2
    assert found.threads == pytest.approx((0.01, 0.5))
    assert missing["loky"] == "0.500 s were over: give it more"
    assert len(machine.trials) == 1 + 2  # a round of each step
    patient = Machine(ALIKE, workers=1.0)
    patient.measure([2])
    assert len(patient.trials) == 3 + 1 + 3 * 4  # rounds of threads, the start of workers, rounds of both


@pytest.mark.parametrize("error", [OSError("no semaphores"), ImportError("no joblib"), RuntimeError("WorkerDied")])
def test_workers_that_do_not_start_are_left_out(error: Exception) -> None:
    machine = Machine(ALIKE)

    def timer(trial: Trial) -> float:
        if trial.backend == "loky":
            raise error
        return machine(trial)

    found, missing = measured(timer, [2], NO_GPU, 100.0, lambda _: None, machine.clock)
    assert found.loky is None
    assert missing["loky"] == f"{type(error).__name__}: {error}"


def test_candidates_are_numbers_of_processors() -> None:
    candidates = job_candidates()
    assert candidates == sorted(candidates)
    assert 1 <= candidates[0] <= candidates[-1] <= crossovers.processors()


@pytest.mark.parametrize("wrong", [0, -1.0, math.inf, math.nan, "5"])
def test_a_time_has_to_be_one(wrong: Any) -> None:
    with pytest.raises(ValueError, match="seconds must be a number above 0"):
        tune(wrong)


# ---------------------------------------------------------------- the file
HERE = Crossovers(1, Line(0.01, 1.0), Line(1.0, 0.5), None)


def test_what_was_kept_holds_until_it_is_forgotten(default_cache: Path) -> None:
    assert tuned() == Crossovers()
    assert found_in(tuning_folder()).why_not == "nothing was measured: atc tune"
    path = keep(HERE, tuning_folder())
    assert path == tuning_file(tuning_folder())
    assert path.parent == default_cache
    assert tuned() == HERE
    assert found_in(tuning_folder()).why_not == ""
    assert not list(default_cache.glob(".tuned*"))
    assert crossovers.forget_tuning(tuning_folder())
    assert tuned() == Crossovers()
    assert not crossovers.forget_tuning(tuning_folder())


def test_clearing_the_cache_leaves_it(default_cache: Path) -> None:
    keep(HERE, tuning_folder())
    atc_plugin.cache.clear()
    found_in.cache_clear()
    assert tuned() == HERE


@pytest.mark.parametrize("library", ["numpy", "numba", "joblib", "python", "law", "atc_plugin", "format"])
def test_other_versions_are_not_believed(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    keep(HERE, tuning_folder())
    now = {**crossovers.versions_here(), library: "0"}
    monkeypatch.setattr(crossovers, "versions_here", lambda: now)
    found_in.cache_clear()
    assert tuned() == Crossovers()
    assert found_in(tuning_folder()).why_not == f"it was measured with another {library}: atc tune"


@pytest.mark.parametrize("what", ["cpu", "architecture", "system", "processors", "share"])
def test_other_machines_have_files_of_their_own(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    keep(HERE, tuning_folder())
    other = {**crossovers.hardware(), what: "another"}
    monkeypatch.setattr(crossovers, "hardware", lambda: other)
    found_in.cache_clear()
    assert tuned() == Crossovers()
    keep(HERE._replace(loky=None), tuning_folder())
    assert tuned().loky is None
    monkeypatch.undo()


def told(**changes: Any) -> str:
    """A file's text with other crossovers."""
    lines = {"jobs": 1, "threads": {"start": 0.0, "each": 1.0}, "loky": None, "gpu": None, **changes}
    return json.dumps({"machine": {}, "versions": crossovers.versions_here(), "crossovers": lines})


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "3", "null", "{}", "[" * 10**5, '{"versions": 3}', '{"versions": {}}'),
        *(told(jobs=0), told(jobs=10**6), told(jobs=1.5), told(jobs=None), told(jobs=True), told(jobs="1")),
        *(told(loky={"start": -1.0, "each": 1.0}), told(loky={"start": 0.0, "each": 0.0}), told(loky=3)),
        *(told(gpu={"start": 0.0}), told(gpu={"start": math.inf, "each": 1.0}), told(gpu={"start": "x", "each": 1})),
        *(told(threads={"start": math.nan, "each": 1.0}), told(threads={"start": 0.0, "each": math.nan})),
    ],
)
def test_files_that_cannot_be_are_not_believed(text: str) -> None:
    tuning_file(tuning_folder()).write_text(text)
    found_in.cache_clear()
    found = found_in(tuning_folder())
    assert found.crossovers == Crossovers()
    assert "atc tune" in found.why_not
    assert job_count() == crossovers.processors()


def test_a_file_that_can_be_is_believed() -> None:
    tuning_file(tuning_folder()).write_text(told())
    found_in.cache_clear()
    assert tuned() == Crossovers(1, Line(0.0, 1.0))


# ---------------------------------------------------------------- what follows it
def cost(seconds: float) -> Estimate:
    return plan(ParamGrid(), columns=1, bars=100).estimate._replace(seconds=seconds)  # type: ignore[union-attr]


def test_the_default_of_jobs_is_what_was_found_best(monkeypatch: pytest.MonkeyPatch) -> None:
    assert job_count() == crossovers.processors()
    keep(HERE, tuning_folder())
    assert job_count() == 1
    assert resolve() == ("auto", 1)
    monkeypatch.setenv("ATC_JOBS", "3")
    assert job_count() == 3
    monkeypatch.setenv("ATC_JOBS", "-1")
    assert job_count() == crossovers.processors()
    monkeypatch.delenv("ATC_JOBS")
    monkeypatch.setenv("NUMBA_NUM_THREADS", "5")
    assert job_count() == 5


def test_auto_is_threads_where_nothing_was_measured() -> None:
    assert settled("auto", 2, cost(1e9)) == "auto"


def test_auto_takes_workers_from_the_crossover_on(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(Crossovers(1, Line(0.0, 1.0), Line(1.0, 0.4)), tuning_folder())
    assert tuned().pays_from("loky") == 2.0
    assert settled("auto", 1, cost(1.9)) == "auto"
    assert settled("auto", 1, cost(2.0)) == "loky"
    assert settled("auto", 7, cost(100.0)) == "auto"  # measured with another number
    assert settled("cpu", 1, cost(100.0)) == "cpu"
    assert settled("dask", 1, cost(100.0)) == "dask"
    assert settled("auto", 1, None) == "auto"
    monkeypatch.setattr(settling.multiprocessing, "current_process", lambda: type("Child", (), {"daemon": True}))
    assert settled("auto", 1, cost(100.0)) == "auto"  # it may have no children


def test_auto_takes_a_gpu_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(Crossovers(1, Line(0.0, 1.0), Line(1.0, 0.4), Line(0.5, 0.01)), tuning_folder())
    monkeypatch.setattr(settling, "find_spec", lambda name: name)
    monkeypatch.setattr(settling, "available", lambda: True)
    assert settled("auto", 1, cost(10.0)) == "gpu"
    assert settled("auto", 4, cost(10.0)) == "gpu"
    assert settled("auto", 1, cost(0.4)) == "auto"
    monkeypatch.setattr(settling, "available", lambda: False)
    assert settled("auto", 1, cost(10.0)) == "loky"


def test_a_gpu_that_was_not_measured_gets_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "find_spec", lambda name: name)
    monkeypatch.setattr(settling, "available", lambda: True)
    assert settled("auto", 4, cost(19.9)) == "auto"
    assert settled("auto", 4, cost(20.0)) == "gpu"
    assert settled("cpu", 4, cost(100.0)) == "cpu"
    monkeypatch.setattr(settling, "find_spec", lambda name: None)
    assert settled("auto", 4, cost(20.0)) == "auto"


@pytest.mark.skipif(DISABLE_JIT, reason="workers load compiled kernels")
def test_auto_gives_the_same_bits_on_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 300)))
    grid = ParamGrid(ema_len=range(10, 40), kama_len=range(10, 20))
    ran: list[str] = []
    run_on_workers = backends.run_on_workers
    monkeypatch.setattr(
        "atc_plugin.sweeps.run.run_on_workers",
        lambda blocks, grid, name, *rest: (ran.append(name), run_on_workers(blocks, grid, name, *rest)),
    )
    asked: dict[str, Any] = {"metrics": ["total_return", "max_drawdown"], "cache": False, "progress": False}
    on_threads = sweep(close, grid, **asked)
    assert ran == []
    keep(Crossovers(1, Line(1.0, 1.0), Line(0.0, 0.1)), tuning_folder())
    on_workers = sweep(close, grid, **asked)
    assert ran == ["loky"]
    for name, values in on_threads.metrics.items():
        assert_same_bits(on_workers.metrics[name], values, name)
    sweep(close, grid, backend="cpu", **asked)
    sweep(close, grid, n_jobs=2, **asked)
    assert ran == ["loky"]
    assert warm(close, grid, progress=False).kept
    assert ran == ["loky", "loky"]


# ---------------------------------------------------------------- all of it
@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """`tune` with a made-up machine in place of sweeps."""
    machine = Machine({"cpu": Line(0.01, 1e-3), "loky": Line(0.02, 5e-4)}, workers=1.0)
    monkeypatch.setattr(tuning, "timed_sweeps", lambda: machine)
    monkeypatch.setattr(tuning, "precompile", lambda: None)
    monkeypatch.setattr(tuning, "job_candidates", lambda: [1])
    monkeypatch.setattr(tuning, "why_not", lambda: NO_GPU)
    return machine


def test_tune_keeps_what_it_measured(quick: Machine, default_cache: Path) -> None:
    steps: list[str] = []
    result = tune(5, progress=steps.append)
    assert result.crossovers == tuned()
    assert result.file == tuning_file(str(default_cache))
    assert steps[0] == "loading the kernels"
    assert result.missing["gpu"] == NO_GPU
    store = default_store()
    assert store is not None
    assert result.disk == speed_of(store.disk)  # one truth: that of speed.json
    document = result.to_dict()
    assert document["jobs"] == 1
    assert document["disk_break_even"]["1000000"] == result.disk.break_even(10**6)  # type: ignore[union-attr]
    json.dumps(document, allow_nan=False)
    assert f"gpu      not measured: {NO_GPU}" in str(result)


def test_tune_without_keeping(quick: Machine) -> None:
    assert tune(5, save=False).file is None
    assert tuned() == Crossovers()


def test_tune_that_cannot_be_kept_is_not_begun(quick: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ATC_CACHE_DIR", str(tmp_path / "file"))
    forget()
    with pytest.raises(OSError, match="file"):
        tune(5)
    assert quick.trials == []
    assert tune(5, save=False).file is None


def test_tune_without_a_cache(quick: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(enabled=False)
    result = tune(5)
    assert result.disk is None
    assert result.missing["disk"] == "the cache is switched off"
    assert result.to_dict()["disk_break_even"] is None


def test_tune_measures_the_disk_anew(quick: Machine, default_cache: Path) -> None:
    (default_cache / "speed.json").write_text('{"once": 3000.0, "a_byte": 0.5}')
    result = tune(5)
    assert result.disk is not None
    assert result.disk.once < 3000.0
    assert json.loads((default_cache / "speed.json").read_text())["once"] == result.disk.once


def test_a_file_is_worth_what_its_break_even_says() -> None:
    speed = Speed(1e-3, 1e-9)
    assert speed.is_worth(10**6, speed.break_even(10**6))
    assert not speed.is_worth(10**6, speed.break_even(10**6) * 0.999)


def test_the_command_tunes_shows_and_forgets(quick: Machine) -> None:
    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(command_line, ["tune", *arguments])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout) if "--json" in arguments else result.stdout

    assert run("--show") == "nothing was measured: atc tune\n"
    assert run("--dry-run", "--seconds", "5", "--json")["file"] is None
    assert run("--show", "--json")["jobs"] is None
    assert run("--seconds", "5", "--json")["jobs"] == 1
    assert run("--show", "--json")["why_not"] == ""
    assert run("--show").startswith("jobs     1\nthreads  ")
    assert run("--forget") == "forgotten\n"
    assert run("--forget") == "nothing was there\n"


@pytest.mark.skipif(DISABLE_JIT, reason="sweeps would take minutes")
def test_tune_measures_this_machine(default_cache: Path) -> None:
    result = tune(0.01)
    assert result.crossovers == tuned()
    assert 1 <= result.crossovers.jobs <= crossovers.processors()  # type: ignore[operator]
    assert result.crossovers.threads is not None
    assert result.missing["gpu"]
    trial = Trial("loky", 2, 0.001, cold=True)
    assert tuning.timed_sweeps()(trial) > 0


# ---------------------------------------------------------------- profiles
def test_the_standard_profile_is_what_holds_without_one() -> None:
    standard = profiles.PROFILES["standard"]
    assert (standard.size_limit, standard.recent) == (SIZE_LIMIT, RECENT)
    assert (standard.jobs, standard.backend) == (None, None)


def test_profiles_take_more_and_more() -> None:
    ordered = list(profiles.PROFILES.values())
    limits = [math.inf if profile.size_limit is None else profile.size_limit for profile in ordered]
    assert limits == sorted(limits)
    assert [profile.recent for profile in ordered] == sorted(profile.recent for profile in ordered)


@pytest.mark.parametrize("name", profiles.PROFILES)
def test_a_profile_by_name_or_by_the_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    profile = profiles.PROFILES[name]

    def holds() -> tuple[Any, ...]:
        return current().size_limit, current().recent, job_count(), resolve()[0]

    jobs = 1 if profile.jobs == 1 else crossovers.processors()
    expected = (profile.size_limit, profile.recent, jobs, profile.backend or "auto")
    assert use_profile(name) == profile
    assert holds() == expected
    profiles.forget_profile()
    forget()
    monkeypatch.setenv("ATC_PROFILE", name)
    assert holds() == expected


def test_what_says_more_goes_before_a_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATC_PROFILE", "basic")
    monkeypatch.setenv("ATC_CACHE_SIZE", "7MB")
    monkeypatch.setenv("ATC_JOBS", "3")
    monkeypatch.setenv("ATC_BACKEND", "loky")
    assert current().size_limit == 7_000_000
    assert current().recent == profiles.PROFILES["basic"].recent
    assert resolve() == ("loky", 3)
    assert resolve("cpu", 2) == ("cpu", 2)
    use_profile("basic")  # what code says goes before the environment
    assert current().size_limit == profiles.PROFILES["basic"].size_limit
    assert resolve() == ("cpu", 1)
    assert resolve("loky", 2) == ("loky", 2)
    configure(size_limit="8MB")
    assert current().size_limit == 8_000_000
    use_profile("standard")
    assert resolve() == ("loky", 3)


def test_maximum_takes_every_processor_even_where_fewer_were_best(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(HERE, tuning_folder())
    assert job_count() == 1
    use_profile("maximum")
    assert job_count() == crossovers.processors()


def test_other_profiles_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"use_profile: no profile 'maximal'; .*Did you mean 'maximum'"):
        use_profile("maximal")
    monkeypatch.setenv("ATC_PROFILE", "maximal")
    for ask in (current, job_count, resolve, lambda: atc([1.0, 2.0])):
        with pytest.raises(ValueError, match="ATC_PROFILE: no profile 'maximal'"):
            ask()  # type: ignore[operator]


def test_the_docs_show_the_profiles() -> None:
    page = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
    rows = {cells[0].strip(' `"'): cells for line in page.splitlines() if len(cells := line.split("|")[1:-1]) == 5}
    words = {None: "any"}
    for name, profile in profiles.PROFILES.items():
        _, size, recent, jobs, backend = (cell.strip(' `"') for cell in rows[name])
        limit = profile.size_limit
        assert size == words.get(limit, "" if limit is None else f"{limit / 1e9:g} GB")
        assert recent == f"{profile.recent / 2**20:,.0f} MB"
        assert jobs == {1: "1", -1: "all processors", None: "as measured, or all processors"}[profile.jobs]
        assert backend == (profile.backend or "auto")
    assert resolving.ALLOWED[0] == "auto"
