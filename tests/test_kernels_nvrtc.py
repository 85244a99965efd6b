"""The kernels through NVIDIA's compiler, for every generation of cards: it needs no GPU to see that no bit moves."""

from __future__ import annotations

import functools
import re

import nvrtc_compiler
import pytest

from atc_plugin.accel.signatures import OPTIONS, kernel_signatures, source

pytestmark = pytest.mark.skipif(
    nvrtc_compiler.library() is None,
    reason=f"NVRTC is not installed (pip install {nvrtc_compiler.PACKAGES[0]}, 90 MB, for Linux and Windows)",
)

GENERATIONS = (75, 80, 86, 89, 90, 100, 120)


@functools.cache
def compiled(generation: int, options: tuple[str, ...] = OPTIONS) -> str:
    if generation not in nvrtc_compiler.architectures():
        pytest.skip(f"this NVRTC does not know sm_{generation}")
    return nvrtc_compiler.ptx(source(), (*options, f"--gpu-architecture=compute_{generation}"))


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_compiles_every_kernel(generation: int) -> None:
    text = compiled(generation)
    assert f".target sm_{generation}" in text
    assert set(re.findall(r"\.visible \.entry (\w+)\(", text)) == set(kernel_signatures())


@pytest.mark.parametrize("generation", GENERATIONS)
def test_nothing_is_fused_and_nothing_is_of_single_precision(generation: int) -> None:
    text = compiled(generation)
    assert "mul.rn.f64" in text or "mul.f64" in text
    assert "fma.rn.f64" not in text
    assert ".f32" not in text
    assert "div.rn.f64" in text
    assert "sqrt.rn.f64" in text
    assert not re.search(r"\b(div|sqrt|rcp)\.(approx|full)", text)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_each_parameter_is_as_wide_as_its_signature_says(generation: int) -> None:
    text = compiled(generation)
    for name, signature in kernel_signatures().items():
        found = re.search(rf"\.visible \.entry {name}\((.*?)\)", text, re.DOTALL)
        assert found
        types = re.findall(r"\.param \.(\w+)", found[1])
        expected = ["u64" if p.shape is not None or p.dtype.kind == "i" else "f64" for p in signature.parameters]
        assert [type_.replace("b64", "u64") for type_ in types] == expected, name


@pytest.mark.parametrize("generation", GENERATIONS)
def test_no_index_is_multiplied_in_32_bits(generation: int) -> None:
    assert not re.search(r"\b(mul|mad)\.lo\.[su]32", compiled(generation))


@pytest.mark.parametrize("generation", GENERATIONS)
def test_what_cupy_adds_to_the_options_changes_no_instruction(generation: int) -> None:
    """It flushes subnormal numbers to zero, which is said of single precision only."""
    assert compiled(generation, (*OPTIONS, "-ftz=true")) == compiled(generation)


def test_without_the_option_multiplications_are_fused() -> None:
    """The assertion above can fail: this is what the frozen option is for."""
    assert "fma.rn.f64" in compiled(90, tuple(option for option in OPTIONS if option != "--fmad=false"))


def test_an_error_says_where() -> None:
    with pytest.raises(RuntimeError, match='identifier "nowhere" is undefined'):
        nvrtc_compiler.ptx("__global__ void broken() { nowhere = 1; }", OPTIONS)
