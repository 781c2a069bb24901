"""Docstrings of collectives: what all of them take, and an example that runs."""

import inspect

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
    text = inspect.cleandoc(function.__doc__)
    head, _, example = text.partition(">>>")
    body, _, after = head.partition("\nReturns:")
    names = inspect.signature(function).parameters
    lines = [f"    {name}: {_SHARED[name]}" for name in names
             if name in _SHARED and f"\n    {name}: " not in body]  # fmt: skip
    if lines:
        body = body.rstrip() + ("\n" if "\nArgs:" in body else "\n\nArgs:\n")
        body += "\n".join(lines) + "\n"
    if after:
        body = f"{body.rstrip()}\n\nReturns:{after}"
    elif "async_op" in names:
        body = f"{body.rstrip()}\n\n{_WORK}\n"
    example = f">>>{example.rstrip()}" if example else ""
    function.__doc__ = f"{body.rstrip()}\n\n{_BEFORE}{example}{_AFTER}\n"
    return function
