"""Pieces of work in slots, on devices that do everything as late as they may, and everything that can go wrong."""

from __future__ import annotations

import contextlib
import gc
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fake_cupy import FakeCupy, install
from fake_device import UNIT, CUDADriverError, CUDARuntimeError, OutOfMemoryError, out_of_memory
from host_kernels import HostEngine, has_compiler
from same_bits import assert_same_bits
from slot_pieces import BARS, Returns, Stretch, prices, returns, returns_on, stretches

from atc_plugin.accel import launch
from atc_plugin.accel.engines import Engine
from atc_plugin.accel.launch import DeviceEngine
from atc_plugin.accel.pipeline import SlotCounts, run_in_slots
from atc_plugin.accel.slots import DeviceMemoryError

pytestmark = pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")

COLUMNS = 48
CLOSE = prices(COLUMNS)
EXPECTED = returns(CLOSE)
ONE = Stretch(0, 8).nbytes  # of the device's memory


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Modules are built once a process, and here each test is one; threads end with what started them."""
    threads = set(threading.enumerate())
    launch._module.cache_clear()
    launch._kernel.cache_clear()
    yield
    launch._module.cache_clear()
    launch._kernel.cache_clear()
    assert set(threading.enumerate()) <= threads


@pytest.fixture(params=[False, True], ids=["others behind", "others ahead"])
def cupy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeCupy:
    """Two devices, whose streams lag behind one that is waited for or are ahead of it."""
    made = install(monkeypatch, FakeCupy(devices=2))
    for device in made.device:
        device.others_first = request.param
    return made


def assert_all_returns(done: list[tuple[Stretch, np.ndarray]], columns: int = COLUMNS) -> None:
    """Each column once, in order, and right."""
    ends = [0, *(piece.end for piece, _ in done)]
    assert [piece.first for piece, _ in done] == ends[:-1]
    assert ends[-1] == columns
    for piece, got in done:
        assert_same_bits(got, EXPECTED[:, piece.first : piece.end])


def assert_nothing_is_left(cupy: FakeCupy, is_broken: bool = False, was_kept_by_errors: bool = False) -> None:
    """No memory, no work, no stream made current; what an error's frames kept went to the pool when it was gone."""
    gc.collect()
    for device in cupy.device:
        device.synchronize()
        if was_kept_by_errors:
            device.memory.free_all_blocks()
        assert (device.broken is not None) == (is_broken and device.id == 0), device.broken
        assert (device.memory.used, device.memory.kept) == (0, 0)
        assert device.entered == [device.null]
    assert cupy.pinned.used == 0
    assert cupy.current == 0


# ---------------------------------------------------------------- without trouble
@pytest.mark.parametrize("slots", [1, 2, 3, 9])
@pytest.mark.parametrize("of", [1, 8, 48])
def test_pieces_come_in_order_with_their_results(cupy: FakeCupy, slots: int, of: int) -> None:
    counts = SlotCounts()
    done = list(
        run_in_slots(stretches(COLUMNS, of), Returns(CLOSE), engines=[DeviceEngine()], slots=slots, counts=counts)
    )
    assert_all_returns(done)
    assert counts == SlotCounts(COLUMNS // of, 0, min(slots, COLUMNS // of))
    if not cupy.device[0].others_first:
        assert max(cupy.device[0].in_flight) == counts.slots, "all slots have work when the host begins to wait"
    del done
    assert_nothing_is_left(cupy)


def test_each_slot_has_a_stream_that_waits_for_no_other(cupy: FakeCupy) -> None:
    seen = []

    def begin(engine: Engine, piece: Stretch) -> Callable[[], int]:
        stream = cupy.cuda.get_current_stream()
        assert stream.is_non_blocking
        seen.append(stream.ptr)
        return lambda: cupy.cuda.get_current_stream().ptr

    done = list(run_in_slots(stretches(8, 1), begin, engines=[DeviceEngine(1)], slots=3))
    assert [stream for _, stream in done] == seen
    assert len(set(seen)) == 3
    assert seen[3:6] == seen[:3], "in turn"


def test_finish_is_called_when_the_slot_has_come_by(cupy: FakeCupy) -> None:
    """Also by what no download waits for."""
    engine = DeviceEngine()
    there = engine.taken(CLOSE)

    def begin(engine: Engine, piece: Stretch) -> Callable[[], int]:
        returns_on(engine, there)
        return lambda: cupy.cuda.get_current_stream().to_come

    assert [to_come for _, to_come in run_in_slots(stretches(9, 1), begin, engines=[engine])] == [0] * 9


def test_the_host_goes_the_same_way() -> None:
    done = list(run_in_slots(stretches(COLUMNS, 8), Returns(CLOSE), engines=[HostEngine()]))
    assert_all_returns(done)


def test_no_pieces_are_no_work(cupy: FakeCupy) -> None:
    assert list(run_in_slots([], Returns(CLOSE), engines=[DeviceEngine(0), DeviceEngine(1)])) == []
    assert_nothing_is_left(cupy)


def test_bad_input_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="needs an engine"):
        run_in_slots([], Returns(CLOSE), engines=[])
    with pytest.raises(ValueError, match="slots must be 1 or more, got 0"):
        run_in_slots([], Returns(CLOSE), engines=[HostEngine()], slots=0)


def test_what_the_caller_made_before_may_be_read(cupy: FakeCupy) -> None:
    """Its upload has not even begun when the slots' work is given to them."""
    engine = DeviceEngine()
    there = engine.taken(CLOSE)

    def begin(engine: Engine, piece: Stretch) -> Callable[[], np.ndarray]:
        return engine.bringing(returns_on(engine, there))

    for _, got in run_in_slots(stretches(4, 1), begin, engines=[engine]):
        assert_same_bits(got, EXPECTED)


@pytest.mark.parametrize("missing", ["nothing", "streams", "events"])
def test_it_may_be_read_where_threads_and_streams_are_others(cupy: FakeCupy, missing: str) -> None:
    """The caller's stream is one of its own, and the devices' threads have others."""
    engines = [DeviceEngine(0), DeviceEngine(1)]
    both, first_two = threading.Barrier(2), iter(range(2))
    there: dict[int, Any] = {}

    def begin(engine: Engine, piece: Stretch) -> Callable[[], np.ndarray]:
        if next(first_two, None) is not None:
            both.wait(60)
        return engine.bringing(returns_on(engine, there[cupy.current]))

    with contextlib.ExitStack() as streams:
        for engine in engines:
            streams.enter_context(engine.streaming(engine.new_stream()))
            there[engine.device] = engine.taken(CLOSE)
        if missing == "streams":
            cupy.no_streams = itertools.repeat(CUDARuntimeError(999, "cudaErrorUnknown"))
        if missing == "events":
            cupy.no_events = itertools.repeat(CUDARuntimeError(999, "cudaErrorUnknown"))
        for _, got in run_in_slots(stretches(6, 1), begin, engines=engines):
            assert_same_bits(got, EXPECTED)


def test_what_another_slot_made_may_be_read_behind_its_mark(cupy: FakeCupy) -> None:
    made: list[Any] = []

    def begin(engine: Engine, piece: Stretch) -> Callable[[], np.ndarray]:
        if not made:
            made.extend([engine.taken(CLOSE), engine.mark()])
        engine.wait_for(made[1])
        return engine.bringing(returns_on(engine, made[0]))

    for _, got in run_in_slots(stretches(6, 1), begin, engines=[DeviceEngine()]):
        assert_same_bits(got, EXPECTED)


def test_a_download_keeps_what_it_reads_from_another_slots_memory(cupy: FakeCupy) -> None:
    """The first slot gets its memory again at once, for the next piece but two."""
    made: list[Any] = []

    def begin(engine: Engine, piece: Stretch) -> Callable[[], np.ndarray]:
        if piece.first == 0:
            made.extend([engine.taken(CLOSE), engine.mark()])
        if piece.first < 2:
            there, mark = made
            engine.wait_for(mark)
            if piece.first == 1:
                made.clear()
            return engine.bringing(there)
        return engine.bringing(engine.taken(-CLOSE))

    done = list(run_in_slots(stretches(5, 1), begin, engines=[DeviceEngine()], slots=2))
    for piece, got in done:
        assert_same_bits(got, CLOSE if piece.first < 2 else -CLOSE)


# ---------------------------------------------------------------- too little memory
@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize(
    "case", ["a limit", "a small device", "a device that says more", "the 7th allocation", "three in a row"]
)
def test_pieces_are_divided_where_memory_is_short(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, case: str, slots: int
) -> None:
    size = {"a small device": ONE, "a device that says more": ONE}.get(case, 2**30)
    cupy = install(monkeypatch, FakeCupy(memory=size, said_free=2**30 if case == "a device that says more" else None))
    engine, memory = DeviceEngine(), cupy.device[0].memory
    if case == "a limit":
        cupy.get_default_memory_pool().set_limit(size=ONE)
    if case == "the 7th allocation":
        memory.refused = lambda nth, size: nth == 7
    if case == "three in a row":
        memory.refused = lambda nth, size: nth in (4, 5, 6)
    begin, counts = Returns(CLOSE), SlotCounts()
    with caplog.at_level(logging.WARNING, "atc_plugin"):
        done = list(run_in_slots(stretches(COLUMNS, 12), begin, engines=[engine], slots=slots, counts=counts))
    assert_all_returns(done)
    assert counts.pieces == len(done)
    assert counts.halvings == len(done) - COLUMNS // 12
    assert counts.halvings > 0
    assert len(begin.begun) <= len(done) + 4, "those that follow are as small from the start"
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert warnings[0].startswith("device 0 has too little memory for Stretch(first=")
    assert memory.peak <= size
    del done
    assert_nothing_is_left(cupy)


def test_fragments_are_given_back_before_the_next_try(cupy: FakeCupy) -> None:
    """The pool keeps what pieces of other sizes leave, below a limit that would do for any of them."""
    cupy.get_default_memory_pool().set_limit(size=Stretch(0, 16).nbytes)
    pieces = [
        Stretch(0, 1, True),
        Stretch(1, 3, True),
        Stretch(3, 7, True),
        Stretch(7, 23, True),
        Stretch(23, 39, True),
    ]
    done = list(run_in_slots([*pieces, Stretch(39, 48)], Returns(CLOSE), engines=[DeviceEngine()], slots=3))
    assert_all_returns(done)
    del done
    assert_nothing_is_left(cupy)


def test_what_cannot_be_divided_gets_the_device_to_itself(cupy: FakeCupy, caplog: pytest.LogCaptureFixture) -> None:
    cupy.get_default_memory_pool().set_limit(size=ONE)
    begin, counts = Returns(CLOSE), SlotCounts()
    pieces = stretches(COLUMNS, 8, is_whole=True)
    done = list(run_in_slots(pieces, begin, engines=[DeviceEngine()], counts=counts))
    assert_all_returns(done)
    assert counts == SlotCounts(6, 0, 1)
    assert begin.begun == [pieces[0], pieces[1], *pieces[1:]], "the others have it to themselves from the start"


def test_what_does_not_fit_at_all_says_so(cupy: FakeCupy) -> None:
    """After the results of what did."""
    cupy.get_default_memory_pool().set_limit(size=ONE)
    done: list[tuple[Stretch, np.ndarray]] = []
    pieces = [*stretches(16, 8), Stretch(16, 40, True)]
    with pytest.raises(
        DeviceMemoryError,
        match=r"^device 0 has too little memory for Stretch\(first=16, end=40, is_whole=True\), which cannot be "
        rf"divided; {ONE:,} bytes are free: OutOfMemoryError: Out of memory allocating 12,288 bytes",
    ) as raised:
        done.extend(run_in_slots(pieces, Returns(CLOSE), engines=[DeviceEngine()]))
    assert isinstance(raised.value, MemoryError)
    assert_all_returns(done, 16)
    done.clear()
    del raised
    assert_nothing_is_left(cupy)


def test_no_memory_at_all_ends(cupy: FakeCupy) -> None:
    cupy.device[0].memory.refused = lambda nth, size: True
    begin = Returns(CLOSE)
    with pytest.raises(DeviceMemoryError, match=r"Stretch\(first=0, end=1, "):
        list(run_in_slots(stretches(COLUMNS, 8), begin, engines=[DeviceEngine()]))
    assert [piece.end for piece in begin.begun] == [8, 4, 2, 1, 1]
    assert_nothing_is_left(cupy)


def test_a_download_that_was_begun_before_memory_ran_out_has_ended_before_it_is_forgotten(cupy: FakeCupy) -> None:
    refused = itertools.count(1)

    def begin(engine: Engine, piece: Stretch) -> Callable[[], np.ndarray]:
        given = engine.bringing(engine.taken(CLOSE[:, piece.first : piece.end].copy()))
        if next(refused) in (2, 3, 5):
            raise OutOfMemoryError(1, 1)
        return given

    done = list(run_in_slots(stretches(COLUMNS, 16), begin, engines=[DeviceEngine()]))
    assert len(done) > 3, "it ran out"
    for piece, got in done:
        assert_same_bits(got, CLOSE[:, piece.first : piece.end])
    del done, got
    assert_nothing_is_left(cupy)


def test_memory_that_an_error_keeps_in_a_cycle_comes_back_too(cupy: FakeCupy) -> None:
    cupy.get_default_memory_pool().set_limit(size=ONE)
    inner = Returns(CLOSE)

    def begin(engine: Engine, piece: Stretch) -> Callable[[], np.ndarray]:
        there = engine.room((BARS, 4), np.float64)
        try:
            return inner(engine, piece)
        except MemoryError as error:
            kept = (error, there)  # noqa: F841
            raise

    gc.disable()
    try:
        done = list(run_in_slots(stretches(COLUMNS, 8), begin, engines=[DeviceEngine()], slots=1))
    finally:
        gc.enable()
    assert_all_returns(done)
    assert {piece.end - piece.first for piece, _ in done} == {4}, "divided once"


def test_drivers_say_it_in_their_own_way(cupy: FakeCupy) -> None:
    engine = DeviceEngine()
    for error in (
        out_of_memory(),
        CUDADriverError(2, "CUDA_ERROR_OUT_OF_MEMORY"),
        OutOfMemoryError(1, 1),
        MemoryError(),
    ):
        assert engine.is_out_of_memory(error)
    for other in (CUDARuntimeError(700, "cudaErrorIllegalAddress"), RuntimeError("2"), KeyboardInterrupt()):
        assert not engine.is_out_of_memory(other)


# ---------------------------------------------------------------- no streams, no events
@pytest.mark.parametrize("made", [0, 1, 2])
def test_without_streams_there_is_one(cupy: FakeCupy, caplog: pytest.LogCaptureFixture, made: int) -> None:
    cupy.no_streams = iter([None] * made + [CUDARuntimeError(999, "cudaErrorUnknown")])
    counts = SlotCounts()
    begin = Returns(CLOSE)
    assert_all_returns(list(run_in_slots(stretches(COLUMNS, 8), begin, engines=[DeviceEngine()], counts=counts)))
    assert counts == SlotCounts(6, 0, 1)
    assert [record.getMessage() for record in caplog.records] == [
        "device 0 does one piece at a time: CUDARuntimeError: cudaErrorUnknown"
    ]
    cupy.device[0].memory.free_all_blocks()  # of the current stream, which is not the pipeline's
    assert_nothing_is_left(cupy)


@pytest.mark.parametrize("made", [0, 1, 2, 5])
@pytest.mark.parametrize("devices", [1, 2])
def test_without_events_whole_streams_are_waited_for(
    cupy: FakeCupy, caplog: pytest.LogCaptureFixture, made: int, devices: int
) -> None:
    cupy.no_events = itertools.chain([None] * made, itertools.repeat(CUDARuntimeError(999, "cudaErrorUnknown")))
    engines = [DeviceEngine(number) for number in range(devices)]
    done = sorted(run_in_slots(stretches(COLUMNS, 8), Returns(CLOSE), engines=engines), key=lambda pair: pair[0])
    assert_all_returns(done)
    assert {record.getMessage() for record in caplog.records} == {
        f"device {number} does one piece at a time: CUDARuntimeError: cudaErrorUnknown"
        for number in {record.args[0].device for record in caplog.records}  # type: ignore[index, union-attr]
    }
    assert caplog.records


# ---------------------------------------------------------------- errors
def test_a_kernel_that_fails_is_the_error(cupy: FakeCupy) -> None:
    cupy.failing["returns_of"] = CUDARuntimeError(700, "cudaErrorIllegalAddress")
    with pytest.raises(CUDARuntimeError, match="cudaErrorIllegalAddress"):
        list(run_in_slots(stretches(COLUMNS, 8), Returns(CLOSE), engines=[DeviceEngine()]))
    cupy.failing.clear()
    assert_nothing_is_left(cupy, is_broken=True, was_kept_by_errors=True)


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("where", ["begin", "finish", "pieces"])
def test_an_error_waits_for_what_is_in_flight_and_goes_on(cupy: FakeCupy, where: str, devices: int) -> None:
    inner, closed = Returns(CLOSE), []

    def begin(engine: Engine, piece: Stretch) -> Callable[[], np.ndarray]:
        given = inner(engine, piece)
        if where == "begin" and piece.first == 24:
            raise KeyError("no such piece")

        def finish() -> np.ndarray:
            if where == "finish" and piece.first == 24:
                raise KeyError("no such piece")
            return given()

        return finish

    def pieces() -> Iterator[Stretch]:
        try:
            for piece in stretches(COLUMNS, 8):
                if where == "pieces" and piece.first == 24:
                    raise KeyError("no such piece")
                yield piece
        finally:
            closed.append(True)

    done: list[tuple[Stretch, np.ndarray]] = []
    engines, given = [DeviceEngine(number) for number in range(devices)], pieces()
    with pytest.raises(KeyError, match="no such piece"):
        done.extend(run_in_slots(given, begin, engines=engines))
    handed_out = [piece for piece, _ in done]
    assert Stretch(24, 32) not in handed_out
    assert len(set(handed_out)) == len(handed_out)
    assert closed == [True]
    done.clear()
    assert_nothing_is_left(cupy, was_kept_by_errors=True)


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("taken", [0, 1, 4])
def test_closed_early_it_waits_and_gives_all_back(cupy: FakeCupy, taken: int, devices: int) -> None:
    closed = []

    def pieces() -> Iterator[Stretch]:
        try:
            for number in itertools.count():
                yield Stretch(number % COLUMNS, number % COLUMNS + 1)
        finally:
            closed.append(True)

    engines, given = [DeviceEngine(number) for number in range(devices)], pieces()
    results = run_in_slots(given, Returns(CLOSE), engines=engines)
    for _ in range(taken):
        piece, got = next(results)
        assert_same_bits(got, EXPECTED[:, piece.first : piece.end])
        del got
    results.close()
    assert closed == [True] * (taken > 0)
    assert_nothing_is_left(cupy)


# ---------------------------------------------------------------- several devices
def test_devices_share_the_pieces(cupy: FakeCupy) -> None:
    both = threading.Barrier(2)
    inner, counts = Returns(CLOSE), SlotCounts()

    def begin(engine: Engine, piece: Stretch) -> Callable[[], np.ndarray]:
        if piece.first < 2:
            both.wait(60)  # each device has one of the first two
        return inner(engine, piece)

    engines = [DeviceEngine(0), DeviceEngine(1)]
    done = list(run_in_slots(stretches(COLUMNS, 1), begin, engines=engines, slots=2, counts=counts))
    assert_all_returns(sorted(done, key=lambda pair: pair[0]))
    assert {device for *_, device in cupy.asked} == {0, 1}
    assert len(cupy.built) == 1, "compiled once for both"
    assert counts == SlotCounts(COLUMNS, 0, 2)
    del done
    assert_nothing_is_left(cupy)


def test_one_small_device_divides_its_pieces_alone(cupy: FakeCupy) -> None:
    cupy.device[1].memory.limit = ONE // 4
    both = threading.Barrier(2)
    inner, counts = Returns(CLOSE), SlotCounts()

    def begin(engine: Engine, piece: Stretch) -> Callable[[], np.ndarray]:
        if piece in (Stretch(0, 8), Stretch(8, 16)) and len(inner.begun) < 2:
            both.wait(60)
        return inner(engine, piece)

    engines = [DeviceEngine(0), DeviceEngine(1)]
    done = list(run_in_slots(stretches(COLUMNS, 8), begin, engines=engines, counts=counts))
    assert_all_returns(sorted(done, key=lambda pair: pair[0]))
    assert counts.halvings == len(done) - 6 > 0
    assert cupy.device[1].memory.peak <= ONE // 4


def test_one_device_without_any_memory_ends_the_others(cupy: FakeCupy) -> None:
    cupy.device[1].memory.refused = lambda nth, size: True

    def pieces() -> Iterator[Stretch]:
        for number in itertools.count():
            yield Stretch(number % COLUMNS, number % COLUMNS + 1)

    with pytest.raises(DeviceMemoryError, match=r"^device 1 has too little memory"):
        deque(run_in_slots(pieces(), Returns(CLOSE), engines=[DeviceEngine(0), DeviceEngine(1)]), maxlen=0)
    assert_nothing_is_left(cupy)


# ---------------------------------------------------------------- what the device's engine has for it
def test_a_download_without_a_pipeline_waits_for_itself(cupy: FakeCupy) -> None:
    engine = DeviceEngine()
    for array in (CLOSE, np.arange(5, dtype=np.int8), np.empty((0, 3)), np.array([1.5])):
        assert_same_bits(engine.bringing(engine.taken(array))(), array)
    held = engine.bringing(engine.taken(CLOSE))
    with engine.streaming(engine.new_stream()):
        assert_same_bits(held(), CLOSE)  # of the stream that it began in


def test_what_cannot_be_pinned_waits_at_once(cupy: FakeCupy) -> None:
    engine = DeviceEngine()
    cupy.pinned.size = 0
    assert_same_bits(engine.bringing(engine.taken(CLOSE))(), CLOSE)
    assert_all_returns(list(run_in_slots(stretches(COLUMNS, 8), Returns(CLOSE), engines=[engine])))


def test_what_is_wrong_with_pinned_memory_is_said(cupy: FakeCupy) -> None:
    def fails(nbytes: int) -> Any:
        raise CUDARuntimeError(700, "cudaErrorIllegalAddress")

    cupy.cuda.alloc_pinned_memory = fails
    engine = DeviceEngine()
    there = engine.taken(CLOSE)
    with pytest.raises(CUDARuntimeError, match="cudaErrorIllegalAddress"):
        engine.bringing(there)


def test_free_bytes_are_the_drivers_and_the_pools_below_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = install(monkeypatch, FakeCupy(memory=100 * UNIT))
    engine = DeviceEngine()
    assert engine.free_bytes() == 100 * UNIT
    kept, dropped = engine.room((UNIT,), np.int8), engine.room((3 * UNIT,), np.int8)
    assert engine.free_bytes() == 96 * UNIT
    del dropped
    assert engine.free_bytes() == 99 * UNIT
    pool = cupy.get_default_memory_pool()
    pool.set_limit(size=10 * UNIT)
    assert engine.free_bytes() == 9 * UNIT
    pool.set_limit(size=UNIT // 2)
    assert engine.free_bytes() == 0
    assert kept.nbytes == UNIT
    assert HostEngine().free_bytes() > 0


def test_marks_order_streams_and_make_nobody_wait(cupy: FakeCupy) -> None:
    engine = DeviceEngine()
    first, second = engine.new_stream(), engine.new_stream()
    with engine.streaming(first):
        there = engine.taken(CLOSE)
        mark = engine.mark()
    with engine.streaming(second):
        engine.wait_for(mark)
        given = returns_on(engine, there)
        assert not cupy.device[0].in_flight, "nobody has waited"
        engine.synchronize()
        assert_same_bits(engine.brought(given), EXPECTED)


@pytest.mark.parametrize("limit", [0, 5])
@pytest.mark.parametrize("devices", [1, 2])
def test_whole_passes_in_slots_give_the_hosts_bits(cupy: FakeCupy, devices: int, limit: int) -> None:
    from test_launch import pass_on

    close = np.stack([prices(1, seed)[:, 0] for seed in range(12)], axis=1)

    def begin(engine: Engine, piece: Stretch) -> Callable[[], list[np.ndarray]]:
        coming = [engine.bringing(array) for array in pass_on(engine, close[:, piece.first : piece.end])]
        return lambda: [given() for given in coming]

    engines = [DeviceEngine(number) for number in range(devices)]
    if limit:  # what one pass over so many columns takes
        list(run_in_slots([Stretch(0, limit)], begin, engines=engines[:1]))
        for device in cupy.device:
            device.memory.limit = device.memory.peak = cupy.device[0].memory.peak
    done = list(run_in_slots(stretches(12, 6), begin, engines=engines))
    assert (len(done) > 2) == (limit > 0)
    for piece, arrays in done:
        for got, expected in zip(arrays, pass_on(HostEngine(), close[:, piece.first : piece.end]), strict=True):
            assert_same_bits(got, expected)
    assert sorted(itertools.chain(*(range(piece.first, piece.end) for piece, _ in done))) == list(range(12))
    del done, arrays, got
    assert_nothing_is_left(cupy)
