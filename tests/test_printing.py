"""printing.py against PyTorch's text: recorded, written out here, and live over random tensors."""

import base64
import itertools
import json
import math
import pathlib
import timeit

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import rushlight as torch
from rushlight.dtype import DTYPES, bfloat16, float16, float32, float64, of
from rushlight.printing import (
    OPTIONS,
    PrintOptions,
    format_tensor,
    printoptions,
    set_printoptions,
)

GOLDEN = pathlib.Path(__file__).parent / "golden" / "printing.json"
BY_NAME = {d.name: d for d in DTYPES}


@pytest.fixture(autouse=True)
def default_options():
    yield
    set_printoptions(profile="default")


def text_of(array, default_dtype=float32, **surroundings):
    return format_tensor(array, of(array.dtype), default_dtype=default_dtype, **surroundings)


# Without PyTorch ---------------------------------------------------------------------------


def test_recorded_texts():
    wrong = []
    for case in json.loads(GOLDEN.read_text()):
        dtype = BY_NAME[case["dtype"]]
        array = np.frombuffer(base64.b64decode(case["data"]), dtype.numpy).reshape(case["shape"])
        extra = dict(case["extra"])
        default_dtype = BY_NAME[extra.pop("default_dtype", "float32")]
        set_printoptions(profile="default")
        set_printoptions(**case["options"])
        text = format_tensor(array, dtype, default_dtype=default_dtype, **extra)
        if text != case["text"]:
            wrong.append((case, text))
    assert not wrong


def test_options_that_are_not_given_stay_but_sci_mode():
    set_printoptions(precision=2, sci_mode=True)
    assert PrintOptions(precision=2, sci_mode=True) == OPTIONS
    set_printoptions(linewidth=120, threshold=7)
    assert PrintOptions(precision=2, linewidth=120, threshold=7) == OPTIONS
    set_printoptions(profile="short", precision=3)
    assert PrintOptions(precision=3, edgeitems=2) == OPTIONS
    set_printoptions(profile="full")
    assert PrintOptions(threshold=math.inf) == OPTIONS
    set_printoptions(profile="no such profile")
    assert PrintOptions(threshold=math.inf) == OPTIONS


@pytest.mark.parametrize("shape", [(), (3,), (30,), (2, 3), (0, 2)])
def test_indent_is_the_column_of_the_first_character(shape):
    # A longer class name moves the elements as far, so the two texts must be the same.
    array = np.full(shape, 1.25)
    long = text_of(array, class_name="x" * 30 + "tensor", requires_grad=True)
    assert "x" * 30 + text_of(array, indent=30, requires_grad=True) == long


def test_a_summary_copies_only_what_it_shows():
    # 10^12 elements would not fit in memory, whole or along any one dim.
    array = np.broadcast_to(np.float32(1.5), (5, 2 * 10**11))
    assert text_of(array).count("1.5000") == 30


def test_memory_layout_does_not_matter():
    base = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7
    for view in (base.T, base[::-1, :, ::2], np.asfortranarray(base)):
        assert text_of(view) == text_of(np.ascontiguousarray(view))


def test_a_small_tensor_prints_in_less_than_100_microseconds():
    arrays = [np.linspace(-3, 3, 15, dtype=np.float32).reshape(3, 5), np.arange(10)]
    for array in arrays:
        best = min(timeit.repeat(lambda a=array: text_of(a), number=20, repeat=20)) / 20
        assert best < 100e-6


# With PyTorch ------------------------------------------------------------------------------

SPECIAL = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 1e-4, 9.9999e-5, 1e8, 1.0001e8,
           0.99995, 9.99995, 5e-324, 1e-45, 6e-8, 65504.0, 1e300, 1e-300]  # fmt: skip


def reals(generator, count):
    """Numbers of one of several kinds, since a uniform mixture would hide the narrow ones."""
    scale = 10.0 ** generator.integers(-12, 13)
    kind = generator.integers(6)
    if kind == 0:
        values = generator.integers(-20, 20, count).astype(float)
    elif kind == 1:
        values = generator.normal(size=count) * scale
    elif kind == 2:
        values = np.round(generator.normal(size=count) * scale)
    elif kind == 3:
        values = generator.choice(SPECIAL, count)
    elif kind == 4:
        values = np.exp2(generator.uniform(-1, 1, count) * generator.choice([8, 30, 200, 1000]))
    else:
        values = np.abs(generator.normal(size=count)) * scale + scale
    if generator.integers(3) == 0:
        values = np.where(generator.random(count) < 0.3, generator.choice(SPECIAL), values)
    return values


def array_of(dtype, shape, seed):
    """An array of ``dtype``: one of the kinds of ``reals``, or random bits."""
    generator = np.random.default_rng(seed)
    count = math.prod(shape)
    if dtype.name == "bool":
        flat = generator.integers(0, 2, count).astype(bool)
    elif dtype.category == 1 or generator.integers(5) == 0:
        flat = np.frombuffer(generator.bytes(count * dtype.itemsize), dtype.numpy)
        if dtype.category == 1:
            flat = flat // dtype.numpy.type(10 ** generator.integers(3))
    else:
        flat = reals(generator, count)
        with np.errstate(all="ignore"):
            if dtype.is_complex:
                flat = np.stack([flat, reals(generator, count)], axis=1)
                flat = flat.astype(dtype.to_real().numpy).view(dtype.numpy)
            flat = flat.astype(dtype.numpy)
    return flat.reshape(shape)


def live_tensor(torch, array, dtype):
    tensor = torch.empty(array.shape, dtype=getattr(torch, dtype.name))
    if array.size:
        bits = torch.from_numpy(array.reshape(-1).view(np.uint8).copy())
        tensor.view(-1).view(torch.uint8).copy_(bits)
    return tensor


options = st.fixed_dictionaries(
    {},
    optional={
        "profile": st.sampled_from(["default", "short", "full"]),
        "precision": st.integers(0, 9),
        "threshold": st.sampled_from([0, 1, 5, 20, 60, math.inf]),
        "edgeitems": st.integers(0, 4),
        "linewidth": st.integers(1, 130),
        "sci_mode": st.sampled_from([None, True, False]),
    },
)
shapes = st.one_of(
    st.lists(st.integers(0, 9), max_size=4),
    st.lists(st.integers(1, 4), min_size=3, max_size=6),
    st.lists(st.integers(1, 130), min_size=1, max_size=1),
).filter(lambda shape: math.prod(shape) <= 1200)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    dtype=st.sampled_from(DTYPES),
    shape=shapes,
    seed=st.integers(0, 2**32),
    options=options,
    default_dtype=st.sampled_from([float32, float64, float16]),
    history=st.sampled_from(["none", "leaf", "result"]),
    class_name=st.sampled_from(["tensor", "Sub"]),
    device=st.sampled_from([None, "cpu"]),
)
@example(float32, (12, 12, 12), 1, {}, float32, "result", "tensor", None)
@example(float16, (1001,), 2, {}, float32, "none", "tensor", "cpu")
def test_any_tensor_prints_as_in_pytorch(
    dtype, shape, seed, options, default_dtype, history, class_name, device
):
    torch = pytest.importorskip("torch")
    array = array_of(dtype, shape, seed)
    if dtype.name == "float8_e8m0fnu":  # PyTorch's printing takes its nan for a finite number
        array = np.where(np.isnan(array.astype(np.float32)), dtype.numpy.type(1), array)
    tensor = live_tensor(torch, array, dtype)
    if class_name != "tensor":
        tensor = tensor.as_subclass(type(class_name, (torch.Tensor,), {}))
    surroundings = {"class_name": class_name, "device_suffix": device}
    if dtype.category > 1 and history != "none":
        tensor.requires_grad_()
        surroundings["requires_grad"] = True
        if history == "result":
            tensor = tensor.clone()
            surroundings["grad_fn_name"] = type(tensor.grad_fn).__name__
    set_printoptions(profile="default")
    set_printoptions(**options)
    with pytest.MonkeyPatch.context() as patch:
        if device is not None:
            patch.setattr(torch._C, "_get_default_device", lambda: "cuda")
        torch.set_printoptions(profile="default")
        torch.set_printoptions(**options)
        torch.set_default_dtype(getattr(torch, default_dtype.name))
        try:
            expected = repr(tensor)
        finally:
            torch.set_default_dtype(torch.float32)
            torch.set_printoptions(profile="default")
    assert text_of(array, default_dtype, **surroundings) == expected


@pytest.mark.parity
def test_every_half_precision_number_prints_as_in_pytorch():
    torch = pytest.importorskip("torch")
    bits = np.arange(0, 2**16, 7, dtype=np.uint16)
    for dtype, sci_mode in itertools.product((float16, bfloat16), (None, False)):
        array = bits.view(dtype.numpy)
        set_printoptions(profile="full", sci_mode=sci_mode)
        torch.set_printoptions(profile="full", sci_mode=sci_mode)
        try:
            expected = repr(live_tensor(torch, array, dtype))
        finally:
            torch.set_printoptions(profile="default")
        assert text_of(array) == expected
        set_printoptions(profile="default")


@pytest.mark.parity
def test_a_parameter_prints_under_its_heading():
    torch = pytest.importorskip("torch")
    array = np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)
    parameter = torch.nn.Parameter(torch.from_numpy(array))
    text = text_of(array, requires_grad=True)
    assert repr(parameter) == "Parameter containing:\n" + text


def test_options_for_a_while():
    with pytest.raises(KeyError), printoptions(precision=2, sci_mode=False):
        assert OPTIONS.precision == 2 and OPTIONS.sci_mode is False
        raise KeyError
    assert PrintOptions() == OPTIONS


@pytest.mark.parametrize("build", [
    lambda: torch.eye(2).to_sparse(), lambda: torch.eye(2).to_sparse_csr(),
    lambda: torch.eye(2).to_sparse_bsr((1, 1)), lambda: torch.eye(2).to_sparse().requires_grad_(),
    lambda: torch.nested.nested_tensor([torch.ones(1)]),
    lambda: torch.nested.nested_tensor([torch.ones(1)], layout=torch.jagged),
    lambda: torch.zeros(2, device="meta"), lambda: torch.nn.Parameter(torch.ones(1)),
    lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8),
    lambda: torch.ones(2, requires_grad=True) * 2,
])  # fmt: skip
def test_a_tensor_of_any_layout_in_an_f_string(build):
    x = build()
    assert f"{x}" == repr(x) == str(x)
    with pytest.raises(TypeError, match="unsupported format string"):
        f"{x:.2f}"


def test_a_sparse_number_takes_a_format():
    x = torch.tensor(1.5).to_sparse()
    assert f"{x}" == "1.5"
    assert f"{x:.2f}" == "1.50"
