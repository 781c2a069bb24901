"""What the instructions of PTX do to registers."""

import re

import numpy as np

from tests.device.ptx.memory import Fault

__all__ = ["INSTRUCTIONS", "Registers", "instruction", "parts_of"]

DTYPES = {
    kind + str(8 * size): np.dtype(f"{code}{size}")
    for kind, code in (("s", "i"), ("u", "u"), ("b", "u"), ("f", "f"))
    for size in (1, 2, 4, 8)
    if kind != "f" or size > 1
}
_REGISTERS = {"pred": np.dtype(bool), **{n: np.dtype(f"u{d.itemsize}") for n, d in DTYPES.items()}}
_NUMBER = re.compile(r"-?(0x[0-9a-fA-F]+|\d+)")
_FLOAT = re.compile(r"0([fFdD])([0-9A-Fa-f]+)")


class Registers:
    """The registers of ``n`` threads: an array for each, of unsigned integers or truth values."""

    def __init__(self, kernel, n):
        self.kernel, self.n = kernel, n
        self.special: dict = {}
        self._registers: dict = {}
        self.carry = np.zeros(n, bool)
        self.unready: set = set()
        self.changed: set | None = None

    def register(self, name):
        """The array of a register, such as ``"%r12"``."""
        if name in self.unready:
            raise Fault(f"a look at {name} before its product was waited for")
        found = self._registers.get(name)
        if found is None:
            kind = self.kernel.registers[re.match(r"%?([A-Za-z]+)", name)[1]]
            found = self._registers[name] = np.zeros(self.n, _REGISTERS[kind])
        return found

    def value(self, operand, kind):
        """An operand in each thread, as numbers of a type such as ``"s32"``."""
        if operand.startswith("!"):
            return ~self.register(operand[1:])
        if operand.startswith("%") or operand in self.kernel.registers:
            x = self.special[operand] if operand in self.special else self.register(operand)
            if kind == "pred":
                return x
            d = DTYPES[kind]
            return x.astype(f"u{d.itemsize}", copy=False).view(d)
        d = DTYPES.get(kind, np.dtype(bool))
        number = _FLOAT.fullmatch(operand)
        if number:
            bits = np.array(int(number[2], 16), "u8" if number[1] in "dD" else "u4")
            return np.full(self.n, bits).view(f"f{bits.itemsize}" if d.kind == "f" else d)
        if _NUMBER.fullmatch(operand):
            bits = int(operand, 0) & ((1 << 8 * d.itemsize) - 1)
            return np.full(self.n, bits, f"u{d.itemsize}").view(d)
        return np.full(self.n, self.symbol(operand), "u8").astype(f"u{d.itemsize}").view(d)

    def symbol(self, name):
        """The address of an array."""
        raise NotImplementedError

    def set(self, name, value, mask):
        """Set a register in the threads of ``mask`` (None: all)."""
        if name == "_":
            return
        target = self.register(name)
        if self.changed is not None:
            self.changed.add(name)
        if value.dtype != bool:
            value = value.view(f"u{value.dtype.itemsize}")
        np.copyto(target, value.astype(target.dtype), where=True if mask is None else mask)


INSTRUCTIONS: dict = {}


def instruction(*names):
    def add(function):
        for name in names:
            INSTRUCTIONS[name] = function
        return function

    return add


def _plain(name, function):
    """An instruction that computes ``function`` of its operands, in the type at its end."""

    def run(r, words, args, mask):
        kind = words[-1]
        x = [r.value(a, kind) for a in args[1:]]
        r.set(args[0], np.asarray(function(*x)).astype(x[0].dtype, copy=False), mask)

    INSTRUCTIONS[name] = run


for _name, _function in {
    "xor": np.bitwise_xor, "and": np.bitwise_and, "or": np.bitwise_or, "not": np.bitwise_not,
    "sqrt": np.sqrt, "abs": np.abs, "neg": np.negative, "rcp": lambda x: 1 / x,
    "popc": np.bitwise_count, "copysign": lambda sign, x: np.copysign(x, sign),
}.items():  # fmt: skip
    _plain(_name, _function)


def _extreme(name, ordinary, skipping):
    def run(r, words, args, mask):
        kind = words[-1]
        function = skipping if kind[0] == "f" and "NaN" not in words else ordinary
        r.set(args[0], function(r.value(args[1], kind), r.value(args[2], kind)), mask)

    INSTRUCTIONS[name] = run


_extreme("max", np.maximum, np.fmax)
_extreme("min", np.minimum, np.fmin)


@instruction("add", "addc", "sub", "subc")
def _add(r, words, args, mask):
    x, y = [r.value(a, words[-1]) for a in args[1:]]
    minus = words[0].startswith("sub")
    found = x - y if minus else x + y
    if len(words[0]) == 4 or "cc" in words:  # with a carry, in or out, which one more bit holds
        carry = r.carry if len(words[0]) == 4 else np.zeros(r.n, bool)
        u, w = [a.view(f"u{a.itemsize}") for a in (x, found)]
        total = w - carry if minus else w + carry
        out = (w > u) | (total > w) if minus else (w < u) | (total < w)
        if "cc" in words:
            r.carry = out if mask is None else np.where(mask, out, r.carry)
        found = total.view(x.dtype)
    r.set(args[0], found, mask)


@instruction("div", "rem")
def _divide(r, words, args, mask):
    x, y = r.value(args[1], words[-1]), r.value(args[2], words[-1])
    if words[-1][0] == "f":
        found = x / y
    else:
        y = np.where(y == 0, np.array(1, y.dtype), y)
        rest = np.fmod(x, y)
        found = rest if words[0] == "rem" else (x - rest) // y
    r.set(args[0], found.astype(x.dtype), mask)


@instruction("mul", "mad")
def _multiply(r, words, args, mask):
    kind = words[-1]
    x, y = r.value(args[1], kind), r.value(args[2], kind)
    if "wide" in words:
        kind = kind[0] + str(2 * int(kind[1:]))
        found = x.astype(DTYPES[kind]) * y.astype(DTYPES[kind])
    elif "hi" in words:
        found = _high(x, y)
    else:
        found = x * y
    if words[0] == "mad":
        found = found + r.value(args[3], kind)
    r.set(args[0], found, mask)


def _high(x, y):
    """The upper half of the product of two integers."""
    bits = 8 * x.dtype.itemsize
    if bits < 64:
        wide = f"{x.dtype.kind}8"
        return ((x.astype(wide) * y.astype(wide)) >> bits).astype(x.dtype)
    half = np.uint64(0xFFFFFFFF)
    a, b = x.view(np.uint64), y.view(np.uint64)
    shift = np.uint64(32)
    al, ah, bl, bh = a & half, a >> shift, b & half, b >> shift
    low, m1, m2 = al * bl, ah * bl, al * bh
    carry = ((low >> shift) + (m1 & half) + (m2 & half)) >> shift
    high = ah * bh + (m1 >> shift) + (m2 >> shift) + carry
    if x.dtype.kind == "i":
        high = high - np.where(x < 0, b, 0) - np.where(y < 0, a, 0)
    return high.astype(np.uint64).view(x.dtype)


@instruction("fma")
def _fma(r, words, args, mask):
    x, y, z = [r.value(a, words[-1]) for a in args[1:]]
    if words[-1] == "f64":
        found = _fused(x, y, z)
    else:  # the product is exact in float64
        found = (x.astype("f8") * y + z).astype(x.dtype)
    r.set(args[0], found, mask)


def _fused(x, y, z):
    """x * y + z of float64 with one rounding, but for a rare last bit (Dekker's product)."""
    split = 134217729.0
    product = x * y
    xh, yh = x * split, y * split
    xh, yh = xh - (xh - x), yh - (yh - y)
    xl, yl = x - xh, y - yh
    error = ((xh * yh - product) + xh * yl + xl * yh) + xl * yl
    total = product + z
    b = total - product
    rest = (product - (total - b)) + (z - b)
    found = total + (error + rest)
    return np.where(np.isfinite(found) & np.isfinite(error), found, total)


@instruction("shl", "shr", "shf")
def _shift(r, words, args, mask):
    kind = words[-1]
    if words[0] == "shf":
        low, high, by = [r.value(a, "u32").astype(np.uint64) for a in args[1:]]
        by = np.minimum(by, 32) if "clamp" in words else by & np.uint64(31)
        both = high << np.uint64(32) | low
        found = both << by >> np.uint64(32) if words[1] == "l" else both >> by
        return r.set(args[0], found.astype(np.uint32), mask)
    x, by = r.value(args[1], kind), r.value(args[2], "u32")
    bits = 8 * x.dtype.itemsize
    near = np.minimum(by, bits - 1).astype(x.dtype)
    found = x << near if words[0] == "shl" else x >> near
    if words[0] == "shl" or x.dtype.kind == "u":
        found = np.where(by < bits, found, 0).astype(x.dtype)
    return r.set(args[0], found, mask)


@instruction("bfe")
def _bits(r, words, args, mask):
    x = r.value(args[1], words[-1])
    at, size = [r.value(a, "u32").astype(x.dtype) for a in args[2:]]
    if x.dtype.kind == "i":
        size = np.array(8 * x.dtype.itemsize, x.dtype) - size
        found = x << (size - at) >> size
    else:
        found = (x >> at) & ((np.array(1, x.dtype) << size) - np.array(1, x.dtype))
    r.set(args[0], found, mask)


@instruction("clz")
def _leading_zeros(r, words, args, mask):
    x = r.value(args[1], words[-1])
    found = np.zeros(r.n, np.uint32)
    for k in range(8 * x.dtype.itemsize):
        found += (x >> np.array(k, x.dtype)) == 0
    r.set(args[0], found, mask)


@instruction("brev")
def _reversed(r, words, args, mask):
    x = r.value(args[1], words[-1])
    found = np.zeros_like(x)
    one = np.array(1, x.dtype)
    for k in range(8 * x.dtype.itemsize):
        found = found << one | (x >> np.array(k, x.dtype)) & one
    r.set(args[0], found, mask)


@instruction("selp")
def _select(r, words, args, mask):
    x, y = [r.value(a, words[-1]) for a in args[1:3]]
    r.set(args[0], np.where(r.value(args[3], "pred"), x, y), mask)


_COMPARISONS = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "lo": np.less, "ls": np.less_equal, "hi": np.greater,
    "hs": np.greater_equal,
}  # fmt: skip


@instruction("setp")
def _compare(r, words, args, mask):
    how, kind = words[1], words[-1]
    x, y = r.value(args[1], kind), r.value(args[2], kind)
    nan = (x != x) | (y != y)
    if how in ("nan", "num"):
        found = nan if how == "nan" else ~nan
    elif how not in _COMPARISONS:  # true where one is nan
        found = _COMPARISONS[how[:-1]](x, y) | nan
    else:
        found = _COMPARISONS[how](x, y) & ~nan
    if len(words) == 4 and words[2] in ("and", "or", "xor"):
        function = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}[words[2]]
        found = function(found, r.value(args[3], "pred"))
    r.set(args[0], found, mask)


_ROUNDINGS = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


@instruction("cvt")
def _convert(r, words, args, mask):
    if "tf32" in words:
        return r.set(args[0], to_tf32(r.value(args[1], "f32")), mask)
    target, x = DTYPES[words[-2]], r.value(args[1], words[-1])
    rounding = next((_ROUNDINGS[w] for w in words if w in _ROUNDINGS), None)
    if x.dtype.kind == "f" and rounding is not None:
        x = rounding(x)
    if x.dtype.kind == "f" and target.kind != "f":
        x = _saturated(x, target)
    return r.set(args[0], x.astype(target), mask)


def to_tf32(x):
    """float32 rounded to the nearest TF32, ties away from zero; its bits."""
    bits = x.view(np.uint32)
    near = (bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
    return np.where(np.isfinite(x), near, bits).astype(np.uint32)


def _saturated(x, dtype):
    """Floats as integers, nan as 0, and what is out of range as the nearest integer."""
    info = np.iinfo(dtype)
    low, high = float(info.min), float(info.max) + (dtype.itemsize < 8)
    inside = (x >= low) & (x < high) if dtype.itemsize == 8 else (x >= low) & (x <= info.max)
    found = np.where(inside, x, 0).astype(dtype)
    return np.where(x < low, info.min, np.where(x >= high, info.max, found)).astype(dtype)


@instruction("cvta")
def _same_address(r, words, args, mask):
    r.set(args[0], r.value(args[1], words[-1]), mask)


def parts_of(operand):
    """The names in an operand such as ``{%r1, %r2}``."""
    return [a.strip() for a in operand.strip("{}").split(",")] if operand[0] == "{" else [operand]


@instruction("mov")
def _move(r, words, args, mask):
    kind = words[-1]
    into, of = parts_of(args[0]), parts_of(args[1])
    if len(into) == len(of):
        return r.set(into[0], r.value(of[0], kind), mask)
    size = DTYPES[kind].itemsize
    if len(of) == 1:
        size //= len(into)
        whole = np.ascontiguousarray(r.value(of[0], kind)).view(f"u{size}").reshape(r.n, -1)
        for k, name in enumerate(into):
            r.set(name, whole[:, k], mask)
        return None
    parts = [r.value(name, f"b{8 * size // len(of)}") for name in of]
    return r.set(into[0], np.stack(parts, 1).view(f"u{size}")[:, 0], mask)


def _space(words):
    for word, found in (("shared", "shared_memory"), ("local", "local_memory")):
        if word in words:
            return found
    return "global_memory"


@instruction("ld")
def _load(r, words, args, mask):
    kind, into = words[-1], parts_of(args[0])
    size = DTYPES[kind].itemsize
    if "param" in words:
        return r.set(into[0], r.parameters(args[1], size, mask), mask)
    whole = size * len(into)
    raw, at, threads = r.where(args[1], _space(words), whole, mask, False)
    for k, name in enumerate(into):
        found = np.zeros(r.n, f"u{size}")
        found[threads] = raw.view(f"u{size}")[at // size + k]
        if DTYPES[kind].kind == "i":
            found = found.view(DTYPES[kind]).astype(f"i{r.register(name).dtype.itemsize}")
        r.set(name, found, mask)
    return None


@instruction("st")
def _store(r, words, args, mask):
    kind, of = words[-1], parts_of(args[1])
    size = DTYPES[kind].itemsize
    raw, at, threads = r.where(args[0], _space(words), size * len(of), mask, True)
    for k, name in enumerate(of):
        value = r.value(name, kind).view(f"u{size}")
        raw.view(f"u{size}")[at // size + k] = value[threads]
