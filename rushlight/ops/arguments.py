"""The arguments of a call, sorted into the inputs and the parameters of its operation."""

from numbers import Number

from rushlight.ops.definition import REQUIRED
from rushlight.tensor import Tensor

__all__ = ["bind", "judge", "refuse"]

#: NumPy's spellings that PyTorch's functions take as well.
_KEYWORDS = {"axis": "dim", "keepdims": "keepdim", "input": "x", "other": "y", "self": "x"}

#: Parameters that are one int; and those that are an int, or several.
_INT = {"diagonal", "dim0", "dim1", "dim2", "dimension", "offset"}
_INTS = {"dim", "dims", "shifts"}


def bind(op, args, kwargs):
    """(inputs, params) from a call's arguments."""
    n = len(op.inputs)
    inputs = args[:n]
    rest = args[n:]
    if not kwargs and not rest and len(inputs) == n:
        params = op.defaults
    else:
        params = dict(op.defaults)
        if op.varargs and (len(rest) > 1 or (rest and not isinstance(rest[0], (tuple, list)))):
            rest = (rest,)
        if len(rest) > len(op.params):
            raise TypeError(
                f"{op.name}() takes {n + len(op.params)} positional arguments but {len(args)} were "
                "given"
            )
        if rest:
            params.update(zip(op.params, rest, strict=False))
        named = {}
        for key, value in kwargs.items():
            key = key if key in params or key in op.inputs else _KEYWORDS.get(key, key)
            if key in params:
                params[key] = value
            elif key in op.inputs:
                named[key] = value
            else:
                raise TypeError(f"{op.name}() got an unexpected keyword argument '{key}'")
        if named or len(inputs) < n:
            inputs = _named_inputs(op, inputs, named)
    for name in op.required:
        if params[name] is REQUIRED:
            raise TypeError(f"{op.name}() missing 1 required argument: '{name}'")
    return inputs, params


def _named_inputs(op, given, named):
    out = list(given)
    for name in op.inputs[len(given) :]:
        if name in named:
            out.append(named.pop(name))
        elif name in op.optional:
            out.append(None)
        else:
            public = {"x": "input", "y": "other"}.get(name, name)
            raise TypeError(f"{op.name}() missing 1 required argument: '{public}'")
    if named:
        raise TypeError(f"{op.name}() got multiple values for argument '{next(iter(named))}'")
    return tuple(out)


def refuse(op, i, x):
    """TypeError: input ``i`` is no tensor."""
    name = {"x": "input", "y": "other"}.get(op.inputs[i], op.inputs[i])
    kind = type(x)
    module = "" if kind.__module__ == "builtins" else kind.__module__ + "."
    raise TypeError(
        f"{op.name}(): argument '{name}' (position {i + 1}) must be Tensor, not "
        f"{module}{kind.__qualname__}"
    ) from None


def judge(op, params):
    """TypeError if a parameter is of a kind that it never takes: asked after a call has failed."""
    for i, (name, value) in enumerate(params.items(), len(op.inputs) + 1):
        default = op.defaults.get(name)
        if value is None or value is default:
            continue
        if type(default) is bool:
            fits, wanted = type(value) is bool, "bool"
        elif name in _INT:
            fits, wanted = _is_int(value), "int"
        elif name in _INTS:
            items = value if isinstance(value, (tuple, list)) else (value,)
            odd = [v for v in items if not _is_int(v)]
            fits, wanted = not odd, "int or tuple of ints"
            value = odd[0] if odd else value
        elif type(default) is float:
            fits, wanted = _is_number(value), "Number"
        else:
            continue
        if not fits:
            raise TypeError(
                f"{op.name}(): argument '{name}' (position {i}) must be {wanted}, not "
                f"{type(value).__name__}"
            ) from None


def _is_number(x):
    return isinstance(x, Number) or (isinstance(x, Tensor) and x.numel() == 1)


def _is_int(x):
    if isinstance(x, Tensor):
        return x.numel() == 1 and not (x.is_floating_point() or x.is_complex())
    return hasattr(x, "__index__") and type(x) is not bool
