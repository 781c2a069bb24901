"""A number that moves from call to call, given to what asks for its value: Python, NumPy, libraries.

A compiled function computes with such a number by a stand-in, and code in C knows numbers by their
types. So each expression is returned beside a result, from a number in an attribute, in a list and
as an argument.
"""

import importlib
import random
import types
import warnings

import numpy as np
import pytest

import rushlight as torch
from rushlight.compiler.python.frames import available

pytestmark = pytest.mark.skipif(not available(), reason="frames cannot be read here")

MODULES = (
    "array bisect cmath collections copy datetime decimal fractions functools heapq itertools json math "
    "operator pickle random statistics string struct types"
)
EXPRESSIONS = """
np.array(a) | np.array([a]) | np.asarray([a, 1]) | np.float32(3) * a | a * np.float32(3) | np.arange(3) * a | a * np.arange(3)
np.arange(3).astype("f4") * a | np.full(3, a) | np.sin(a) | np.maximum(a, 1) | np.float32(a) | np.linspace(0, a, 3) | np.arange(a)
np.where(np.array([True, False]), a, 0) | set_first(np.zeros(2), a) | np.sum([a, a]) | np.add(a, 1) | np.zeros(3) + a
np.array([1, a], dtype="f4") | np.stack([a, a]) | np.mean([a, a]) | np.dot(a, 2) | np.clip(a, 0, 1) | np.isnan(a) | np.power(a, 2)
np.float32(3) > a | a > np.float32(3) | np.int64(3) * a | np.outer([a], [a]) | np.broadcast_to(a, (2,)) | np.concatenate([[a], [a]])
np.ones(2) / a | a / np.ones(2) | a ** np.ones(2) | np.equal(a, 2) | np.round(a) | np.result_type(a) | np.ndim(a) | np.isscalar(a)
np.array([a]).sum() | np.unique([a, a]) | np.polyval([1, a], 2) | np.repeat(a, 2) | np.diag([a]) | np.minimum.reduce([a, 3])
np.interp(a, [0, 4], [0, 1]) | np.histogram([a, 1]) | np.searchsorted([1, 3], a) | np.eye(2) * a | np.nan_to_num(a) | np.cumsum([a, a])
array.array("d", [a]) | struct.pack("d", a) | "%f" % a | f"{a}" | format(a, ".2f") | repr(a) | json.dumps([a]) | decimal.Decimal(a)
fractions.Fraction(a) | math.fsum([a, a]) | statistics.mean([a, 1.0]) | sum([a, a]) | max(a, 1) | sorted([a, 1]) | round(a) | round(a, 1)
int(a) | complex(a) | divmod(a, 2) | hash(a) | {a: 1} | {a} | {2.0: 1}.get(a) | a in [2.0, 3] | [2.0, 3].count(a) | isinstance(a, float)
pickle.loads(pickle.dumps(a)) | copy.deepcopy(a) | math.sqrt(a) | math.isclose(a, 2) | cmath.sqrt(a) | operator.add(a, 1) | a.real
functools.reduce(operator.mul, [a, a]) | list(itertools.accumulate([a, a])) | collections.Counter([a]) | collections.Counter({"k": a})
collections.defaultdict(list, k=a) | collections.OrderedDict(k=a) | types.SimpleNamespace(k=a).k | a.__add__(1) | (2.0).__add__(a)
a // 2 | a % 2 | 2 ** a | -a | abs(a) | a == 2 | a < 3 | (a, [a]) | a if a > 1 else 0 | pow(a, 2, None) | "x" * int(a) | a.__class__ | type(a)
torch.tensor(a) | torch.tensor([a, 1]) | torch.full((2,), a) | torch.ones(2).add(1, alpha=a) | torch.linspace(0, a, 3) | torch.ones(2) > a
a ** torch.ones(2) | torch.clamp(torch.ones(2), max=a) | torch.zeros(2).masked_fill(torch.ones(2) > 0, a) | torch.Tensor([a])
torch.where(torch.ones(2) > 0, a, 0) | torch.ones(2, dtype=torch.int64) * a | torch.result_type(torch.ones(2), a) | not a | a and 1
random.Random(3).uniform(0, a) | math.hypot(a, 1) | math.ldexp(a, 2) | datetime.timedelta(seconds=a) | heapq.nlargest(1, [a, 0])
bisect.bisect([1, 3], a) | string.Template("$x").substitute(x=a) | list(map(float, [a])) | list(filter(None, [a])) | math.prod([a, 2])
"""  # fmt: skip
EACH = [e.strip() for line in EXPRESSIONS.strip().splitlines() for e in line.split(" | ")]
PLACES = {"attribute": "o.a", "item": "d[0]", "argument": "q"}
VALUES = [(2.0, 1.5, 3.25, 0.5), (2, 5, 3, 7)]


def set_first(values, a):
    values[0] = a
    return values


def description(found):
    """What a value is, its types included."""
    if isinstance(found, torch.Tensor):
        return "tensor", found.dtype, found.tolist()
    if isinstance(found, np.ndarray):
        return "array", found.dtype, found.tolist()
    if isinstance(found, (list, tuple, set)):
        return type(found), [description(x) for x in found]
    if isinstance(found, dict):
        return type(found), [(description(k), description(v)) for k, v in found.items()]
    return type(found), repr(found)


def outcome(function, *args):
    try:
        return description(function(*args)[1])
    except Exception as error:
        return type(error)


def check(expression, place, values):
    scope = {name: importlib.import_module(name) for name in MODULES.split()}
    scope |= {"np": np, "torch": torch, "set_first": set_first}
    exec(
        f"def function(x, o, d, q):\n    a = {PLACES[place]}\n    return x * 2, {expression}", scope
    )
    function, holder, items = scope["function"], types.SimpleNamespace(), [0]
    compiled = torch.compile(function)
    for value in values:
        holder.a = items[0] = value
        args = torch.ones(2), holder, items, value
        assert outcome(compiled, *args) == outcome(function, *args), (expression, place, value)


@pytest.fixture(autouse=True)
def on_numpy(monkeypatch):
    """The stand-ins are the same with native code, which takes longer to make."""
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_some_expressions_of_a_number_that_moves():
    draw = random.Random()
    for expression in draw.sample(EACH, 30):
        check(expression, draw.choice([*PLACES]), draw.choice(VALUES))


@pytest.mark.search
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("place", PLACES)
def test_all_expressions_of_a_number_that_moves(place, values):
    for expression in EACH:
        check(expression, place, values)
