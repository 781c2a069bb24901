"""Each operator and module of PyTorch's own test database gives what PyTorch gives."""

import itertools
import re
from math import prod

import pytest

import rushlight

torch = pytest.importorskip("torch")
pytest.importorskip("torch.testing._internal")  # which rushlight, in PyTorch's place, lacks
pytest.importorskip("expecttest")  # the database imports it

from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402
from torch.testing._internal.common_modules import module_db  # noqa: E402

from tests.daily import daily, drawn  # noqa: E402
from tests.operator_database import (  # noqa: E402
    Other,
    Twins,
    difference,
    outcome,
    resolved,
    with_rushlight,
)

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

#: Operators whose results are another framework's choice, or that docs/differences.md tells of.
OTHERWISE = re.compile("|".join([
    "as_strided_scatter", "mode", "(arg|m)?sort",  # gradients with gaps; the order of many ties
    ".*polygamma", "special.bessel.*",  # ours have more digits
    "(linalg.)?svd(_lowrank)?", "pca_lowrank", "linalg.eigh?",  # signs
    "cov", "corrcoef",  # what cancels but for rounding
    "(new_)?empty.*",  # memory that nobody wrote
    "native_group_norm",  # statistics that require a gradient, and have none
    ".*(sparse|jiterator|_scaled_mm|_flash|_efficient|_backward).*", "c(float|double|half)",
]))  # fmt: skip
#: Of other operators, the samples for which the same holds.
EXCUSED = {
    "nn.functional.batch_norm": lambda x, *_: x.ndim < 2,  # it has no elements
    "nn.functional.layer_norm": lambda x, shape, *_: prod(shape) == 1,  # 0 but for rounding
    "native_layer_norm": lambda x, shape, *_: prod(shape) == 1,
    "logcumsumexp": lambda x, *_: x.is_complex(),  # a logarithm of large numbers has few digits
    "renorm": lambda x, *_: x.is_complex(),  # the gradient is nan in PyTorch
}
OPERATORS = {
    f"{op.name} {op.variant_test_name}".strip(): op
    for op in op_db if not OTHERWISE.fullmatch(op.name)
}  # fmt: skip
DTYPES = {"float32": torch.float32, "complex64": torch.complex64, "int64": torch.int64}
CASES = [
    (name, dtype)
    for name, op in OPERATORS.items()
    for dtype, d in DTYPES.items() if d in op.supported_dtypes("cpu")
]  # fmt: skip
#: The most samples of an operator in one dtype.
MOST = 40


@pytest.mark.parametrize(("name", "dtype"), daily(CASES, 100, "operators"))
def test_operators(name, dtype):
    op, ours = OPERATORS[name], _ours(OPERATORS[name])
    for k, sample in _samples(op, DTYPES[dtype]):
        _compare(f"sample {k}", ours, op.op, (sample.input, *sample.args), sample.kwargs)


@pytest.mark.parametrize(("name", "dtype"), daily(CASES, 60, "default dtypes"))
def test_dtypes_where_float64_is_the_default(name, dtype):
    op, ours = OPERATORS[name], _ours(OPERATORS[name])
    for k, sample in _samples(op, DTYPES[dtype]):
        args, dtypes = (sample.input, *sample.args), []
        try:
            given = Twins().of([args, sample.kwargs])
        except Other:
            continue
        for framework, call, (a, named) in (
            (torch, op.op, (args, sample.kwargs)),
            (rushlight, ours, given),
        ):
            framework.set_default_dtype(framework.float64)
            try:
                error, results, *_ = outcome(framework, call, a, named)
            finally:
                framework.set_default_dtype(framework.float32)
            dtypes.append([str(t.dtype).partition(".")[2] for t in results])
            if error is not None:
                break
        assert dtypes[0] == dtypes[-1], f"{name} {dtype}, sample {k}"


#: Operators of which some errors are of another kind or have other words.
OTHER_ERRORS = re.compile("|".join([
    "__r.*__",  # a number in the tensor's place
    "(lin|log)space", "[hv]split", "cat", "a(min)?max", "amin", "mean", "multinomial", "complex",
    "gather", "ormqr", "narrow_copy", "nn.functional.adaptive_max_pool.d",
]))  # fmt: skip
FAILING = [name for name, op in OPERATORS.items() if op.error_inputs_func is not None]


@pytest.mark.parametrize(
    "name", daily([n for n in FAILING if not OTHER_ERRORS.match(n)], 60, "errors")
)
def test_errors(name):
    """Bad arguments raise PyTorch's error, in the words that its tests look for."""
    op, ours = OPERATORS[name], _ours(OPERATORS[name])
    for k, case in enumerate(op.error_inputs("cpu")):
        args, named = (case.sample_input.input, *case.sample_input.args), case.sample_input.kwargs
        try:
            twins = Twins()
            given = twins.of(args), twins.of(named)
        except (Other, ValueError, RuntimeError):  # such as a tensor of 65 dims
            continue
        _compare_errors(f"{name}, error {k}", case, (op.op, args, named), (ours, *given))


def _compare_errors(label, case, theirs, ours):
    want, found = [_error(call, args, named) for call, args, named in (theirs, ours)]
    assert isinstance(found, type(want)), f"{label}: {found!r} instead of {want!r}"
    if want is not None and re.search(case.error_regex, str(want)):
        assert re.search(case.error_regex, str(found)), f"{label}: {found!r} instead of {want!r}"


def _error(call, args, named):
    try:
        call(*args, **named)
    except Exception as error:
        return error
    return None


@pytest.mark.slow
@pytest.mark.parametrize("case", sorted(drawn(CASES, 150, "compiled operators")))
def test_compiled_operators(case):
    name, dtype = CASES[case]
    ours = _ours(OPERATORS[name])
    for k, sample in _samples(OPERATORS[name], DTYPES[dtype]):
        args = sample.input, *sample.args
        try:
            found, want = [
                outcome(rushlight, call, twins.of(args), twins.of(sample.kwargs))
                for call in (rushlight.compile(lambda *a, **kw: ours(*a, **kw)), ours)
                for twins in [Twins()]
            ]
        except Other:
            continue
        wrong = difference(found, want, compiled=True)
        assert not wrong, f"{name} {dtype}, sample {k}: {wrong}"


def _ours(op):
    home = getattr(op.op, "__module__", None) or ""
    wrapped = op.op.__name__ == "<lambda>" or home.startswith("torch.testing")
    try:
        return with_rushlight(op.op) if wrapped else resolved(op.name)
    except Other:
        pytest.skip("rushlight has no such function")


def _samples(op, dtype):
    torch.manual_seed(0)
    tracked = op.supports_autograd and dtype is not torch.int64
    excused = EXCUSED.get(op.name, lambda *_: False)
    for k, sample in enumerate(itertools.islice(op.sample_inputs("cpu", dtype, tracked), MOST)):
        if not excused(sample.input, *sample.args):
            yield k, sample


@pytest.mark.parametrize("name", daily([info.name for info in module_db], 20, "modules"))
@pytest.mark.parametrize("training", [True, False])
def test_modules(name, training):
    info = next(info for info in module_db if info.name == name)
    torch.manual_seed(0)
    given = {"device": "cpu", "dtype": torch.float32, "requires_grad": True, "training": training}
    for k, inputs in enumerate(info.module_inputs_func(info, **given)):
        made, called = inputs.constructor_input, inputs.forward_input

        def build(framework, args, named):
            framework.manual_seed(0)
            cls = (
                info.module_cls
                if framework is torch
                else resolved(f"nn.{info.module_cls.__name__}")
            )
            return cls(*args, **named).train(training)

        twins = Twins()
        try:
            ours = build(rushlight, twins.of(made.args), twins.of(made.kwargs))
        except Other:
            continue
        theirs = build(torch, made.args, made.kwargs)
        assert repr(ours) == repr(theirs)
        assert [*ours.state_dict()] == [*theirs.state_dict()]
        if name == "nn.CTCLoss" and k == 5:
            continue  # a long sum of which either framework has four digits
        _compare(f"sample {k} {ours}", ours, theirs, called.args, called.kwargs)
        for (label, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            wrong = difference((None, [p], None, [p.grad]), (None, [q], None, [q.grad]))
            assert not wrong, f"sample {k} {ours}: {label}: {wrong}"


@pytest.mark.parametrize(
    "name", daily([info.name for info in module_db if info.module_error_inputs_func], 10, "misuse")
)
def test_errors_of_modules(name):
    info = next(info for info in module_db if info.name == name)
    given = {"device": "cpu", "dtype": torch.float32, "requires_grad": False, "training": True}
    for k, case in enumerate(info.module_error_inputs_func(info, **given)):
        inputs = case.module_error_input
        given = [
            (made.args, made.kwargs)
            for made in (inputs.constructor_input, inputs.forward_input)
            if made
        ]
        try:
            ours = resolved(f"nn.{info.module_cls.__name__}"), Twins().of(given)
        except Other:
            continue
        theirs = info.module_cls, given
        _compare_errors(f"{name}, error {k}", case, (_use, theirs, {}), (_use, ours, {}))


def _use(made, given):
    """Make a module of the first arguments, and call it with the second, if there are any."""
    for args, named in given:
        made = made(*args, **named)


def _compare(label, ours, theirs, args, named):
    twins = Twins()
    try:
        own_args, own_named = twins.of(args), twins.of(named)
    except Other:
        return
    state = torch.get_rng_state()  # of the samples that are still to come
    want = outcome(torch, theirs, args, named)
    torch.set_rng_state(state)
    wrong = difference(outcome(rushlight, ours, own_args, own_named), want)
    assert not wrong, f"{label}: {wrong}"
