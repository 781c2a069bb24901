"""Writes to memory that overlaps an operand or itself, for every function, and what then happens.

The calls are those of the samples and of ``sound_calls.txt``. Each call is made with ``out=`` and
in place, as far as the function knows these forms.
"""

import warnings

from tests.conformance import tensors
from tests.ops.core.test_wrong_arguments import names, sound
from tests.samples import SAMPLES

__all__ = ["calls", "outcomes"]

#: Further calls in place, whose operands the samples do not have: see ``names``.
IN_PLACE = {
    "addcmul": "x, y, y", "addcdiv": "x, y, y", "addr": "w, v, v[:2]", "addmv": "v[:3], x, v",
    "addbmm": "w, b, c.mT", "lerp": "x, y, x + y", "clamp": "x, y, y", "copy": "x, y",
    "fill": "x, s", "index_add": "x, 0, k, y[:2]", "index_copy": "x, 0, k, y[:2]",
    "index_fill": "x, 0, k, s", "index_put": "x, (k,), y[:2]", "index_reduce": "x, 0, k, y[:2], 'prod'",
    "masked_fill": "x, m, s", "masked_scatter": "x, m, y", "put": "x, k, v[:2]",
    "scatter": "x, 1, i, y", "scatter_add": "x, 1, i, y", "scatter_reduce": "x, 1, i, y, 'sum'",
    "bernoulli": "x, y.sigmoid()", "squeeze": "x", "t": "x", "tril": "x", "triu": "x",
    "normal": "x", "uniform": "x", "random": "x", "exponential": "x", "cauchy": "x",
    "log_normal": "x", "geometric": "x, 0.5", "zero": "x", "fill_diagonal": "x, 1.0",
    "sub": "x, y", "div": "x, y", "mul": "x, y", "float_power": "torch.ones(3, dtype=torch.double), torch.ones(3)",
    "baddbmm": "b, b[:, :, :3], b", "addmm": "w, y, torch.ones(4, 2)", "cumsum": "x, 0",
    "polygamma": "x, 1", "mvlgamma": "x + 5, 2", "renorm": "x, 2, 0, 1.0", "nan_to_num": "x",
    "atan2": "x, y", "dist": "x, y", "heaviside": "x, y", "hypot": "x, y", "gcd": "i, i + 1",
    "lcm": "i, i + 1", "ldexp": "x, y", "nextafter": "x, y", "xlogy": "x, y", "sinc": "x",
    "bitwise_left_shift": "i, i + 1", "bitwise_right_shift": "i, i + 1", "__lshift__": "i, i + 1",
    "bitwise_and": "i, i + 1", "logical_and": "m, m & m", "true_divide": "x, y",
}  # fmt: skip
#: Functions with ``out=`` whose operands the samples do not have.
WITH_OUT = {
    "where": "m, x, y", "cat": "[x, y]", "stack": "[x, y]", "take": "x, k", "gather": "x, 1, i",
    "index_select": "x, 0, k", "masked_select": "x, m", "bucketize": "x, v.sort()[0]",
    "searchsorted": "v.sort()[0], x", "normal": "x, y.exp()", "bernoulli": "y.sigmoid()",
    "hstack": "[x, y]", "vstack": "[x, y]", "dstack": "[x, y]", "column_stack": "[x, y]",
}  # fmt: skip


class _Noting:
    """Stands for ``torch``, and notes the first call of a function that has a tensor."""

    def __init__(self, target, path, found):
        self._target, self._path, self._found = target, path, found

    def __getattr__(self, name):
        value = getattr(self._target, name)
        if isinstance(value, type) or not (callable(value) or type(value) is type(warnings)):
            return value
        return _Noting(value, f"{self._path}{name}.", self._found)

    def __call__(self, *args, **named):
        if not self._found:
            self._found.append((self._path[:-1], args, named))
        return self._target(*args, **named)


def calls(t):
    """(key, path of the function, arguments, named arguments) of the calls, a few a function."""
    seen: dict = {}

    def fresh(path, args):
        size = len([a for a in _flat(args) if isinstance(a, t.Tensor)])
        key = f"{path}/{size}"
        if key in seen or not size:
            return None
        seen[key] = True
        return key

    for path, given in sound():
        space = {**names(t), "call": lambda *args, **named: (args, named)}
        args, named = eval(f"call({', '.join(given)})", space)
        path = path.replace("torch.", "").replace("F.", "nn.functional.").lstrip(".")
        if "init." not in path and not {"out", "dtype"} & {*named} and (key := fresh(path, args)):
            yield key, path, args, named
    for form, listed in (("in place", IN_PLACE), ("out", WITH_OUT)):
        for path, text in listed.items():
            yield f"{path}/{form}", path, eval(f"({text},)", names(t)), {}
    for sample in SAMPLES.values():
        if sample.draws or any(a.size < 2 for a in sample.inputs[:1]):
            continue
        found: list = []
        try:
            sample.call(_Noting(t, "", found), *tensors(t, sample))
        except (RuntimeError, TypeError, AttributeError):
            continue
        if found and not {"out", "dtype"} & {*found[0][2]} and (key := fresh(*found[0][:2])):
            yield (key, *found[0])


def _flat(values):
    for v in values:
        yield from _flat(v) if isinstance(v, (tuple, list)) else (v,)


def _function(t, path):
    for name in path.split("."):
        t = getattr(t, name, None)
    return t


def outcomes(t, path, args, named):
    """What happens, by the form of the call and the way in which the memory overlaps.

    "ok"; "partial" or "itself" if the write is refused for its overlap; "error" for other errors.
    """
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function = _function(t, path)
        results = _result(t, function, args, named) if function else []
        for j, r in enumerate(results):
            for how, out, given in _overlapping(t, r, args):
                outs = [t.empty_like(x) for x in results]
                outs[j] = out
                out = outs[0] if len(outs) == 1 else tuple(outs)
                found[f"out{j}/{how}"] = _outcome(t, function, given, {**named, "out": out})
        found = found if {*found.values()} != {"unknown"} else {}
        name = path.split(".")[-1]
        method = getattr(t.Tensor, f"{name.removesuffix('_')}_", None)
        if method and path.count(".") == 0 and args and isinstance(args[0], t.Tensor):
            for how, x, given in _overlapping(t, args[0], args[1:]):
                found[f"in place/{how}"] = _outcome(t, method, (x, *given), named)
    return {k: v for k, v in found.items() if v != "unknown"}


def _result(t, function, args, named):
    try:
        found = function(*_copies(t, args), **named)
    except Exception:
        return []
    found = list(found) if isinstance(found, (tuple, list)) else [found]
    return found if all(isinstance(x, t.Tensor) and not x.is_sparse for x in found) else []


def _copies(t, args):
    return [
        type(a)(_copies(t, a)) if type(a) in (tuple, list)
        else a.detach().clone() if isinstance(a, t.Tensor) else a for a in args
    ]  # fmt: skip


def _overlapping(t, written, args):
    """(the way of overlap, a tensor like ``written``, the arguments) for every operand."""
    if written.layout is not t.strided:
        return
    count = len([a for a in _flat(args) if isinstance(a, t.Tensor)])
    for k in range(count):
        operand = [a for a in _flat(args) if isinstance(a, t.Tensor)][k]
        if operand.layout is not t.strided or operand.dtype is not written.dtype:
            continue
        n, m = written.numel(), operand.numel()
        if n and m and max(n, m) > 1:
            memory = t.zeros(max(n, m + 1), dtype=operand.dtype)
            other = memory[1 : m + 1].view(operand.shape)
            other.copy_(operand)
            out = memory[:n].view(written.shape)
            yield f"{k}/shifted", out, _with(t, _copies(t, args), k, other)
        if operand.shape == written.shape:
            out = operand.detach().clone(memory_format=t.contiguous_format)
            yield f"{k}/same", out, _with(t, _copies(t, args), k, out)
    if written.numel() > 1:
        # The memory has room for all elements, because some functions of PyTorch write so many.
        one = written.detach().reshape(-1).clone()[:1].view((1,) * written.dim())
        yield "itself", one.expand(written.shape), _copies(t, args)


def _with(t, args, k, operand):
    """The arguments with ``operand`` in place of the tensor number ``k``."""
    left = [k]

    def put(a):
        if type(a) in (tuple, list):
            return type(a)([put(x) for x in a])
        if isinstance(a, t.Tensor):
            left[0] -= 1
            return operand if left[0] == -1 else a
        return a

    return [put(a) for a in args]


def _outcome(t, function, args, named):
    t.manual_seed(0)
    try:
        function(*args, **named)
    except TypeError:
        return "unknown"
    except Exception as error:
        text = str(error)
        if "some elements of the input tensor and the written-to tensor" in text:
            return "partial"
        return "itself" if "more than one element of the written-to" in text else "error"
    return "ok"
