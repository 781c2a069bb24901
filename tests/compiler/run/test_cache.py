"""Machine code on disk: what is kept comes back; what anybody else could have made doesn't."""

import dataclasses
import os
import re
import shutil

import pytest

pytest.importorskip("llvmlite")

import rushlight as torch
from rushlight.compiler.capture.lowering import recording
from rushlight.compiler.capture.recorder import Recorder
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.target import host
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.run import cache, manifest
from rushlight.serialization import atomic
from rushlight.tensor import from_array
from tests import conformance as c
from tests.samples import SAMPLES

POSIX = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    place = tmp_path / "deep" / "cache"
    monkeypatch.setenv("RUSHLIGHT_CACHE_DIR", str(place))
    return place


def entry(place):
    (path,) = place.glob("*.o")
    return path


def test_kept_and_found(place):
    assert cache.get("a") is None  # and the folder isn't made to look
    assert not place.exists()
    cache.put("a", b"one")
    cache.put("b", b"")
    cache.put("a", b"two")
    assert cache.get("a") == b"two"
    assert cache.get("b") == b""
    assert cache.get("c") is None
    assert len(list(place.glob("*.o"))) == 2
    if hasattr(os, "geteuid"):
        assert place.stat().st_mode & 0o777 == 0o700
        assert all(p.stat().st_mode & 0o777 == 0o600 for p in place.glob("*.o"))
        assert (place / "new").stat().st_mode & 0o777 == 0o700


def test_code_that_was_kept_runs():
    module = "define void @f(ptr %p) {\n  store i64 7, ptr %p\n  ret void\n}"
    cache.put(module, host().object_code(module))
    out = (torch.zeros(1, dtype=torch.int64)).numpy()
    load(cache.get(module)).function("f")(out.ctypes.data)
    assert out[0] == 7


def test_other_versions_and_machines_have_other_entries(monkeypatch):
    cache.put("a", b"one")
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "0.0.0")
        assert cache.get("a") is None
    other = dataclasses.replace(host(), key="another processor")
    monkeypatch.setattr(cache, "host", lambda: other)
    assert cache.get("a") is None


def test_an_edited_package_has_other_entries_and_one_installed_again_has_not(
    monkeypatch, tmp_path, place
):
    place.mkdir(parents=True)

    def digest(package):
        monkeypatch.setattr(torch, "__file__", str(package / "__init__.py"))
        return cache._sources.__wrapped__(place)

    package = tmp_path / "one"
    (package / "compiler" / "emit").mkdir(parents=True)
    (package / "ops").mkdir()
    source = package / "compiler" / "emit" / "module.py"
    source.write_text("1")
    before = digest(package)
    assert before == digest(package)
    other = shutil.copytree(package, tmp_path / "other", copy_function=shutil.copyfile)
    os.utime(other / "compiler" / "emit" / "module.py", (1, 1))
    assert before == digest(other)
    source.write_text("22")
    assert before != digest(package)
    (kept, *_) = place.glob("*.sources")
    kept.write_bytes(b"damaged")
    assert before == digest(other)


DAMAGES = {
    "empty": lambda content: b"",
    "only magic": lambda content: content[:10],
    "truncated": lambda content: content[:-1],
    "longer": lambda content: content + b"x",
    "a bit": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "checksum": lambda content: content[:20] + bytes([content[20] ^ 1]) + content[21:],
    "foreign": lambda content: b"\x7fELF" + content,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_is_ignored_and_replaced(place, damage):
    cache.put("a", b"payload")
    path = entry(place)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get("a") is None
    cache.put("a", b"payload")
    assert cache.get("a") == b"payload"


@POSIX
@pytest.mark.parametrize("what", ["folder", "file"])
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_what_others_could_write_is_ignored(place, what, mode):
    cache.put("a", b"payload")
    path = place if what == "folder" else entry(place)
    path.chmod(mode)
    assert cache.get("a") is None
    cache.put("a", b"new")
    assert cache.get("a") == (b"new" if what == "file" else None)


@POSIX
def test_what_others_own_is_ignored(monkeypatch):
    cache.put("a", b"payload")
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert cache.get("a") is None
    cache.put("a", b"new")
    monkeypatch.undo()


@POSIX
@pytest.mark.parametrize("make", ["symlink_to", "mkfifo", "mkdir"])
def test_an_entry_that_is_no_plain_file_is_ignored(place, tmp_path, make):
    cache.put("a", b"payload")
    path = entry(place)
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    if make == "symlink_to":
        path.symlink_to(elsewhere)
    elif make == "mkfifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert cache.get("a") is None
    cache.put("a", b"new")
    assert cache.get("a") == (None if make == "mkdir" else b"new")
    assert elsewhere.exists()


def test_a_cache_that_cannot_be_is_no_error(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    for named in (str(blocked), str(blocked / "below"), ""):
        monkeypatch.setenv("RUSHLIGHT_CACHE_DIR", named)
        cache.put("a", b"payload")
        assert cache.get("a") is None


def test_a_failed_write_leaves_nothing(place, monkeypatch):
    cache.put("a", b"old")

    def full(*paths):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache.put("a", b"new")
    monkeypatch.undo()
    assert sorted(p.suffix for p in place.rglob("*")) == ["", ".o", ".sources"]


def test_the_least_recently_used_go_first(monkeypatch):
    monkeypatch.setattr(cache, "_LIMIT", 1000)
    monkeypatch.setattr(cache, "_BETWEEN", 0)  # at every put
    for i in range(2):
        cache.put(str(i), bytes(400))
        os.utime(cache._path(str(i)), (i, i))
    assert cache.get("0")
    cache.put("2", bytes(400))
    assert [cache.get(str(i)) is not None for i in range(3)] == [True, False, True]


def test_the_folder_is_looked_through_seldom_and_stays_within_its_limit(place, monkeypatch):
    monkeypatch.setattr(cache, "_LIMIT", 100_000)
    monkeypatch.setattr(cache, "_BETWEEN", 20_000)
    evict, looks = cache._evict, []
    monkeypatch.setattr(cache, "_evict", lambda place: (looks.append(1), evict(place)))
    for i in range(400):
        cache.put(str(i), bytes(1000))
    assert 8 <= len(looks) <= 40  # 20 on average: 400 kB, one for each 20
    assert sum(path.stat().st_size for path in place.glob("*.o")) < 250_000


def test_what_a_killed_writer_left_is_deleted_by_the_next(place):
    cache.put("a", b"one")
    left = place / "new" / f".rushlight-{atomic._system()}-0.tmp"
    left.write_bytes(b"half")
    cache.put("b", b"two")
    assert not left.exists() and cache.get("b") == b"two"


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_platforms_own_place(monkeypatch, tmp_path, system):
    monkeypatch.delenv("RUSHLIGHT_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(cache.sys, "platform", system)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    found = cache.folder()
    assert tmp_path in found.parents and "rushlight" in found.parts


def _calls_and_kernels(x, w):
    y = torch.sort(torch.nn.functional.dropout(x @ w, 0.5), 1).values
    return y.relu().sum(0), x.t()[1:] * 2


def _compiled(function, *args):
    """(the results of two calls, the program) of a function compiled anew."""
    torch.manual_seed(3)
    compiled = torch.compile(function)
    found = [compiled(*args) for _ in range(2)]
    return found, compiled._compiled.entries[-1].program


def test_a_program_comes_back_without_being_planned_again():
    args = torch.randn(6, 5), torch.randn(5, 70)
    want, first = _compiled(_calls_and_kernels, *args)
    found, second = _compiled(_calls_and_kernels, *args)
    assert "assembly" in vars(first) and "assembly" not in vars(second)
    torch.testing.assert_close(found, want, rtol=0, atol=0)
    assert second.assembly.key == first.image.code  # for who asks: explain, the profiler


def test_every_operation_has_an_image():
    """What its recordings hold can be told from process to process."""
    seen = {}
    for s in SAMPLES.values():
        if s.trace:
            seen.setdefault(re.sub(r"-\d+$", "", s.name), s)
    strange = []
    for name, s in seen.items():
        given = c.tensors(torch, s)
        abstract = [Abstract(t.shape, t.numpy().dtype) for t in given]
        recorder = Recorder()
        with recording(recorder):
            s.call(torch, *map(from_array, abstract))
        if manifest.key_of(recorder.equations, abstract, [], []) is None:
            strange.append(name)
    assert strange == []


def test_a_program_whose_code_is_gone_is_compiled_again(place):
    args = torch.randn(6, 5), torch.randn(5, 70)
    want, first = _compiled(_calls_and_kernels, *args)
    cache._path(first.image.code).unlink()
    found, _ = _compiled(_calls_and_kernels, *args)
    torch.testing.assert_close(found, want, rtol=0, atol=0)
    assert cache.get(first.image.code) is not None


def test_other_recordings_are_other_programs():
    x = torch.randn(4, 6)
    calls = [
        (lambda x: x * 2, x), (lambda x: x * 3, x), (lambda x: x * 2, x[:2]),
        (lambda x: x * 2, x.t()), (lambda x: x * 2, x.double()), (lambda x: x + 2, x),
        (lambda x: x * -0.0, x), (lambda x: x * 0.0, x), (lambda x: (x * 2, x * 3), x),
        (lambda x: x.sum(0), x), (lambda x: x.sum(1), x),
    ]  # fmt: skip
    keys = {manifest.key_of(*_compiled(f, x)[1].recorded) for f, x in calls}
    assert len(keys) == len(calls) and None not in keys


def test_an_entry_under_the_name_of_another_is_ignored(place):
    cache.put("a", b"payload")
    path = entry(place)
    cache.put("b", b"other")
    (other,) = set(place.glob("*.o")) - {path}
    path.write_bytes(other.read_bytes())
    assert cache.get("a") is None and cache.get("b") == b"other"
