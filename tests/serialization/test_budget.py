"""What a file may cost: each kind of attack ends at once, and no honest file comes near the limit."""

import collections
import gzip
import io
import struct
import zipfile

import pytest
from test_hostile import archive, no_hang, refused

import rushlight
from rushlight.datasets import idx
from rushlight.serialization import names

PROTO = b"\x80\x02"
ONE_HASH = (1 << 61) - 1


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def tensor(marks=b"", elements=1 << 40):
    """A tensor that looks at one number ``elements`` times."""
    size = b"\x8a\x06" + struct.pack("<q", elements)[:6]
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n"
        + text("0") + text("cpu") + b"K\x02tQK\x00" + size + b"\x85K\x00\x85\x89"
        + b"ccollections\nOrderedDict\n)R" + marks + b"tR"
    )  # fmt: skip


def again(function, args, times=100_000):
    """A list of the results of one call, made again and again with the same arguments."""
    return b"(" + function + b"q\x00" + args + b"q\x01" + times * b"h\x00h\x01R" + b"l"


def ends(pickled, match, **records):
    refused(archive(PROTO + pickled + b".", **records), match)


@pytest.mark.parametrize("name", [
    "builtins\nset", "collections\nOrderedDict", "collections\nCounter", "torch\nSize",
    "builtins\nbytearray", "builtins\ncomplex", "torch\ndevice", "torch.serialization\n_get_layout",
    "_codecs\nencode",
])  # fmt: skip
def test_tensors_given_to_what_goes_through_its_argument(name):
    function = b"c" + name.encode() + b"\n"
    ends(function + tensor() + b"\x85R", "not safe")
    ends(function + tensor() + b"R", "not safe")  # its elements as the arguments
    ends(function + b"(" + tensor() + text("latin1") + b"tR", "not safe")
    typed = b"ctorch._tensor\n_rebuild_from_type_v2\n("
    ends(typed + function + b"ctorch\nTensor\n" + tensor() + b"\x85NtR", "not safe")


@pytest.mark.parametrize("items", [
    b")K\x01s", b"()K\x01u", b"(K\x01\x90", b"(K\x01e", b"K\x01a", b"N}X\x04\x00\x00\x00realK\x01s\x86b",
])  # fmt: skip
def test_items_put_into_what_is_no_container(items):
    ends(tensor() + items, "not safe")


def test_the_attributes_of_a_tensor_are_no_way_to_its_memory():
    state = b"N}" + text("real") + tensor() + b"s\x86"
    parameter = (
        b"ctorch._utils\n_rebuild_parameter_with_state\n(" + tensor() + b"\x88N" + state + b"tR"
    )
    ends(parameter, "cannot hold 'real'")


@pytest.mark.parametrize("mark", ["neg", "conj"])
def test_marks_are_resolved_where_the_numbers_are(mark):
    marks = b"}" + text(mark) + b"\x88s"
    found = rushlight.load(archive(PROTO + tensor(marks) + b"."))
    assert found.shape == (1 << 40,) and found.stride() == (0,)
    assert found.untyped_storage().nbytes() == 4
    large = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    args = (large + b"J" + struct.pack("<i", 250_000) + b"tQK\x00J" + struct.pack("<i", 250_000)
            + b"\x85K\x01\x85\x89N" + marks + b"t")  # fmt: skip
    args = args if args.startswith(b"((") else b"(" + args
    ends(
        again(b"ctorch._utils\n_rebuild_tensor_v2\n", args),
        "marked",
        **{"data/0": bytes(1_000_000)},
    )


@pytest.mark.parametrize("function, args, match", [
    (b"c__builtin__\nset\n", b"(" + b"".join([b"M" + struct.pack("<H", i) for i in range(60_000)])
     + b"l\x85", "steps"),
    (b"c__builtin__\nbytearray\n", b"(" + text("x" * 600_000) + text("latin1") + b"t", "memory"),
    (b"c_codecs\nencode\n", b"(" + text("x" * 600_000) + text("latin1") + b"t", "memory"),
    (b"ctorch\nSize\n", b"(" + 300_000 * b"K\x01" + b"t\x85", "steps"),
    (b"c__builtin__\ncomplex\n", text("1" * 600_000) + b"\x85", "steps"),
])  # fmt: skip
def test_values_that_are_used_again_and_again(function, args, match):
    ends(again(function, args), match)


def test_tensors_sets_and_keys_without_end():
    ends(b"(" + tensor()[:-1] + b"q\x01" + b"ctorch._utils\n_rebuild_tensor_v2\nq\x02"
         + 200_000 * b"h\x02h\x01R" + b"l", "steps")  # fmt: skip
    ends(b"\x80\x04(" + 1_300_000 * b"\x8f" + b"l", "steps")
    long = text("x" * 400_000) + b"q\x01" + text("x" * 400_000) + b"q\x02"
    ends(b"(" + long + b"}h\x01Ns" + 150_000 * b"h\x02Ns" + b"l", "steps")


def number(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


@pytest.mark.parametrize("key", [
    lambda i: number(i * ONE_HASH), lambda i: number(i * ONE_HASH) + b"\x85",
    lambda i: b"c__builtin__\ncomplex\nG" + struct.pack(">d", -1000003.0 * i) + b"G"
    + struct.pack(">d", float(i)) + b"\x86R",
], ids=["integers", "tuples", "complex"])  # fmt: skip
def test_keys_of_one_hash(key):
    keys = [key(i) for i in range(1, 20_000)]
    ends(b"}(" + b"".join([k + b"N" for k in keys]) + b"u", "same hash")
    ends(b"}" + b"".join([k + b"Ns" for k in keys]), "same hash")
    ends(b"(" + b"".join([k + b"N" for k in keys]) + b"d", "same hash")
    ends(b"\x8f(" + b"".join(keys) + b"\x90", "same hash")
    ends(b"(" + b"".join(keys) + b"\x91", "same hash")
    ends(b"c__builtin__\nset\n(" + b"".join(keys) + b"l\x85R", "same hash")


def test_deflated_records():
    zeros = bytes(200 << 20)
    pid = b"(" + text("storage") + b"ctorch\nByteStorage\n" + text("0") + text("cpu") + b"J"
    pickled = PROTO + pid + struct.pack("<i", len(zeros)) + b"tQ."
    for large in ("data/0", "data.pkl", "version", "byteorder"):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
            for name, content in {
                "data.pkl": pickled, "version": b"3", "byteorder": b"little", "data/0": b"", large: zeros,
            }.items():  # fmt: skip
                made.writestr(f"archive/{name}", content)
        refused(file, f"archive/{large}.* bytes of memory.*weights_only=False")


def test_gzipped_images_of_nothing(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    size = 200 << 20
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 1]) + struct.pack(">I", size) + bytes(size), 1))
    with no_hang(), pytest.raises(ValueError, match=r"bytes of memory.*gunzip it first"):
        idx.read(path)


def test_a_look_at_the_names_makes_nothing():
    """Of what the pickle of an old file names, only the element types of its storages are used."""
    before = names.UNTYPED.dtype, names.UNTYPED.name
    pickled = (b"(ctorch\nFloatTensor\nJ\xff\xff\xff\x7f\x85R"
               b"ctorch\nUntypedStorage\nN}X\x05\x00\x00\x00dtypeK\x01s\x86bl")  # fmt: skip
    file = archive(PROTO + pickled + b".")
    assert rushlight.serialization.get_unsafe_globals_in_checkpoint(file) == []
    assert (names.UNTYPED.dtype, names.UNTYPED.name) == before
    refused(file, "not safe")


def test_the_error_names_the_file_and_the_remedy(tmp_path):
    path = tmp_path / "small.pt"
    args = b"(" + text("x" * 600_000) + text("latin1") + b"t"
    path.write_bytes(archive(PROTO + again(b"c__builtin__\nbytearray\n", args) + b".").getvalue())
    with pytest.raises(RuntimeError, match=r"small\.pt.*honest.*weights_only=False"):
        rushlight.load(path)
    assert len(rushlight.load(io.BytesIO(
        archive(PROTO + again(b"c__builtin__\nbytearray\n", args, 200) + b".").getvalue()
    ), weights_only=False)) == 202  # fmt: skip


# Honest files ------------------------------------------------------------------------------


def honest(torch, n):
    """Values whose files describe as much as they can with few bytes."""
    base = torch.arange(float(n))
    wave = torch.randn(n, 3, dtype=torch.complex64)
    return {
        "expanded": torch.ones(1).expand(1 << 20, 1 << 20),
        "views": list(base.unbind(0)),
        "tied": [torch.nn.Parameter(t) for t in base.unbind(0)],
        "conj": list(wave.conj().unbind(0)),
        "neg": wave.conj().imag,
        "state": {f"layer.{i}.weight": torch.ones(2) for i in range(n)},
        "words": {f"word {i}": i for i in range(10 * n)},
        "ids": {i * 7919 % (1 << 62): i for i in range(10 * n)},
        "hashes": {hash(str(i)): i for i in range(10 * n)},
        "tuples": {(i, i + 1): i for i in range(10 * n)},
        "floats": {i * 0.37: i for i in range(10 * n)},
        "sets": [{i} for i in range(10 * n)],
        "empty": [set() for _ in range(n)],
        "set": set(range(50 * n)),
        "counter": collections.Counter(str(i) for i in range(10 * n)),
        "ordered": [collections.OrderedDict() for _ in range(10 * n)],
        "bytes": [bytearray(b"ab") for _ in range(10 * n)] + [b"a"] * n,
    }


@pytest.fixture
def little(monkeypatch):
    """Without what any file may take, so that small files show what large ones need."""
    from rushlight.serialization import budget

    monkeypatch.setattr(budget, "_BYTES", 100_000)
    monkeypatch.setattr(budget, "_STEPS", 1000)


@pytest.mark.parity
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_honest_files_of_pytorch(little, protocol, zipped):
    torch = pytest.importorskip("torch")
    for kind, value in honest(torch, 300).items():
        file = io.BytesIO()
        torch.save(value, file, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
        file.seek(0)
        found = rushlight.load(file)
        if isinstance(value, torch.Tensor):
            assert found.shape == value.shape and found.stride() == value.stride()
        else:
            assert type(found) is type(value) and len(found) == len(value), kind


def test_honest_files(little):
    for value in honest(rushlight, 300).values():
        file = io.BytesIO()
        rushlight.save(value, file)
        file.seek(0)
        found = rushlight.load(file)
        assert type(found) is type(value)


def test_weights_that_were_deflated():
    weights = rushlight.randn(100_000)
    weights[rushlight.rand(100_000) < 0.9] = 0  # pruned
    file, packed = io.BytesIO(), io.BytesIO()
    rushlight.save({"w": weights, "momentum": rushlight.zeros(100_000)}, file)
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    packed.seek(0)
    assert rushlight.equal(rushlight.load(packed)["w"], weights)
