"""The arguments of a call, sorted into the inputs and the parameters of its operation."""

from rushlight.ops.definition import REQUIRED

__all__ = ["bind", "refuse"]

#: NumPy's spellings that PyTorch's functions take as well.
_KEYWORDS = {"axis": "dim", "keepdims": "keepdim", "input": "x", "other": "y", "self": "x"}


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
