"""Reads assembly: which functions store how many bytes where, against what their LLVM IR says."""

import re
from collections import Counter
from typing import NamedTuple

__all__ = ["Store", "excess", "ir_stores", "stores"]


class Store(NamedTuple):
    """One instruction that writes memory.

    Attributes:
        width: Bytes that it writes; of a masked or scattering one, bytes of an element.
        place: Its memory operand.
        masked: Whether the processor leaves out elements that a mask says.
        text: The instruction.
        further: How many bytes behind its operand it writes: the second store of a pair.
    """

    width: int
    place: str
    masked: bool = False
    text: str = ""
    further: int = 0


def stores(assembly):
    """{function: its stores}, without those to the stack."""
    read = _arm if re.search(r"^\s+(ret$|stp\s|adrp\s)", assembly, re.M) else _x86
    return {name: read(lines) for name, lines in _functions(assembly).items()}


def _functions(assembly):
    found, name = {}, None
    for line in assembly.splitlines():
        if started := re.match(r'"?_?([\w.$]+)"?:', line):
            if not line.startswith((".L", "L", "ltmp")):
                name = started[1]
        elif name and line.startswith("\t") and not line.startswith("\t."):
            found.setdefault(name, []).append(re.sub(r"\s+(# |//).*", "", line.strip()))
    return found


# x86 --------------------------------------------------------------------------------------

_REGISTER = {"x": 16, "y": 32, "z": 64}
_SUFFIX = {"b": 1, "w": 2, "l": 4, "q": 8}
#: How often a narrowing move's result goes into its source, and bytes of its elements.
_NARROWING = {
    "dw": (2, 2), "wb": (2, 1), "qd": (2, 4), "db": (4, 1), "qw": (4, 2), "qb": (8, 1),
}  # fmt: skip
_READING = re.compile(
    r"(v?u?comis|cmp|test|bt[lqw]?$|j|call|prefetch|nop|lea|push|div|idiv|mul|imul|clflush|v?ptest)"
)


def _x86(lines):
    frame = any(re.match(r"movq\s+%rsp, %rbp", line) for line in lines)
    stack = ("(%rsp", "(%rbp") if frame else ("(%rsp",)
    found = []
    for line in lines:
        name, _, operands = line.partition("\t")
        name = name.removeprefix("lock ")
        place = re.search(r"([^\s,]*\([^()]*\))(\s*\{%k\d\})?$", operands)
        if place is None or _READING.match(name) or any(s in place[1] for s in stack):
            continue
        register = re.findall(r"%([xyz])mm\d+", operands.replace(place[1], ""))
        width, masked = _x86_width(name, _REGISTER[register[-1]] if register else 0, line)
        found.append(Store(width, place[1], masked or bool(place[2]), line))
    return found


def _x86_width(name, register, line):
    """(bytes, whether they are those of a masked element)."""
    masked = bool(re.search(r"\{%k\d\}$", line))
    if narrowing := re.match(r"vpmovu?s?(dw|wb|qd|db|qw|qb)$", name):
        times, element = _NARROWING[narrowing[1]]
        return (element, True) if masked else (register // times, False)
    if name.startswith(("vscatter", "vpscatter")):
        return (8 if name.endswith(("q", "pd")) else 4), True
    if name.startswith(("vmaskmov", "vpmaskmov")):
        return (8 if name.endswith(("pd", "q")) else 4), True
    if masked:
        element = re.search(r"(8|16|32|64|ps|pd)$", name)
        return {"8": 1, "16": 2, "32": 4, "64": 8, "ps": 4, "pd": 8}[element[1]], True
    if name.startswith(("vextract", "extract")):
        if name.endswith("ps") and "extractps" in name:
            return 4, False
        return (32 if re.search(r"(64x4|32x8)$", name) else 16), False
    if extracted := re.match(r"v?pextr([bwdq])$", name):
        return {"b": 1, "w": 2, "d": 4, "q": 8}[extracted[1]], False
    if name in ("vcvtps2ph", "vcvtps2phx"):
        return register // 2, False
    if name in ("vmovsh", "vmovw"):
        return 2, False
    if re.match(r"v?mov(n?t?ss|d)$", name):
        return 4, False
    if re.match(r"v?mov(nt)?(sd|q|lps|lpd|hps|hpd)$", name) and (register or "mm" in line):
        return 8, False
    if register and re.match(r"v?mov(nt)?(a|u)?(ps|pd|dq[ua]?)(8|16|32|64)?$", name):
        return register, False
    if name.startswith("set"):
        return 1, False
    if not register and name[-1] in _SUFFIX:
        return _SUFFIX[name[-1]], False
    raise AssertionError(f"an instruction that this reader does not know: {line}")


# AArch64 ----------------------------------------------------------------------------------

_ARM = {"q": 16, "x": 8, "d": 8, "w": 4, "s": 4, "h": 2, "b": 1}


def _arm(lines):
    frame = any(re.match(r"(mov\s+x29, sp|add\s+x29, sp)", line) for line in lines)
    found = []
    for line in lines:
        name, _, operands = line.partition("\t")
        place = re.search(r"\[(x|sp)[^\]]*\]", operands)
        if not name.startswith("st") or place is None:
            continue
        if re.match(r"\[sp", place[0]) or (frame and re.match(r"\[x29", place[0])):
            continue
        if re.match(r"st[1-4]$", name):
            element, lane = re.search(r"\.(\d*)([bhsd])", operands).groups()
            count = int(element or 1)
            lanes = 1 if re.search(r"\}\[\d+\]", operands) else count
            registers = operands.split("}")[0].count("v")
            found += [Store(lanes * _ARM[lane], place[0], text=line)] * registers
            continue
        width = 1 if name.endswith("b") else 2 if name.endswith("h") else _ARM[operands[0]]
        if operands.startswith("wzr") and name in ("str", "stur", "stp", "stnp"):
            width = 4
        pair = name in ("stp", "stnp")
        found += [Store(width, place[0], text=line, further=i * width) for i in range(1 + pair)]
    return found


# What the IR says -------------------------------------------------------------------------

_SIZES = {"half": 2, "bfloat": 2, "float": 4, "double": 8, "ptr": 8}


def _size(typ):
    if vector := re.match(r"<(\d+) x (\w+)>", typ):
        return int(vector[1]) * _size(vector[2])
    return _SIZES[typ] if typ in _SIZES else max(8, int(typ[1:])) // 8


def ir_stores(text, register):
    """{function: how many stores of each width its IR allows}, none wider than a register."""
    found, name = {}, None
    for line in text.splitlines():
        if started := re.match(r'define .*?@"?([\w.$]+)"?\(', line):
            name = started[1]
            found[name] = Counter()
        elif stored := re.match(r"\s+store (?:atomic )?(<\d+ x \w+>|\w+) ", line):
            found[name] += _parts(_size(stored[1]), register)
        elif scattered := re.search(r"@llvm\.masked\.(?:scatter|store)\.v(\d+)([ifp]+)(\d+)", line):
            found[name][int(scattered[3]) // 8] += int(scattered[1])
    return found


def _parts(size, register):
    """The stores of a value: whole registers, then what is left by halves."""
    found = Counter()
    part = register
    while size:
        while part > size:
            part //= 2
        found[part] += size // part
        size %= part
    return found


def excess(assembly, ir, register):
    """The stores of machine code that its LLVM IR has no reason for.

    A store must have one in the IR of its width, and no two the same one, or be a part of a wider
    one that no other stands for, or be two or more narrower ones that are side by side. Only a function's narrowest may be more, for they cannot be wider
    than they should be; LLVM copies blocks.
    """
    allowed, wrong = ir_stores(ir, register), []
    for name, found in stores(assembly).items():
        left = Counter(allowed.get(name, {}))
        narrowest, rest = min(left, default=0), []
        for s in found:
            if s.masked:
                wrong += [(name, s)] * (s.width not in left)
            elif left[s.width]:
                left[s.width] -= 1
            elif s.width > narrowest:
                rest.append(s)
        wrong += [
            (name, s) for s in rest if not _taken(left, s.width) and not _merged(left, s.width)
        ]
    return wrong


def _merged(left, width):
    """Take ``width`` bytes from narrower stores of one width, at least 4 bytes, that are left.

    (LLVM merges shorter ones as well, but a store of a few narrow lanes that writes too much would
    look the same.)
    """
    found = [w for w, n in left.items() if 4 <= w < width and width % w == 0 and n * w >= width]
    if found:
        left[max(found)] -= width // max(found)
    return bool(found)


def _taken(left, width):
    """Take ``width`` bytes from one of the wider stores that are left."""
    whole = min((w for w, n in left.items() if n and w >= width), default=0)
    if whole:
        left[whole] -= 1
        left.update(_parts(whole - width, whole))
    return bool(whole)
