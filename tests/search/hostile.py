"""Files that mean harm, made at random from a grammar of pickles, archives and tensors.

Each piece of the grammar is a way to ask for far more than a file holds: numbers that are one
number 2⁴⁰ times, values that are built once and used 50,000 times, keys of one hash, containers
that are no containers, zeros that were deflated.
"""

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib
from functools import cache

from rushlight.serialization.names import CALLS, CLASSES, MISSING, VALUES

MOST = 300_000  # bytes of one piece, after which only small ones follow
ONE_HASH = (1 << 61) - 1  # all multiples of it have the hash 0
NAMES = [*CALLS, *CLASSES, *VALUES, *sorted(MISSING)[:3], ("os", "system"), ("builtins", "list")]
LARGE = (0, 1, 2, 3, 100, 1 << 20, 1 << 40, (1 << 63) - 1, 1 << 64, 1 << 2000, -1)


def text(value):
    """The opcode of a text."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    """The opcode of an int of any size."""
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    head = (
        b"\x8a" + bytes([len(data)]) if len(data) < 256 else b"\x8b" + struct.pack("<i", len(data))
    )
    return head + data


def name(module, attribute):
    """The opcode of a global."""
    return f"c{module}\n{attribute}\n".encode()


def call(function, *args):
    """A call of a name with the values that these opcodes push."""
    return name(*function) + b"(" + b"".join(args) + b"tR"


EAGER = [("builtins", "set"), ("builtins", "bytearray"), ("collections", "Counter"),
         ("collections", "OrderedDict"), ("torch", "Size"), ("_codecs", "encode")]  # fmt: skip


class Grammar:
    """Pickles, drawn from ``draw``: each method gives opcodes that push one value."""

    def __init__(self, draw):
        self.draw = draw
        self.memo = self.size = 0

    def value(self, depth=0):
        """Any value."""
        kinds = [self.scalar, self.tensor, self.tensor]
        if depth < 4 and self.size < MOST:
            kinds += [self.container, self.container, self.used, self.called, self.called,
                      self.filled, self.keys, self.nested, self.reference, self.typed]  # fmt: skip
        found = self.draw.choice(kinds)(depth + 1)
        self.size += len(found)
        return found

    def large(self, depth):
        """A value that there is much of: elements, characters, or one number 2⁴⁰ times."""
        return self.draw.choice((
            self.tensor, lambda depth: text("a" * self.draw.choice((70, 100_000, 600_000))),
            lambda depth: b"(" + b"".join([number(i) for i in range(60_000)]) + b"l",
            lambda depth: b"(" + b"".join([number(i) + b"N" for i in range(60_000)]) + b"d",
            lambda depth: b"(" + 30_000 * b"K\x01" + b"t", self.container, self.nested,
        ))(depth)  # fmt: skip

    def count(self):
        """Mostly few, sometimes as many as a file holds."""
        return self.draw.choice((0, 1, 2, 3, 4, 200, 3000, 50_000))

    def scalar(self, depth):
        draw = self.draw
        size = draw.choice((0, 1, 5, 70, 5000, 60_000))
        return draw.choice((
            lambda: b"N", lambda: b"\x88", lambda: b"K\x01", lambda: number(draw.choice(LARGE)),
            lambda: b"G" + struct.pack(">d", draw.uniform(-5, 5)), lambda: number(1 << (8 * size)),
            lambda: text("a" * size), lambda: text("é" * size), lambda: text(str(draw.random())),
            lambda: text("latin1"), lambda: text("cpu"), lambda: self.name(depth),
            lambda: b"B" + struct.pack("<I", size) + b"\xff" * size,
        ))()  # fmt: skip

    def name(self, depth):
        return name(*self.draw.choice(NAMES))

    def container(self, depth):
        """A container of different values, or of many numbers."""
        begin, end = self.draw.choice((
            (b"(", b"l"), (b"(", b"t"), (b"](", b"e"), (b"\x8f(", b"\x90"), (b"(", b"\x91"),
            (b"(", b"d"), (b"}(", b"u"), (b"ccollections\nOrderedDict\n)R(", b"u"),
        ))  # fmt: skip
        n = self.count()
        if n > 4:
            items = [b"M" + struct.pack("<H", i % 65536) for i in range(n + n % 2)]
        else:
            items = [self.value(depth) for _ in range(n + n % 2)]
        return begin + b"".join(items) + end

    def used(self, depth):
        """One or two values that are built once and used again and again."""
        first, second = self.memo, self.memo + 1
        self.memo += 2
        put = [b"r" + struct.pack("<I", k) for k in (first, second)]
        get = [b"j" + struct.pack("<I", k) for k in (first, second)]
        called = get[0] + get[1] + b"R"
        again = self.draw.choice((
            called, called, called, get[0], get[0] + get[1] + b"b", get[0] + b"\x85",
            get[0] + get[1] + b"\x81", get[1] + b"Q", get[0] + get[1] + b"\x93",
            b"ccollections\nOrderedDict\n)R" + get[0] + b"b", b"}" + get[0] + b"Ns",
            b"\x8f(" + get[0] + b"\x90", b"(" + get[0] + b"\x91", b"\x8f", b"}", b")", b"(", b"]",
        ))  # fmt: skip
        n = min(self.draw.choice((3, 3000, 100_000)), 4 * MOST // len(again))
        function, args = self.function(depth), self.arguments(depth)
        return b"(" + function + put[0] + args + put[1] + n * again + b"l"

    def function(self, depth):
        """Mostly something that files may call."""
        if self.draw.random() < 0.75:
            return name(*self.draw.choice(EAGER))
        return self.draw.choice((self.name, self.name, self.value))(depth)

    def arguments(self, depth):
        """Mostly a tuple."""
        drawn = self.draw.random()
        if drawn < 0.7:
            given = self.large(depth)
            return b"(" + given + text("latin1") + b"t" if drawn < 0.2 else given + b"\x85"
        if drawn < 0.85:
            return (
                b"(" + b"".join([self.value(depth) for _ in range(self.draw.randrange(4))]) + b"t"
            )
        return self.large(depth)

    def called(self, depth):
        """A call of something that files may call, or may not."""
        how = self.draw.choice((b"R", b"R", b"R", b"\x81"))
        return self.function(depth) + self.arguments(depth) + how

    def filled(self, depth):
        """A value that is given items or attributes that it may not have."""
        owner = self.draw.choice((self.tensor, self.tensor, self.value))(depth)
        key = self.draw.choice((b")", b"K\x00", b"N", self.scalar(depth)))
        value = self.draw.choice((b"K\x01", self.value(depth)))
        attribute = text(self.draw.choice(
            ("append", "items", "__class__", "data", "dtype", "_array", "x", "real")
        ))  # fmt: skip
        return owner + self.draw.choice((
            b"(" + key + value + b"u", key + value + b"s", b"(" + key + value + b"\x90",
            b"(" + value + b"\x90", b"(" + key + value + b"e", value + b"a", value + b"b",
            b"}" + attribute + value + b"sb", b"N}" + attribute + value + b"s\x86b",
        ))  # fmt: skip

    def keys(self, depth):
        """A dict or set of many keys that have one hash, or are equal, or are long."""
        n = self.draw.choice((50, 5000, 30_000))
        key = self.draw.choice((
            lambda i: number(i * ONE_HASH), lambda i: b"G" + struct.pack(">d", i * 2.0**61),
            lambda i: number(i << 45), lambda i: number(i * ONE_HASH) + b"\x85",
            lambda i: name("builtins", "complex") + b"G" + struct.pack(">d", -1000003.0 * i) + b"G"
            + struct.pack(">d", float(i)) + b"\x86R",
        ))  # fmt: skip
        if self.draw.random() < 0.5:
            return b"}(" + b"".join([key(i) + b"N" for i in range(n)]) + b"u"
        return b"\x8f(" + b"".join([key(i) for i in range(n)]) + b"\x90"

    def nested(self, depth):
        """Tuples or frozensets in tuples, so that what is small is 2ⁿ parts when it is hashed."""
        memo = self.memo
        self.memo += 1
        put, get = b"r" + struct.pack("<I", memo), b"j" + struct.pack("<I", memo)
        step = self.draw.choice((
            put + get + b"\x86", b"\x85", put + b"0(" + get + get + b"K\x01\x86\x91",
            put + b"0(" + get + b"K\x01\x86" + get + b"K\x02\x86\x91", put + get + b"l",
        ))  # fmt: skip
        built = b")" + self.draw.choice((30, 64, 900, 20_000)) * step
        return self.draw.choice((
            b"}" + built + b"Ns", b"\x8f(" + built + b"\x90", b"(" + built + b"\x91",
            call(("builtins", "set"), b"(" + built + b"l"), built + b"Q", built,
            call(("collections", "OrderedDict"), b"(" + built + b"N\x86l"),
        ))  # fmt: skip

    def reference(self, depth):
        """The id of a storage, or what looks like one."""
        draw = self.draw
        if draw.random() < 0.3:
            return self.value(depth) + b"Q"
        parts = [
            text("storage"), name("torch", draw.choice(("FloatStorage", "ByteStorage", "BoolStorage"))),
            text(draw.choice("0012")), text(draw.choice(("cpu", "cuda:0", "x" * 100))),
            number(draw.choice((8, 8, 2, 2, *LARGE))),
        ]  # fmt: skip
        if draw.random() < 0.2:
            parts[draw.randrange(5)] = self.value(depth)
        return b"(" + b"".join(parts) + b"tQ"

    def tensor(self, depth):
        """A tensor that looks at eight bytes in a way that it may, or in any way."""
        draw = self.draw
        storage = (b"(" + text("storage") + name("torch", draw.choice(("ByteStorage", "FloatStorage")))
                   + text("0") + text("cpu"))  # fmt: skip
        storage += (b"K\x08" if b"Byte" in storage else b"K\x02") + b"tQ"
        dims = draw.choice((0, 1, 1, 2, 3))
        size = (
            b"("
            + b"".join([number(draw.choice((1 << 40, 1 << 20, 3))) for _ in range(dims)])
            + b"t"
        )
        args = [storage, b"K\x00", size, b"(" + dims * b"K\x00" + b"t", b"\x89",
                b"ccollections\nOrderedDict\n)R"]  # fmt: skip
        if draw.random() < 0.3:
            args.append(b"}(" + text(draw.choice(("neg", "conj"))) + b"\x88u")
        if draw.random() < 0.3:
            dims = draw.choice((1, 2, 64, 65, 3000))
            odd = [number(draw.choice(LARGE)), b"(" + dims * number(draw.choice(LARGE)) + b"t"]
            odd += [self.reference(4)] + [self.value(depth)] * (depth < 4)
            args[draw.randrange(len(args))] = draw.choice(odd)
        return call(("torch._utils", "_rebuild_tensor_v2"), *args)

    def typed(self, depth):
        """A Parameter, or a tensor with attributes."""
        tensor, state = self.tensor(depth), self.value(depth)
        function = self.draw.choice(("", "_with_state", None))
        if function is not None:
            rest = [b"\x88", b"N", *[state] * bool(function)]
            return call(("torch._utils", "_rebuild_parameter" + function), tensor, *rest)
        args = self.draw.choice((tensor, state)) + b"\x85"
        return call(("torch._tensor", "_rebuild_from_type_v2"), self.name(depth), self.name(depth),
                    args, state)  # fmt: skip

    def pickle(self):
        """A whole stream."""
        self.memo = self.size = 0
        proto = self.draw.choice((b"\x80\x02", b"\x80\x04", b""))
        value = self.draw.choice((
            self.value, self.container, self.used, self.used, self.called, self.called, self.keys,
            self.nested, self.filled, self.filled, self.typed, self.tensor,
        ))(0)  # fmt: skip
        return proto + value + b"."


@cache
def zeros(n):
    """So many zeros, deflated, and their checksum."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    block, code, out = bytes(1 << 20), 0, []
    for _ in range(n >> 20):
        code = zlib.crc32(block, code)
        out.append(packer.compress(block))
    return b"".join([*out, packer.flush()]), code


def archive(draw, pickled):
    """A zip file with the pickle, whose records are stored, deflated, doubled or overlap."""
    method = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        made.writestr("a/data.pkl", pickled)
        made.writestr("a/version", b"3")
        if draw.random() < 0.1:
            made.writestr(
                "a/byteorder", draw.choice((b"big", b"little", b"little", b"x" * 100_000))
            )
        for key in range(2):
            made.writestr(f"a/data/{key}", bytes(8))
        if draw.random() < 0.1:
            entry = made.filelist[draw.randrange(len(made.filelist))]
            for n in range(draw.choice((3, 2000))):
                other = zipfile.ZipInfo(f"a/data/{n + 2}")
                for field in (
                    "header_offset",
                    "CRC",
                    "compress_size",
                    "file_size",
                    "compress_type",
                ):
                    setattr(other, field, getattr(entry, field))
                made.filelist.append(other)
    data = bytearray(out.getvalue())
    if draw.random() < 0.05:
        for _ in range(3):
            data[-draw.randrange(1, min(400, len(data)))] = draw.randrange(256)
    return bytes(data)


def deflated(draw):
    """A zip file whose record, the pickle itself or a storage, is zeros without end."""
    size = draw.choice((80, 160)) << 20
    packed, code = zeros(size)
    pid = b"(" + text("storage") + name("torch", "ByteStorage") + text("0") + text("cpu")
    records = {
        "data.pkl": b"\x80\x02" + pid + number(size) + b"tQ.",
        "version": b"3",
        "data/0": b"",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        large = draw.choice((*records, "byteorder"))
        for record, content in {**records, "byteorder": b"little", large: packed}.items():
            made.writestr(f"a/{record}", content)
            entry = made.NameToInfo[f"a/{record}"]
            if record == large:  # its local header too says how it is compressed
                out.seek(entry.header_offset + 8)
                out.write(struct.pack("<H", zipfile.ZIP_DEFLATED))
                out.seek(0, io.SEEK_END)
                entry.compress_type, entry.file_size, entry.CRC = zipfile.ZIP_DEFLATED, size, code
    return out.getvalue()


def stream(draw, grammar):
    """A file of PyTorch 0.1.10 to 1.5, some of whose pickles are not what they should be."""
    plain = [pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    parts = [*plain, grammar.pickle(), grammar.pickle() if draw.random() < 0.5 else
             pickle.dumps([draw.choice(("0", b"0", 0))] * draw.choice((0, 1, 1, 50_000)), 2)]  # fmt: skip
    if draw.random() < 0.3:
        parts[draw.randrange(1, 5)] = grammar.pickle()
    return b"".join(parts) + struct.pack("<q", draw.choice((8, 1 << 60, -1))) + bytes(8)


def tar(draw, grammar):
    """A file of PyTorch before 0.1.10."""
    out = b""
    for member in ("storages", "tensors", "pickle"):
        count = draw.choice((0, 1, 3, 1 << 40))
        content = (
            pickle.dumps(count, 2) + b"".join([grammar.pickle() for _ in range(2)]) + bytes(64)
        )
        header = bytearray(512)
        header[: len(member)] = member.encode()
        header[124:136] = b"%011o\0" % draw.choice((len(content), len(content), 1 << 30))
        header[156:157], header[257:262] = b"0", b"ustar"
        out += bytes(header) + content + bytes(-len(content) % 512)
    return out


def safetensors(draw):
    """A header in JSON with numbers, names and depths that no file has."""

    def odd():
        return draw.choice((0, -1, 8, 1 << 62, 1 << 200, 10**4000, 1.5, "x", None, True, [], {}))

    entry = {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}
    for _ in range(draw.randrange(4)):
        key = draw.choice((*entry, "more"))
        entry[key] = draw.choice((
            odd(), [odd()], [odd()] * draw.choice((2, 70, 300)), [0, 1 << 62, 1 << 62], [1] * 70 + [8],
        ))  # fmt: skip
    copies = max(1, min(draw.choice((1, 1, 2, 3000)), 1_300_000 // len(json.dumps(entry))))
    head = json.dumps({str(n): entry for n in range(copies)}).encode()
    if draw.random() < 0.2:
        depth = draw.choice((900, 100_000))
        head = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    length = len(head) if draw.random() < 0.9 else draw.choice((0, 1 << 40, (1 << 64) - 1))
    return struct.pack("<Q", length) + head + bytes(8)


def images(draw):
    """A gzipped IDX file of zeros, whose header may promise as many."""
    size = draw.choice((1 << 20, 80 << 20, 160 << 20))
    packed, _ = zeros(size)
    promised = draw.choice((size, size, (1 << 32) - 1, 0))
    head = zlib.compressobj(9, zlib.DEFLATED, -15)
    begin = head.compress(bytes([0, 0, 8, 1]) + struct.pack(">I", promised))
    return gzip.compress(b"")[:10] + begin + head.flush(zlib.Z_FULL_FLUSH) + packed + bytes(8)


def index(draw):
    """The index of a checkpoint in several files, which names what it should not."""
    file = draw.choice(("../x", "/etc/passwd", "a\0", "C:x", "", ".", "x", 3, None, [1], "no"))
    facts = {"weight_map": {str(n): file for n in range(draw.choice((1, 30_000)))}}
    return json.dumps(draw.choice((facts, facts, {"weight_map": file}, [facts], file))).encode()


def file(draw):
    """(how it is read, its content): one hostile file."""
    grammar = Grammar(draw)
    kind = draw.random()
    if kind < 0.6:
        return draw.choice(("load", "load", "load", "mmap", "survey")), archive(
            draw, grammar.pickle()
        )
    if kind < 0.66:
        return draw.choice(("load", "mmap", "survey")), deflated(draw)
    if kind < 0.78:
        return "load", stream(draw, grammar)
    if kind < 0.86:
        return "load", tar(draw, grammar)
    if kind < 0.93:
        return "safetensors", safetensors(draw)
    return draw.choice((("idx", images(draw)), ("sharded", index(draw))))
