"""Wrong arguments: what a call raises is what it raises under PyTorch, over calls spoilt at random.

``sound_calls.txt`` lists calls of every function and method of the first rows of the surface; here one
or two of their arguments are replaced by others, left out, added or given by an unknown name.
"""

import ast
import collections
import random
import warnings
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import rushlight

COUNT, SEED = 3000, 2024
#: The share that differed, in per cent, and a little more: one more kind of call would exceed it.
LIMIT = 1.7

WRONG = [
    "None", "'a'", "[1, 2]", "[]", "(0, 1)", "(0, 0)", "1.5", "2", "0", "-7", "9", "True", "x", "v",
    "i", "k", "s", "z0", "m", "1j", "object()", "torch.float32", "torch.int64", "{}",
    "np.float32(1)", "np.int64(1)", "np.ones(3)", "[x, y]", "b", "['a']", "slice(1)", "print",
    "(1.5,)", "cx", "float('nan')", "[[1]]", "e", "h",
]  # fmt: skip


def names(t):
    """What the expressions see, under the framework ``t``."""
    rng = np.random.default_rng(0)

    def floats(*shape):
        return t.tensor(rng.uniform(-2, 2, shape).astype("f4"))

    return {
        "torch": t, "np": np, "F": t.nn.functional, "init": t.nn.init,
        "x": floats(3, 4), "y": floats(3, 4), "v": floats(4), "w": floats(4, 2),
        "b": floats(2, 3, 4), "c": floats(2, 4, 5), "q": floats(3, 3), "p": floats(2, 3, 6, 6),
        "s": t.tensor(1.5), "z0": t.tensor(1), "i": t.tensor([[0, 1, 2, 0], [1, 2, 0, 1], [2, 0, 1, 1]]),
        "k": t.tensor([0, 2]), "m": t.tensor([[True, False, True, False]] * 3),
        "cx": t.tensor([1 + 2j, 2j]), "e": t.tensor([]), "h": t.ones(4, dtype=t.float16),
    }  # fmt: skip


def arguments(call):
    """The arguments of a call, as texts."""
    parsed = ast.parse(f"f({call})", mode="eval").body
    return [ast.unparse(a) for a in parsed.args] + [
        f"{k.arg}={ast.unparse(k.value)}" for k in parsed.keywords
    ]


def sound():
    """(function, arguments) of each call of the list; methods begin with a dot."""
    found, prefix = [], ""
    titles = {"torch": "torch.", "Tensor": ".", "nn.functional": "F.", "nn.init": "init."}
    for line in Path(__file__).with_name("sound_calls.txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            prefix = titles.get(line[2:], prefix)
            continue
        name, calls = line.split(" | ")
        for call in calls.split(" ; "):
            given = arguments(call)
            found.append((prefix + name, given))
            a_tensor = given and given[0][0] in "xyvwbikmqsp" and given[0][:3] != "pri"
            if (
                prefix == "torch."
                and a_tensor
                and name != "where"
                and hasattr(rushlight.Tensor, name)
            ):
                found.append(("." + name, given))
    return found


def spoilt(rng, function, given):
    """The text of the call with one or two things wrong."""
    given = list(given)
    first = function[0] == "."
    for _ in range(rng.choice([1, 1, 1, 2])):
        kind = rng.random()
        if kind < 0.68 and len(given) > first:
            at = rng.randrange(first, len(given))
            name, by_name, _ = given[at].partition("=")
            named = by_name and not name.startswith(("'", '"'))
            given[at] = f"{name}={rng.choice(WRONG)}" if named else rng.choice(WRONG)
        elif kind < 0.8 and len(given) > first:
            given.pop(rng.randrange(first, len(given)))
        elif kind < 0.94:
            given.insert(len([a for a in given if "=" not in a]), rng.choice(WRONG))
        else:
            given.append("unknown=1")
    return written(function, given)


def written(function, given):
    """The text of a call."""
    if function[0] == ".":
        return f"({given[0]}){function}({', '.join(given[1:])})"
    return f"{function}({', '.join(given)})"


def raised(t, code):
    """What a call raises under the framework ``t``."""
    t.manual_seed(0)
    try:
        eval(code, names(t))
    except Exception as error:
        return error
    return None


@pytest.mark.parity
def test_types_of_errors_are_those_of_pytorch():
    peer = pytest.importorskip("torch")
    rng, calls = random.Random(SEED), sound()
    texts: dict = {}
    while len(texts) < COUNT:
        function, given = rng.choice(calls)
        try:
            text = spoilt(rng, function, given)
            texts[text] = compile(text, text, "eval")
        except SyntaxError:  # an argument without a name after one with
            continue
    other = collections.defaultdict(list)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text, code in texts.items():
            want, got = raised(peer, code), raised(rushlight, code)
            if not (want is got is None or (want is not None and isinstance(got, type(want)))):
                other[type(want).__name__, type(got).__name__].append(text)
    count = sum(map(len, other.values()))
    assert count <= COUNT * LIMIT / 100, f"{count} of {COUNT} differ: {dict(other)}"


def test_no_sound_call_is_refused():
    refused = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for function, given in sound():
            text = written(function, given)
            error = raised(rushlight, compile(text, text, "eval"))
            if error is not None:
                refused[text] = error
    assert not refused


def test_messages_name_function_argument_and_kind():
    for call, message in {
        "torch.multinomial(v.abs(), i)": "multinomial(): argument 'num_samples' (position 2) must be "
        "int, not Tensor",
        "x.topk(2, largest=1)": "topk(): argument 'largest' must be bool, not int",
        "torch.tile(x, (1, 'a'))": "must be tuple of ints, but found element of type str at pos 1",
        "torch.arange(1, 2, [])": "must be Number, not list",
    }.items():
        error = raised(rushlight, compile(call, call, "eval"))
        assert type(error) is TypeError and message in str(error), error


REFUSED = """
x.sum(True) | x.amax(True) | x.any((True,)) | x.unsqueeze(True) | x.transpose(True, 0) | x.permute(True, 0)
torch.flip(x, 0, 1) | torch.flip(x, 0) | torch.flip(x, dims=0) | torch.permute(x, 1, 0) | torch.flip(x, True)
"""
TAKEN = "x.flip(0, 1) | x.flip(0) | torch.flip(x, [0, 1]) | torch.permute(x, dims=(1, 0)) | x.permute(1, 0)"


def each_of(calls):
    return [call for line in calls.strip().splitlines() for call in line.split(" | ")]


@pytest.mark.parametrize(
    "product", ["x @ h", "x.mv(h)", "v @ h", "b @ h", "h @ w", "torch.mm(x, w.half())"]
)
def test_products_are_of_one_dtype(product):
    assert isinstance(raised(rushlight, product), RuntimeError)


def check_dims(t):
    for call in each_of(REFUSED):
        assert isinstance(raised(t, call), TypeError), call
    for call in each_of(TAKEN):
        assert raised(t, call) is None, call


def test_a_bool_is_no_dim_and_a_function_takes_dims_in_one_tuple():
    check_dims(rushlight)


@pytest.mark.parity
def test_which_dims_pytorch_takes():
    check_dims(pytest.importorskip("torch"))


@pytest.mark.parametrize("value", [Fraction(1, 2), Decimal("0.5")])
@pytest.mark.parametrize("call", [
    lambda x, v: x + v, lambda x, v: v - x, lambda x, v: x < v,
    lambda x, v: rushlight.where(x > 0, x, v), lambda x, v: x.clone().mul_(v),
    lambda x, v: rushlight.full((1,), v), lambda x, v: rushlight.add(x, x, alpha=v),
    lambda x, v: x.masked_fill(x > 0, v), lambda x, v: rushlight.arange(v),
])  # fmt: skip
def test_numbers_that_only_python_knows_are_refused(call, value):
    for x in (rushlight.ones(2), rushlight.arange(3)):
        with pytest.raises(TypeError):
            call(x, value)
    assert (x == value) is False
