"""What the stand-ins of a trace share. A stand-in's class pretends to be another class."""

__all__ = ["methods"]

#: Special methods that a stand-in keeps from ``object``.
_OF_OBJECTS = {
    "__new__", "__init__", "__class__", "__getattribute__", "__setattr__", "__delattr__", "__dir__",
    "__doc__", "__init_subclass__", "__subclasshook__", "__sizeof__",
}  # fmt: skip


def methods(stand_in, *kinds):
    """Names of the special methods of the classes ``kinds`` that ``stand_in`` does not define."""
    names = {name for kind in kinds for name in dir(kind) if name.startswith("__")}
    return names - _OF_OBJECTS - stand_in.__dict__.keys()
