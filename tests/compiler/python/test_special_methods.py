"""Classes of objects, and special methods that come later, are seen as in eager mode."""

import contextlib

import pytest

import rushlight as torch


class First:
    def method(self):
        return 2.0

    @property
    def member(self):
        return 2.0

    def __call__(self):
        return 2.0


class Second(First):
    def method(self):
        return 3.0

    @property
    def member(self):
        return 3.0

    def __call__(self):
        return 3.0


def tried(f):
    with contextlib.suppress(TypeError):
        return f()
    return 7.0


#: What is read of an object.
READS = {
    "method": lambda o: o.method(),
    "member": lambda o: o.member,
    "call": lambda o: o(),
}
#: A special method, a read that asks for it, and what it is then.
LATER = {
    "__bool__": (lambda o: 2 if o else 3, lambda self: False),
    "__len__": (lambda o: 2 if o else 3, lambda self: 0),
    "__eq__": (lambda o: 2 if o == 1 else 3, lambda self, other: True),
    "__lt__": (lambda o: tried(lambda: o < 1), lambda self, other: 4.0),
    "__str__": (lambda o: len(str(o)), lambda self: "a"),
    "__repr__": (lambda o: len(repr(o)), lambda self: "a"),
    "__format__": (lambda o: len(f"{o}"), lambda self, spec: "a"),
    "__add__": (lambda o: tried(lambda: o + 1), lambda self, other: 4.0),
    "__rsub__": (lambda o: tried(lambda: 1 - o), lambda self, other: 4.0),
    "__neg__": (lambda o: tried(lambda: -o), lambda self: 4.0),
    "__iter__": (lambda o: tried(lambda: len([*o])), lambda self: iter([1, 2])),
    "__getitem__": (lambda o: tried(lambda: o[0]), lambda self, key: 4.0),
    "__contains__": (lambda o: tried(lambda: 1 in o), lambda self, key: True),
    "__index__": (lambda o: tried(lambda: [1, 2, 3][o]), lambda self: 1),
    "__float__": (lambda o: tried(lambda: float(o)), lambda self: 4.0),
    "__abs__": (lambda o: tried(lambda: abs(o)), lambda self: 4.0),
    "__hash__": (lambda o: 1 if hash(o) == 5 else 2, lambda self: 5),
    "__init__": (lambda o: len(vars(type(o)())), lambda self: setattr(self, "k", 1)),
    "__getattr__": (lambda o: getattr(o, "k", 1.0), lambda self, name: 4.0),
    "__setattr__": (
        lambda o: (setattr(o, "k", 3.0), o.__dict__.get("other", 1.0))[1],
        lambda self, name, value: self.__dict__.update({name: value, "other": 9.0}),
    ),
}


def check(read, owner, change):
    f, x = torch.compile(lambda x: x * read(owner), options={"audit": False}), torch.ones(2)
    for _ in range(3):
        assert torch.equal(f(x), x * read(owner))
    before = read(owner)
    change()
    assert read(owner) != before
    for _ in range(3):
        assert torch.equal(f(x), x * read(owner))


@pytest.mark.parametrize("name", READS)
def test_an_object_of_another_class(name):
    owner = type("Made", (First,), {})()
    check(READS[name], owner, lambda: setattr(owner, "__class__", Second))


@pytest.mark.parametrize("name", READS)
def test_a_class_with_other_bases(name):
    made = type("Made", (First,), {})
    check(READS[name], made(), lambda: setattr(made, "__bases__", (Second,)))


@pytest.mark.parametrize("name", LATER)
def test_a_special_method_that_comes_later(name):
    read, method = LATER[name]
    made = type("Made", (), {})
    check(read, made(), lambda: setattr(made, name, method))
