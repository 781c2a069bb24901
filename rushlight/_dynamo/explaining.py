"""torch._dynamo.explain: whether a call is one program, in PyTorch's words."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["ExplainOutput", "explain"]


@dataclass
class BreakReason:
    """Why a call is no program."""

    reason: str
    user_stack: list = field(default_factory=list)


@dataclass
class ExplainOutput:
    """What ``torch._dynamo.explain`` returns; ``print`` shows it.

    Attributes:
        graphs: The explanations of ``torch.compiler.explain``: one, or none for an eager call.
        graph_count: 1, or 0 for a call that runs eagerly.
        graph_break_count: 0, or 1 for a call that runs eagerly.
        break_reasons: Why it does.
        op_count: The number of recorded operations.
        ops_per_graph: The recorded operations of each graph, as text.
        out_guards: The conditions under which a later call runs the program, in words.
        compile_times: The seconds of each phase, as text.
    """

    graphs: list
    graph_count: int
    graph_break_count: int
    break_reasons: list
    op_count: int
    ops_per_graph: list | None = None
    out_guards: list | None = None
    compile_times: str | None = None

    def __str__(self):
        lines = [
            f"Graph Count: {self.graph_count}", f"Graph Break Count: {self.graph_break_count}",
            f"Op Count: {self.op_count}", "Break Reasons:",
        ]  # fmt: skip
        for i, broken in enumerate(self.break_reasons, 1):
            lines += [f"  Break Reason {i}:", f"    Reason: {broken.reason}"]
        for i, ops in enumerate(self.ops_per_graph or (), 1):
            lines += [f"  Ops {i}:", *[f"    {op}" for op in ops]]
        for i, guard in enumerate(self.out_guards or (), 1):
            lines += [f"  Guard {i}:", f"    {guard}"]
        return "\n".join([*lines, f"Compile Times: {self.compile_times}", ""])


def explain(f, *extra_args, **extra_kwargs):
    """Call a function once, compiled, and tell whether the call is one program.

    ``torch.compiler.explain`` tells more.

    Args:
        f: A function or a Module.
        *extra_args, **extra_kwargs: Its arguments; deprecated, call the result instead.

    Returns:
        Function of ``f``'s arguments that returns an ``ExplainOutput``.

    >>> import rushlight as torch
    >>> found = torch._dynamo.explain(lambda x: x.sin() + 1)(torch.ones(3))
    >>> found.graph_count, found.graph_break_count, found.op_count
    (1, 0, 2)
    """
    from rushlight.compiler import explain as explain_call

    def explained(*args, **kwargs):
        found: Any = explain_call(f)(*args, **kwargs)
        if found.refusal is not None:
            return ExplainOutput([], 0, 1, [BreakReason(found.refusal)], 0, [], [], "")
        times = ", ".join(
            [f"{phase} {seconds:.4f} s" for phase, seconds in found.compiling.items()]
        )
        ops = [*found.recorded]
        return ExplainOutput([found], 1, 0, [], len(ops), [ops], [*found.guards], times)

    return explained(*extra_args, **extra_kwargs) if extra_args or extra_kwargs else explained
