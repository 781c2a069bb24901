"""The types that arguments of public functions may have.

A parameter's name determines its kind, as in PyTorch: ``k`` is an int, ``keepdim`` a bool. If one
name has several meanings, the parameter's default or the ``kinds`` of its function decide. An
overloaded function lists its forms, each of them one way to call it::

    @takes("input, dim: int, keepdim=", "input, other")

A form lists parameters as Python does. A parameter with ``=`` may be left out, one with ``?`` may
be None, and the parameters after ``*`` are given by name. Calls whose argument types are already
known to be valid run none of this code.
"""

import inspect
from functools import cache

import numpy as np

from rushlight.autograd import mode
from rushlight.device import device
from rushlight.dtype import dtype, from_python
from rushlight.ops.core.promotion import as_real
from rushlight.ops.tensor.memory_format import layout, memory_format
from rushlight.tensor import Tensor

__all__ = [
    "Form",
    "Parameter",
    "decided_by_values",
    "fits",
    "forms_of",
    "kind_of",
    "one_by_one",
    "takes",
    "unfit",
    "violation",
]

EMPTY = inspect.Parameter.empty
#: The classes of numbers. Those that only Python knows (``Fraction``, ``Decimal``) are none.
NUMBERS = (int, float, complex, np.generic)

#: Kind → the names of its parameters. For other names the type of the default decides.
_NAMES = {
    "Tensor": (
        "input x y self tensor tensor1 tensor2 mat mat1 mat2 vec vec1 vec2 batch1 batch2 end "
        "index mask condition source target boundaries sorted_sequence input1 input2 weight bias "
        "weights src attn_mask"
    ),
    "operand": "other elements test_elements",
    "Tensors": "tensors operands",
    "int": (
        "k n dim0 dim1 dim2 diagonal offset num_samples start_dim end_dim chunks dimension size1 "
        "upscale_factor downscale_factor groups minlength steps num_classes length num_groups "
        "padding_idx storage_offset step"
    ),
    "ints": "dims shifts size shape kernel_size stride",
    "shape": "normalized_shape",
    "Number": "fill_value alpha beta lambd",
    "float": "p eps momentum label_smoothing rtol atol nan posinf neginf mean std",
    "bool": (
        "keepdim descending stable largest sorted replacement unbiased accumulate right ceil_mode "
        "return_inverse return_counts equal_nan requires_grad sparse_grad wrap "
        "out_int32 log_target is_causal count_include_pad pin_memory train non_blocking "
        "assume_unique invert"
    ),
    "str": "reduction approximate rounding_mode equation indexing",
    "dtype": "dtype from_ to type1 type2",
    "device": "device",
    "layout": "layout",
    "format": "memory_format",
    "any": "out generator data obj args reduction inplace training padding return_indices",
}
KIND = {name: kind for kind, names in _NAMES.items() for name in names.split()}

#: Kind → how an error message calls it, if not by the kind's own name.
_WORDS = {
    "operand": "Tensor", "Tensor?": "Tensor", "Tensors": "tuple of Tensors",
    "ints": "tuple of ints", "shape": "tuple of ints", "index": "int", "order": "Number",
    "value": "Number or Tensor", "dtype": "torch.dtype", "layout": "torch.layout",
    "format": "torch.memory_format",
}  # fmt: skip
#: Kind of a list → the kind of its elements.
_ONE = {"ints": "int", "shape": "int", "Tensors": "Tensor"}
_DEVICES = (device, str, int)


class Parameter:
    """A parameter: its ``name``, the ``kind`` of its values, and whether it is ``required``.

    ``none``: the value may be None. ``by_name``: the argument must be given by name.
    """

    __slots__ = ("by_name", "kind", "name", "none", "required")

    def __init__(self, name, kind, required=True, none=False, by_name=False):
        self.name = name
        self.kind = kind
        self.required = required
        self.none = none
        self.by_name = by_name


class Form:
    """One way to call a function: its parameters, and whether it accepts further arguments.

    ``rest`` is the parameter that takes all further positional arguments, as ``*size`` does.
    ``open``: arguments with other names are accepted without a check.
    """

    __slots__ = ("open", "parameters", "positional", "rest")

    def __init__(self, parameters, rest=None, open=False):
        self.parameters = {p.name: p for p in parameters}
        self.positional = [p for p in parameters if not p.by_name]
        self.rest = rest
        self.open = open


def takes(*forms, **judgement):
    """State the arguments of a function by ``forms``; an overloaded function has several forms.

    The module's docstring describes forms. The options in ``judgement``:

    ``kinds``: {name: kind} of the parameters whose name and default don't determine the kind.
    ``spelled``: {name in a form: name of the function's own parameter}, where they differ.
    ``refusal``: the error if no form fits the call; default TypeError.
    ``asks=False``: the arguments' classes cannot override the function, as in PyTorch's functions
    that make tensors from other data; ``"modes"``: modes can.
    ``in_python``: see ``handlers.in_python``.
    ``strict``: a function of ``nn.functional`` checks its arguments before it runs, not only after
    a failure. PyTorch's versions of such functions are single functions in C.
    """

    def decorate(call):
        if forms:
            call.forms = forms
        vars(call).update(judgement)
        return call

    return decorate


# The values that a kind takes -------------------------------------------------------------


def _is_int(x):
    if isinstance(x, Tensor):
        return not x._array.ndim and x._array.dtype.kind in "iu"
    if isinstance(x, np.ndarray):
        return not x.ndim and x.dtype.kind in "iu"
    return isinstance(x, (int, np.integer)) and type(x) is not bool


def _is_number(x):
    if isinstance(x, Tensor):
        return not (x._array.ndim or x.requires_grad)  # a number would get no gradient
    return isinstance(x, NUMBERS)


def _is_float(x):
    return _is_number(x) and not isinstance(x, (complex, np.complexfloating))


def _are_ints(x):
    return _is_int(x) or (isinstance(x, (tuple, list)) and all(map(_is_index, x)))


def _is_index(x):
    """Whether ``x`` is an int in a list of ints; a tensor with one element may have dims there."""
    if isinstance(x, Tensor) and x._array.size == 1:
        return x._array.dtype.kind in "iu"
    return _is_int(x)


def _are_tensors(x):
    return isinstance(x, (tuple, list)) and all(isinstance(v, Tensor) for v in x)


_FITS = {
    "Tensor": lambda x: isinstance(x, Tensor),
    "operand": lambda x: isinstance(x, (Tensor, *NUMBERS)),
    "Tensor?": lambda x: x is None or isinstance(x, Tensor),
    "Tensors": _are_tensors,
    "int": _is_int,
    "ints": _are_ints,
    "shape": lambda x: _are_ints(x) and not isinstance(x, (int, np.integer)),
    "float": _is_float,
    "Number": _is_number,
    "value": lambda x: isinstance(x, (Tensor, *NUMBERS)),
    "bool": lambda x: type(x) is bool or isinstance(x, np.bool_),
    "str": lambda x: isinstance(x, str),
    "dtype": lambda x: isinstance(from_python(x), dtype),
    "device": lambda x: isinstance(x, _DEVICES) and type(x) is not bool,
    "index": lambda x: isinstance(x, Tensor) or _is_int(x),
    "order": lambda x: x is None or isinstance(x, str) or _is_number(x),
    "layout": lambda x: isinstance(x, layout),
    "format": lambda x: isinstance(x, memory_format),
}


def fits(kind, value):
    """Whether a parameter of ``kind`` takes ``value``.

    >>> fits("int", 2), fits("int", 2.0), fits("ints", (2, 3)), fits("bool", 1)
    (True, False, True, False)
    """
    test = _FITS.get(kind)
    return test is None or test(value)


# Forms ------------------------------------------------------------------------------------


def kind_of(name, default=EMPTY):
    """The kind of a parameter, by its name, or else by its default."""
    found = KIND.get(name)
    if found is not None:
        return "Number" if found == "int" and type(default) is float else found
    if name == "dim":
        return "int"
    return {bool: "bool", float: "Number", str: "str"}.get(type(default), "any")


def _parsed(text):
    """Parse one form, as ``takes`` gets it."""
    parameters: list[Parameter] = []
    rest, open, by_name = None, False, False
    for word in text.split(","):
        word = word.strip()
        if word == "*":
            by_name = True
        elif word.startswith("**"):
            open = True
        else:
            name, _, kind = word.rstrip("=?").partition(":")
            name, kind = name.strip("*").strip(), kind.strip()
            none = "?" in word
            p = Parameter(name, kind or kind_of(name), word[-1] not in "=?", none, by_name)
            if word.startswith("*"):
                rest, by_name = p, True
                p.required = False
            parameters.append(p)
    return Form(parameters, rest, open)


def form_of(signature, kinds):
    """The form of a Python signature; ``kinds`` overrides the kinds of single parameters."""
    parameters: list[Parameter] = []
    rest, open = None, False
    for p in signature.parameters.values():
        if p.kind is p.VAR_KEYWORD:
            open = True
            continue
        kind = kinds.get(p.name) or (
            p.annotation if isinstance(p.annotation, str) else kind_of(p.name, p.default)
        )
        by_name = p.kind is p.KEYWORD_ONLY
        none = p.default is None or (by_name and p.name in ("requires_grad", "pin_memory"))
        made = Parameter(p.name, kind, p.default is EMPTY, none, by_name)
        if p.kind is p.VAR_POSITIONAL:
            rest = made
            made.required = False
            made.kind = "any" if p.name in ("args", "older") else kind
        parameters.append(made)
    return Form(parameters, rest, open)


@cache
def forms_of(call):
    """The forms of the function ``call``: as stated by ``takes``, else by its signature."""
    stated = getattr(call, "forms", None)
    if stated is not None:
        return tuple([_parsed(text) for text in stated])
    if (
        "older" in inspect.unwrap(call).__code__.co_varnames
    ):  # an order of arguments that ``legacy_arguments.py`` judges
        return ()
    return (form_of(inspect.signature(call), getattr(call, "kinds", {})),)


def one_by_one(call):
    """From how many on a method takes the ints of its list one by one, as in ``x.tile(2, 3)``.

    As in PyTorch, such a method has a form with a list of ints, and no other parameter to be given
    by position. A single int stands for itself if a form takes it. 0 for other methods.
    """
    if not hasattr(call, "forms"):  # a signature takes long to read
        code = inspect.unwrap(call).__code__
        name = code.co_varnames[1] if code.co_argcount == 2 else ""
        return int((getattr(call, "kinds", {}).get(name) or KIND.get(name)) == "shape")
    kinds = [f.positional[1].kind for f in forms_of(call) if len(f.positional) == 2]
    return 0 if "shape" not in kinds else 2 if "int" in kinds else 1


# A call -----------------------------------------------------------------------------------


def violation(name, forms, args, named):
    """The error message for a call that fits no form, or None if the call fits one."""
    found = None
    for form in forms:
        wrong = _against(name, form, args, named)
        if wrong is None:
            return None
        if found is None or " must be " in wrong:  # a wrong type says more than a wrong number
            found = wrong
    return found


def _against(name, form, args, named):
    """The error message for a call that does not fit ``form``, or None if it fits."""
    positional = form.positional
    if len(args) > len(positional) and form.rest is None:
        return f"{name}() takes {len(positional)} positional arguments but {len(args)} were given"
    for i, (p, value) in enumerate(zip(positional, args, strict=False), 1):
        if p is form.rest:
            break
        if not ((value is None and p.none) or fits(p.kind, value)):
            return unfit(name, p, i, value)
    given = {p.name for p in positional[: len(args)]}
    if form.rest is not None and len(args) >= len(positional):
        found = _spread(name, form.rest, len(positional), args[len(positional) - 1 :])
        if found is not None:
            return found
    for key, value in named.items():
        p = form.parameters.get(key) or form.parameters.get(_OTHER_NAMES.get(key, key))
        if p is None and key == "input" and positional:  # so PyTorch calls the first operand
            p = positional[0]
        if p is None:
            if form.open:
                continue
            return f"{name}() got an unexpected keyword argument '{key}'"
        if p.name in given:
            return f"{name}() got multiple values for argument '{key}'"
        given.add(p.name)
        kind = "shape" if p is form.rest and p.kind == "ints" else p.kind
        if not ((value is None and p.none) or fits(kind, value)):
            return unfit(name, p, None, value)
    for p in form.parameters.values():
        if p.required and p.name not in given:
            return f"{name}() missing 1 required argument: '{p.name}'"
    return None


#: Other names that PyTorch's functions accept for a parameter, for example NumPy's ``axis``.
_OTHER_NAMES = {
    "axis": "dim", "keepdims": "keepdim", "x": "input", "self": "input",
    "split_size": "split_size_or_sections",
}  # fmt: skip


def _spread(name, p, position, values):
    """The error message for ``values`` of a parameter like ``*size``: one tuple, or several ints.

    None if the values fit.
    """
    kind = p.kind
    if kind == "any":
        return None
    if len(values) == 1 and fits(kind, values[0]):
        return None
    one = _ONE.get(kind, kind)
    for value in values:
        if not (_is_index(value) if one == "int" else fits(one, value)):
            return unfit(name, p, position, value)
    return None


def unfit(name, p, position, value):
    """The error message for an argument of the wrong type."""
    where = "" if position is None else f" (position {position})"
    wanted = _WORDS.get(p.kind, p.kind)
    one = _ONE.get(p.kind)
    if one is not None and isinstance(value, (tuple, list)):
        place, value = next(((i, v) for i, v in enumerate(value) if not fits(one, v)), (0, value))
        wanted += f", but found element of type {type(value).__name__} at pos {place}"
        return f"{name}(): argument '{p.name}'{where} must be {wanted}"
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else kind.__module__ + "."
    if isinstance(value, Tensor):
        module = ""
    return f"{name}(): argument '{p.name}'{where} must be {wanted}, not {module}{kind.__qualname__}"


def decided_by_values(call, args, named):
    """Whether a tensor is given for a number, so that its dims and dtype decide, not its type.

    If a form takes all tensors as tensors, they are given for no numbers.
    """
    found = False
    for form in forms_of(call):
        pairs = [*zip(form.positional, args, strict=False)]
        pairs += [(form.parameters[k], v) for k, v in named.items() if k in form.parameters]
        if any(isinstance(v, Tensor) and p.kind not in _OF_TENSORS for p, v in pairs):
            found = True
        elif _against("", form, args, named) is None:
            return False
    return found


def with_numbers(call, args, named):
    """(args, named) with numbers in place of the 0-dim tensors that are given for numbers.

    A form that takes these tensors as tensors comes before one that takes them for numbers.
    """
    if mode.recorder() is not None:  # there the tensor has no value yet
        return args, named
    first = None
    for form in forms_of(call):
        if _against("", form, args, named) is None:
            kinds = [p.kind for p in form.positional] + ["any"] * len(args)
            given = {k: form.parameters[k].kind if k in form.parameters else "any" for k in named}
            pairs = [*zip(kinds, args, strict=False), *[(given[k], x) for k, x in named.items()]]
            if not any(isinstance(x, Tensor) and kind in _NUMERIC for kind, x in pairs):
                return args, named
            first = first or (kinds, given)
    if first is None:
        return args, named
    kinds, given = first
    plain = lambda kind, x: _plain(kind, x) if isinstance(x, Tensor) and kind in _NUMERIC else x
    return (
        tuple([plain(kind, x) for kind, x in zip(kinds, args, strict=False)]),
        {k: plain(given[k], x) for k, x in named.items()},
    )


def _plain(kind, x):
    """The number in a tensor, as a parameter of a numeric ``kind`` takes it."""
    return x.item() if kind == "Number" else as_real(x.item())


_NUMERIC = ("int", "ints", "float", "Number")
_OF_TENSORS = ("Tensor", "Tensor?", "Tensors", "operand", "any", "value")
