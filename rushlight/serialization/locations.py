"""Where storages are: the tag that ``save`` writes, and what ``load`` makes of it."""

__all__ = ["default_restore_location", "location_tag", "placement", "register_package"]

_packages: list = []  # (priority, tagger, deserializer), lowest priority first


def register_package(priority, tagger, deserializer):
    """Add a kind of device: a storage's tag, and from (storage, tag) to the storage placed there.

    Each returns None for what is not its own. Packages of lower ``priority`` are asked first.

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
    """The tag under which ``save`` writes where ``storage`` is.

    Raises:
        RuntimeError: no package knows it.

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
    """``storage`` at the place that ``location`` tags.

    Raises:
        RuntimeError: no package knows the tag, or its device is not here.
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


def _on_cuda(storage, location):
    if location.partition(":")[0] != "cuda":
        return None
    raise RuntimeError(
        "load: Attempting to deserialize object on a CUDA device, and rushlight runs on the "
        "CPU: use torch.load(..., map_location='cpu')"
    )


register_package(10, lambda storage: "cpu" if storage.device.type == "cpu" else None, _on_cpu)
register_package(20, lambda storage: None, _on_cuda)


def placement(map_location):
    """A function of (storage, location) that gives the storage where it shall be."""
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
            except Exception as error:  # not the file's fault
                raise RuntimeError(
                    f"load: map_location, called for a storage tagged with {location}, raised "
                    f"{type(error).__name__}: {error}"
                ) from error
            return default_restore_location(storage, location) if found is None else found

        return chosen
    return lambda storage, location: default_restore_location(storage, str(map_location))
