"""Random nests of transforms with all their arguments, over functions of trees; as in PyTorch."""

import pytest

import rushlight
from tests.search.lines import table
from tests.search.lives import close

torch = pytest.importorskip("torch")

#: Bodies: x has 2 or 3 numbers or a matrix; y is a second argument.
BODIES = table("""
x.sin() * y.sum() | x * x + y.mean() | Mul.apply(x, y.sum()) | Cube.apply(x) | Gen.apply(x) + y.sum() | {'a': x * 2, 'b': (y.sin(), x.sum())} | (x.exp(), y * x.sum()) | [x, y.cos()]
x.clone().mul_(2).add_(y.sum()) | put(x, y) | T.where(x > 0, x, x * x) * y.sum() | x.cumsum(0) | F.dropout(x, 0.5) | F.dropout(x, 0.5, training=False) | x + T.randn_like(x) | x * T.rand(x.shape[0]).sum()
x + T.rand(()) | norm(x, True) | norm(x, False) | F.layer_norm(x, x.shape[-1:]) | T.func.functional_call(lin, dict(lin.named_parameters()), (x.reshape(-1)[:2],)) | lin(x.reshape(-1)[:2]) | x.sort(dim=-1)[0] | x.max(-1)[0]
x.unfold(-1, 2, 1).sum(-1) | F.softmax(x, -1) | x[..., 0] * y.sum() | x[y.sum().long() * 0] | x.index_select(0, T.tensor([0, 1])) | T.stack([x, x]).transpose(0, 1) | x.reshape(-1) @ x.reshape(-1) | x.detach() * x | x.mT if x.ndim > 1 else x
F.relu(x).pow(2) | x.item() if x.numel() == 1 else x | x * 2 if x.sum() > 0 else x | x.tolist() | x.nonzero() | x[x > 0] | T.bernoulli(x.sigmoid()) | T.linalg.norm(x) | x.expand(2, *x.shape) | x.to(T.float64) | x.double().float() | (x > 0).float() * x | x.long() | x.unsqueeze(0).squeeze(0) | x.view(-1).clone() | T.cat([x, x]) | y.expand_as(y) + 0 * x.sum() | checkpoint(lambda a: a.sin(), x, use_reentrant=False) | x.new_zeros(2).add_(x.sum()) | T.zeros(2).add(x.sum()) | acc(x) | T.einsum('...i,...i->...', x, x) | T.vmap(lambda a: a * y.sum())(x) | T.func.grad(lambda a: (a * a).sum())(x) | T.func.jvp(lambda a: a.sin(), (x,), (x,))[1] | T.func.vjp(lambda a: a.exp(), x)[1](x)[0]
x.median() | x.prod() | x.std(-1) | x.flip(0) | x.roll(1) | T.tril(x) if x.ndim > 1 else x | T.autograd.grad((x2(x) ** 2).sum(), x2.last)[0] | x.is_contiguous() * x | x * x.ndim | x * x.shape[-1] | x.stride(-1) * x | F.embedding(y.long().abs().flatten() % 2, x if x.ndim > 1 else x[:, None]) | swapped(x, y) | x.bernoulli(0.5) | F.gelu(x) | T.nan_to_num(x / 0) | x.tanh().log1p()
""")
IN_DIMS = ("0", "-1", "(0, None)", "(None, 0)", "(-1, 0)", "(0, -1)", "(0, 0)", "(1, None)", "(None, None)", "[0, 0]", "(-2, None)", "(2, 0)", "0.5", "({}, 0)")  # fmt: skip
OUT_DIMS = ("0", "0", "0", "-1", "1", "(0, 1)", "None", "(0, None)", "{'a': 0, 'b': (0, 0)}", "(0,)", "[0, -1]", "-2", "5")  # fmt: skip
LEVELS = (
    "T.vmap({f}, in_dims={i}, out_dims={o}, randomness={r!r})",
    "T.vmap({f}, in_dims={i}, out_dims={o}, randomness={r!r})",
    "T.vmap({f}, in_dims={i}, randomness={r!r}, chunk_size={c})",
    "T.vmap({f}, in_dims={i}, out_dims={o})",
    "A.grad({s}, argnums={n})", "A.grad_and_value({s}, argnums={n})", "A.grad({s}, argnums={n}, has_aux=False)",
    "A.jacrev({f}, argnums={n})", "A.jacfwd({f}, argnums={n}, randomness={r!r})", "A.jacrev({f}, argnums={n}, chunk_size={c})", "A.hessian({f}, argnums={n})",
    "(lambda x, y: A.jvp({f}, (x, y), (y_like(x), y_like(y))))", "(lambda x, y: pulled(A.vjp({f}, x, y)))",
    "(lambda x, y: linear({f}, x, y))", "(lambda x, y: checkpoint({f}, x, y, use_reentrant=False))",
    "(lambda x, y: aux(A.grad(lambda a, b: (total({f}(a, b)), b), has_aux=True)(x, y)))", "(lambda x, y: A.functionalize({f})(x, y))",
    "(lambda x, y: A.vjp(lambda a: {f}(a, y), x, has_aux=False)[0])", "A.jacrev({f}, argnums={n}, has_aux=False)", "(lambda x, y: nograd({f}, x, y))",
)  # fmt: skip


def names_of(T):
    F = T.nn.functional

    class Mul(T.autograd.Function):
        @staticmethod
        def forward(x, y):
            return x * y

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            return g * y, (g * x).sum()

        @staticmethod
        def jvp(ctx, a, b):
            x, y = ctx.saved_tensors
            return a * y + x * b

        @staticmethod
        def vmap(info, dims, x, y):
            x = (
                x.movedim(dims[0], 0)
                if dims[0] is not None
                else x.expand(info.batch_size, *x.shape)
            )
            y = y.movedim(dims[1], 0) if dims[1] is not None else y.expand(info.batch_size)
            return Mul.apply(x, y.reshape(-1, *[1] * (x.ndim - 1))), 0

    class Cube(T.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x**3, 3 * x**2

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0], output[1])
            ctx.save_for_forward(inputs[0], output[1])

        @staticmethod
        def backward(ctx, g, h):
            x, d = ctx.saved_tensors
            return g * d + h * 6 * x

        @staticmethod
        def jvp(ctx, a):
            x, d = ctx.saved_tensors
            return a * d, a * 6 * x

    class Gen(T.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x.clone().mul_(2)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.n = inputs[0].shape

        @staticmethod
        def backward(ctx, g):
            return g * 2

        @staticmethod
        def jvp(ctx, a):
            return a * 2

    def put(x, y):
        z = x.clone()
        z[..., 0] = y.reshape(-1)[0]
        z[..., 1:] *= 2
        return z

    def swapped(x, y):
        z = T.zeros_like(x)
        z.copy_(x)
        z.t_() if z.ndim == 2 else z.neg_()
        return z

    def acc(x):
        z = x.new_zeros(x.shape)
        for k in range(2):
            z += x * k
        return z

    def norm(x, training):
        z = x.reshape(-1, 1)
        mean, var = T.zeros(1, dtype=x.dtype), T.ones(1, dtype=x.dtype)
        if training:
            mean = var = None
        return F.batch_norm(z, mean, var, training=training)

    def x2(x):
        x2.last = x * 1
        return x2.last

    def total(tree):
        if isinstance(tree, dict):
            return sum(total(v) for v in tree.values())
        if isinstance(tree, (list, tuple)):
            return sum(total(v) for v in tree)
        return tree.sum() if isinstance(tree, T.Tensor) else tree

    def pulled(pair):
        out, pull = pair
        ones = T.utils._pytree.tree_map(T.ones_like, out)
        return pull(ones)

    def nograd(f, x, y):
        with T.no_grad():
            return f(x, y)

    def linear(f, x, y):
        t = x.cos(), y.cos()
        return T.func.jvp(f, (x, y), t)[1] if T is torch else T.func.linearize(f, x, y)[1](*t)

    T.manual_seed(0)
    lin = T.nn.Linear(2, 2)
    with T.no_grad():
        lin.weight.copy_(T.tensor([[1.0, -0.5], [0.25, 2.0]]))
        lin.bias.fill_(0.5)
    return {"T": T, "F": F, "A": T.func, "Mul": Mul, "Cube": Cube, "Gen": Gen, "put": put, "acc": acc, "norm": norm, "x2": x2,
            "total": total, "pulled": pulled, "nograd": nograd, "lin": lin, "linear": linear, "y_like": lambda t: t.cos(), "aux": lambda pair: pair,
            "swapped": swapped, "checkpoint": T.utils.checkpoint.checkpoint}  # fmt: skip


def seen(T, value):
    if isinstance(value, T.Tensor):
        return [
            tuple(value.shape),
            str(value.dtype)[-8:],
            value.detach().double().tolist(),
            value.requires_grad,
        ]
    if isinstance(value, dict):
        return {k: seen(T, v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *[seen(T, v) for v in value]]
    return value


def outcome(T, made, shapes, way):
    body, levels = made
    names = names_of(T)
    f = "(lambda x, y: " + body + ")"
    for level in levels:
        f = level.replace("{s}", "(lambda x, y: total({f}(x, y)))").replace("{f}", f)
    args = []
    for k, shape in enumerate(shapes):
        count = 1
        for n in shape:
            count *= n
        args.append((T.arange(float(count)) * (0.7 + k)).sin().reshape(shape))
    if way == "grad":
        args[0].requires_grad_()
    T.manual_seed(5)
    try:
        call = eval(f, names)
        if way == "compiled":
            call = T.compile(call)
        found = call(*args)
        first = seen(T, found)
        if way == "compiled":
            call(*args)
        if way == "grad":
            t = names["total"](found)
            if isinstance(t, T.Tensor) and t.requires_grad:
                t.backward()
                first = [first, None if args[0].grad is None else args[0].grad.tolist()]
        return first
    except Exception as error:
        return error


def difference(made, shapes):
    for way in ("eager", "grad"):
        want = outcome(torch, made, shapes[0], way)
        ours = outcome(rushlight, made, shapes[0], way)
        if isinstance(want, Exception):
            if not isinstance(ours, Exception) and not lenient(want):
                return way, "ours does", str(ours)[:300], str(want)[:300]
            continue
        if isinstance(ours, Exception):
            return way, "ours raises", repr(ours)[:400], str(want)[:200]
        if not close(ours, want, 2e-4):
            return way, "value", str(ours)[:400], str(want)[:400]
    plain = outcome(rushlight, made, shapes[0], "eager")
    other = outcome(rushlight, made, shapes[0], "compiled")
    if isinstance(plain, Exception) and isinstance(other, Exception):
        return None
    if (
        isinstance(plain, Exception)
        or isinstance(other, Exception)
        or not close(plain, other, 2e-4)
    ):
        return "compiled", "value", str(other)[:400], str(plain)[:400]
    return None


def lenient(error):
    text = str(error)
    return any(
        w in text
        for w in (
            "not implemented",
            "forward AD",
            "vmap: It looks like you're",
            "INTERNAL",
            "batching rule",
            "does not support",
            "dynamic",
            "yet support",
            "Nested forward",
            "unallocated",
            "is not possible because",
            "randomness error mode",
        )
    )


def draw(choose):
    levels = []
    for _ in range(choose.randint(1, 3)):
        levels.append(
            choose.choice(LEVELS).replace("{i}", choose.choice(IN_DIMS)).replace("{o}", choose.choice(OUT_DIMS))
            .replace("{r!r}", repr(choose.choice(["error", "same", "different", "different"]))).replace("{c}", choose.choice(["1", "2", "None"]))
            .replace("{n}", choose.choice(["0", "1", "(0, 1)", "0", "(0,)", "-1"]))
        )  # fmt: skip
    shapes = choose.choice(
        [
            ((3, 2), (2,)),
            ((2, 3), (3,)),
            ((2, 2), (2, 2)),
            ((3,), (3,)),
            ((2, 3, 2), (2, 3)),
            ((2, 2, 2), (2,)),
            ((2,), (2,)),
        ]
    )
    return (choose.choice(BODIES), tuple(levels)), [shapes]


def key(found, events):
    return found[0] + found[1]
