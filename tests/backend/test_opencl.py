"""Which OpenCL devices are listed where there are several libraries and drivers."""

import pytest

from rushlight.backend import opencl

pytestmark = pytest.mark.skipif(not opencl.llvm_works(), reason="no llvmlite")

_FAILED = -1001  # CL_PLATFORM_NOT_FOUND_KHR
_CPU, _GPU = 2, 4
_VERSIONS = {
    opencl._VERSION: b"OpenCL 3.0",
    opencl._DRIVER_VERSION: b"7.8",
    opencl._IL: b"SPIR-V_1.2",
}


class _Library:
    """A library's functions. ``platforms``: (name, {name of a device: its type}) of each driver."""

    def __init__(self, *platforms):
        self.platforms = {id(self) + k: name for k, (name, _) in enumerate(platforms, 1)}
        self.devices, self.kinds = {}, {}
        for platform, (_, devices) in zip(self.platforms, platforms, strict=True):
            for name, kind in devices.items():
                device = id(self) + 100 + len(self.devices)
                self.devices[device], self.kinds[device] = (platform, name), kind

    def clGetPlatformIDs(self, room, found, count):
        return _list(self.platforms, room, found, count)

    def clGetDeviceIDs(self, platform, kind, room, found, count):
        if self.platforms[platform] == "broken":
            return _FAILED
        return _list([d for d, (p, _) in self.devices.items() if p == platform], room, found, count)

    def clGetPlatformInfo(self, platform, what, room, found, size):
        name = self.platforms[platform.value]
        return _tell({opencl._PLATFORM: name.encode()}.get(what, b"OpenCL 3.0"), room, found, size)

    def clGetDeviceInfo(self, device, what, room, found, size):
        platform, name = self.devices[device.value]
        if what in (opencl._TYPE, opencl._OF_PLATFORM):
            number = self.kinds[device.value] if what == opencl._TYPE else platform
            return _tell(number.to_bytes(8, "little"), room, found, size)
        return _tell({opencl._NAME: name.encode(), **_VERSIONS}.get(what, b""), room, found, size)


def _list(handles, room, found, count):
    if count is not None:
        count._obj.value = len(handles)
    if found is not None:
        found[:room] = [*handles][:room]
    return opencl._SUCCESS if handles else _FAILED


def _tell(text, room, found, size):
    if size is not None:
        size._obj.value = len(text)
    if found is not None:
        found.raw = text.ljust(room, b"\0")
    return opencl._SUCCESS


@pytest.fixture
def listed(monkeypatch):
    """``listed(*libraries)``: (name, driver) of the devices that they have together."""

    def of(*libraries):
        monkeypatch.setattr(opencl, "_libraries", lambda: libraries)
        return [(d.name, d.driver) for d in opencl.devices.__wrapped__()]

    return of


def test_devices_of_all_libraries_are_listed_once(listed):
    own = _Library(("Intel", {"Xeon": _CPU}))
    loader = _Library(("Intel", {"Xeon": _CPU}), ("PoCL", {"cpu-Xeon": _CPU}))
    assert listed(own, loader) == [("Xeon", "Intel 7.8"), ("cpu-Xeon", "PoCL 7.8")]
    assert listed(loader) == [("Xeon", "Intel 7.8"), ("cpu-Xeon", "PoCL 7.8")]


def test_drivers_with_the_same_name_in_one_library_are_two(listed):
    assert len(listed(_Library(("PoCL", {"a": _CPU}), ("PoCL", {"b": _CPU})))) == 2


def test_a_driver_that_fails_hides_no_other(listed):
    mixed = _Library(("broken", {"a": _GPU}), ("PoCL", {"b": _CPU}))
    assert listed(_Library(), mixed) == [("b", "PoCL 7.8")]


def test_gpus_come_first(listed):
    own, loader = _Library(("Intel", {"Xeon": _CPU})), _Library(("Arc", {"A770": _GPU}))
    assert [name for name, _ in listed(own, loader)] == ["A770", "Xeon"]


def test_a_library_that_does_not_load_hides_no_other(monkeypatch, tmp_path):
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"no library")
    whole = [path for path in opencl._paths() if _loads(path)]
    monkeypatch.setattr(opencl, "_paths", lambda: [str(broken), *whole])
    loaded = list(opencl._libraries())
    assert len(loaded) == len(whole)


def _loads(path):
    try:
        return opencl._is_complete(opencl.ctypes.CDLL(path))
    except OSError:
        return False
