"""What the stand-ins of a trace have in common: classes whose objects pass for others'."""

__all__ = ["methods"]

#: What every object does in a way of its own.
_OF_OBJECTS = {
    "__new__", "__init__", "__class__", "__getattribute__", "__setattr__", "__delattr__", "__dir__",
    "__doc__", "__init_subclass__", "__subclasshook__", "__sizeof__",
}  # fmt: skip


def methods(stand_in, *kinds):
    """Names of the methods that Python itself calls of ``kinds`` and the class lacks."""
    names = {name for kind in kinds for name in dir(kind) if name.startswith("__")}
    return names - _OF_OBJECTS - stand_in.__dict__.keys()
