"""Idioms of ordinary models: the second call runs the first one's program, which computes the same.

Whatever a function makes for itself - slices of modules, configurations, results, generators - is no
condition for other calls.
"""

import abc
import collections
import contextlib
import copy
import dataclasses
import enum
import functools
import inspect
import itertools
import logging
import math
import operator
import types
import typing
import warnings

import pytest

import rushlight as torch

nn, F = torch.nn, torch.nn.functional
IDIOMS = {}


def idiom(make):
    IDIOMS[make.__name__] = make
    return make


def layers(n=3):
    return [nn.Linear(4, 4) for _ in range(n)]


class Stack(nn.Module):
    """Three layers in each of PyTorch's containers, and a configuration."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(layers())
        self.chain = nn.Sequential(*layers())
        self.named = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
        self.weights = nn.ParameterList([nn.Parameter(torch.ones(4)) for _ in range(3)])
        self.by_name = nn.ParameterDict({"scale": nn.Parameter(torch.ones(4))})
        self.conv0, self.conv1 = layers(2)
        self.register_buffer("offset", torch.ones(4))
        self.n = 2
        self.config = Config()
        self.kind = Kind.A


@dataclasses.dataclass
class Config:
    n: int = 2
    scale: float = 0.5
    names: tuple = ("a", "b")
    more: dict = dataclasses.field(default_factory=lambda: {"p": 0.0, "list": [1, 2]})

    @property
    def doubled(self):
        return self.scale * 2

    def get(self, name, default=None):
        return getattr(self, name, default)


class Kind(enum.Enum):
    A = "a"
    B = "b"


@dataclasses.dataclass
class Output(collections.OrderedDict):
    """A result as transformers has them: a dataclass that is a dict, too."""

    loss: typing.Any = None
    states: typing.Any = None

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None:
                self[field.name] = value

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        super().__setattr__(key, value)


Pair = collections.namedtuple("Pair", "first second")


class Typed(typing.NamedTuple):
    first: typing.Any
    second: typing.Any = None


@idiom
def slice_of_a_module_list(m, x):
    for layer in m.layers[: m.n]:
        x = layer(x)
    return x


@idiom
def reversed_slice_of_a_module_list(m, x):
    for layer in reversed(m.layers[1:]):
        x = layer(x)
    return x


@idiom
def slice_of_a_sequential(m, x):
    return m.chain[:-1](x)


@idiom
def sum_of_sequentials(m, x):
    return (m.chain + nn.Sequential(nn.ReLU()))(x)


@idiom
def a_module_made_in_the_call(m, x):
    return nn.Sequential(m.layers[0], nn.ReLU(), m.layers[1])(x)


@idiom
def a_module_list_made_in_the_call(m, x):
    for layer in nn.ModuleList([m.conv0, m.conv1]):
        x = layer(x)
    return x


@idiom
def a_module_dict(m, x):
    for name, layer in m.named.items():
        x = layer(x) if name in m.config.names else x
    return x + sum(layer(x) for layer in m.named.values())


@idiom
def lists_of_parameters(m, x):
    for weight in m.weights[1:]:
        x = x * weight
    return x * m.by_name["scale"] * functools.reduce(operator.mul, m.weights)


@idiom
def names_that_are_computed(m, x):
    for i in range(m.n):
        x = getattr(m, f"conv{i}")(x)
    return x


@idiom
def walks_over_modules(m, x):
    for name, layer in m.named_children():
        if isinstance(layer, nn.Linear) and name.startswith("conv"):
            x = layer(x)
    count = sum(p.numel() for p in m.parameters() if p.requires_grad)
    return x * (count > 10) + len(list(m.modules())) + len(dict(m.named_parameters()))


@idiom
def a_configuration(m, x):
    config = m.config
    scale = config.get("scale", 1.0) if hasattr(config, "scale") else 2.0
    return x * scale * config.doubled + config.more["list"][0] + config.more.get("q", 3)


@idiom
def a_copied_configuration(m, x):
    config = copy.copy(m.config)
    config.scale = 3.0
    config.more = {**config.more, "p": 0.5}
    deep = copy.deepcopy(m.config)
    deep.more["list"].append(5)
    return x * config.scale * deep.more["list"][-1] * config.more["p"]


@idiom
def a_replaced_dataclass(m, x):
    config = dataclasses.replace(m.config, scale=7.0)
    return x * config.scale * dataclasses.asdict(config)["n"]


@idiom
def an_output_that_is_a_dict(m, x):
    states = ()
    for layer in m.layers:
        x = layer(x)
        states = (*states, x)
    return Output(loss=x.sum(), states=states)


@idiom
def an_output_that_is_looked_into(m, x):
    out = Output(loss=x.sum(), states=[x])
    return out["loss"] + out.loss + out.states[0].sum() + len(out.keys())


@idiom
def named_tuples(m, x):
    pair = Pair(m.conv0(x), m.conv1(x))
    first, second = pair._replace(second=x)
    return Typed(first * second, Typed(x))


@idiom
def a_simple_namespace(m, x):
    state = types.SimpleNamespace(x=x, cache={})
    for i, layer in enumerate(m.layers):
        state.cache[i] = state.x = layer(state.x)
    return sum(state.cache.values())


@idiom
def keyword_arguments(m, x):
    def inner(x, *args, scale=1.0, **kwargs):
        kwargs = {k: v for k, v in kwargs.items() if v is not None}
        flag = kwargs.pop("flag", False)
        return x * scale if flag else inner(x, scale=scale, flag=True, **kwargs)

    return inner(x, scale=m.config.scale, other=None, more=[1])


@idiom
def partials_and_lambdas(m, x):
    steps = [functools.partial(F.gelu, approximate="tanh"), lambda y: y * m.config.scale, m.conv0]
    return functools.reduce(lambda y, step: step(y), steps, x)


@idiom
def a_table_of_functions(m, x):
    table = {"relu": F.relu, "silu": F.silu, Kind.A: torch.tanh}
    return table["silu" if m.training else "relu"](x) + table[m.kind](x)


@idiom
def a_match(m, x):
    match m.kind:
        case Kind.A:
            x = x + 1
        case Kind.B:
            x = x + 2
    match x.shape:
        case [rows, 4]:
            x = x * rows
    return x


@idiom
def generators(m, x):
    def steps():
        for layer in itertools.chain(m.layers, m.chain):
            yield layer(x)

    return sum(y for y in steps()) + next(iter(steps()))


@idiom
def zips_and_maps(m, x):
    total = 0.0
    for i, (a, b) in enumerate(zip(m.layers, m.chain, strict=True)):
        total = total + a(x) * i + b(x)
    return total + sum(layer(x) for layer in filter(callable, m.layers))


@idiom
def sorting_and_sets(m, x):
    names = sorted({*m.config.names, "c"}, key=lambda name: -ord(name))
    order = dict(zip(names, range(3), strict=True))
    return x * order["a"] + max(order.values()) + len(set(names) & {"a", "q"})


@idiom
def text(m, x):
    name = f"%s-%d-{m.kind.value}" % (type(m).__name__, m.n)
    return x * len(name.split("-")) + len(f"{m.config.scale:.2f} {x.shape} {x.dtype!r}")


@idiom
def a_context_manager(m, x):
    @contextlib.contextmanager
    def scaled():
        yield m.config.scale

    with scaled() as scale, contextlib.nullcontext(), torch.no_grad():
        y = x * scale
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        return m.conv0(y)


@idiom
def errors_that_are_caught(m, x):
    try:
        x = x * m.config.missing
    except AttributeError:
        x = x * 2
    with contextlib.suppress(KeyError):
        x = x * {}["none"]
    return x


@idiom
def a_warning_and_a_log(m, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if m.n > 5:
            warnings.warn("many", stacklevel=2)
    if m.n > 5:
        logging.getLogger(__name__).warning("many")
    return m.conv0(x)


@idiom
def a_signature(m, x):
    names = inspect.signature(F.linear).parameters
    return x * len(names) if "bias" in names else x


@functools.lru_cache
def table(n):
    return [math.sqrt(i) for i in range(n)]


@idiom
def a_cached_function(m, x):
    return x * table(4)[2] + len(table(m.n))


@typing.runtime_checkable
class Scales(typing.Protocol):
    scale: float


@idiom
def a_protocol(m, x):
    static = inspect.getattr_static(m.config, "scale") * Config.__dict__["n"]
    return x * static if isinstance(m.config, Scales) and not isinstance(m, Scales) else x


class Base(abc.ABC):
    @abc.abstractmethod
    def run(self, x): ...

    @classmethod
    def made(cls, scale):
        self = cls.__new__(cls)
        self.scale = scale
        return self

    @staticmethod
    def shift(x):
        return x + 1


class Scaled(Base):
    __slots__ = ("scale",)

    def run(self, x):
        return super().shift(x) * self.scale


@idiom
def an_object_made_in_the_call(m, x):
    return Scaled.made(m.config.scale).run(x)


class Cache:
    """Keys and values, as a generation keeps them."""

    def __init__(self, n):
        self.keys = [[] for _ in range(n)]
        self.seen = collections.defaultdict(int)
        self.queue = collections.deque(maxlen=2)

    def update(self, x, i):
        self.keys[i] = torch.cat([*self.keys[i][-1:], x]) if self.keys[i] else x
        self.seen[i] += x.shape[0]
        self.queue.append(x)
        return self.keys[i]


@idiom
def a_cache_made_in_the_call(m, x):
    cache = Cache(3)
    for i, layer in enumerate(m.layers):
        x = layer(cache.update(x, i))
    return x + cache.seen[2] + cache.queue[-1]


@idiom
def a_state_dict(m, x):
    state = m.conv0.state_dict()
    return F.linear(x, state["weight"], state["bias"])


@idiom
def a_functional_call(m, x):
    doubled = {name: p * 2 for name, p in m.conv0.named_parameters()}
    return torch.func.functional_call(m.conv0, doubled, (x,))


@idiom
def a_copied_module(m, x):
    return copy.copy(m.conv0)(x)


@idiom
def a_transform(m, x):
    return torch.func.vmap(m.conv0)(x) + torch.func.grad(lambda y: m.conv1(y).sum())(x)


@idiom
def a_mask(m, x):
    n = x.shape[0]
    mask = torch.full((n, n), float("-inf")).triu(1)
    position = torch.arange(n).unsqueeze(-1)
    half = torch.finfo(x.dtype).min
    return (x @ x.T + mask).softmax(-1).masked_fill(position > 1, half / 1e38) + m.offset[:1]


@idiom
def nested_functions_with_state(m, x):
    count = 0

    def step(y):
        nonlocal count
        count += 1
        return m.layers[count - 1](y)

    return step(step(x)) * count


@idiom
def a_recursion(m, x):
    def tree(y, depth):
        return y if depth == 0 else {"left": tree(m.conv0(y), depth - 1), "right": [y]}

    return tree(x, 3)


@idiom
def a_trained_step(m, x):
    loss = sum(layer(x).square().mean() for layer in m.layers[: m.n])
    loss.backward()
    return loss, [p.grad for p in m.layers[0].parameters()]


@pytest.mark.parametrize("make", IDIOMS.values(), ids=list(IDIOMS))
def test_an_idiom_is_recorded_once(make):
    def run(m, x):
        return make(m, x)

    torch.manual_seed(0)
    module = Stack()
    compiled = torch.compile(run)
    x = torch.arange(12.0).reshape(3, 4) / 7
    for _ in range(3):
        module.zero_grad()
        want = run(module, x)
        want_again = copy.deepcopy([p.grad for p in module.parameters()])
        module.zero_grad()
        found = compiled(module, x)
        torch.testing.assert_close(flat(found), flat(want))
        torch.testing.assert_close([p.grad for p in module.parameters()], want_again)
        assert type(found) is type(want)
    assert compiled._compiled.count == 1


def flat(value):
    if isinstance(value, dict):
        return [flat(item) for item in value.values()]
    if isinstance(value, tuple | list):
        return [flat(item) for item in value]
    return value


def test_an_outer_variable_without_a_value_is_assigned():
    def make():
        def f(x):
            nonlocal late
            late = 3
            return x * late

        def value():
            return late

        compiled = torch.compile(f)
        results = [compiled(torch.ones(2)).tolist() for _ in range(2)]
        assert value() == 3
        late = 1  # from here on the variable is one of make's
        return results

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make() == [[3.0, 3.0]] * 2
