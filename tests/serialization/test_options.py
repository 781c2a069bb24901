"""What is set for every save and load: byte order, checksums, maps, room without data, devices."""

import io
import mmap
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import rushlight
from rushlight import serialization

LITTLE, BIG, NATIVE = (serialization.LoadEndianness[n] for n in ("LITTLE", "BIG", "NATIVE"))


def saved(value):
    file = io.BytesIO()
    rushlight.save(value, file)
    return file.getvalue()


def rewritten(data, changed, left_out=(), compression=zipfile.ZIP_STORED):
    """The archive with other records."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", compression) as new:
        for name in old.namelist():
            short = name.partition("/")[2]
            if short not in left_out:
                new.writestr(name, changed.get(short, old.read(name)))
    out.seek(0)
    return out


@pytest.fixture(autouse=True)
def defaults():
    yield
    serialization.set_default_load_endianness(None)
    serialization.set_crc32_options(True)


# The order of bytes -----------------------------------------------------------------------


def test_files_without_an_order_are_read_in_the_default_one():
    data = saved(rushlight.tensor([1, 2**40]))
    swapped = {"data/0": np.array([1, 2**40]).astype(">i8").tobytes()}
    assert serialization.get_default_load_endianness() is None
    for order, records in ((None, {}), (LITTLE, {}), (BIG, swapped), (NATIVE, {})):
        serialization.set_default_load_endianness(order)
        assert serialization.get_default_load_endianness() is order
        file = rewritten(data, records, left_out=["byteorder"])
        assert rushlight.load(file).tolist() == [1, 2**40]
        assert rushlight.load(io.BytesIO(data)).tolist() == [1, 2**40]  # this one says its own
    with pytest.raises(TypeError, match="LoadEndianness"):
        serialization.set_default_load_endianness("big")


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize(
    "dtype", ["bool", "int16", "float16", "bfloat16", "float64", "complex64", "complex128"]
)
def test_big_endian_files_of_every_width(dtype, mapped, tmp_path):
    x = rushlight.tensor([0, 1, 1]).to(getattr(rushlight, dtype))
    width = x.element_size() // (2 if x.is_complex() else 1)
    turned = np.frombuffer(x.numpy(force=True).tobytes() if dtype != "bfloat16" else
                           x.view(rushlight.int16).numpy().tobytes(), f"u{width}").byteswap()  # fmt: skip
    path = tmp_path / "big.pt"
    file = rewritten(saved(x), {"data/0": turned.tobytes(), "byteorder": b"big"})
    path.write_bytes(file.getvalue())
    assert rushlight.load(path, mmap=mapped).tolist() == x.tolist()
    assert path.read_bytes() == file.getvalue()


@pytest.mark.parity
def test_pytorch_reads_the_same_big_endian_file():
    torch = pytest.importorskip("torch")
    x = np.array([1.5, -2], np.float32)
    turned = {"data/0": x.byteswap().tobytes(), "byteorder": b"big"}
    file = rewritten(saved(rushlight.from_numpy(x)), turned)
    assert torch.load(file).tolist() == [1.5, -2]


# Checksums --------------------------------------------------------------------------------


@pytest.mark.parity
def test_files_without_checksums_pass_between_the_packages():
    torch = pytest.importorskip("torch")
    for saver in (torch, rushlight):
        saver.serialization.set_crc32_options(False)
        try:
            assert saver.serialization.get_crc32_options() is False
            file = io.BytesIO()
            saver.save({"x": saver.arange(3)}, file)
        finally:
            saver.serialization.set_crc32_options(True)
        crcs = {entry.CRC for entry in zipfile.ZipFile(file).infolist()}
        assert crcs == {0}
        for loader in (torch, rushlight):
            file.seek(0)
            assert loader.load(file)["x"].tolist() == [0, 1, 2]


@pytest.mark.parity
def test_room_without_data(tmp_path):
    torch = pytest.importorskip("torch")
    for saver in (torch, rushlight):
        path = tmp_path / "room.pt"
        with saver.serialization.skip_data():
            saver.save({"x": saver.arange(3), "n": 1}, path)
            with pytest.raises(NotImplementedError if saver is rushlight else Exception):
                rushlight.load(path)
                raise RuntimeError
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo("room/data/0")
        with open(path, "r+b") as file:
            file.seek(entry.header_offset + 26)
            name, extra = struct.unpack("<HH", file.read(4))
            file.seek(name + extra, os.SEEK_CUR)
            file.write(np.array([5, 6, 7]).tobytes())
        for loader in (torch, rushlight):
            assert loader.load(path)["x"].tolist() == [5, 6, 7]


# Maps -------------------------------------------------------------------------------------


def test_shared_maps_write_to_the_file(tmp_path):
    path = tmp_path / "x.pt"
    rushlight.save(rushlight.ones(300), path)
    assert serialization.get_default_mmap_options() == mmap.MAP_PRIVATE
    with serialization.set_default_mmap_options(mmap.MAP_SHARED):
        mapped = rushlight.load(path, mmap=True)
        again = rushlight.load(path, mmap=True)
        mapped[7] = 5
        assert again[7] == 5
    # Only the content: the checksum in the file is the old one, as PyTorch leaves it.
    assert np.frombuffer(path.read_bytes(), np.uint8).tobytes().find(mapped.numpy().tobytes()) > 0
    private = rushlight.load(path, mmap=True)
    private[8] = 6
    assert rushlight.load(path, mmap=True)[8] == 1
    with pytest.raises(ValueError, match="MAP_PRIVATE"):
        serialization.set_default_mmap_options(99)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="Linux lists a process's maps")
def test_maps_are_of_the_file_and_not_read_before_they_are_used(tmp_path):
    path = tmp_path / "large.pt"
    rushlight.save({"x": rushlight.ones(8 << 20), "y": rushlight.zeros(3)}, path)

    def resident():
        found, total = False, 0
        with open("/proc/self/smaps") as lines:
            for line in lines:
                if "-" in line.split(" ")[0]:
                    found = str(path) in line
                elif found and line.startswith("Rss:"):
                    total += int(line.split()[1]) * 1024
        return total

    loaded = rushlight.load(path, mmap=True)
    assert str(path) in Path("/proc/self/maps").read_text()
    assert resident() < 1 << 20  # of 32 MiB
    assert loaded["x"][::1024].sum() == 8 << 10
    assert resident() > 16 << 20


@pytest.mark.parity
def test_config_is_pytorchs():
    torch = pytest.importorskip("torch")
    from torch.utils.serialization import config as theirs

    from rushlight.utils.serialization import config as ours

    for name in ("mmap", "endianness", "mmap_flags"):
        assert getattr(ours.load, name) == getattr(theirs.load, name)
    for name in ("compute_crc32", "storage_alignment"):
        assert getattr(ours.save, name) == getattr(theirs.save, name)
    missing = set(torch.serialization.__all__) - set(dir(serialization))
    assert missing == {
        "StorageType", "check_module_version_greater_or_equal", "mkdtemp", "normalize_storage_type",
        "storage_to_tensor_type", "validate_cuda_device", "validate_hpu_device",
    }  # fmt: skip


def test_config_rules(tmp_path, monkeypatch):
    from rushlight.utils.serialization import config

    monkeypatch.setattr(config.save, "storage_alignment", 4096)
    monkeypatch.setattr(config.load, "mmap", True)
    path = tmp_path / "x.pt"
    rushlight.save([rushlight.ones(1), rushlight.ones(1)], path)
    x, y = rushlight.load(path)
    assert x.data_ptr() % 4096 == 0 and y.data_ptr() - x.data_ptr() == 4096


# Devices ----------------------------------------------------------------------------------


def test_packages_of_devices(monkeypatch):
    from rushlight.serialization import locations

    monkeypatch.setattr(locations, "_packages", list(locations._packages))
    seen = []
    serialization.register_package(
        5,
        lambda storage: "mine" if storage.nbytes() == 8 else None,
        lambda storage, tag: seen.append(tag) or storage if tag == "mine" else None,
    )
    data = saved([rushlight.ones(2), rushlight.ones(1)])
    assert [t.tolist() for t in rushlight.load(io.BytesIO(data))] == [[1, 1], [1]]
    assert seen == ["mine"]
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="tagged with mine"):
        rushlight.load(io.BytesIO(data))
    assert rushlight.load(io.BytesIO(data), {"mine": "cpu"})[0].tolist() == [1, 1]
    storage = rushlight.ones(2).untyped_storage()
    assert serialization.default_restore_location(storage, "cpu") is storage


def test_a_storage_and_parts_of_it():
    storage = rushlight.arange(4, dtype=rushlight.int16).untyped_storage()
    part = storage[2:6]
    assert part.tolist() == [1, 0, 2, 0] and part.nbytes() == 4
    part[0] = 9
    assert storage.tolist()[2] == 9
    assert rushlight.asarray(part, dtype=rushlight.uint8).tolist() == [9, 0, 2, 0]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
def test_storages_alone(tmp_path):
    torch = pytest.importorskip("torch")
    for saver, loader in ((torch, rushlight), (rushlight, torch)):
        x = saver.arange(3).to(saver.uint16)
        saver.save({"s": x.untyped_storage(), "x": x[1:]}, tmp_path / "s.pt")
        found = loader.load(tmp_path / "s.pt")
        # PyTorch wraps it in its deprecated TypedStorage, of uint8.
        assert type(found["s"]) is rushlight.UntypedStorage or loader is torch
        assert found["s"].tolist() == [0, 0, 1, 0, 2, 0] and found["x"].tolist() == [1, 2]
        found["s"][2] = 9
        assert found["x"].tolist() == [9, 2]


@pytest.mark.parity
def test_storages_of_files(tmp_path):
    torch = pytest.importorskip("torch")
    for package in (torch, rushlight):
        path = tmp_path / package.__name__
        path.write_bytes(bytes(range(8)))
        private = package.UntypedStorage.from_file(str(path), shared=False, nbytes=4)
        private[0] = 9
        assert private.tolist() == [9, 1, 2, 3] and path.read_bytes() == bytes(range(8))
        shared = package.UntypedStorage.from_file(str(path), shared=True, nbytes=10)
        shared[9] = 7
        assert path.read_bytes() == bytes([*range(8), 0, 7])
        assert package.UntypedStorage([1, 2]).tolist() == [1, 2]
        assert package.UntypedStorage(3).nbytes() == 3 and package.UntypedStorage().nbytes() == 0
        with pytest.raises(RuntimeError):
            package.UntypedStorage.from_file(str(path), shared=False, nbytes=100)


def test_the_unpickler_follows_pickle_module():
    import pickle

    data = saved({"r": range(3)})
    assert rushlight.load(io.BytesIO(data), pickle_module=pickle) == {"r": range(3)}
    assert serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data)) == ["builtins.range"]
    with serialization.safe_globals([range]):
        assert serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data)) == []


@pytest.mark.parity
def test_unsafe_globals_are_pytorchs(tmp_path):
    torch = pytest.importorskip("torch")
    import collections

    path = tmp_path / "x.pt"
    torch.save([collections.deque([1]), range(2), torch.nn.Linear(1, 1), torch.ones(2)], path)
    ours = serialization.get_unsafe_globals_in_checkpoint(path)
    assert ours == sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    assert "torch.nn.modules.linear.Linear" in ours


def test_typed_storages_are_numbers_again():
    x = rushlight.arange(3, dtype=rushlight.bfloat16)
    file = io.BytesIO()
    rushlight.save([x, x[1:].storage()], file)
    file.seek(0)
    tensor, storage = rushlight.load(file)
    assert isinstance(storage, rushlight.BFloat16Storage) and storage.tolist() == [0, 1, 2]
    tensor.fill_(5)
    assert storage.tolist() == [5, 5, 5]


def test_load_reads_an_object_that_has_only_the_methods_of_a_file():
    file = io.BytesIO()
    rushlight.save(rushlight.ones(2), file)

    class Plain:
        read, readline, seek, tell = file.read, file.readline, file.seek, file.tell

    file.seek(0)
    assert rushlight.load(Plain()).tolist() == [1, 1]
