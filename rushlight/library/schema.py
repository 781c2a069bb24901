"""Schemas of operators, such as ``(Tensor x, *, int k=3) -> Tensor``: read, inferred, checked."""

import ast
import collections.abc
import inspect
import re
import types
import typing
from typing import Any

import rushlight.dtype as dtypes
from rushlight.device import device
from rushlight.dtype import DTYPES, dtype
from rushlight.tensor import Tensor

__all__ = ["Argument", "ArgumentRefusal", "Schema", "infer_schema", "parse_schema"]

_BASES = {Tensor: "Tensor", int: "SymInt", float: "float", bool: "bool", str: "str",
          int | float | bool: "Scalar", dtype: "ScalarType", device: "Device"}  # fmt: skip
_LISTED = {Tensor, int, float, bool, int | float | bool}
_RETURNED = {Tensor, int, float, bool, int | float | bool}
_SEQUENCES = (list, collections.abc.Sequence)
_PLAIN = {"SymInt": "int", "ScalarType": "int", "Scalar": "number"}
#: What the types of a schema accept.
_ACCEPTS: dict = {
    "Tensor": Tensor, "int": int, "SymInt": int, "float": (int, float), "bool": bool, "str": str,
    "Scalar": (int, float, bool, complex), "ScalarType": (dtype, int), "Device": (device, str),
    "Layout": object, "MemoryFormat": object, "Generator": object, "Dimname": str,
    "complex": (int, float, complex), "Any": object,
}  # fmt: skip
_ARGUMENT = re.compile(
    r"(?P<base>\w+)(?:\((?P<alias>[^)]*)\))?(?P<marks>(?:\?|\[\d*\])*)"
    r"(?:\s+(?P<name>\w+))?(?:\s*=\s*(?P<default>.+))?$"
)


class Argument:
    """One argument or result of an operator.

    Attributes:
        name: The argument's name; "" for a result without one.
        base: The name of the type without its marks, such as "Tensor".
        marks: "?" for an optional value, "[]" for a list.
        default_value: The default; see ``has_default_value``.
        kwarg_only: Whether the argument must be given by name.
        alias: The alias set, such as "a0!"; the exclamation mark says that the operator writes it.
    """

    def __init__(self, name, base, marks, default, kwarg_only, alias):
        self.name, self.base, self.marks, self.alias = name, base, marks, alias
        self.default, self.kwarg_only = default, kwarg_only
        self.default_value = None if default is None else _value(default, self)

    @property
    def is_write(self):
        """Whether the operator writes into the argument."""
        return self.alias is not None and self.alias.endswith("!")

    @property
    def alias_info(self):
        """What the result shares its memory with, as an object with ``is_write``; or None."""
        return None if self.alias is None else types.SimpleNamespace(is_write=self.is_write)

    @property
    def type(self):
        """The type as text, in the words of PyTorch's type system."""
        text = _PLAIN.get(self.base, self.base)
        for mark in re.findall(r"\?|\[\d*\]", self.marks):
            text = f"Optional[{text}]" if mark == "?" else f"List[{text}]"
        return text

    def has_default_value(self):
        """Whether a call may leave the argument out."""
        return self.default is not None

    def fits(self, value):
        """Whether the argument may have this value."""
        return _fits(self.base, re.findall(r"\?|\[\d*\]", self.marks), value)

    def __str__(self):
        alias = "" if self.alias is None else f"({self.alias})"
        name = f" {self.name}" if self.name else ""
        default = "" if self.default is None else f"={self.default}"
        if self.base == "float" and isinstance(self.default_value, float):
            default = default.removesuffix("0") if default.endswith(".0") else default
        return f"{self.base}{alias}{self.marks}{name}{default}"

    __repr__ = __str__


def _fits(base, marks, value):
    if not marks:
        if base in ("float", "int", "SymInt", "Scalar", "complex") and isinstance(value, Tensor):
            return value.ndim == 0
        if base in ("int", "SymInt") and isinstance(value, bool):
            return False
        return isinstance(value, _ACCEPTS[base])
    *inner, last = marks
    if last == "?":
        return value is None or _fits(base, inner, value)
    if len(last) > 2 and _fits(base, inner, value):  # int[2] takes one int for both
        return True
    return isinstance(value, (list, tuple)) and all(_fits(base, inner, v) for v in value)


def _value(text, argument):
    """The default that stands in a schema as ``text``."""
    if argument.base == "ScalarType" and text != "None":
        return next((d for d in DTYPES if d.name == text), getattr(dtypes, text, text))
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return device(found) if argument.base == "Device" and isinstance(found, str) else found


class Schema:
    """The signature of an operator.

    Attributes:
        name: The qualified name, such as "mylib::scale".
        overload_name: The overload; "" for the default.
        arguments: List of the Arguments.
        returns: List of the results, as Arguments.
    """

    def __init__(self, name, overload_name, arguments, returns):
        self.name, self.overload_name = name, overload_name
        self.arguments, self.returns = arguments, returns

    @property
    def is_mutable(self):
        """Whether the operator writes into an argument."""
        return any(a.is_write for a in self.arguments)

    def bind(self, args, kwargs):
        """Check a call's arguments.

        Returns (positional, keyword-only): all arguments in order, defaults included.
        """
        ours = [a for a in self.arguments if not a.kwarg_only]
        if len(args) > len(ours):
            told = (
                f"takes {len(ours)} positional argument(s) but {len(args)} was/were given. "
                if len(ours) < len(self.arguments)
                else f"expected at most {len(ours)} argument(s) but received {len(args)} "
                "argument(s)."
            )
            raise ArgumentRefusal(f"{self.name}() {told} Declaration: {self}")
        rest = dict(kwargs)
        positional, named = list(args), {}
        for i, a in enumerate(self.arguments):
            if i < len(args):
                if a.name in rest:
                    raise ArgumentRefusal(
                        f"{self.name}() got argument {a.name!r} twice. Declaration: {self}"
                    )
                value = args[i]
            elif a.name in rest:
                value = rest.pop(a.name)
            elif a.has_default_value():
                value = a.default_value
            else:
                raise ArgumentRefusal(
                    f"{self.name}() is missing value for argument '{a.name}'. Declaration: {self}"
                )
            value = self._checked(i, a, value)
            if a.kwarg_only:
                named[a.name] = value
            elif i < len(args):
                positional[i] = value
            else:
                positional.append(value)
        if rest:
            raise ArgumentRefusal(
                f"Unknown keyword argument '{next(iter(rest))}' for operator '{self.name}'. "
                f"Schema: {self}"
            )
        return tuple(positional), named

    def _checked(self, i, a, value):
        if not a.fits(value):
            raise ArgumentRefusal(
                f"{self.name}() Expected a value of type '{a.type}' for argument '{a.name}' but "
                f"instead found type '{type(value).__name__}'.\nPosition: {i}\nValue: {value!r}\n"
                f"Declaration: {self}"
            )
        if a.base in ("float", "int", "SymInt", "Scalar") and not a.marks.startswith("["):
            if isinstance(value, Tensor):
                value = value.item()
            if a.base == "float" and isinstance(value, int):
                return float(value)
        if a.base == "Device" and isinstance(value, str):
            return device(value)
        return value

    def __str__(self):
        overload = f".{self.overload_name}" if self.overload_name else ""
        return f"{self.name}{overload}{self.signature()}"

    __repr__ = __str__

    def signature(self):
        """The schema without its name."""
        parts = []
        for a in self.arguments:
            if a.kwarg_only and "*" not in parts:
                parts.append("*")
            parts.append(str(a))
        returns = ", ".join(map(str, self.returns))
        if len(self.returns) != 1:
            returns = f"({returns})"
        return f"({', '.join(parts)}) -> {returns}"


class ArgumentRefusal(RuntimeError):
    """The arguments of a call do not fit the operator's schema."""


def parse_schema(text, namespace=""):
    """Read a schema with its name.

    Args:
        text: ``name(Tensor x, int n=2) -> Tensor``; the name may have an overload: ``name.int``.
        namespace: The namespace to put before the name.

    Returns:
        A Schema.

    Raises:
        RuntimeError: The text is no schema, or names an unknown type.
    """
    found = re.match(
        r"\s*(?:(\w+)::)?(\w*)(?:\.(\w+))?\s*\((.*)\)\s*->\s*(.*?)\s*;?\s*$", text, re.S
    )
    if found is None:
        raise RuntimeError(f"expected a schema such as 'name(Tensor x) -> Tensor', not {text!r}")
    space, name, overload, given, results = found.groups()
    arguments, kwarg_only = [], False
    for part in _parts(given):
        if part == "*":
            kwarg_only = True
        else:
            arguments.append(_argument(part, kwarg_only, text))
    if results.startswith("(") and results.endswith(")"):
        results = results[1:-1]
    returns = [_argument(part, False, text) for part in _parts(results)]
    space = space or namespace
    return Schema(f"{space}::{name}" if space else name, overload or "", arguments, returns)


def _parts(text):
    """Split at the commas that stand in no brackets and no quotes."""
    parts, depth, quote, last = [], 0, "", 0
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c in "([":
            depth += 1
        elif c in ")]":
            depth -= 1
        elif c == "," and not depth:
            parts.append(text[last:i].strip())
            last = i + 1
    parts.append(text[last:].strip())
    return [p for p in parts if p]


def _argument(part, kwarg_only, text):
    found = _ARGUMENT.match(part)
    if found is None or found["base"] not in _ACCEPTS:
        base = part if found is None else found["base"]
        raise RuntimeError(
            f"unknown type specifier {base!r}. Common valid schema types include Tensor, SymInt, "
            f"int, float, bool, Scalar, in the schema {text}"
        )
    return Argument(
        found["name"] or "", found["base"], found["marks"], found["default"], kwarg_only,
        found["alias"],
    )  # fmt: skip


# Inference --------------------------------------------------------------------------------


def infer_schema(prototype_function, /, *, mutates_args, op_name=None, tags=None):
    """Make the schema of a function from its type hints.

    Args:
        prototype_function: The function. Each parameter and the result have a type hint.
        mutates_args: The names of the arguments that the function writes; "unknown": all tensors.
        op_name: The name to put before the schema. Default: none.
        tags: Accepted without effect.

    Returns:
        The schema as text.

    Raises:
        ValueError: A type hint is missing or has no counterpart in a schema, or ``mutates_args``
            names no argument.

    >>> import rushlight as torch
    >>> def scale(x: torch.Tensor, factor: float = 2.0) -> torch.Tensor: ...
    >>> torch.library.infer_schema(scale, mutates_args=())
    '(Tensor x, float factor=2.0) -> Tensor'
    """
    signature = inspect.signature(prototype_function)

    def refuse(what):
        raise ValueError(f"infer_schema(func): {what} Got func with signature {signature})")

    if isinstance(mutates_args, str) and mutates_args != "unknown":
        raise ValueError(
            "mutates_args must either be a sequence of the names of the arguments that are mutated "
            "or the string 'unknown'. "
        )
    parts = []
    for i, parameter in enumerate(signature.parameters.values()):
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        elif parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            refuse("We do not support positional-only args, varargs, or varkwargs.")
        kind = _kind_of(parameter, prototype_function, refuse)
        parts.append(_stated(i, parameter, kind, mutates_args, refuse))
    unknown = set() if mutates_args == "unknown" else {*mutates_args} - {*signature.parameters}
    if unknown:
        refuse(
            f"{unknown} in mutates_args were not found in the custom op's signature. mutates_args "
            "should contain the names of all args that the custom op mutates, or just the string "
            "'unknown' if you don't know."
        )
    given = _evaluated(signature.return_annotation, prototype_function, refuse)
    return f"{op_name or ''}({', '.join(parts)}) -> {_returned(given, refuse)}"


def _kind_of(parameter, function, refuse):
    """The type of a parameter in the words of a schema."""
    name, hint = parameter.name, parameter.annotation
    if hint is parameter.empty:
        refuse(f"Parameter {name} must have a type annotation.")
    kind = _evaluated(hint, function, refuse)
    found = _schema_type(kind)
    if found is not None:
        return found
    advice = "The valid types are Tensor, int, float, bool, str, torch.dtype, torch.device, "
    advice += "int | float | bool, and Optional and lists of them."
    if typing.get_origin(kind) is tuple:
        advice = (
            "We do not support Tuple inputs in schema. As a workaround, please try to use List "
            f"instead. {advice}"
        )
    return refuse(f"Parameter {name} has unsupported type {hint}. {advice}")


def _evaluated(hint, function, refuse):
    """A type hint that may be text, as a type."""
    if not isinstance(hint, str):
        return hint
    try:
        return eval(hint, getattr(function, "__globals__", {}))  # a type hint of the program's own
    except Exception as error:
        return refuse(
            f"Unsupported type annotation {hint}. It is not a type. "
            f"({type(error).__name__}: {error})"
        )


def _schema_type(kind):
    """``Optional[int]`` → "SymInt?"; None for a type that schemas lack."""
    plain = _base_of(kind)
    if plain is not None:
        return _BASES[plain]
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in _SEQUENCES and len(parts) == 1:
        plain = _base_of(parts[0])
        if plain in _LISTED:
            return f"{_BASES[plain]}[]"
        return "Tensor?[]" if _optional(parts[0]) is Tensor else None
    inner = _optional(kind)
    found = None if inner is None else _schema_type(inner)
    return None if found is None or found.endswith("?") else f"{found}?"


def _base_of(kind):
    if kind is None or isinstance(kind, types.NoneType):
        return None
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return int | float | bool if {*typing.get_args(kind)} == {int, float, bool} else None
    if isinstance(kind, type) and issubclass(kind, Tensor) and kind.__module__ != "builtins":
        return Tensor if kind is Tensor else None
    return kind if isinstance(kind, type) and kind in _BASES else None


def _optional(kind):
    """T if ``kind`` is ``T | None``, else None."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return None
    parts = [p for p in typing.get_args(kind) if p is not type(None)]
    if len(parts) == len(typing.get_args(kind)):
        return None
    return parts[0] if len(parts) == 1 else typing.Union[tuple(parts)]  # noqa: UP007


def _stated(i, parameter, kind, mutates_args, refuse):
    """A parameter as it stands in a schema."""
    name, default = parameter.name, parameter.default
    unknown = mutates_args == "unknown"
    if (unknown and kind.startswith("Tensor")) or (not unknown and name in mutates_args):
        if not kind.startswith("Tensor"):
            refuse(
                f"Parameter {name} is in mutable_args but only Tensors or collections of Tensors "
                "can be mutated"
            )
        kind = f"Tensor(a{i}!){kind[len('Tensor') :]}"
    if default is parameter.empty:
        return f"{kind} {name}"
    text: Any = None
    if default is None or isinstance(default, (int, float, bool)):
        text = str(default)
    elif isinstance(default, (str, device)):
        text = f'"{default}"'
    elif isinstance(default, dtype):
        text = default.name
    else:
        refuse(f"Parameter {name} has an unsupported default value type {type(default)}.")
    return f"{kind} {name}={text}"


def _returned(kind, refuse):
    if kind is None:
        return "()"
    if kind is inspect.Signature.empty:
        refuse("No return type annotation was provided. Please add one.")
    if typing.get_origin(kind) in _SEQUENCES and typing.get_args(kind) == (Tensor,):
        return "Tensor[]"
    if typing.get_origin(kind) is tuple:
        parts = [_base_of(k) for k in typing.get_args(kind)]
        if parts and all(p in _RETURNED for p in parts):
            return f"({', '.join([_BASES[p] for p in parts])})"
    elif (plain := _base_of(kind)) in _RETURNED:
        return _BASES[plain]
    return refuse(
        f"Return has unsupported type {kind}. The valid types are: Tensor, List[Tensor], int, "
        "float, bool, int | float | bool, and tuples of them."
    )
