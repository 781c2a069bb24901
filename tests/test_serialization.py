"""torch.save and torch.load: PyTorch's own files in both directions, and files that are hostile."""

import collections
import io
import os
import pickle
import pickletools
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

import rushlight

GOLDEN = Path(__file__).with_name("golden") / "serialization.pt"
DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64",
    "complex64", "complex128", "uint16", "uint32", "uint64",
)  # fmt: skip


def content(torch):
    """Everything that a checkpoint may hold, made by ``torch``."""
    x = torch.arange(6.0).reshape(2, 3)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for i, p in enumerate(model.parameters()):
        torch.nn.init.constant_(p, i + 0.5)
        p.grad = torch.full_like(p, i - 1.5)
    optimizer.step()
    marked = torch.ones(2)
    marked.note = "kept"
    return {
        "base": x, "view": x[1:].t(), "same": x, "expanded": x.expand(4, 2, 3), "0-dim": x[1, 2],
        "parameter": torch.nn.Parameter(x), "frozen": torch.nn.Parameter(torch.ones(1), False),
        "leaf": torch.ones(2, requires_grad=True), "empty": torch.empty(0, 3), "marked": marked,
        "computed": torch.ones(2, requires_grad=True) * 2,
        "model": model.state_dict(), "optimizer": optimizer.state_dict(),
        "plain": [1, -(2**70), 2.5, None, True, "é\n", b"a\xff", bytearray(b"b"), 1j, {1, 2}, (1, (2,))],
        "counts": collections.Counter("aab"), "size": torch.Size([2, 3]), "dtype": torch.bfloat16,
        "device": torch.device("cpu"), "layout": torch.strided,
        "all": {d: torch.tensor([0, 1, 1]).to(getattr(torch, d)) for d in DTYPES},
    }  # fmt: skip


def facts(value):
    """``value`` with each tensor replaced by what can be said of it, for comparison over packages."""
    if hasattr(value, "storage_offset"):
        return (
            type(value).__name__, str(value.dtype), tuple(value.shape), value.stride(),
            value.storage_offset(), value.requires_grad, value.is_leaf, value.tolist(),
            getattr(value, "note", None), value.numel() and value.untyped_storage().nbytes(),
        )  # fmt: skip
    if isinstance(value, dict):
        found = {k: facts(v) for k, v in value.items()}
        return type(value).__name__, found, getattr(value, "_metadata", None)
    if type(value) in (list, tuple):
        return [facts(v) for v in value]
    return repr(value)


def expected(torch):
    """The facts of ``content`` after a way through a file: what was computed is a leaf."""
    made = content(torch)
    made["computed"] = made["computed"].detach().requires_grad_()
    return made


def same(found, made):
    a, b = facts(found), facts(made)
    del a[1]["optimizer"], b[1]["optimizer"]  # its tensors lie where each package puts them
    assert a == b
    for mine, theirs in zip(
        *(o["optimizer"]["state"].values() for o in (found, made)), strict=True
    ):
        for name in theirs:
            np.testing.assert_allclose(mine[name].numpy(), theirs[name].numpy(), rtol=1e-5)
    assert str(found["optimizer"]["param_groups"]) == str(made["optimizer"]["param_groups"])
    assert found["base"] is found["same"]
    memory = {
        found[k].untyped_storage().data_ptr()
        for k in ("base", "view", "expanded", "parameter", "0-dim")
    }
    assert len(memory) == 1


def file_of(torch, value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    file.seek(0)
    return file


@pytest.mark.parity
@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("saved, loaded", [("torch", "rushlight"), ("rushlight", "torch")])
def test_files_pass_between_the_packages(saved, loaded, weights_only, tmp_path):
    torch = pytest.importorskip("torch")
    packages = {"torch": torch, "rushlight": rushlight}
    saved, loaded = packages[saved], packages[loaded]
    found = loaded.load(file_of(saved, content(saved)), weights_only=weights_only)
    same(found, expected(loaded))
    saved.save(content(saved), tmp_path / "checkpoint.pt")
    same(loaded.load(tmp_path / "checkpoint.pt", mmap=True), expected(loaded))


@pytest.mark.parametrize("protocol", [1, 2, 4, 5])
def test_round_trip(protocol):
    made, wanted = content(rushlight), expected(rushlight)
    if protocol == 5:  # its bytearrays are of a size that the file states
        made["plain"].pop(7), wanted["plain"].pop(7)
    same(rushlight.load(file_of(rushlight, made, pickle_protocol=protocol)), wanted)


def test_a_file_of_pytorch_without_pytorch():
    same(rushlight.load(GOLDEN), expected(rushlight))
    same(rushlight.load(str(GOLDEN), mmap=True), expected(rushlight))
    with (
        zipfile.ZipFile(GOLDEN) as theirs,
        zipfile.ZipFile(file_of(rushlight, content(rushlight))) as ours,
    ):
        names = [
            {
                arg
                for op, arg, _ in pickletools.genops(z.read(z.namelist()[0]))
                if op.name == "GLOBAL"
            }
            for z in (theirs, ours)
        ]
    assert names[0] == names[1] and "torch._utils _rebuild_tensor_v2" in names[0]


@pytest.mark.parity
def test_whole_models_pass_between_the_packages():
    torch = pytest.importorskip("torch")

    def model(torch):
        nn = torch.nn
        return nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 3),
            nn.ParameterList([torch.ones(1)]),
        )  # fmt: skip

    for saved, loaded in ((torch, rushlight), (rushlight, torch)):
        made = model(saved).eval()
        with pytest.raises(pickle.UnpicklingError, match="Sequential"):
            loaded.load(file_of(saved, made))
        found = loaded.load(file_of(saved, made), weights_only=False)
        assert repr(found) == repr(made)
        x, y = saved.ones(1, 1, 3, 3), loaded.ones(1, 1, 3, 3)
        np.testing.assert_allclose(made[:5](x).tolist(), found[:5](y).tolist(), rtol=1e-5)


@pytest.mark.parity
def test_pytorch_finds_every_class_under_its_saved_name():
    torch = pytest.importorskip("torch")
    from rushlight.serialization.names import torch_name

    spaces = [(p.nn, p.optim, p.optim.lr_scheduler) for p in (rushlight, torch)]
    for ours, theirs in zip(*spaces, strict=True):
        for name in dir(ours):
            value = getattr(ours, name)
            if isinstance(value, type) and name[0] != "_":
                found = getattr(theirs, name)
                assert torch_name(value) == (found.__module__, found.__qualname__)


def test_classes_that_the_user_allows():
    value = {"deque": collections.deque([1]), "range": range(3), "set": frozenset([2])}
    with pytest.raises(
        pickle.UnpicklingError,
        match=r"collections\.deque.*add_safe_globals\(\[collections\.deque\]\)",
    ):
        rushlight.load(file_of(rushlight, value))
    with rushlight.serialization.safe_globals(
        [collections.deque, range, (frozenset, "builtins.frozenset")]
    ):
        assert rushlight.load(file_of(rushlight, value)) == value
        assert len(rushlight.serialization.get_safe_globals()) == 3
    assert rushlight.serialization.get_safe_globals() == []
    assert rushlight.load(file_of(rushlight, value), weights_only=False) == value


class Marked(rushlight.Tensor):
    """A subclass with a slot and an attribute."""

    __slots__ = ("unit",)


def test_subclasses():
    t = rushlight.Tensor._make_subclass(Marked, rushlight.ones(2))
    t.unit, t.note = "m", [t.shape]
    with rushlight.serialization.safe_globals([Marked]):
        for weights_only in (True, False):
            found = rushlight.load(file_of(rushlight, t), weights_only=weights_only)
            assert type(found) is Marked and found.unit == "m" and found.note == [(2,)]
    with pytest.raises(pickle.UnpicklingError, match="Marked"):
        rushlight.load(file_of(rushlight, t))


# Where storages go, and where files come from ---------------------------------------------


def test_map_location():
    file = file_of(rushlight, {"x": rushlight.ones(2)}).getvalue()
    elsewhere = _patched(file, b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")

    def load(map_location, data=elsewhere):
        return rushlight.load(io.BytesIO(data), map_location)["x"]

    for place in (
        "cpu",
        rushlight.device("cpu"),
        {"cuda:0": "cpu"},
        lambda storage, location: storage,
    ):
        assert load(place).tolist() == [1, 1]
    seen = []
    assert load(lambda storage, location: seen.append(location), file).tolist() == [1, 1]
    assert seen == ["cpu"]
    assert load(lambda storage, location: storage.fill_(0)).tolist() == [0, 0]
    for place in (None, "cuda", {"cuda:0": "cuda:1"}):
        with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
            load(place)
    with pytest.raises(RuntimeError, match="don't know how to restore"):
        load("nowhere")
    with pytest.raises(TypeError, match="not callable"):
        load(5)
    for place in (lambda storage, location: storage.cuda(0), lambda storage, location: 1 / 0):
        with pytest.raises(RuntimeError, match=r"map_location, called for .* tagged with cuda:0"):
            load(place)


def test_streams(tmp_path):
    file = io.BytesIO(b"before")
    file.seek(6)
    rushlight.save(rushlight.ones(2), file)
    file.seek(6)
    assert rushlight.load(file).tolist() == [1, 1]
    with open(tmp_path / "raw", "wb", buffering=0) as raw:
        rushlight.save([rushlight.ones(300_000)], raw)
    assert rushlight.load(tmp_path / "raw")[0].sum() == 300_000

    class Reader:
        def read(self, n=-1):
            return b""

    with pytest.raises(AttributeError, match="seekable"):
        rushlight.load(Reader())
    with pytest.raises(AttributeError, match="'write'"):
        rushlight.save(1, 5)
    with pytest.raises(ValueError, match="path"):
        rushlight.load(file, mmap=True)


def test_storages_are_aligned_and_maps_are_private(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 500)  # some entries as if they were huge
    path = tmp_path / "x.pt"
    rushlight.save([rushlight.ones(n) for n in (1, 100, 7, 200)], path)
    found = rushlight.load(path, mmap=True)
    start = min(t.data_ptr() for t in found)
    assert all((t.data_ptr() - start) % 64 == 0 and t.sum() == t.numel() for t in found)
    found[1].zero_()
    assert rushlight.load(path)[1].sum() == 100


def test_a_big_endian_file():
    file = file_of(rushlight, [rushlight.tensor([1, 2**40]), rushlight.tensor([1 + 2j])]).getvalue()
    swapped = rushlight.load(io.BytesIO(_rewritten(file, {"byteorder": b"big"})))
    assert swapped[0].tolist() == [2**56, 2**16]
    with pytest.raises(RuntimeError, match="endianness"):
        rushlight.load(io.BytesIO(_rewritten(file, {"byteorder": b"none"})))


def test_paths_are_replaced_or_untouched(tmp_path):
    path = tmp_path / "model.pt"
    rushlight.save(1, path)
    os.chmod(path, 0o640)
    link = tmp_path / "link.pt"
    link.symlink_to(path)
    rushlight.save(2, link)
    assert link.is_symlink() and rushlight.load(path) == 2
    assert path.stat().st_mode & 0o777 == 0o640
    x = rushlight.ones(2)
    for bad, error in ((threading.Lock(), TypeError), ([x, x.view(rushlight.int32)], RuntimeError)):
        with pytest.raises(error):
            rushlight.save(bad, path)
    assert rushlight.load(path) == 2
    with pytest.raises(RuntimeError, match="Parent directory"):
        rushlight.save(1, tmp_path / "none" / "x.pt")
    with pytest.raises(RuntimeError, match="Is a directory"):
        rushlight.save(1, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.pt", "model.pt"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    rushlight.save(1, path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        rushlight.save(2, path)
    assert rushlight.load(path) == 1 and len(list(tmp_path.iterdir())) == 1


def test_compiled_functions_that_save_run_eagerly(tmp_path):
    @rushlight.compile
    def step(x):
        rushlight.save(x * 2, tmp_path / "x.pt")
        return rushlight.load(tmp_path / "x.pt") + 1

    with pytest.warns(UserWarning, match=r"test_serialization\.py.*save"):
        assert step(rushlight.ones(2)).tolist() == [3, 3]


# Files that are damaged, foreign or hostile -----------------------------------------------


def _rewritten(file, records):
    """The archive with some records replaced or added."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as old, zipfile.ZipFile(out, "w") as new:
        kept = {name: old.read(name) for name in old.namelist()}
        for name, record in {**kept, **{f"archive/{k}": v for k, v in records.items()}}.items():
            new.writestr(name, record)
    return out.getvalue()


def _patched(file, old, new):
    """The archive with ``old`` in its pickle replaced."""
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        pickled = archive.read("archive/data.pkl")
    assert old in pickled
    return _rewritten(file, {"data.pkl": pickled.replace(old, new)})


def _hostile(pickled):
    return io.BytesIO(
        _rewritten(file_of(rushlight, rushlight.ones(2)).getvalue(), {"data.pkl": pickled})
    )


WHOLE = file_of(rushlight, {"x": rushlight.arange(5), "n": 1}).getvalue()


@pytest.mark.parametrize("weights_only", [True, False])
def test_truncated_files(weights_only):
    for n in range(0, len(WHOLE), 50):
        with pytest.raises((RuntimeError, EOFError, pickle.UnpicklingError)):
            rushlight.load(io.BytesIO(WHOLE[:n]), weights_only=weights_only)


def test_a_damaged_file_loads_right_or_not_at_all():
    refused = 0
    for n in range(0, len(WHOLE), 3):
        data = bytearray(WHOLE)
        data[n] ^= 0x55
        try:
            found = rushlight.load(io.BytesIO(data))
        except (RuntimeError, EOFError, pickle.UnpicklingError):
            refused += 1
        else:
            assert found["x"].tolist() == [0, 1, 2, 3, 4] and found["n"] == 1
    assert refused > 100


def test_damaged_pickles_end_in_one_error():
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as archive:
        good = archive.read("archive/data.pkl")
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        bad = bytearray(good)
        bad[generator.integers(len(bad))] = generator.integers(256)
        try:
            rushlight.load(io.BytesIO(_rewritten(WHOLE, {"data.pkl": bytes(bad)})))
        except (RuntimeError, pickle.UnpicklingError):
            refused += 1
    assert refused > 100


FOREIGN = {
    "nothing": (b"", EOFError, "empty"),
    "text": (b"hello, world", pickle.UnpicklingError, "not a file of torch.save"),
    "pickle": (pickle.dumps([1]), pickle.UnpicklingError, "not a file of torch.save"),
    "zip": (_rewritten(WHOLE, {}).replace(b"data.pkl", b"data.xyz"), RuntimeError, "data.pkl"),
    "old": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", pickle.UnpicklingError, "damaged"),
    "program": (_rewritten(WHOLE, {"constants.pkl": b""}), RuntimeError, "TorchScript"),
    "newer": (_rewritten(WHOLE, {"version": b"99"}), RuntimeError, "version"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files(kind):
    data, error, text = FOREIGN[kind]
    with pytest.raises(error, match=text):
        rushlight.load(io.BytesIO(data))


def _call(name, *args):
    """A pickle that calls a global."""
    return b"\x80\x02c" + name.replace(".", "\n", 1).encode() + b"\n" + b"".join(args)


STORAGE = (
    b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"
)
HOOKS = b"ccollections\nOrderedDict\n)R"
TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n("
    + STORAGE
    + b"K\x00K\x02\x85K\x01\x85\x89"
    + HOOKS
    + b"tR"
)
REFUSED = {
    "os.system": b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.",
    "eval": b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.",
    "getattr": b"\x80\x02c__builtin__\ngetattr\n.",
    "dotted": b"\x80\x04\x8c\x0bcollections\x8c\x19OrderedDict.__init_subclass__\x93.",
    "rushlight": b"\x80\x02crushlight.serialization.names\nimportlib\n.",
    "module": b"\x80\x02ctorch\nload\n.",
    "instance": b"(iposix\nsystem\n.",
    "object": b"(cposix\nsystem\no.",
    "new object": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "extension": b"\x80\x02\x82\x01.",
    "text id": b"Pstorage\n.",
    "call a class": b"\x80\x02ctorch\nTensor\n)R.",
    "attributes of a tensor": b"\x80\x02" + TENSOR + b"}X\x06\x00\x00\x00_array]sb.",
    "attributes of a type": b"\x80\x02ctorch\nfloat32\nN}X\x04\x00\x00\x00nameK\x01s\x86b.",
    "attributes of a function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b.",
    "class of a tensor": b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(c__builtin__\nset\nc__builtin__\nset\n)}tR.",
    "nested": b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._tensor\n_rebuild_from_type_v2\n"
              b"ctorch\nTensor\n)}tR.",
    "slots": b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n("
             + STORAGE + b"K\x00K\x02\x85K\x01\x85\x89" + HOOKS + b"tN}X\x06\x00\x00\x00_array]s\x86tR.",
    "codec": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
    "bytearray of a size": b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "stated size": b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00.",
    "empty stack": b"\x80\x02R.",
    "endless": b"\x80\x02(",
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_hostile_pickles_are_refused(kind, monkeypatch):
    def ran(*args):
        raise KeyboardInterrupt("the file's code ran")

    monkeypatch.setattr(os, "system", ran)
    before = rushlight.float32.name
    with pytest.raises((pickle.UnpicklingError, RuntimeError), match="load: "):
        rushlight.load(_hostile(REFUSED[kind]))
    assert rushlight.float32.name == before


def test_the_refusal_names_what_it_refused():
    with pytest.raises(pickle.UnpicklingError, match=r"posix\.system.*weights_only=False"):
        rushlight.load(_hostile(REFUSED["os.system"]))


@pytest.mark.parametrize(
    "old, new, text",
    [
        (b"K\x00K\x02\x85K\x01\x85", b"K\x01K\x02\x85K\x01\x85", "out of bounds"),
        (b"K\x00K\x02\x85K\x01\x85", b"K\x00K\x03\x85K\x01\x85", "out of bounds"),
        (b"K\x00K\x02\x85K\x01\x85", b"K\x00K\x02\x85K\x09\x85", "out of bounds"),
        (b"K\x00K\x02\x85K\x01\x85", b"J\xff\xff\xff\xffK\x02\x85K\x01\x85", "cannot have"),
        (b"K\x00K\x02\x85K\x01\x85", b"K\x01K\x02\x85J\xff\xff\xff\xff\x85", "cannot have"),
        (b"K\x00K\x02\x85K\x01\x85", b"K\x00K\x02\x85)", "cannot have"),
        (
            b"K\x00K\x02\x85K\x01\x85",
            b"K\x00\x8a\x08" + b"\x7f" * 8 + b"\x85K\x01\x85",
            "out of bounds",
        ),
        (b"K\x02tQ", b"K\x03tQ", "12 bytes, and the archive holds 8"),
        (b"K\x02tQ", b"J\xff\xff\xff\xfftQ", "not the id of a storage"),
        (b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x009", "data/9"),
        (b"X\x07\x00\x00\x00storage", b"X\x07\x00\x00\x00nothing", "persistent_load"),
    ],
)
@pytest.mark.parametrize("weights_only", [True, False])
def test_tensors_beyond_their_storage(old, new, text, weights_only):
    assert old in TENSOR
    with pytest.raises(RuntimeError, match=text):
        rushlight.load(
            _hostile(b"\x80\x02" + TENSOR.replace(old, new) + b"."), weights_only=weights_only
        )
    assert rushlight.load(_hostile(b"\x80\x02" + TENSOR + b".")).tolist() == [1, 1]


def test_options():
    file = file_of(rushlight, 1)
    with pytest.raises(RuntimeError, match="weights_only"):
        rushlight.load(file, pickle_module=pickle, weights_only=True)
    with pytest.raises(ValueError, match="pickle_module"):
        rushlight.save(1, io.BytesIO(), pickle_module=collections)
    with pytest.raises(ValueError, match="protocol"):
        rushlight.save(1, io.BytesIO(), pickle_protocol=0)
    with pytest.raises(ValueError, match=r"1\.6"):
        rushlight.save(1, io.BytesIO(), _use_new_zipfile_serialization=False)


def test_another_modules_pickler():
    class Module:
        class Pickler(pickle.Pickler):  # the C pickler, as cloudpickle's
            def reducer_override(self, value):
                return (int, ("7",)) if value is marker else NotImplemented

        Unpickler = pickle.Unpickler

    marker, file = (lambda: 0), io.BytesIO()
    x = rushlight.arange(4)
    parts = {"x": x, "view": x[1:], "dtype": rushlight.float32, "marker": marker}
    rushlight.save(parts, file, pickle_module=Module)
    file.seek(0)
    found = rushlight.load(file, pickle_module=Module, weights_only=False)
    assert found["view"].tolist() == [1, 2, 3] and found["dtype"] is rushlight.float32
    assert found["marker"] == 7 and found["x"].data_ptr() + 8 == found["view"].data_ptr()
    with pytest.raises(ValueError, match="must have a Pickler"):
        rushlight.save(x, io.BytesIO(), pickle_module=io)
