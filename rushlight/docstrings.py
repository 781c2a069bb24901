"""The sections of public docstrings that many functions share.

A docstring in the source tells what is special to its function. ``complete`` adds what functions
have in common: an entry under ``Args:`` for each parameter that the docstring does not describe,
and ``Returns:``. So ``help`` shows everything, and each shared sentence is written once, here.
"""

import inspect
import re

__all__ = ["complete", "document"]

#: The sections that follow ``Args:``, and the example.
_AFTER = re.compile(r"\n( *)(Returns:|Yields:|Raises:|Source:|>>>)")
#: The first line of an entry of ``Args:``, with the names of its parameters.
_ENTRY = re.compile(r"^ +((?:\*{0,2}\w+(?:, | and )?)+): ", re.MULTILINE)
_NAMES = re.compile(r"\w+")

#: Parameters that mean the same in every function.
_EVERYWHERE = {
    "input": "Tensor of any shape ``(*)``.",
    "other": "Tensor or number. The operands are broadcast to one shape.",
    "out": "Tensor that receives the result. It is resized if its shape is another.",
    "dtype": "The dtype of the result.",
    "device": "Where the result lies. Default: the CPU.",
    "layout": "``torch.strided``, the only layout of new tensors.",
    "requires_grad": "Record the result's use, for gradients. Default: False.",
    "pin_memory": "Accepted without effect: the CPU's memory needs no pinning.",
    "generator": "Source of the random numbers. Default: ``torch.default_generator``.",
    "memory_format": "Order of the dims in memory. Default: ``torch.preserve_format``.",
    "non_blocking": "Accepted without effect: copies are done at once.",
    "dim": "The dim along which the function works. Negative dims count from the end.",
    "keepdim": "Keep the dims that are reduced, with size 1. Default: False.",
    "alpha": "Number by which ``other`` is multiplied. Default: 1.",
}

#: Parameters that modules share with the functions of ``nn.functional``.
_NETWORKS = {
    "target": "Tensor of ``input``'s shape: the values that ``input`` should have.",
    "reduction": 'Give the losses\' ``"mean"``, their ``"sum"``, or all (``"none"``).',
    "size_average": "Deprecated; give ``reduction``.",
    "reduce": "Deprecated; give ``reduction``.",
    "in_channels": "Number of channels of the input.",
    "out_channels": "Number of channels of the result.",
    "kernel_size": "Elements of a window: an int, or one for each spatial dim.",
    "stride": "Elements from window to window: an int, or one for each spatial dim.",
    "padding": "Elements added at both ends of each spatial dim: int or ints. Default: 0.",
    "dilation": "Elements from one tap of a window to the next: int or ints. Default: 1.",
    "groups": "Number of groups of channels that are convolved apart. Default: 1.",
    "ceil_mode": "Let the last window reach beyond the edge. Default: False.",
    "return_indices": "Return the flat position of each maximum, too. Default: False.",
    "count_include_pad": "Let the padding count in the averages. Default: True.",
    "divisor_override": "Divide each sum by this number. Default: its number of elements.",
    "output_size": "Spatial size of the result: int or ints; None keeps the size of a dim.",
    "eps": "Number added to a denominator, so that it is not 0.",
    "inplace": "Write the result into ``input``. Default: False.",
    "training": "Work as in training; False: as in evaluation.",
}

_BY_KIND = {
    "reduction": {
        "dim": "The dim or dims (tuple) to reduce; negative ones count from the end. Default: all.",
        "dtype": "Convert ``input`` to this dtype first. Default: keep its dtype.",
    },
    "source": {
        "size": "The shape of the result: ints, or one tuple of ints.",
    },
    "functional": _NETWORKS,
    "module": _NETWORKS | {
        "bias": "Add a learned bias. Default: True.",
        "device": "Where the parameters lie. Default: the CPU.",
        "dtype": "The dtype of the parameters. Default: ``torch.get_default_dtype()``.",
    },
}  # fmt: skip

_RETURNS = {
    "elementwise": "Tensor of ``input``'s shape.",
    "broadcast": "Tensor of the shape to which the operands are broadcast.",
    "reduction": "Tensor without the reduced dims; with ``keepdim`` they have size 1.",
    "source": "Tensor of shape ``size``.",
}


def complete(doc, names, kind=""):
    """Return the docstring ``doc`` with an entry for each parameter, and a ``Returns:`` section.

    Args:
        doc: The docstring, as it stands in the source.
        names: The names of the function's parameters, in the order of its signature.
        kind: The key of the shared sentences in this module, such as ``"reduction"``.
    """
    match = _AFTER.search(doc)
    if match is None:
        return doc
    text, _, own = doc[: match.start()].partition("Args:\n")
    margin = match[1]
    entries, shared = _entries(own), _BY_KIND.get(kind, {})
    lines = []
    for name in names:
        sentence = shared.get(name) or _EVERYWHERE.get(name)
        if name in entries:
            lines.append(entries[name])
        elif sentence is not None:
            lines.append(f"{margin}    {name}: {sentence}")
    sections = [text.rstrip()]
    if lines:
        sections.append(f"{margin}Args:\n" + "\n".join(dict.fromkeys(lines)))
    if kind in _RETURNS and match[2] not in ("Returns:", "Yields:"):
        sections.append(f"{margin}Returns:\n{margin}    {_RETURNS[kind]}")
    return "\n\n".join(sections) + "\n" + doc[match.start() :]


def document(thing, kind=""):
    """Complete the docstring of a function or class in place; returns it, as decorators do.

    Args:
        thing: A function written in Python, or a class with such an ``__init__``.
        kind: As for ``complete``.
    """
    function = thing.__init__ if isinstance(thing, type) else thing
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    if thing.__doc__ and code is not None:
        count = code.co_argcount + code.co_kwonlyargcount
        named = code.co_flags & inspect.CO_VARARGS
        names = [
            *code.co_varnames[: code.co_argcount],
            *code.co_varnames[count : count + named // 4],
        ]
        names += code.co_varnames[code.co_argcount : count]
        thing.__doc__ = complete(thing.__doc__, names, kind)
    return thing


def _entries(section):
    """The entries of an ``Args:`` section by parameter; several parameters may share an entry."""
    starts = [*_ENTRY.finditer(section)]
    ends = [start.start() for start in starts[1:]] + [len(section)]
    found = {}
    for start, end in zip(starts, ends, strict=False):
        text = section[start.start() : end].rstrip()
        found |= dict.fromkeys(_NAMES.findall(start[1]), text)
    return found
