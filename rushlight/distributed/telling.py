"""Docstrings of collectives: what all of them take, and an example that runs."""

import inspect
import re

__all__ = ["told"]

#: The sentences of parameters that several functions have.
_SHARED = {
    "group": "The process group. Default: the group of all processes.",
    "async_op": "Return a ``Work`` instead of None.",
    "op": "A member of ``ReduceOp``.",
    "src": "The rank, among all processes, that the values come from.",
    "dst": "The rank, among all processes, that the values go to.",
    "group_src": "The rank in ``group`` that the values come from, instead of ``src``.",
    "group_dst": "The rank in ``group`` that the values go to, instead of ``dst``.",
    "tag": "A number that a send and its receive share.",
    "timeout": "A ``timedelta``: how long to wait for other processes.",
    "device": "Accepted without effect: objects are sent as bytes on the CPU.",
    "use_batch": "Accepted without effect.",
    "pg_options": "Accepted without effect: options of other transports.",
    "backend": "The name of the backend. Default: that of the parent group.",
    "group_desc": "A description of the group.",
    "device_id": "Accepted without effect.",
}
_WORK = "Returns:\n    None, or a ``Work`` if ``async_op`` is True."
_BEFORE = """>>> import rushlight as torch
>>> import rushlight.distributed as dist
>>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
"""
_AFTER = "\n>>> dist.destroy_process_group()"


def told(function):
    """Complete a docstring: the shared parameters, the result, and a group around the example."""
    text, _, example = inspect.cleandoc(function.__doc__).partition(">>>")
    head, *rest = re.split(r"\n(?=(?:Args|Returns|Raises):\n)", text)
    parts = {part.partition(":")[0]: part.rstrip() for part in rest}
    names = inspect.signature(function).parameters
    known = parts.get("Args", "Args:")
    more = [f"    {n}: {_SHARED[n]}" for n in names if n in _SHARED and f"\n    {n}: " not in known]
    if more or "Args" in parts:
        parts["Args"] = "\n".join([known, *more])
    if "async_op" in names:
        parts.setdefault("Returns", _WORK)
    sections = [head.rstrip(), *(parts[n] for n in ("Args", "Returns", "Raises") if n in parts)]
    shown = f"{_BEFORE}>>>{example.rstrip()}{_AFTER}"
    function.__doc__ = "\n\n".join([*sections, shown]) + "\n"
    return function
