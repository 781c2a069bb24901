"""Kernels read from the text of PTX."""

import re
from dataclasses import dataclass, field

__all__ = ["Instruction", "Kernel", "constants_of", "kernels_of"]

_ENTRY = re.compile(r"\.entry\s+(\w+)\s*\((.*?)\)\s*(?:\.\w+[^{]*?)?\{(.*?)\n\}", re.S)
_SHARED = re.compile(r"\.shared\s+\.align\s+(\d+)\s+\.b8\s+([\w$]+)\[(\d+)\]")
_ASKED = re.compile(r"\.shared\s+\.align\s+(\d+)\s+\.b8\s+([\w$]+)\[\]")
_REGISTERS = re.compile(r"\.reg\s+\.(\w+)\s+%?(\w+)(?:<\d+>)?;")
_LOCAL = re.compile(r"\.local\s+\.align\s+(\d+)\s+\.b8\s+([\w$]+)\[(\d+)\]")
_CONSTANT = re.compile(r"\.global\s+\.align\s+\d+\s+\.b8\s+([\w$]+)\[(\d+)\]\s*=\s*\{(.*?)\}")
_ARGUMENT = re.compile(r"\{[^}]*\}|\[[^\]]*\]|[^,\s][^,]*")


@dataclass
class Instruction:
    """``guard``: None, or (predicate, whether it is negated). ``words``: the parts of the name."""

    guard: tuple | None
    words: list
    args: list


@dataclass
class Kernel:
    """A kernel: its instructions, where its labels point, and its registers and shared memory.

    Attributes:
        params: Name and bytes of each parameter.
        registers: The beginning of the registers' names → their type.
        symbols: The name of an array in shared memory → its first byte; ``shared``: bytes of all.
        asked: Where the shared memory begins whose bytes the launch says.
        local, frame: The same for arrays of each thread.
    """

    params: list
    code: list = field(default_factory=list)
    labels: dict = field(default_factory=dict)
    registers: dict = field(default_factory=dict)
    symbols: dict = field(default_factory=dict)
    shared: int = 0
    asked: int = 0
    local: dict = field(default_factory=dict)
    frame: int = 0
    constants: dict = field(default_factory=dict)  # the name of an array → its address


def constants_of(text):
    """The bytes of each array in a device's memory that a text declares, by name."""
    found = _CONSTANT.findall(text)
    return {
        name: bytes([int(n) for n in numbers.split(",")]).ljust(int(size), b"\0")
        for name, size, numbers in found
    }


def kernels_of(text):
    """The kernels of a text, by name."""
    text = re.sub(r"//.*", "", text)
    found = {}
    for entry in _ENTRY.finditer(text):
        name, params, body = entry.groups()
        sizes = [_parameter(p) for p in params.split(",") if p.strip()]
        found[name] = _read(Kernel(sizes), text[: entry.start()] + body, body)
    return found


def _parameter(text):
    """(name, bytes) of a parameter; one of many bytes is a tensor map."""
    name, count = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", text.split()[-1]).groups()
    return name, int(re.search(r"\.[usbf](\d+)", text)[1]) // 8 * int(count or 1)


def _read(kernel, declared, body):
    kernel.symbols, kernel.shared = _arrays(_SHARED, declared)
    asked = _ASKED.search(declared)
    if asked:  # memory of as many bytes as the launch asks for lies behind the other arrays
        kernel.asked = -(-kernel.shared // int(asked[1])) * int(asked[1])
        kernel.symbols[asked[2]] = kernel.asked
    kernel.local, kernel.frame = _arrays(_LOCAL, body)
    text = ""
    for line in map(str.strip, body.split("\n")):
        label = re.fullmatch(r"(\$?[\w$]+):", line)
        if not line.startswith("{%"):  # else a list of registers, and no block with its own ones
            line = line.removeprefix("{").removesuffix("}").strip()
        registers = _REGISTERS.match(line)
        if label:
            kernel.labels[label[1]] = len(kernel.code)
        elif registers:
            kernel.registers[registers[2]] = registers[1]
        elif line and not line.startswith((".shared", ".local", ".reg")):
            text += " " + line
            if line.endswith(";"):
                kernel.code.append(_instruction(text.strip().rstrip(";")))
                text = ""
    return kernel


def _arrays(pattern, text):
    """(name → first byte, bytes of all) of the arrays that are declared in a text."""
    found, end = {}, 0
    for align, name, size in pattern.findall(text):
        end = -(-end // int(align)) * int(align)
        found[name] = end
        end += int(size)
    return found, end


def _instruction(text):
    guard = None
    if text.startswith("@"):
        name, text = text.split(None, 1)
        guard = name[1:].lstrip("!"), name[1] == "!"
    name, _, rest = text.replace("\t", " ").partition(" ")
    return Instruction(guard, name.split("."), [a.strip() for a in _ARGUMENT.findall(rest)])
