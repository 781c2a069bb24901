"""``vmap`` of every operation's samples equals the loop over them."""

import random
import re
import warnings

import numpy as np
import pytest

import rushlight as torch
from rushlight.func import interior
from tests.conformance import array, flat
from tests.daily import daily
from tests.samples import SAMPLES
from tests.search.lines import peer as find_peer

#: The sample looks at the memory behind its input, whose order the batch has not.
LEFT_OUT = {"as_strided_copy-2"}
#: What ``vmap`` refuses, as PyTorch's does.
REFUSED = re.compile(
    r"dynamic shape|random operation|data-dependent control flow|calling \.\w+\(\) on a Tensor"
)


def batch_of(sample):
    """Three samples like ``sample``, each a list of tensors."""
    scaled = lambda a, k: np.asarray(a * (1, 0.9, 1.05)[k], a.dtype) if a.dtype.kind in "fc" else a
    return [[torch.from_numpy(np.array(scaled(a, k))) for a in sample.inputs] for k in range(3)]


def check(sample):
    batch = batch_of(sample)
    want = [flat(sample.call(torch, *tensors)) for tensors in batch]
    if not all(isinstance(t, torch.Tensor) for w in want for t in w):
        return
    whole = [torch.stack(list(tensors)) for tensors in zip(*batch, strict=True)]
    found = flat(torch.vmap(lambda *xs: sample.call(torch, *xs))(*whole))
    for got, parts in zip(found, zip(*want, strict=True), strict=True):
        expected = torch.stack(list(parts))
        assert got.dtype == expected.dtype, sample.name
        near = 2e-3 if got.dtype.itemsize == 2 else 1e-4
        np.testing.assert_allclose(array(got), array(expected), near, near, err_msg=sample.name)


def total(outs):
    """The sum of the outputs, in which each element has a weight of its own; None without any."""
    found = None
    for o in outs:
        if isinstance(o, torch.Tensor) and o.requires_grad:
            o = torch.view_as_real(o.resolve_conj()) if o.is_complex() else o
            weights = torch.arange(1.0, o.numel() + 1, dtype=torch.float64).reshape(o.shape)
            part = (o.double() * weights).sum()
            found = part if found is None else found + part
    return found


def in_a_loop(sample, tensors):
    found = [flat(sample.call(torch, *xs)) for xs in zip(*tensors, strict=True)]
    return [torch.stack(list(parts)) for parts in zip(*found, strict=True)]


def at_once(sample, tensors):
    return flat(torch.vmap(lambda *xs: sample.call(torch, *xs))(*tensors))


def check_gradients(sample):
    whole = [torch.stack(list(tensors)) for tensors in zip(*batch_of(sample), strict=True)]
    found = []
    for run in (in_a_loop, at_once):
        leaves = [
            x.detach().requires_grad_() if x.is_floating_point() or x.is_complex() else x
            for x in whole
        ]
        outs = run(sample, leaves)
        end = total(outs)
        if end is not None:
            end.backward()
        zeros = lambda x: torch.zeros_like(x) if x.grad is None else x.grad
        found.append([array(zeros(x)) for x in leaves])
    for want, got in zip(*found, strict=True):
        # A gradient is a sum whose terms may cancel. Each term is rounded in proportion to itself.
        largest = np.abs(want).max(initial=0, where=np.isfinite(want))
        near = max(1e-4, 2e-6 * largest)
        np.testing.assert_allclose(got, want, 1e-3, near, err_msg=f"gradient of {sample.name}")


def chosen(first):
    """The first sample of each operation, or all others."""
    seen, found = set(), []
    for s in SAMPLES.values():
        name = re.sub(r"-\d+$", "", s.name)
        if s.inputs and not s.draws and s.name not in LEFT_OUT and (name not in seen) == first:
            found.append(s)
        seen.add(name)
    return found


def run(samples):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # operations without a rule say so
        for s in samples:
            try:
                check(s)
            except RuntimeError as error:
                if REFUSED.search(str(error)):
                    continue
                raise
            if s.grad and "as_strided" not in s.name:  # which looks at the storage of the batch
                check_gradients(s)


@pytest.mark.parametrize("letters", ["abcdefg", "hijklm", "nopqr", "stuvwxyz_"])
def test_one_sample_of_each_operation(letters):
    run([s for s in chosen(first=True) if s.name[0].lower() in letters])


@pytest.mark.slow
@pytest.mark.parametrize("letters", ["abc", "defg", "hijkl", "mno", "pqr", "stuvwxyz_"])
def test_all_samples(letters):
    run([s for s in chosen(first=False) if s.name[0].lower() in letters])


def test_operations_without_a_rule_say_so_once():
    x = torch.rand(2, 3) + 1
    with pytest.warns(UserWarning, match="performance drop"):
        torch.func.batching._tell.cache_clear()
        torch.vmap(torch.nanmedian)(x)


def test_writes_to_an_argument_change_the_batch():
    x = torch.zeros(2, 3)
    y = torch.vmap(lambda a: a.add_(1))(x)
    assert torch.equal(x, torch.ones(2, 3)) and torch.equal(y, x)


def test_a_compiled_vmap_is_one_program():
    f = torch.vmap(torch.func.grad(lambda a, w: (a @ w).sin().sum()), (0, None))
    x, w = torch.randn(5, 3), torch.randn(3, 4)
    assert torch.allclose(torch.compile(f, fullgraph=True)(x, w), f(x, w), atol=1e-6)


def test_a_custom_rule_is_told_which_arguments_are_batched():
    def told(R, randomness):
        seen = []

        class Scaled(R.autograd.Function):
            @staticmethod
            def forward(x, number, flag):
                return x * number

            @staticmethod
            def setup_context(ctx, inputs, output):
                pass

            @staticmethod
            def vmap(info, in_dims, x, number, flag):
                seen.append((info.batch_size, info.randomness, tuple(in_dims)))
                return x * number, 0

        R.vmap(lambda x: Scaled.apply(x, 0, False), randomness=randomness)(R.ones(3, 2))
        return seen

    for randomness in ("error", "different", "same"):
        for framework in filter(None, (torch, find_peer())):
            assert told(framework, randomness) == [(3, randomness, (0, None, None))]


def test_places_of_the_batch_that_cannot_be():
    x = torch.arange(6.0).reshape(3, 2)
    with pytest.raises(ValueError, match="can not return a BatchedTensor when out_dim is None"):
        torch.vmap(lambda row: row * 2, out_dims=None)(x)
    with pytest.raises(IndexError):
        torch.vmap(lambda row: row, out_dims=2)(x)
    with pytest.raises(ValueError, match="out_dims"):
        torch.vmap(lambda row: row, out_dims="a")(x)
    both = torch.vmap(lambda row: (row, torch.ones(2)), out_dims=(-1, None))(x)
    assert [tuple(t.shape) for t in both] == [(2, 3), (2,)]


def test_cotangents_have_the_structure_of_the_outputs():
    _, product = torch.func.vjp(lambda x: [x, x], torch.ones(2))
    with pytest.raises(RuntimeError, match="structure of cotangents"):
        product((torch.ones(2), torch.ones(2)))


@pytest.mark.parametrize("seed", daily(range(40), 10, "index tensors of samples"))
def test_index_tensors_of_samples(seed):
    """Any dims, of batched or common tensors, with batched or common indices."""
    chance, rng = random.Random(seed), np.random.default_rng(seed)
    shape = [chance.randint(2, 4) for _ in range(chance.randint(1, 4))]
    dims = sorted(chance.sample(range(len(shape)), chance.randint(1, len(shape))))
    inner = [chance.choice([1, 2]) for _ in range(chance.randint(1, 2))]
    batched = [chance.random() < 0.6 for _ in dims]
    many = chance.random() < 0.5 or not any(batched)
    given = [torch.randn([3] * many + shape)]
    for d, b in zip(dims, batched, strict=True):
        size = [3] * b + inner[chance.randrange(len(inner)) :]
        given.append(torch.from_numpy(rng.integers(-shape[d], shape[d], size)))

    def call(x, *keys):
        left = iter(keys)
        return x[tuple([next(left) if d in dims else slice(None) for d in range(len(shape))])]

    own = [many, *batched]
    samples = [[t[i] if b else t for t, b in zip(given, own, strict=True)] for i in range(3)]
    found = torch.vmap(call, in_dims=tuple([0 if b else None for b in own]))(*given)
    assert torch.equal(found, torch.stack([call(*s) for s in samples]))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("many", [True, False])
def test_operations_with_one_index_write_each_sample_alone(k, many):
    x, source = torch.arange(12.0).reshape(3, 4), torch.arange(3.0 * k).reshape(3, k) + 20
    index = torch.tensor([[0, 1, 3], [2, 0, 1], [3, 2, 0]])[:, :k]
    for f in (
        lambda x, i, s: x.index_add(0, i, s, alpha=2),
        lambda x, i, s: x.index_copy(0, i, s),
        lambda x, i, s: x.index_fill(0, i, 7),
        lambda x, i, s: x.index_select(0, i),
    ):
        found = torch.vmap(f, in_dims=(0, 0 if many else None, 0))(
            x, index if many else index[0], source
        )
        want = [f(x[i], index[i if many else 0], source[i]) for i in range(3)]
        assert torch.equal(found, torch.stack(want))


def test_masks_from_outside_have_values():
    x = torch.arange(8.0).reshape(2, 4)
    mask = torch.tensor([True, False, True, False])
    assert torch.vmap(lambda x: x[mask])(x).tolist() == [[0, 2], [4, 6]]
    put = torch.vmap(lambda x, v: x.index_put((mask,), v))
    assert put(x, x[:, :2]).tolist() == [[0, 1, 1, 3], [4, 5, 5, 7]]
    cubes = torch.vmap(torch.func.grad(lambda x: (x[mask] ** 3).sum()))
    assert cubes(x).tolist() == [[0, 0, 12, 0], [48, 0, 108, 0]]
    y = x[0].clone().requires_grad_()
    rows = torch.autograd.grad(y[mask], y, torch.eye(2), is_grads_batched=True)[0]
    assert rows.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    with pytest.raises(RuntimeError, match="dynamic shape"):
        torch.vmap(lambda x: x[x > 1])(x)


def test_keyword_arguments_are_the_same_for_all_samples():
    x, y = torch.ones(3), torch.arange(3.0)
    want = [[1.0, 2.0, 3.0]] * 3
    assert torch.vmap(lambda x, y: x + y)(x, y=y).tolist() == want
    assert torch.vmap(lambda x, y: x + y["a"], chunk_size=2)(x, y={"a": y}).tolist() == want
    assert torch.vmap(lambda x, k: x * k)(x, k=2).tolist() == [2.0] * 3
    written = torch.zeros(1)
    with pytest.raises(RuntimeError, match="inplace arithmetic"):
        torch.vmap(lambda x, y: y.add_(x))(x, y=written)


class Pair:
    """A collection that vmap maps by steps that a library puts in the place of vmap's."""

    def __init__(self, a, b):
        self.a, self.b = a, b


@pytest.fixture
def steps(monkeypatch):
    """vmap with a library's steps, as tensordict has them: one dim for all arguments."""

    def process(in_dims, args, func):
        sizes = {t.shape[in_dims] for pair in args for t in (pair.a, pair.b)}
        return sizes.pop(), [in_dims] * len(args), list(args), None

    def create(dims, args, level, structure):
        add = interior._add_batch_dim
        return [
            Pair(add(p.a, d, level), add(p.b, d, level)) for p, d in zip(args, dims, strict=True)
        ]

    def unwrap(found, out_dims, level, size, func):
        remove = interior._maybe_remove_batch_dim
        parts = [remove("f", t, level, size, out_dims) for t in (found.a, found.b)]
        return Pair(*parts)

    monkeypatch.setattr(interior, "_process_batched_inputs", process)
    monkeypatch.setattr(interior, "_create_batched_inputs", create)
    monkeypatch.setattr(interior, "_unwrap_batched", unwrap)


def test_steps_of_a_library(steps):
    outside = torch.tensor([10.0, 20.0], requires_grad=True)
    seen = []

    def f(pair, other, scale=1.0):
        seen.append((pair.a.shape, interior.is_batchedtensor(pair.a)))
        return Pair(pair.a @ other.b * outside * scale, outside)

    a, b = torch.arange(12.0).reshape(2, 3, 2), torch.arange(6.0).reshape(2, 3)
    a.requires_grad_()
    found = torch.vmap(f, in_dims=1, out_dims=-1)(Pair(a, b), Pair(a, a), scale=2.0)
    want = torch.stack([a[:, i] @ a[:, i] * outside * 2 for i in range(3)], -1)
    assert seen == [((2, 2), True)]
    assert torch.equal(found.a, want) and found.b.tolist() == [[10.0] * 3, [20.0] * 3]
    assert torch.equal(
        torch.autograd.grad(found.a.sum(), outside)[0], torch.autograd.grad(want.sum(), outside)[0]
    )

    inner = lambda p: torch.vmap(lambda q: Pair(q.a * 3, q.b * 2))(p)
    nested = torch.vmap(inner, in_dims=1, out_dims=1)(Pair(a, b[..., None]))
    assert torch.equal(nested.a, a * 3) and torch.equal(nested.b, b[..., None] * 2)
    same = torch.vmap(lambda p: Pair(outside * 3, outside), out_dims=None)(Pair(a, b))
    assert same.a.tolist() == [30, 60] and same.b is outside
    with pytest.raises(ValueError, match="out_dim is None"):
        torch.vmap(lambda p: Pair(p.a, outside), out_dims=None)(Pair(a, b))
    with pytest.raises(ValueError, match="must only return Tensors"):
        torch.vmap(lambda p: Pair(1, outside))(Pair(a, b))
    assert interior._levels.open == []


CONVOLUTIONS = [
    (transposed, n, groups, sizes, dims)
    for transposed in (False, True) for n in (1, 2, 3) for groups in (1, 2)
    for sizes in ((1, 0, 1), (2, 1, 1), (1, 1, 2))
    for dims in ((0, 0), (0, None), (None, 0))
]  # fmt: skip


@pytest.mark.parametrize(("transposed", "n", "groups", "sizes", "dims"), CONVOLUTIONS)
@pytest.mark.filterwarnings("error")  # one sample at a time is slow, and says so
def test_gradients_of_convolutions(transposed, n, groups, sizes, dims):
    """First and second gradients of each sample, whether it has its own input, weight, or both."""
    stride, padding, dilation = sizes
    torch.manual_seed(0)
    name = f"conv_transpose{n}d" if transposed else f"conv{n}d"
    given = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x = torch.randn(*[3] * (dims[0] == 0), 2, 4, *(6, 7, 5)[:n], dtype=torch.float64)
    shape = (4, 6 // groups if transposed else 4 // groups, *(3, 2, 2)[:n])
    w = torch.randn(*[3] * (dims[1] == 0), *shape, dtype=torch.float64)

    def loss(x, w):
        return getattr(torch.nn.functional, name)(x, w, None, **given).pow(2).sum()

    first = torch.func.grad(loss, (0, 1))
    second = torch.func.grad(lambda x, w: sum(g.pow(2).sum() for g in first(x, w)), (0, 1))
    for function in (first, second):
        found = torch.vmap(function, dims)(x, w)
        alone = [function(*[t[i] if d == 0 else t for t, d in zip((x, w), dims, strict=True)])
                 for i in range(3)]  # fmt: skip
        for mine, right in zip(found, zip(*alone, strict=True), strict=True):
            torch.testing.assert_close(mine, torch.stack(right))


def test_print_shows_the_shape_of_a_sample(capsys):
    outer = torch.ones(2)

    def function(x):
        print(x, f"{x}", outer)
        return x * 2

    assert torch.vmap(function)(torch.ones(2, 3)).tolist() == [[2.0] * 3] * 2
    text = "tensor(..., size=(3,))"
    assert capsys.readouterr().out == f"{text} {text} tensor([1., 1.])\n"
    with pytest.raises(RuntimeError, match="item"):
        torch.vmap(lambda x: f"{x.sum():.2f}")(torch.ones(2, 3))
