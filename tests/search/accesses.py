"""Ways by which code comes to a value: directly, by computed names, through C functions."""

from dataclasses import dataclass

__all__ = ["Access", "accesses_of", "WRAPPINGS"]


@dataclass(frozen=True)
class Access:
    """An expression that reads a place, and lines of the module that it needs."""

    name: str
    expression: str
    lines: str = ""


_ATTRIBUTE = {
    "getattr": "getattr(OWNER, NAME)",
    "getattr with a computed name": "getattr(OWNER, ''.join(map(chr, CODES)))",
    "getattr with a default": "getattr(OWNER, NAME, 1.0)",
    "vars": "vars(OWNER)[NAME]",
    "__dict__": "OWNER.__dict__.get(NAME, 1.0)",
    "hasattr": "(getattr(OWNER, NAME) if hasattr(OWNER, NAME) else 1.0)",
    "attrgetter": "operator.attrgetter(NAME)(OWNER)",
    "attrgetter made outside": "attribute_getter(OWNER)",
    "object.__getattribute__": "object.__getattribute__(OWNER, NAME)",
    "copy": "getattr(copy.copy(OWNER), NAME)",
    "loop over vars": "[value for name, value in vars(OWNER).items() if name == NAME][0]",
    "sum of vars": "sum(vars(OWNER).values())",
    "try": "tried_attribute()",
    "match": "matched_attribute()",
    "getattr_static": "inspect.getattr_static(OWNER, NAME)",
    "getmembers": "dict(inspect.getmembers(OWNER))[NAME]",
    "format": "float('{0.KEY}'.format(OWNER))",
    "map of getattr": "list(map(getattr, [OWNER], [NAME]))[0]",
    "asdict": "dataclasses.asdict(OWNER)[NAME]",
    "repr of vars": "float(len(repr({k: v for k, v in vars(OWNER).items() if k == NAME})))",
    "dir": "float(NAME in dir(OWNER))",
}
_ITEM = {
    "get": "OWNER.get(KEY, 1.0)",
    "operator.getitem": "operator.getitem(OWNER, KEY)",
    "itemgetter made outside": "item_getter(OWNER)",
    "in": "(OWNER[KEY] if KEY in OWNER else 1.0)",
    "try": "tried_item()",
    "match": "matched_item()",
    "values": "list(OWNER.values())[list(OWNER).index(KEY)]",
    "dict": "dict(OWNER)[KEY]",
    "double star": "{**OWNER}[KEY]",
    "keywords": "keyword(**OWNER)",
    "loop over items": "[value for name, value in OWNER.items() if name == KEY][0]",
    "setdefault": "OWNER.setdefault(KEY, 1.0)",
    "sum of values": "sum(OWNER.values())",
    "sorted items": "dict(sorted(OWNER.items()))[KEY]",
    "copy": "copy.copy(OWNER)[KEY]",
    "repr": "float(len(repr(OWNER)))",
    "any": "float(any(name == KEY for name in OWNER))",
    "json": "json.loads(json.dumps(dict(OWNER)))[KEY]",
    "length": "float(len(OWNER))",
}
_SEQUENCE = {
    "unpacking": "[*SEQUENCE][0]",
    "next of iter": "next(iter(SEQUENCE))",
    "sum": "sum(SEQUENCE)",
    "max": "max(SEQUENCE)",
    "min with key": "min(SEQUENCE, key=lambda a: -a)",
    "any": "float(any(SEQUENCE))",
    "all": "float(all(SEQUENCE))",
    "sorted": "sorted(SEQUENCE)[0]",
    "zip": "[a for a, b in zip(SEQUENCE, SEQUENCE)][0]",
    "enumerate": "dict(enumerate(SEQUENCE))[0]",
    "reversed": "[*reversed(SEQUENCE)][-1]",
    "slice": "SEQUENCE[:1][0]",
    "last": "SEQUENCE[-1]",
    "tuple": "tuple(SEQUENCE)[0]",
    "chain": "next(itertools.chain(SEQUENCE))",
    "map": "list(map(lambda a: a, SEQUENCE))[0]",
    "reduce": "functools.reduce(lambda a, b: a, SEQUENCE)",
    "itemgetter": "operator.itemgetter(0)(SEQUENCE)",
    "join": "float(len(''.join(map(str, SEQUENCE))))",
    "length": "float(len(SEQUENCE))",
    "count": "float(SEQUENCE.count(2.0))",
    "comparison": "float(list(SEQUENCE) == [2.0])",
    "membership": "float(2.0 in SEQUENCE)",
    "np.asarray": "float(np.asarray(SEQUENCE)[0])",
    "torch.tensor": "torch.tensor(SEQUENCE)[0]",
    "math.fsum": "math.fsum(SEQUENCE)",
    "star arguments": "(lambda *a: a[0])(*SEQUENCE)",
    "accumulate": "[*itertools.accumulate(SEQUENCE)][-1]",
    "statistics.mean": "statistics.mean(SEQUENCE)",
    "loop": "looped()",
    "match": "matched_sequence()",
}
#: Lines of the module that some of these need.
_LINES = {
    ("attribute", "attrgetter made outside"): "attribute_getter = operator.attrgetter(NAME)",
    ("attribute", "try"): """def tried_attribute():
    try:
        return OWNER.KEY
    except AttributeError:
        return 1.0""",
    ("attribute", "match"): """def matched_attribute():
    match OWNER:
        case object(KEY=value):
            return value
    return 1.0""",
    ("item", "itemgetter made outside"): "item_getter = operator.itemgetter(KEY)",
    ("item", "try"): """def tried_item():
    try:
        return OWNER[KEY]
    except KeyError:
        return 1.0""",
    ("item", "match"): """def matched_item():
    match OWNER:
        case {KEY: value}:
            return value
    return 1.0""",
    ("item", "keywords"): """def keyword(k=1.0, **rest):
    return k""",
    ("sequence", "loop"): """def looped():
    found = None
    for found in SEQUENCE:
        break
    return found""",
    ("sequence", "match"): """def matched_sequence():
    match SEQUENCE:
        case [first, *rest]:
            return first
    return 1.0""",
}
#: What an expression READ may be wrapped in, which changes no number.
WRAPPINGS = {
    "": "READ",
    "lambda": "(lambda: READ)()",
    "function": "identity(READ)",
    "list": "[READ][0]",
    "comprehension": "[a for a in [READ]][0]",
    "generator": "next(a for a in (READ,))",
    "copy": "copy.copy(READ)",
    "deepcopy": "copy.deepcopy(READ)",
    "map": "list(map(identity, [READ]))[0]",
    "dict": "dict(a=READ)['a']",
    "reduce": "functools.reduce(lambda a, b: b, [READ])",
    "partial": "functools.partial(identity, READ)()",
    "starmap": "next(itertools.starmap(identity, [(READ,)]))",
    "or": "(READ or 1.0)",
    "conditional": "(READ if READ is not None else 1.0)",
    "walrus": "(kept_here := READ)",
    "exec": "eval('READ')",
    "thread": "in_a_thread(lambda: READ)",
    "method": "Reading(lambda: READ).value",
    "chained": "operator.methodcaller('pop')([READ])",
    "no_grad": "under_no_grad(lambda: READ)",
    "finally": "finally_(lambda: READ)",
    "callback in C": "sorted([1, 0], key=lambda a: (READ, a)[1]) and READ",
    "decorated": "decorated(lambda: READ)",
    "json": "json.loads(json.dumps(READ))",
    "text": "READ.strip().lower()",
    "str": "float(str(READ))",
    "f-string": "float(f'{READ}')",
    "percent": "float('%s' % READ)",
    "math": "math.fabs(READ)",
    "max": "max(READ, 0.5)",
    "round": "round(READ, 3)",
    "operator.mul": "operator.mul(READ, 1)",
    "struct": "struct.unpack('d', struct.pack('d', READ))[0]",
    "np.float64": "float(np.float64(READ))",
    "np.array": "np.array([READ]).sum()",
    "Decimal": "float(decimal.Decimal(READ))",
    "Fraction": "float(fractions.Fraction(READ))",
    "int": "int(READ)",
    "pickle": "pickle.loads(pickle.dumps(READ))",
}
WRAPPING_LINES = """
def identity(a):
    return a


def in_a_thread(read):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(read).result()


class Reading:
    def __init__(self, read):
        self.read = read

    @property
    def value(self):
        return self.read()


def under_no_grad(read):
    with torch.no_grad():
        return read()


def finally_(read):
    try:
        found = read()
    finally:
        pass
    return found


def below(read):
    return [*map(lambda do: do(), [read])][0]


def decorate(function):
    @functools.wraps(function)
    def wrapped(*args):
        return function(*args)

    return wrapped


def decorated(read):
    return decorate(read)()
"""


def accesses_of(place):
    """The ways to read ``place``."""
    found = [Access("direct", place.read)]
    if place.attribute:
        owner, key = place.attribute
        found += _filled(
            "attribute",
            _ATTRIBUTE,
            OWNER=owner,
            NAME=repr(key),
            KEY=key,
            CODES=str([*map(ord, key)]),
        )
    if place.item:
        owner, key = place.item
        found += _filled("item", _ITEM, OWNER=owner, KEY=key)
    if place.sequence:
        found += _filled("sequence", _SEQUENCE, SEQUENCE=place.sequence)
    return found


def _filled(kind, table, **parts):
    for name, expression in table.items():
        lines = _LINES.get((kind, name), "")
        for token, part in parts.items():
            expression, lines = expression.replace(token, part), lines.replace(token, part)
        yield Access(f"{kind}: {name}", expression, lines)
