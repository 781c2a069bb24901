"""An Explanation as text."""

from rushlight.compiler.explanation.rehearsal import LEAST

__all__ = ["amount", "duration", "report"]

_MOST = 60  # the most values of the memory plan that are listed


def report(explanation):
    """All of an :class:`Explanation` as text."""
    if explanation.refusal is not None:
        return f"{explanation.name} runs eagerly: {explanation.refusal}"
    parts = [_head(explanation), _table(explanation), _members(explanation)]
    if explanation.memory is not None:
        parts.append(_memory(explanation.memory))
    if explanation.guards:
        parts.append(_section("Done so as long as", explanation.guards))
    parts.append(_section("Recorded", explanation.recorded))
    if explanation.backward is not None:
        parts.append(report(explanation.backward))
    return "\n\n".join(parts)


def duration(seconds):
    """A duration as text, like ``12.3 µs``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def amount(size):
    """A number of bytes as text, like ``12.3 KiB``."""
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << power:
            return f"{size / (1 << power):.3g} {unit}"
    return f"{size} bytes"


def _section(title, lines):
    return "\n".join([title, *[f"  {line}" for line in lines]])


def _count(n, one, many=None):
    return f"{n} {one if n == 1 else many or one + 's'}"


def _head(x):
    calls = sum(k.kind == "call" for k in x.kernels)
    steps = [_count(len(x.kernels) - calls, "kernel")] if x.native else []
    steps += [_count(calls, "NumPy call")] if calls else []
    lowered = f"{x.equations} after lowering and simplification, " if x.native else ""
    lines = [
        f"{x.name}: {_count(len(x.recorded), 'equation')} recorded, {lowered}in "
        f"{' and '.join(steps) or 'no step'}",
        f"One run takes {duration(x.seconds)}",
    ]
    if x.devices:
        lines.append(
            f"On {' and '.join(x.devices)}: {_count(x.launches, 'launch', 'launches')}, "
            f"{amount(x.moved)} between host and device"
        )
    if x.compiling:
        phases = [f"{phase} {duration(s)}" for phase, s in x.compiling.items()]
        lines.append(f"Compiled in {duration(sum(x.compiling.values()))}: {', '.join(phases)}")
    return "\n".join(lines)


# Kernels ----------------------------------------------------------------------------------

_COLUMNS = ("", "kernel", "kind", "time", "share", "GFLOP/s", "GB/s", "of the limit", "chunks")


def _table(x):
    """A table with a line for each step."""
    total = sum(k.seconds for k in x.kernels) or 1.0
    rows = [_COLUMNS, *[_row(i, k, total) for i, k in enumerate(x.kernels, 1)]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(w) if 0 < i < 3 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _row(number, k, total):
    known = k.least > 0 and k.seconds > LEAST
    rates = [f"{n / k.seconds / 1e9:.3g}" if known else "–" for n in (k.flops, k.bytes)]
    limit = f"{k.share:.0%}" if known else "–"
    chunks = str(k.chunks) if k.kind != "call" else "–"
    return (
        str(number), k.name, k.kind, duration(k.seconds), f"{k.seconds / total:.0%}", *rates, limit,
        chunks,
    )  # fmt: skip


def _members(x):
    if not x.native:
        return _section("Each equation is a call of NumPy", _reasons(x.kernels))
    lines = ["What each does"]
    for number, k in enumerate(x.kernels, 1):
        how = k.reason or f"{' × '.join(map(str, k.domain)) or 'one element'}; {k.loops}"
        lines.append(f"  {number} {k.name}: {how}")
        lines += [f"      {member}" for member in k.members]
        if k.kind != "call":
            lines.append(f"      stores {', '.join(k.writes)}")
    return "\n".join(lines)


def _reasons(kernels):
    return list(dict.fromkeys([k.reason for k in kernels if k.reason]))


def _memory(memory):
    saved = f" in place of {amount(memory.values)}" if memory.values > memory.arena else ""
    lines = [f"an arena of {amount(memory.arena)}{saved}"]
    lines += [
        f"{name}: {amount(size)} at {at}, steps {born + 1} to {last + 1}"
        for at, size, name, born, last in memory.places[:_MOST]
    ]
    if len(memory.places) > _MOST:
        lines.append(f"… and {len(memory.places) - _MOST} more")
    lines += [f"at one place, one after the other: {', '.join(names)}" for names in memory.shared]
    lines += [f"{name} is written in place by {kernel}" for name, kernel in memory.in_place]
    lines += [f"{name} is written by a copy at the end, {kernel}" for name, kernel in memory.copied]
    if memory.outputs:
        lines.append(f"outputs with memory of their own: {', '.join(memory.outputs)}")
    return _section("Memory", lines)
