"""Tensors that look into each other's memory: views of views, writes, modes, versions; as in PyTorch.

Every look compares what a program can ask of a tensor: values, gradient, version, leaf or not, the
node's name, the base, the strides, and which tensors share memory.
"""

import re

import pytest

import rushlight
from tests.search.lines import table
from tests.search.lives import SEED, attempt, close, search

torch = pytest.importorskip("torch")

NAMES = "abcd"
#: ``u``, ``v`` and ``w`` stand for any tensor.
VIEWS = table("""
v[1:] | v[..., :1] | v[None] | v.view(-1) | v.mT | v.t() | v.detach() | v.data | v.expand(2, *v.shape) | v.unsqueeze(-1)
v.squeeze() | v.select(0, 0) | v.narrow(-1, 0, 1) | v.diagonal() | v.unfold(0, 1, 1) | v.as_strided((2,), (1,), v.storage_offset()) | v[::2]
v.unbind(0)[0] | v.chunk(2)[0] | v.split(1)[0] | v.view_as(v) | v.flatten() | v.reshape(-1) | v.permute(*range(v.ndim)[::-1])
v.contiguous() | v.to(v.dtype) | v.movedim(0, -1) | v.swapaxes(0, -1) | v.alias() if 0 else v[:] | v.tensor_split(2)[1] | v.expand_as(v)
v.transpose(0, -1)[:1] | v[0] | v.T[0:2] | v.view(v.shape) | v.ravel() | T.atleast_2d(v) | T.broadcast_to(v, (2, *v.shape))[1] | v.real | v.unflatten(0, (-1, 1))
v.hsplit(1)[0] | v.squeeze(0) | v[v.shape[0] - 1] | v[[0]] | v[..., None] | v.view(T.int32).view(v.dtype) | v.split_with_sizes([1, v.shape[0] - 1])[1]
""")
VALUES = table("""
v * 2 | v * w | v.clone() | v + w | v.sin() | v.sum() | v ** 2 | v.exp() | T.where(v > 0, v, w) | v.relu() | v * v | v / w | v.detach().clone()
v.sigmoid() | v.cumsum(0) | v.clone().requires_grad_() | v.detach().clone().requires_grad_() | T.cat([v, w]) | v.max() | v.prod()
T.ones(3, 2) | T.arange(6.).view(2, 3) / 5 | T.nn.Parameter(v.detach()) | v.new_zeros(2) | v.mean(0) | v.new_tensor([1., 2.]) | v.tanh()
T.empty_like(v).copy_(w) | T.zeros_like(v) | v.masked_fill(v > 1, 0.) | v.index_select(0, T.tensor([0])) | v.sqrt() | v.requires_grad_()
T.stack([v, v]) | v.norm()
""")
WRITES = table("""
v.mul_(2) | v.add_(w) | v.add_(1) | v.copy_(w) | v.zero_() | v[0] = 3. | v[..., 0] = w[..., 0] | v[1:] *= 2 | v.sin_() | v.mul_(w) | v.exp_()
v.fill_(w.sum()) | v.fill_(2) | v[v > 0] = 1. | v.masked_fill_(v > 1, .5) | v.index_add_(0, T.tensor([0]), w[:1]) | v.clamp_(max=1) | v += w | v -= v
v.data.mul_(2) | v.detach().add_(1) | v.data[0] = 1. | v.cumsum_(0) | v.pow_(2) | v.relu_() | v.div_(w) | v.addcmul_(w, w) | v.lerp_(w, .5)
v.index_fill_(0, T.tensor([0]), 2.) | v.index_copy_(0, T.tensor([0]), w[:1]) | v.scatter_(0, T.zeros_like(v, dtype=T.long)[:1], 3.) | v.tril_() | v.neg_()
v.zero_().add_(w) | v.diagonal().fill_(1.) | v.mT.mul_(2) | v.view(-1)[0] = 7. | v.normal_().zero_() | v.put_(T.tensor([0]), T.tensor([5.])) | v.squeeze(0).add_(w)
v.sub_(w.detach()) | v.bernoulli_(1.) | v.erfinv_() | v.atan2_(w) | v.floor_()
T.nn.functional.relu(v, inplace=True) | T.nn.init.ones_(v) | v.uniform_(1, 1.0001).round_() | v.numpy()[...] = 2 | v.detach().numpy()[...] = 2
v.clamp_min_(0) | v.copysign_(w) | v.index_put_((T.tensor([0]),), w.sum()) | v.fill_diagonal_(1.)
T.nn.functional.dropout(v, 0., inplace=True) | v.renorm_(2, 0, 1.) | v.fmod_(2) | v.remainder_(w) | v.hardtanh_()
T.nn.functional.leaky_relu_(v) | T.nn.functional.threshold_(v, .1, 0.) | T.nn.functional.elu_(v) | v.abs_() | v.sgn_() | v.xlogy_(w) | v.ldexp_(w) | v.sigmoid_()
""")
SHAPES = table("""
v.t_() | v.squeeze_() | v.unsqueeze_(0) | v.transpose_(0, -1) | v.swapaxes_(0, -1) | v.data.t_() | v.detach().squeeze_()
""")
HISTORY = table("""
v.requires_grad_() | v.requires_grad_(False) | v.requires_grad = True | v.requires_grad = False | v.retain_grad() | v.grad = None | v.grad = w.detach()
v.register_hook(lambda g: g * 2) | v.register_hook(lambda g: seen.append(g.tolist())) | v.sum().backward() | v.sum().backward(retain_graph=True)
(v * w).sum().backward() | v.backward(T.ones_like(v)) | v.backward(w) | (v * v).sum().backward() | v.grad.mul_(2) | v.grad.zero_()
v.mT.backward(T.ones_like(v.mT)) | v.backward(T.ones(1).expand(v.shape)) | v.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
seen.append(v.output_nr) | v = v | seen.append(v._is_view())
w.grad = v | v.grad = w.grad | v.grad.requires_grad_() | v.grad = v | v.sum().backward(v.sum().detach(), retain_graph=True)
""")
#: What an event runs in.
REGIONS = ["{}"] * 8 + [
    "with T.no_grad(): {}", "with T.no_grad(): {}", "with T.enable_grad(): {}",
]  # fmt: skip


def start(framework):
    names = {"T": framework, "seen": []}
    names["a"] = framework.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    names["b"] = names["a"] * 1.5
    names["c"] = framework.tensor([[0.5, 1.5], [2.0, -1.0]])
    names["d"] = names["c"][:1]
    names["leaf"] = names["a"]
    return names


def grad_name(x):
    return None if x.grad_fn is None else x.grad_fn.name().rstrip("0123456789")


def look_at(x, names, depth=0):
    if not hasattr(x, "stride"):
        return x
    grad = x.grad if x.is_leaf or x.retains_grad else None
    inference = x.is_inference()
    return {
        "shape": (tuple(x.shape), str(x.dtype)),
        "strides": [s for n, s in zip(x.shape, x.stride(), strict=True) if n > 1]
        if x.numel()
        else [],
        "offset": x.storage_offset() if x.numel() and not depth else None,
        "leaf": (x.requires_grad, x.is_leaf, inference),
        "retains": not x.is_leaf and x.retains_grad,
        "version": None if inference or depth else x._version,
        "node": None if depth else grad_name(x),
        "view": not depth and x._is_view(),
        "base": None if depth or not x._is_view() else [n for n in NAMES if names[n] is x._base],
        "value": x.detach().tolist(),
        "grad": None if grad is None or depth else look_at(grad, names, 1),
    }


def look(names):
    tensors = [names[n] for n in NAMES]
    found = {n: look_at(names[n], names) for n in NAMES}
    found["leaf"] = look_at(names["leaf"], names)
    found["seen"] = names["seen"]
    sizes = [x.numel() if hasattr(x, "numel") else 0 for x in tensors]
    found["memory"] = [
        x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()
        for x, n in zip(tensors, sizes, strict=True) for y, m in zip(tensors, sizes, strict=True) if n and m
    ]  # fmt: skip
    found["one"] = [x is y for x in tensors for y in tensors]
    return found


def event(choose):
    """A random line, in a region."""
    kind = choose.choices((VIEWS, VALUES, WRITES, SHAPES, HISTORY), (30, 12, 30, 10, 18))[0]
    line = re.sub(r"\b[uvw]\b", lambda m: choose.choice(NAMES), choose.choice(kind))
    if kind in (VIEWS, VALUES):
        line = f"{choose.choice(NAMES)} = {line}"
    return (choose.choice(REGIONS) if kind is not SHAPES else "{}").format(line)


def is_apart(names, lines):
    """Whether PyTorch's views are now in a state of its own: see docs/differences.md."""
    views = [names[n] for n in NAMES if hasattr(names[n], "stride") and names[n]._is_view()]
    try:
        if "requires_grad" in str(lines) and any(x._base.is_leaf for x in views):
            return True
        if any(x.is_leaf and (x.requires_grad or x._base.requires_grad) for x in views):
            return True
    except RuntimeError:  # it says that a view is not to be used any more
        return True
    return "no_grad" in str(lines) and any(
        x._base.requires_grad and not x.requires_grad for x in views
    )


def is_mixed(names, line):
    """Whether the line writes, and names tensors that share memory and lie in another way."""
    named = {n for n in re.findall(r"\b[abcd]\b", line) if hasattr(names[n], "stride")}
    tensors = [names[n] for n in named]
    storages = {x.untyped_storage().data_ptr() for x in tensors}
    places = {(x.data_ptr(), x.shape, x.stride()) for x in tensors}
    return len(places) > len(storages) and re.search(r"_\(|[-+]=|\] =", line)


def difference(_, lines):
    """The first line after which the frameworks differ, and how; or None."""
    both = start(rushlight), start(torch)
    for line in lines:
        if is_mixed(both[1], line):
            return None
        ours, theirs = (attempt(line, names) for names in both)
        if "detached in-place" in str(theirs) or "single memory location" in f"{ours}{theirs}":
            return None
        if not isinstance(ours, type(theirs)):
            return line, ours, theirs
        if theirs is not None or is_apart(both[1], lines):
            return None
        a, b = map(look, both)
        for name in [*NAMES, "leaf"]:
            if isinstance(b[name], dict) and b[name]["node"] == "AsStridedBackward":
                b[name]["node"] = a[name]["node"]  # that of a view whose base was written
            if isinstance(b[name], dict) and "requires_grad" in str(lines):
                b[name].update(view=a[name]["view"], base=a[name]["base"])  # a leaf is no view
        if not close(a, b, 1e-4):
            return line, [(k, a[k], b[k]) for k in a if not close(a[k], b[k], 1e-4)]
    return None


def draw(choose):
    return None, [event(choose) for _ in range(choose.randint(2, 9))]


def test_some_lives():
    search(draw, difference, 60, 7)


@pytest.mark.search
def test_many_lives():
    search(draw, difference, 3000, SEED)
