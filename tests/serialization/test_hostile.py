"""Files that mean harm, and files that were damaged: each ends in an error or as it was saved.

Tensors that load may have other elements where a file says so: a mutated pickle is a pickle too.
What must not happen: code that runs, a crash, a hang, memory beyond the file's own size.
"""

import contextlib
import io
import pickle
import random
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_legacy import tar_file

import rushlight

GOLDEN = Path(__file__).parent.parent / "golden"
ERRORS = (RuntimeError, EOFError, pickle.UnpicklingError)
MIB = 1 << 20
SECONDS = 12  # a hang, on any machine; one second is promised, without a budget it is 30 or more


def archive(pickled, **records):
    """A file of ``save`` with this pickle."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for name, data in {
            "data.pkl": pickled,
            "version": b"3",
            "data/0": bytes(8),
            **records,
        }.items():
            new.writestr(f"archive/{name}", data)
    out.seek(0)
    return out


@contextlib.contextmanager
def no_hang():
    """The lines in this block end, in a value or an error; other work does not count."""
    begin = time.thread_time()
    try:
        yield
    finally:
        assert time.thread_time() - begin < SECONDS


def refused(file, text="load: "):
    file.seek(0)
    with no_hang(), pytest.raises(ERRORS, match=text):
        rushlight.load(file)


@pytest.fixture(scope="module", autouse=True)
def modules():
    """Modules that the first load imports, so that no test counts their memory."""
    for data in seeds():
        rushlight.load(io.BytesIO(data))


# Harm -------------------------------------------------------------------------------------


# How the tuple that was built last becomes a key.
CALLS = {
    "a dict": b"q\x01}h\x01K\x01s.",
    "a dict at once": b"q\x01}(h\x01K\x01u.",
    "a dict from the stack": b"q\x01(h\x01K\x01d.",
    "a set": b"q\x01\x8f(h\x01\x90.",
    "a frozenset": b"q\x01(h\x01\x91.",
    "set()": b"q\x01c__builtin__\nset\nh\x01\x85\x85R.",
    "OrderedDict()": b"q\x01ccollections\nOrderedDict\nh\x01K\x01\x86\x85\x85R.",
    "Counter()": b"q\x01ccollections\nCounter\nh\x01\x85\x85R.",
}


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("step, n", [(b"q\x00h\x00\x86", 60), (b"\x85", 300_000)])
def test_keys_whose_hash_never_ends_or_overflows_the_stack(kind, step, n):
    refused(archive(b"\x80\x02)" + n * step + CALLS[kind]), "parts")


def test_sizes_that_are_only_stated():
    stated = {
        "bytes": b"\x80\x04\x8e" + struct.pack("<q", 1 << 40) + b"a.",
        "text": b"\x80\x04\x8d" + struct.pack("<q", 1 << 40) + b"a.",
        "short bytes": b"\x80\x04B" + struct.pack("<I", 0xFFFFFFFF) + b"a.",
        "frame": b"\x80\x04\x95" + struct.pack("<q", 1 << 40) + b"N.",
        "bytearray": b"\x80\x05\x96" + struct.pack("<q", 1 << 40) + b"a.",
        "memo": b"\x80\x02Nr\xff\xff\xff\xff.",
    }
    for kind, pickled in stated.items():
        tracemalloc.start()
        try:
            if kind in ("frame", "memo"):  # nothing is made of the number
                assert rushlight.load(archive(pickled)) is None
            else:
                refused(archive(pickled))
            assert tracemalloc.get_traced_memory()[1] < MIB
        finally:
            tracemalloc.stop()


def claims(entry_size, compressed_size=None, method=0):
    """A file whose directory says that its storage is larger than the file."""
    pid = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nByteStorage\n"
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu\x8a\x09" + struct.pack("<q", entry_size) + b"\x00"
        b"tQK\x00K\x01\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR."
    )
    data = bytearray(archive(pid).getvalue())
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"archive/data/0"))
    struct.pack_into("<H", data, at + 10, method)
    packed = entry_size if compressed_size is None else compressed_size
    struct.pack_into("<II", data, at + 20, packed, entry_size)
    return io.BytesIO(data)


@pytest.mark.parametrize(
    "sizes", [(1 << 31, 8, 0), (1 << 31, None, 0), (1 << 30, 8, 8), (1 << 20, 8, 12)]
)
def test_archives_that_claim_more_than_they_hold(sizes):
    tracemalloc.start()
    try:
        refused(claims(*sizes), "the archive gives|failed reading|zip")
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


def test_entries_that_overlap():
    content = np.zeros(MIB, np.uint8).tobytes()
    storage = (
        "(X\x07\x00\x00\x00storagectorch\nByteStorage\nX\x01\x00\x00\x00{}X\x03\x00\x00\x00cpuJ"
    )
    ids = b"".join(storage.format(k).encode() + struct.pack("<i", MIB) + b"tQ" for k in range(9))
    file = archive(b"\x80\x02(" + ids + b"l.", **{f"data/{k}": content for k in range(2)})
    with zipfile.ZipFile(file, "a") as tampered:
        first = tampered.NameToInfo["archive/data/0"]
        for key in range(2, 9):
            other = zipfile.ZipInfo(f"archive/data/{key}")
            for name in ("header_offset", "CRC", "compress_size", "file_size"):
                setattr(other, name, getattr(first, name))
            tampered.filelist.append(other)
        tampered._didModify = True
    refused(file, "failed reading|larger than the file|differ|Overlapped entries")


def test_a_directory_that_begins_before_the_file():
    """No memory is asked for by an offset: Python's zipfile moves offsets to below 0."""
    data = bytearray(archive(b"\x80\x02N.").getvalue())
    end = data.rindex(b"PK\x05\x06")
    begin = int.from_bytes(data[end + 16 : end + 20], "little")
    data[end + 16 : end + 20] = struct.pack("<I", begin + 2**31)
    tracemalloc.start()
    try:
        refused(io.BytesIO(data), "bytes before the file|failed reading")
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_members_that_hide_methods_change_nothing():
    pickled = b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsK\x01sb."
    found = rushlight.load(archive(pickled))
    assert dict(found) == {} and found.items == 1


def test_kinds_of_tensors_that_are_missing_are_named():
    for module, name in (
        ("torch", "float4_e2m1fn_x2"), ("torch", "QInt8Storage"), ("torch._utils", "_rebuild_qtensor"),
    ):  # fmt: skip
        for weights_only in (True, False):
            with pytest.raises(RuntimeError, match=rf"{name}, which rushlight does not have"):
                rushlight.load(
                    archive(f"\x80\x02c{module}\n{name}\n.".encode("latin1")),
                    weights_only=weights_only,
                )


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")  # PyTorch's, of what it will have no more
def test_missing_kinds_of_pytorch_itself():
    torch = pytest.importorskip("torch")
    quantised = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    for value in (quantised, torch.zeros(1, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)):
        file = io.BytesIO()
        torch.save(value, file)
        refused(file, "which rushlight does not have")


# Damage -----------------------------------------------------------------------------------


def seeds():
    """Whole files of every format."""
    file = io.BytesIO()
    rushlight.save({"x": rushlight.arange(5.0), "n": [1, ("a", b"b")], "s": {1, (2, 3)}}, file)
    yield file.getvalue()
    plain = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(plain, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    yield plain.getvalue()
    yield (GOLDEN / "serialization.pt").read_bytes()
    yield (GOLDEN / "legacy.pt").read_bytes()
    yield tar_file().getvalue()


def mutated(data, draw):
    """``data`` with a few bytes changed, cut out, doubled or cut off; in a zip, its pickle."""
    if data[:2] == b"PK" and draw.random() < 0.7:  # behind the checksums
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
            for name in old.namelist():
                record = old.read(name)
                new.writestr(name, changed(record, draw) if name.endswith(".pkl") else record)
        return out.getvalue()
    return changed(data, draw)


def changed(data, draw):
    data = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        at = draw.randrange(len(data))
        kind = draw.randrange(8)
        if kind < 4:
            data[at] = draw.randrange(256)
        elif kind < 5:
            data[at] = draw.choice(b"\x00\x7f\x80\xff.(]}RbQc")
        elif kind == 5:
            del data[at : at + draw.randrange(1, 9)]
        elif kind == 6:
            data[at:at] = data[at : at + draw.randrange(1, 40)]
        else:
            del data[at:]
        if not data:
            break
    return bytes(data)


def load_in_a_way(data, draw, path):
    """From memory, from a file, or as a map of it."""
    way = draw.randrange(3)
    if way == 0:
        return rushlight.load(io.BytesIO(data))
    path.write_bytes(data)
    return rushlight.load(path, mmap=way == 2)


def fuzz(count, seed, path):
    draw = random.Random(seed)
    files, refusals = list(seeds()), 0
    tracemalloc.start()
    try:
        for _ in range(count):
            data = mutated(draw.choice(files), draw)
            try:
                with no_hang():
                    load_in_a_way(data, draw, path)
            except ERRORS as error:
                assert str(error), data
                refusals += 1
        assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    finally:
        tracemalloc.stop()
    assert refusals > count // 2


def test_a_few_hundred_mutated_files(tmp_path):
    fuzz(300, 0, tmp_path / "x.pt")


@pytest.mark.slow
def test_ten_thousand_mutated_files(tmp_path):
    fuzz(10_000, 1, tmp_path / "x.pt")
