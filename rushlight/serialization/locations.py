"""The location tags of storages: ``save`` writes a tag, ``load`` places the storage by the tag."""

from rushlight.device import DRIVEN, META, device, require
from rushlight.device_array import DeviceMemory
from rushlight.meta import MetaMemory
from rushlight.remote import RemoteStorage, default_device

__all__ = [
    "default_restore_location", "location_tag", "on_meta", "placement", "register_package",
]  # fmt: skip

_packages: list = []  # (priority, tagger, deserializer), lowest priority first


def register_package(priority, tagger, deserializer):
    """Register a kind of device for ``save`` and ``load``.

    Args:
        priority: A number. The package with the lowest priority is asked first.
        tagger: A function of a storage that returns the device's tag, or None if the storage lies
            on another kind of device.
        deserializer: A function of a storage and a tag. It returns the storage moved to the device
            with the tag, or None for a tag of another kind of device.

    >>> import io, rushlight as torch
    >>> from rushlight.serialization import locations
    >>> def restore(storage, tag):
    ...     return storage if tag == "elsewhere" else None
    >>> torch.serialization.register_package(30, lambda storage: None, restore)
    >>> storage = torch.ones(2).untyped_storage()
    >>> torch.serialization.default_restore_location(storage, "elsewhere") is storage
    True
    >>> _ = locations._packages.pop()
    """
    _packages.append((priority, tagger, deserializer))
    _packages.sort(key=lambda package: package[0])


def location_tag(storage):
    """Return the tag that ``save`` writes for the device of a storage.

    Args:
        storage: An ``UntypedStorage``.

    Returns:
        The tag, a string such as ``"cpu"``.

    Raises:
        RuntimeError: no registered package knows the storage.

    >>> import rushlight as torch
    >>> torch.serialization.location_tag(torch.ones(2).untyped_storage())
    'cpu'
    """
    for _, tagger, _ in _packages:
        tag = tagger(storage)
        if tag is not None:
            return tag
    raise RuntimeError(f"save: don't know how to determine data location of {type(storage)}")


def default_restore_location(storage, location):
    """Return a storage moved to the device with a tag.

    Args:
        storage: An ``UntypedStorage`` on the CPU.
        location: The tag of the device, such as ``"cpu"``.

    Returns:
        ``UntypedStorage``.

    Raises:
        RuntimeError: no registered package knows the tag, or its device does not exist here.

    >>> import rushlight as torch
    >>> storage = torch.ones(2).untyped_storage()
    >>> torch.serialization.default_restore_location(storage, "cpu") is storage
    True
    """
    for _, _, deserializer in _packages:
        found = deserializer(storage, location)
        if found is not None:
            return found
    raise RuntimeError(
        f"load: don't know how to restore data location of a storage tagged with {location}: use "
        "torch.load(..., map_location='cpu')"
    )


def _on_cpu(storage, location):
    return storage if location.partition(":")[0] == "cpu" else None


def _on_meta(storage, location):
    if location.partition(":")[0] != "meta":
        return None
    return RemoteStorage(MetaMemory(storage.nbytes()))


def _on_device(storage, location):
    if location.partition(":")[0] not in DRIVEN:
        return None
    try:
        memory = DeviceMemory(require(location), storage.nbytes())
    except (AssertionError, RuntimeError) as error:
        kind = {"cuda": "a CUDA device"}.get(location.partition(":")[0], location)
        raise RuntimeError(
            f"load: Attempting to deserialize object on {kind}, but: {error}; or use "
            "torch.load(..., map_location='cpu')"
        ) from None
    memory.fill(storage.bytes)
    return RemoteStorage(memory)


register_package(10, lambda storage: "cpu" if storage.device.type == "cpu" else None, _on_cpu)
register_package(22, lambda storage: "meta" if storage.device is META else None, _on_meta)
register_package(
    24, lambda storage: str(storage.device) if storage.device.type in DRIVEN else None, _on_device
)


def on_meta(map_location):
    """Whether all storages go to the device ``meta``, so that their bytes need not be read."""
    if map_location is None:
        return default_device() is META
    return isinstance(map_location, (str, device)) and str(map_location).partition(":")[0] == "meta"


def placement(map_location):
    """Return the function of (storage, saved location) that places storages by ``map_location``."""
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):
        return lambda storage, location: default_restore_location(
            storage, str(map_location.get(location, location))
        )
    if callable(map_location):

        def chosen(storage, location):
            try:
                found = map_location(storage, location)
            except Exception as error:  # the user's function failed; the file is not damaged
                raise RuntimeError(
                    f"load: map_location, called for a storage tagged with {location}, raised "
                    f"{type(error).__name__}: {error}"
                ) from error
            return default_restore_location(storage, location) if found is None else found

        return chosen
    return lambda storage, location: default_restore_location(storage, str(map_location))
