"""Results with several named tensors, as ``max``, ``sort`` and others return them."""

from operator import itemgetter

__all__ = []


class NamedResult(tuple):
    """A tuple of tensors that can also be read by name."""

    __slots__ = ()
    fields: tuple = ()

    def __repr__(self):
        listed = ",\n".join(
            [f"{name}={value!r}" for name, value in zip(self.fields, self, strict=True)]
        )
        return f"torch.return_types.{type(self).__name__}(\n{listed})"

    def __reduce__(self):
        return _restored, (type(self).__name__, tuple(self))


def _restored(name, values):
    return globals()[name](values)


def result_type(name, *fields):
    """The class of results called ``name`` with the given fields."""
    members = {field: property(itemgetter(i)) for i, field in enumerate(fields)}
    n = len(fields)
    # Libraries that walk through nested results know such a tuple by these counts.
    counts = {"n_fields": n, "n_sequence_fields": n, "n_unnamed_fields": 0}
    found = type(name, (NamedResult,), {"__slots__": (), "fields": fields, **counts, **members})
    found.__module__ = "torch.return_types"
    globals()[name] = found
    __all__.append(name)
    if name != "histogramdd":  # PyTorch's results of a call with out= have a name of their own
        globals()[f"{name}_out"] = found
        __all__.append(f"{name}_out")
    return found
