"""Sort the arguments of a call into the inputs and the parameters of its operation."""

from rushlight.autograd import mode
from rushlight.dtype import dtype
from rushlight.ops.core.argument_kinds import Parameter, fits, kind_of, unfit
from rushlight.ops.core.definition import REQUIRED
from rushlight.tensor import Size, Tensor

__all__ = ["admitted", "bind", "judge", "number", "refuse"]

#: Public name → the parameter's name in a forward; NumPy's ``axis`` and ``keepdims`` count as well.
_KEYWORDS = {
    "axis": "dim", "axis0": "dim0", "axis1": "dim1", "keepdims": "keepdim", "input": "x",
    "other": "y", "self": "x",
}  # fmt: skip


def bind(op, args, kwargs):
    """(inputs, params) from the arguments of a call."""
    form = op.forms.get((len(args), *kwargs) if kwargs else len(args))
    if form is None:
        return _bind(op, args, kwargs)
    n, placed, named, missing = form
    params = {**op.defaults, **kwargs}
    for i, name, known in placed:
        value = args[i]
        if known is not None and type(value) not in known:
            return _bind(op, args, kwargs)
        params[name] = value
    for name, known in named:
        if type(kwargs[name]) not in known:
            return _bind(op, args, kwargs)
    return args[:n] + missing, params


def _bind(op, args, kwargs):
    """``bind`` for a call of any form. It notes the form if later calls can be bound faster."""
    n = len(op.inputs)
    inputs = args[:n]
    rest = args[n:]
    params = dict(op.defaults)
    if op.varargs and (len(rest) > 1 or (rest and not isinstance(rest[0], (tuple, list)))):
        rest = (rest,)
    if len(rest) > len(op.params):
        raise TypeError(
            f"{op.name}() takes {n + len(op.params)} positional arguments but {len(args)} were "
            "given"
        )
    given = dict(zip(op.params, rest, strict=False)) if rest else {}
    named = {}
    for name, value in kwargs.items():
        key = name if name in params or name in op.inputs else _KEYWORDS.get(name, name)
        if key in params:
            if key in given:
                raise TypeError(f"{op.name}() got multiple values for argument '{key}'")
            if op.varargs and not fits("shape", value):
                raise TypeError(unfit(op.name, Parameter(key, "shape"), None, value))
            given[key] = value
        elif key in op.inputs:
            named[key] = value
        else:
            raise TypeError(f"{op.name}() got an unexpected keyword argument '{name}'")
    params.update(given)
    for key, value in given.items():
        if key in op.admitted and type(value) not in op.admitted[key]:
            _admit(op, key, value)
            params[key] = number(value)
    missing = len(inputs)
    usual = not (op.varargs or named) and given.keys() >= kwargs.keys()
    if named or missing < n:
        inputs = _named_inputs(op, inputs, named)
    for name in op.required:
        if params[name] is REQUIRED:
            raise TypeError(f"{op.name}() missing 1 required argument: '{name}'")
    if usual:
        _note_form(op, args, kwargs, inputs[missing:])
    return inputs, params


def _note_form(op, args, kwargs, missing):
    """Let ``bind`` bind later calls like this one at once, if the types of their values are known.

    ``missing`` are the inputs that the call leaves out.
    """
    n = len(op.inputs)
    placed = [
        (i, name, op.admitted.get(name))
        for i, name in zip(range(n, len(args)), op.params, strict=False)
    ]
    named = [(name, op.admitted[name]) for name in kwargs if name in op.admitted]
    form = (n, placed, named, missing)
    op.forms[(len(args), *kwargs) if kwargs else len(args)] = form


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
    """Raise the TypeError for input ``i``, which is no tensor."""
    name = {"x": "input", "y": "other"}.get(op.inputs[i], op.inputs[i])
    kind = type(x)
    module = "" if kind.__module__ == "builtins" else kind.__module__ + "."
    raise TypeError(
        f"{op.name}(): argument '{name}' (position {i + 1}) must be Tensor, not "
        f"{module}{kind.__qualname__}"
    ) from None


def judge(op, params):
    """Raise TypeError if a parameter has a value of the wrong type; runs after a call failed."""
    if op.admitted:
        for name, value in params.items():
            if name in op.admitted:
                _admit(op, name, value)


#: Kind → the types whose values are admitted without a closer look. The elements of a list are
#: checked only after the call has failed.
_AT_SIGHT: dict = {
    "int": (int,),
    "ints": (int, tuple, list, Size),
    "bool": (bool,),
    "float": (float, int),
    "Number": (float, int, bool, complex),
    "str": (str,),
    "dtype": (dtype,),
}


def admitted(op):
    """Parameter name → the types that are admitted at sight, for the kinds in ``_AT_SIGHT``."""
    found = {}
    for name in op.params:
        types = _AT_SIGHT.get(_kind(op, name))
        if types is not None:
            found[name] = frozenset((*types, type(op.defaults[name])))
    return found


def _kind(op, name):
    if name in op.kinds:
        return op.kinds[name]
    if name == "dim" and op.kind == "reduction":
        return "ints"
    return kind_of(name, op.defaults[name])


def number(value):
    """The number in a tensor of no dims that is given for one; anything else as it is.

    A tensor that requires grad is no number: its gradient would be lost.
    """
    if isinstance(value, Tensor) and not value._array.ndim and mode.recorder() is None:
        return value if value.requires_grad else value.item()
    return value


def _admit(op, name, value):
    """Raise TypeError if the parameter ``name`` does not take ``value``."""
    kind, default = _kind(op, name), op.defaults[name]
    if value is default or (value is None and default is None) or fits(kind, value):
        return
    position = len(op.inputs) + op.params.index(name) + 1
    raise TypeError(unfit(op.name, Parameter(name, kind), position, value)) from None
