"""torch.utils._pytree: containers, places of leaves, and trees that do not fit."""

import dataclasses
import time
from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

import rushlight as torch
from rushlight.utils import _pytree as pytree

Pair = namedtuple("Pair", "first second")


class Kind(dict):
    """A class of dicts that is not registered, such as a model's output."""


@pytest.mark.parametrize(
    "tree",
    [
        {"b": 1, "a": [2, (3,)]},
        OrderedDict(b=1, a=2),
        defaultdict(list, {"b": 1}),
        deque([1, 2], maxlen=3),
        Pair(1, [2]),
    ],
)
def test_every_container_is_built_again(tree):
    leaves, spec = pytree.tree_flatten(tree)
    again = pytree.tree_unflatten(leaves, spec)
    assert again == tree and type(again) is type(tree)
    assert pytree.tree_structure(again) == spec and hash(pytree.tree_structure(again)) == hash(spec)
    assert [leaf for _, leaf in pytree.tree_leaves_with_path(tree)] == leaves
    if isinstance(tree, deque):
        assert again.maxlen == 3
    if isinstance(tree, defaultdict):
        assert again.default_factory is list


def test_results_of_operations_are_containers():
    found = torch.max(torch.tensor([[1, 2]]), 1)
    doubled = pytree.tree_map(lambda x: x * 2, found)
    assert type(doubled) is type(found) and doubled.values.tolist() == [4]


def test_subclasses_of_containers_are_leaves():
    tree = Kind(a=1)
    assert pytree.tree_leaves(tree) == [tree] and pytree.tree_is_leaf(tree)


def test_places():
    tree = {"a": [1, Pair(2, 3)]}
    places = [pytree.keystr(path) for path, _ in pytree.tree_leaves_with_path(tree)]
    assert places == ["['a'][0]", "['a'][1].first", "['a'][1].second"]
    named = pytree.tree_map_with_path(lambda path, x, y: (path[-1], x + y), [1, 2], [10, 20])
    assert named == [(pytree.SequenceKey(0), 11), (pytree.SequenceKey(1), 22)]
    assert pytree.MappingKey("a").get(tree) is tree["a"]


def test_a_registered_class_has_places_if_it_says_so():
    class Box:
        def __init__(self, inside):
            self.inside = inside

    pytree.register_pytree_node(Box, lambda b: ([b.inside], None), lambda parts, _: Box(*parts))
    with pytest.raises(ValueError, match="flatten_with_keys_fn"):
        pytree.tree_leaves_with_path(Box(1))
    with pytest.raises(ValueError, match="already registered"):
        pytree._register_pytree_node(Box, None, None)
    del pytree.SUPPORTED_NODES[Box]


def test_other_trees_go_along_by_structure():
    pairs = pytree.tree_map(lambda x, y: (x, y), {"a": 1, "b": 2}, {"b": 3, "a": [4]})
    assert pairs == {"a": (1, [4]), "b": (2, 3)}
    for other in [[1, 2, 3], (1, 2), {"a": 1}]:
        with pytest.raises(ValueError, match="mismatch"):
            pytree.tree_map(lambda x, y: x, [1, 2], other)
    with pytest.raises(ValueError, match="keys mismatch"):
        pytree.tree_map(lambda x, y: x, {"a": 1}, {"b": 1})


def test_leaves_are_chosen_by_class_or_function():
    tree = [1, "a", 2.0]
    assert pytree.tree_map_only(int | float, lambda x: -x, tree) == [-1, "a", -2.0]
    assert pytree.tree_map_only(lambda x: x == "a", str.upper, tree) == [1, "A", 2.0]
    assert pytree.tree_all_only((int, float), lambda x: x > 0, tree)
    assert pytree.tree_any_only(str, str.islower, tree)
    with pytest.raises(TypeError, match="type"):
        pytree.tree_map_only(3, str, tree)


# Structures as text -----------------------------------------------------------------------


def test_a_structure_is_written_and_read():
    tree = OrderedDict(b=[1, (2,)], a=defaultdict(list, {"k": deque([3], maxlen=2)}))
    spec = pytree.tree_structure([tree, {"x": 1, 2: 3}, torch.Size([4])])
    assert pytree.treespec_loads(pytree.treespec_dumps(spec)) == spec
    assert pytree.treespec_dumps(pytree.tree_structure({"a": (1,)})) == (
        '[1, {"type": "builtins.dict", "context": "[\\"a\\"]", "children_spec": [{"type": '
        '"builtins.tuple", "context": "null", "children_spec": [{"type": null, "context": null, '
        '"children_spec": []}]}]}]'
    )


def test_classes_in_a_text_need_a_name():
    Point = namedtuple("Point", "x y")
    spec = pytree.tree_structure(Point(1, 2))
    with pytest.raises(NotImplementedError, match="_register_namedtuple"):
        pytree.treespec_dumps(spec)
    pytree._register_namedtuple(Point, serialized_type_name="tests.Point")
    assert pytree.treespec_loads(pytree.treespec_dumps(spec)) == spec

    class Named(list):
        pass

    parts = {"flatten_fn": lambda x: (list(x), 5), "unflatten_fn": lambda x, _: Named(x)}
    with pytest.raises(ValueError, match="must be None or registered"):
        pytree.register_pytree_node(Named, **parts, to_dumpable_context=str)
    pytree.register_pytree_node(
        Named, **parts, serialized_type_name="tests.Named", to_dumpable_context=lambda n: n + 1,
        from_dumpable_context=lambda n: n - 1,
    )  # fmt: skip
    text = pytree.treespec_dumps(pytree.tree_structure(Named([1])))
    assert '"context": 6' in text and pytree.treespec_loads(text).context == 5
    for wrong, error in (
        ("[9, {}]", "protocol 9"),
        (text.replace("Named", "Other"), "not registered"),
    ):
        with pytest.raises((ValueError, NotImplementedError), match=error):
            pytree.treespec_loads(wrong)


def test_sizes_are_containers():
    assert pytree.tree_map(lambda n: n + 1, torch.Size([1, 2])) == (2, 3)


@dataclasses.dataclass
class Point:
    x: object
    y: object = 2
    z: int = dataclasses.field(default=5, init=False)


@dataclasses.dataclass
class Partly:
    x: object
    y: int = 2


class Constant:
    def __eq__(self, other):
        return isinstance(other, Constant)

    def __hash__(self):
        return 1


def test_classes_become_containers():
    pytree.register_dataclass(Point)
    leaves, spec = pytree.tree_flatten(Point([1], None))
    assert leaves == [1] and pytree.tree_unflatten([7], spec) == Point([7], None)
    places = [str(path) for path, _ in pytree.tree_flatten_with_path(Point(1, 3))[0]]
    assert places == ["(GetAttrKey(name='x'),)", "(GetAttrKey(name='y'),)"]
    for names, text in ((["x"], "Missing fields"), (["x", "y", "q"], "Unexpected fields")):
        with pytest.raises(ValueError, match=text):
            pytree.register_dataclass(Partly, field_names=names)
    with pytest.raises(ValueError, match="not a dataclass"):
        pytree.register_dataclass(Kind)
    pytree.register_dataclass(Partly, field_names=["x"], drop_field_names=["y"])
    assert pytree.tree_map(lambda v: v + 1, Partly(1, 9)) == Partly(2)
    pytree.register_constant(Constant)
    assert pytree.tree_leaves([Constant(), 1]) == [1] and pytree.is_constant_class(Constant)
    with pytest.raises(TypeError, match="non-default `__eq__`"):
        pytree.register_constant(type("Plain", (), {}))


def test_kinds_of_tuples_and_texts():
    found = torch.ones(2).max(0)
    values = (found, type(found), time.gmtime(), time.struct_time, Pair(1, 2), Pair, (1,), tuple, 5)
    asked = {
        "is_structseq": "TTTT.....", "is_structseq_class": ".T.T.....",
        "is_structseq_instance": "T.T......", "is_namedtuple_class": ".....T...",
        "is_namedtuple": "....TT...",
    }  # fmt: skip
    for name, right in asked.items():  # what PyTorch 2.13 says
        assert "".join([".T"[getattr(pytree, name)(v)] for v in values]) == right, name
    spec = pytree.tree_structure({"a": (1, [2, 3]), "b": Pair(1, None)})
    assert pytree.treespec_pprint(spec) == "{'a': (*, [*, *]), 'b': Pair(first=*, second=*)}"
    path = pytree.tree_flatten_with_path({"a": [1, 2]})[0][1][0]
    assert pytree.key_get({"a": [1, 2]}, path) == 2
    assert pytree.arg_tree_leaves(1, (2, 3), k=[4]) == [1, 2, 3, 4]
