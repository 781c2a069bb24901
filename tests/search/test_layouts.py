"""Strides of results, and what products save, for random operands that lie in memory in any order."""

import random

import numpy as np
import pytest

import rushlight
from tests.search.lines import table

#: Of these PyTorch has several functions, and takes one by its libraries and numbers of threads.
_BY_LIBRARY = ("conv3d", "conv_transpose3d")


class Operands:
    """Random operands, the same under each framework."""

    def __init__(self, seed):
        self.seed = seed
        self.chance = random.Random(seed)

    def layout(self, shape):
        """(order of the dims in memory, whether with gaps, whether the first dim is expanded)."""
        order = list(range(len(shape)))
        if self.chance.random() < 0.4:
            self.chance.shuffle(order)
        elif len(order) > 2 and self.chance.random() < 0.6:
            order.append(order.pop(1))  # channels last
        return order, self.chance.random() < 0.15, self.chance.random() < 0.1

    def tensor(self, framework, shape, layout, grad):
        order, gaps, expanded = layout
        memory = [shape[d] * (1 + gaps) for d in order]
        if expanded and memory:
            memory[0] = 1 + gaps
        values = np.random.default_rng(self.seed).uniform(0.5, 2.0, memory).astype(np.float32)
        x = framework.from_numpy(values)
        if gaps:
            x = x[tuple([slice(None, None, 2)] * len(memory))]
        x = x.expand(*[shape[d] for d in order])
        x = x.permute(tuple(np.argsort(order).tolist())) if memory else x
        return x.requires_grad_() if grad else x


def _strides(found):
    """The strides of each result that has elements."""
    found = found if isinstance(found, tuple) else (found,)
    return [tuple(t.stride()) if t.numel() else () for t in found]


def _attempt(call, *args):
    try:
        return _strides(call(*args))
    except Exception as error:
        return error


def _compare(operands, shapes, call, grad):
    """How the results of ``call`` lie otherwise than PyTorch's; None if they don't."""
    peer = pytest.importorskip("torch")
    layouts = [operands.layout(shape) for shape in shapes]
    given = [
        [operands.tensor(f, *where, grad) for where in zip(shapes, layouts, strict=True)]
        for f in (peer, rushlight)
    ]
    want, got = _attempt(call, peer, *given[0]), _attempt(call, rushlight, *given[1])
    if isinstance(want, Exception) or want == got:
        return None
    return f"{[(s, t.stride()) for s, t in zip(shapes, given[0], strict=True)]}: {got}, not {want}"


# Windows ------------------------------------------------------------------------------------


def _windows(n):
    """The functions of ``n`` dims by name: calls of the framework and an input."""
    of = lambda name, *args, **named: lambda t, x: getattr(t.nn.functional, name)(x, *args, **named)
    found = {
        f"{kind}_pool{n}d": of(f"{kind}_pool{n}d", *args)
        for kind, args in {
            "max": (2, 1), "avg": (2, 1), "lp": (2, 2), "adaptive_max": (2,), "adaptive_avg": (2,),
        }.items()
    }  # fmt: skip
    for kind, args in {"max": (2, 1), "adaptive_max": (3,)}.items():
        found[f"{kind}, positions"] = of(f"{kind}_pool{n}d", *args, return_indices=True)
    found["adaptive_avg, whole"] = of(f"adaptive_avg_pool{n}d", 1)
    found["interpolate"] = of("interpolate", scale_factor=2)
    found["pad"] = of("pad", [1] * (2 * n), mode="reflect")
    found["instance_norm"] = of("instance_norm")
    return found


def _convolution(name, bias):
    return lambda t, x, w: getattr(t.nn.functional, name)(x, w, t.ones(3) if bias else None)


def _window_faults(seed, count):
    found = []
    for i in range(count):
        operands = Operands(seed + i)
        chance = operands.chance
        n = chance.choice([1, 2, 3])
        shape = (chance.choice([1, 2]), chance.choice([2, 3]), *[chance.choice([3, 4])] * n)
        name = chance.choice([f"conv{n}d", f"conv_transpose{n}d", *_windows(n)])
        if name.startswith("conv"):
            weight = (3, shape[1]) if "transpose" not in name else (shape[1], 3)
            shapes, call = (shape, (*weight, *(2,) * n)), _convolution(name, chance.random() < 0.5)
        else:
            shapes, call = (shape,), _windows(n)[name]
        fault = None if name in _BY_LIBRARY else _compare(operands, shapes, call, i % 2)
        if fault:
            found.append(f"{name} {fault}")
    return found


# Indices ------------------------------------------------------------------------------------


def _index_faults(seed, count):
    found = []
    for i in range(count):
        operands = Operands(seed + i)
        chance = operands.chance
        shape = [chance.choice([1, 2, 3]) for _ in range(chance.randint(1, 4))]
        common = tuple([chance.choice([1, 2, 3]) for _ in range(chance.randint(1, 2))])
        indexed = [chance.random() < 0.5 for _ in shape]
        key = lambda t, indexed=indexed, common=common: tuple(
            [t.zeros(common, dtype=t.int64) if is_index else slice(None) for is_index in indexed]
        )
        fault = _compare(operands, [shape], lambda t, x, key=key: x[key(t)], False)
        if fault:
            found.append(f"{indexed} by {common}: {fault}")
    return found


# Products -----------------------------------------------------------------------------------


def _written(framework, operands, shapes, layouts, grads, place):
    """(strides of a product, the gradients or "refused") with an operand written in between."""
    leaves = [operands.tensor(framework, *w) for w in zip(shapes, layouts, grads, strict=True)]
    # Copies in the same order of memory, as a leaf itself may not be written.
    given = [x * 1 if grad else x.clone() for x, grad in zip(leaves, grads, strict=True)]
    out = given[0] @ given[1]
    if place is not None:
        given[place].mul_(2)
    try:
        out.sum().backward()
    except RuntimeError:
        return _strides(out), "refused"
    return _strides(out), [None if x.grad is None else x.grad.numpy() for x in leaves]


def _same(slopes, others):
    if isinstance(slopes, str) or isinstance(others, str):
        return isinstance(slopes, str) and slopes == others
    return all(
        a is b if a is None or b is None else np.allclose(a, b, 1e-4, 1e-5)
        for a, b in zip(slopes, others, strict=True)
    )


def _product_faults(seed, count):
    peer = pytest.importorskip("torch")
    found = []
    for i in range(count):
        operands = Operands(seed + i)
        chance = operands.chance
        k, batch = chance.choice([1, 2, 3]), chance.choice([1, 2, 3])
        left = chance.choice([(k,), (chance.choice([1, 3]), k), (batch, 2, k), (1, 2, k)])
        right = chance.choice([(k,), (k, chance.choice([1, 4])), (batch, k, 4), (1, k, 4)])
        shapes = (left, right)
        layouts = [operands.layout(shape) for shape in shapes]
        grads = chance.choice([(True, False), (False, True), (True, True)])
        place = chance.choice([0, 1, None])
        (strides, slopes), (wanted, theirs) = [
            _written(f, operands, shapes, layouts, grads, place) for f in (rushlight, peer)
        ]
        if strides != wanted or not _same(slopes, theirs):
            found.append(f"{shapes} {layouts} {grads}, {place} written: {strides} {slopes}, not "
                         f"{wanted} {theirs}")  # fmt: skip
    return found


# Dims of size 1 -----------------------------------------------------------------------------

#: Calls of images with dims of size 1, whose strides may say that the image is channels-last.
_CALLS = table("""
T.cat([x, x], d) | T.cat([x, y], d) | T.cat([y, x], d) | x + 1 | x + y | y + x | T.addcmul(x, x, y) | x.double() | x > 0 | x.clone()
T.where(x > 0, x, y) | T.where(x > 0, x, 0.0) | x.lerp(y, 0.5) | x.contiguous() | F.gelu(x) | x.softmax(d) | x.sum(d, keepdim=True)
x.cumsum(d) | x.flip(d) | x.roll(1, d) | F.pad(x, (1, 1)) | x.repeat(1, 1, 2, 1) | x.index_select(d, T.tensor([0])) | x.sort(d)[0]
F.max_pool2d(x, 1) | F.avg_pool2d(x, 1) | F.interpolate(x, scale_factor=2.0) | F.conv2d(x, T.ones(2, x.shape[1], 1, 1))
F.batch_norm(x, None, None, training=True) | F.group_norm(x, 1) | F.pixel_shuffle(x, 1) | x.var(d, keepdim=True) | F.normalize(x, dim=d)
x.reshape(-1) | x.flatten(1) | x[:, :1] | x.permute(0, 2, 3, 1).contiguous() | T.zeros_like(x) | x.masked_fill(x > 3, 0.0)
""")


def _one_pixel_faults(seed, count):
    found = []
    for i in range(count):
        chance = random.Random(seed + i)
        shape, d = [chance.choice([1, 1, 2, 3]) for _ in range(4)], chance.randrange(4)
        strides, step = [0] * 4, 1
        for k in chance.sample(range(4), 4):
            strides[k] = chance.choice([1, 2, 3, 4, 6]) if shape[k] == 1 else step
            step *= shape[k]
        call = chance.choice(_CALLS)

        def made(T, call=call, shape=shape, strides=strides, d=d):
            names = {"T": T, "F": T.nn.functional, "d": d, "y": T.ones(shape)}
            return eval(call, names | {"x": T.arange(54.0).as_strided(shape, strides)})

        want, got = [_attempt(made, T) for T in (pytest.importorskip("torch"), rushlight)]
        if want != got and not isinstance(want, Exception):
            found.append(f"{call} of {shape}, {strides}, {d = }: {got}, not {want}")
    return found


@pytest.mark.parity
@pytest.mark.parametrize(
    "faults", [_window_faults, _index_faults, _product_faults, _one_pixel_faults]
)
@pytest.mark.parametrize("count", [300, pytest.param(4000, marks=pytest.mark.slow)])
def test_random_layouts(faults, count):
    seed = random.randrange(1 << 30)
    wrong = faults(seed, count)
    assert not wrong, "\n".join([f"seed {seed}: {len(wrong)} differ:", *wrong[:20]])
