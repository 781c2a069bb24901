"""Each kernel of each compiled step against what the machine can do.

Two times limit a kernel: the time of its arithmetic at the machine's measured peak, and the time of
its memory traffic at the measured bandwidth of a copy of as many bytes. The share of the limit is
the larger of these two times divided by the kernel's own time. Kernels that do the same work share
a line of the table, which adds up their times, operations and bytes.
"""

import re

from benchmarks import steps, tables

__all__ = ["show"]

_COLUMNS = ("times", "time", "share of step", "GFLOP/s", "GB/s", "share of limit")


def show(only):
    """Print the table of every step whose name contains ``only``."""
    import rushlight as torch
    from rushlight.compiler.explanation.machine_peak import limits

    copies = limits().copies
    print(
        f"measured peaks: {limits().flops / 1e9:.0f} GFLOP/s, copies "
        f"{copies[-1][1] / 1e9:.0f} GB/s from memory, "
        f"{max(rate for _, rate in copies) / 1e9:.0f} GB/s in caches"
    )
    for row in steps.STEPS:
        if only not in row:
            continue
        step, (batch, *_) = steps.whole(row)
        step(*batch)
        found = torch.compiler.explain(step)(*batch)
        tables.head(row, *_COLUMNS)
        for line in lines(found.kernels):
            tables.line(*line)
        tables.line("one run", "", tables.shown(found.seconds), *[""] * 4)


def lines(kernels):
    """Yield the cells of a line for each group of kernels that do the same, slowest group first."""
    groups: dict = {}
    for k in kernels:
        operations = [op for text in k.members for op in re.findall(r" = (\w+)\(", text)]
        groups.setdefault((k.kind, work(k), *operations), []).append(k)
    whole = sum(k.seconds for k in kernels)
    for group in sorted(groups.values(), key=lambda group: -sum(k.seconds for k in group)):
        taken = sum(k.seconds for k in group)
        cells = ["–"] * 3
        if group[0].kind != "call":
            amounts = (sum(k.flops for k in group), sum(k.bytes for k in group))
            cells = [f"{amount / taken / 1e9:.1f}" for amount in amounts]
            cells.append(f"{sum(k.least for k in group) / taken:.0%}")
        name = f"{group[0].name}: {work(group[0])}"
        yield name, str(len(group)), tables.shown(taken), f"{taken / whole:.1%}", *cells


def work(kernel):
    """A few words that describe the work of a kernel."""
    if kernel.kind == "call":
        return "NumPy"
    if kernel.kind == "contraction":
        return kernel.loops
    return f"{' × '.join(map(str, kernel.domain)) or '1'}, {len(kernel.members)} operations"
