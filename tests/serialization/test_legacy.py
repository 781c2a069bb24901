"""Files of PyTorch before 1.6, and before 0.1.10."""

import collections
import io
import pickle
import struct
import tarfile
from pathlib import Path

import pytest

import rushlight

GOLDEN = Path(__file__).parent.parent / "golden" / "legacy.pt"
DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64",
    "complex64", "complex128", "uint16",
)  # fmt: skip


def content(torch):
    """What old files hold."""
    x = torch.arange(6.0).reshape(2, 3)
    return {
        "base": x, "view": x[1:].t(), "parameter": torch.nn.Parameter(x), "empty": torch.ones(0),
        "model": torch.nn.Linear(3, 2).requires_grad_(False).eval().state_dict(),
        "all": {d: torch.tensor([0, 1, 1]).to(getattr(torch, d)) for d in DTYPES},
        "conj": torch.tensor([1 + 2j]).conj(), "plain": [1, "é", None, (2.5, b"a")],
    }  # fmt: skip


def same(found, torch):
    made = content(torch)
    for name in ("base", "view", "parameter", "empty", "conj"):
        assert found[name].tolist() == made[name].tolist() and found[name].dtype == made[name].dtype
    for d, t in made["all"].items():
        assert found["all"][d].tolist() == t.tolist() and found["all"][d].dtype is t.dtype
    assert found["plain"] == made["plain"] and list(found["model"]) == ["weight", "bias"]
    assert found["parameter"].requires_grad
    found["base"][1, 2] = 9
    assert found["view"][2, 0] == 9 and found["parameter"][1, 2] == 9


def old(torch, value, **options):
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=False, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("weights_only", [True, False])
def test_a_recorded_file(weights_only):
    same(rushlight.load(GOLDEN, weights_only=weights_only), rushlight)


@pytest.mark.parity
@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_files_of_live_pytorch(protocol):
    torch = pytest.importorskip("torch")
    if protocol == 1:  # its magic number is a text
        protocol = 3
    file = old(torch, content(torch), pickle_protocol=protocol)
    same(rushlight.load(file, weights_only=protocol != 3), rushlight)
    assert file.read() == b""


@pytest.mark.parity
def test_several_objects_in_one_stream():
    torch = pytest.importorskip("torch")
    stream = io.BytesIO(b"".join(old(torch, torch.full((2,), n)).getvalue() for n in range(3)))
    assert [rushlight.load(stream).tolist() for _ in range(3)] == [[0, 0], [1, 1], [2, 2]]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code:UserWarning")
def test_whole_modules_and_map_location():
    torch = pytest.importorskip("torch")
    file = old(torch, torch.nn.Linear(2, 3))
    with pytest.raises(pickle.UnpicklingError, match="Linear"):
        rushlight.load(file)
    file.seek(0)
    assert repr(rushlight.load(file, weights_only=False)) == repr(rushlight.nn.Linear(2, 3))
    seen = []
    file = old(torch, [torch.ones(2), torch.zeros(1)])
    rushlight.load(file, lambda storage, location: seen.append((storage.nbytes(), location)))
    assert seen == [(8, "cpu"), (4, "cpu")]


def test_hostile_streams_are_refused():
    class Run:
        def __reduce__(self):
            return eval, ("1",)

    data = GOLDEN.read_bytes()
    end = data.index(b".", data.index(b"little_endian")) + 1
    hostile = data[:end] + pickle.dumps(Run(), 2) + pickle.dumps([], 2)
    with pytest.raises(pickle.UnpicklingError, match="eval"):
        rushlight.load(io.BytesIO(hostile))
    with pytest.raises(RuntimeError, match="mmap"):
        rushlight.load(GOLDEN, mmap=True)
    huge = data.replace(struct.pack("<q", 6), struct.pack("<q", 1 << 60))
    with pytest.raises(RuntimeError, match="ends after"):
        rushlight.load(io.BytesIO(huge))
    with pytest.raises(RuntimeError, match="protocol version: 7"):
        rushlight.load(io.BytesIO(data.replace(pickle.dumps(1001, 2), pickle.dumps(7, 2))))
    with pytest.raises(ValueError, match="Expected input to be a checkpoint"):
        rushlight.serialization.get_unsafe_globals_in_checkpoint(GOLDEN)


@pytest.mark.parametrize("cut", range(0, 3000, 61))
def test_truncated_streams(cut):
    data = GOLDEN.read_bytes()
    with pytest.raises((RuntimeError, EOFError, pickle.UnpicklingError)):
        rushlight.load(io.BytesIO(data[: len(data) * cut // 3000]))


# Tar files --------------------------------------------------------------------------------


def tar_file(**changed):
    """A tar file as PyTorch 0.1.9 wrote it: a tensor and a view of its storage."""

    def named(name):  # as a pickle of the class torch.FloatTensor
        return b"ctorch\n" + name + b"\n"

    def pickled(*parts):
        return b"\x80\x02" + b"".join(parts) + b"."

    def number(n):
        return b"J" + struct.pack("<i", n)

    storages = (
        pickled(number(1))
        + pickled(number(7), b"U\x03cpu", named(b"FloatStorage"), b"\x87")
        + struct.pack("<q4f", 4, 0, 1, 2, 3)
        + pickled(b"](", b"(", number(8), number(7), number(1), number(3), b"te.")[:-1]
    )
    tensors = pickled(number(2)) + b"".join(
        pickled(number(key), number(storage), named(b"FloatTensor"), b"\x87")
        + struct.pack("<ixxxx5q", 2, *geometry)
        for key, storage, geometry in ((10, 7, (2, 2, 2, 1, 0)), (11, 8, (3, 1, 1, 1, 0)))
    )
    root = pickled(b"}(", b"U\x01a", b"U\x0210Q", b"U\x01b", b"U\x0211Q", b"u")
    members = {"sys_info": pickled(b"}"), "pickle": root, "tensors": tensors, "storages": storages}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:", format=tarfile.PAX_FORMAT) as tar:
        for name, data in {**members, **changed}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1234.5  # of which PAX makes a header of its own
            tar.addfile(info, io.BytesIO(data))
    file.seek(0)
    return file


@pytest.mark.parametrize("weights_only", [True, False])
def test_a_tar_file(weights_only):
    found = rushlight.load(tar_file(), weights_only=weights_only)
    assert found["a"].tolist() == [[0, 1], [2, 3]] and found["b"].tolist() == [[1], [2], [3]]
    found["a"][1, 1] = 9
    assert found["b"][2, 0] == 9


@pytest.mark.parity
def test_pytorch_reads_the_same_tar_file(tmp_path):
    torch = pytest.importorskip("torch")
    (tmp_path / "x.pt").write_bytes(tar_file().getvalue())
    found = torch.load(tmp_path / "x.pt", weights_only=False)
    assert found["a"].tolist() == [[0, 1], [2, 3]] and found["b"].tolist() == [[1], [2], [3]]


@pytest.mark.parametrize(
    "name, data, error",
    [
        ("storages", b"\x80\x02K\x09.", pickle.UnpicklingError),
        ("storages", b"\x80\x02K\x01.\x80\x02K\x07U\x03cpuctorch\nTensor\n\x87.", RuntimeError),
        ("tensors", b"\x80\x02K\x01.\x80\x02K\x0aK\x07N\x87." + struct.pack("<ii", -2, 0), RuntimeError),
        ("tensors", b"\x80\x02K\x01.\x80\x02K\x0aK\x07N\x87." + struct.pack("<ii", 1 << 30, 0), RuntimeError),
        ("pickle", b"\x80\x02U\x0299Q.", RuntimeError),
        ("pickle", b"\x80\x02cposix\nsystem\nU\x04true\x85R.", pickle.UnpicklingError),
    ],
)  # fmt: skip
def test_hostile_tar_files(name, data, error):
    with pytest.raises(error, match="load: "):
        rushlight.load(tar_file(**{name: data}))


def test_a_tar_file_that_goes_round_in_circles():
    data = bytearray(tar_file().getvalue())
    for size in (b"-0000001000", b"99999999999", b"7" * 11):
        data[124:135] = size
        with pytest.raises(RuntimeError, match="damaged"):
            rushlight.load(io.BytesIO(data))


def test_counters_and_text_of_python_2():
    file = GOLDEN.read_bytes()
    start = file.index(b".", file.index(b"little_endian")) + 1
    text = b"\x80\x02U\x02\xc3\xa9."
    assert rushlight.load(io.BytesIO(file[:start] + text + pickle.dumps([], 2))) == "é"
    counted = pickle.dumps(collections.Counter("aab"), 2)
    loaded = rushlight.load(io.BytesIO(file[:start] + counted + pickle.dumps([], 2)))
    assert loaded == {"a": 2, "b": 1}
