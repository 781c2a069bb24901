"""The sections of public docstrings that many functions share.

A docstring in the source tells what is special to its function. ``complete`` adds what functions
have in common: an entry under ``Args:`` for each parameter that the docstring does not describe,
and ``Returns:``. So ``help`` shows everything, and each shared sentence is written once, here.
"""

import inspect
import re

from rushlight.docstrings.sentences import BY_KIND, EVERYWHERE, RETURNS

__all__ = ["complete", "document"]

#: The sections that follow ``Args:``, and the example.
_AFTER = re.compile(r"\n( *)(Returns:|Yields:|Raises:|Source:|>>>)")
#: The first line of an entry of ``Args:``, with the names of its parameters.
_ENTRY = re.compile(r"^ +(\*{0,2}\w+(?:(?:, | and )\*{0,2}\w+)*): ", re.MULTILINE)
_NAMES = re.compile(r"\w+")


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
    entries, shared = _entries(own), BY_KIND.get(kind, {})
    lines = []
    for name in names:
        sentence = shared.get(name) or EVERYWHERE.get(name)
        if name in entries:
            lines.append(entries[name])
        elif sentence is not None:
            lines.append(f"{margin}    {name}: {sentence}")
    lines += [entry for name, entry in entries.items() if name not in names]  # of ``**kwargs``
    sections = [text.rstrip()]
    if lines:
        sections.append(f"{margin}Args:\n" + "\n".join(dict.fromkeys(lines)))
    if kind in RETURNS and match[2] not in ("Returns:", "Yields:"):
        sections.append(f"{margin}Returns:\n{margin}    {RETURNS[kind]}")
    return "\n\n".join(sections) + "\n" + doc[match.start() :]


def document(thing, kind=""):
    """Complete the docstring of a function or class in place; returns it, as decorators do.

    Args:
        thing: A function written in Python, or a class with such an ``__init__``.
        kind: As for ``complete``.
    """
    function = _init_of(thing) if isinstance(thing, type) else thing
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    if thing.__doc__ and code is not None:
        count = code.co_argcount + code.co_kwonlyargcount
        starred = count + bool(code.co_flags & inspect.CO_VARARGS)
        names = [
            *code.co_varnames[: code.co_argcount],
            *code.co_varnames[count:starred],
            *code.co_varnames[code.co_argcount : count],
        ]
        names += code.co_varnames[starred : starred + bool(code.co_flags & inspect.CO_VARKEYWORDS)]
        thing.__doc__ = complete(thing.__doc__, names, kind)
    return thing


def _init_of(cls):
    """The ``__init__`` with the parameters of ``cls``: a base's if ``cls`` passes ``*args`` on."""
    for base in cls.__mro__:
        code = getattr(base.__init__, "__code__", None)
        if code is not None and (
            code.co_argcount + code.co_kwonlyargcount > 1 or not code.co_flags & inspect.CO_VARARGS
        ):
            return base.__init__
    return cls.__init__


def _entries(section):
    """The entries of an ``Args:`` section by parameter; several parameters may share an entry."""
    starts = [*_ENTRY.finditer(section)]
    # A line that an entry is continued on is indented further; it may begin with "Default: ".
    starts = [s for s in starts if s.start(1) - s.start() == starts[0].start(1) - starts[0].start()]
    ends = [start.start() for start in starts[1:]] + [len(section)]
    found: dict[str, str] = {}
    for start, end in zip(starts, ends, strict=False):
        text = section[start.start() : end].rstrip()
        found |= dict.fromkeys(_NAMES.findall(start[1]), text)
    return found
