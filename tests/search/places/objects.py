"""Attributes: of objects, classes, metaclasses, and what computes them."""

from tests.search.places.place import Place, of_attribute

PLACES = [
    of_attribute(
        "attribute",
        "class Plain:\n    def __init__(self):\n        self.k = VALUE\n\nPLAIN = Plain()",
        "PLAIN",
        changes=("del PLAIN.k", "vars(PLAIN)['k'] = VALUE", "PLAIN.__dict__ = {'k': VALUE}",
                 "PLAIN.__dict__.update(k=VALUE)", "PLAIN.other = 1"),
    ),  # fmt: skip
    of_attribute(
        "attribute of a replaced object",
        "class Renewed:\n    def __init__(self, k):\n        self.k = k\n\nRENEWED = Renewed(VALUE)",
        "RENEWED",
        changes=("RENEWED = Renewed(VALUE)",),
        declare="global RENEWED",
    ),
    of_attribute(
        "attribute two objects down",
        "OUTER = types.SimpleNamespace(inner=types.SimpleNamespace(k=VALUE))",
        "OUTER.inner",
        changes=("OUTER.inner = types.SimpleNamespace(k=VALUE)",),
    ),
    of_attribute(
        "slot",
        "class Slotted:\n    __slots__ = ('k', 'other')\n\nSLOTTED = Slotted()\nSLOTTED.k = VALUE",
        "SLOTTED",
        changes=("del SLOTTED.k",),
    ),
    of_attribute(
        "dataclass field",
        "@dataclasses.dataclass\nclass Config:\n    k: object = None\n    other: int = 1\n\nCONFIG = Config(VALUE)",
        "CONFIG",
        changes=("CONFIG = dataclasses.replace(CONFIG, k=VALUE)",),
        declare="global CONFIG",
    ),
    Place(
        "frozen dataclass field",
        "@dataclasses.dataclass(frozen=True)\nclass Frozen:\n    k: object = None\n\nFROZEN = Frozen(VALUE)",
        "FROZEN.k",
        ("FROZEN = Frozen(VALUE)", "object.__setattr__(FROZEN, 'k', VALUE)"),
        declare="global FROZEN",
        attribute=("FROZEN", "k"),
    ),
    Place(
        "namedtuple field",
        "Pair = collections.namedtuple('Pair', 'k other')\nPAIR = Pair(VALUE, 1)",
        "PAIR.k",
        ("PAIR = PAIR._replace(k=VALUE)",),
        declare="global PAIR",
        attribute=("PAIR", "k"),
        sequence="PAIR",
    ),
    of_attribute(
        "attribute of an object in a namedtuple",
        "Held = collections.namedtuple('Held', 'box')\nHELD = Held(types.SimpleNamespace(k=VALUE))",
        "HELD.box",
    ),
    of_attribute(
        "class attribute",
        "class Classed:\n    k = VALUE\n\nCLASSED = Classed()",
        "CLASSED",
        changes=("Classed.k = VALUE", "type(CLASSED).k = VALUE", "Classed.k = property(lambda self: VALUE)"),
    ),
    of_attribute(
        "attribute of a class itself",
        "class Itself:\n    k = VALUE",
        "Itself",
        changes=("del Itself.k",),
    ),
    Place(
        "inherited attribute",
        "class Elder:\n    k = VALUE\n\nclass Middle(Elder):\n    pass\n\nclass Younger(Middle):\n    pass\n\nYOUNGER = Younger()",
        "YOUNGER.k",
        ("Elder.k = VALUE", "Middle.k = VALUE", "Younger.k = VALUE", "YOUNGER.k = VALUE",
         "Younger.__bases__ = (type('Aunt', (), {'k': VALUE}),)",
         "YOUNGER.__class__ = type('Other', (Younger,), {'k': VALUE})"),
        attribute=("YOUNGER", "k"),
    ),  # fmt: skip
    of_attribute(
        "metaclass attribute",
        "class Meta(type):\n    k = VALUE\n\nclass OfMeta(metaclass=Meta):\n    pass",
        "OfMeta",
        changes=("Meta.k = VALUE",),
    ),
    Place(
        "metaclass property",
        "class MetaProperty(type):\n    hidden = VALUE\n\n    @property\n    def k(cls):\n        return cls.hidden\n\nclass OfMetaProperty(metaclass=MetaProperty):\n    pass",
        "OfMetaProperty.k",
        ("MetaProperty.hidden = VALUE", "OfMetaProperty.hidden = VALUE"),
        attribute=("OfMetaProperty", "k"),
    ),
    Place(
        "property",
        "class Propertied:\n    def __init__(self):\n        self._hidden = VALUE\n\n    @property\n    def k(self):\n        return self._hidden\n\n    @k.setter\n    def k(self, value):\n        self._hidden = value\n\nPROPERTIED = Propertied()",
        "PROPERTIED.k",
        ("PROPERTIED._hidden = VALUE", "PROPERTIED.k = VALUE", "Propertied.k = property(lambda self: VALUE)"),
        attribute=("PROPERTIED", "k"),
        target="PROPERTIED.k",
    ),
    Place(
        "cached property",
        "class Cached:\n    source = VALUE\n\n    @functools.cached_property\n    def k(self):\n        return self.source\n\nCACHED = Cached()",
        "CACHED.k",
        ("CACHED.__dict__.pop('k', None); CACHED.source = VALUE", "CACHED.k = VALUE", "CACHED.__dict__.pop('k', None)"),
        attribute=("CACHED", "k"),
        look="vars(CACHED)",
    ),
    Place(
        "descriptor",
        "class Descriptor:\n    def __set_name__(self, owner, name):\n        self.name = '_' + name\n\n    def __get__(self, obj, owner=None):\n        return getattr(obj, self.name)\n\n    def __set__(self, obj, value):\n        setattr(obj, self.name, value)\n\nclass Described:\n    k = Descriptor()\n\nDESCRIBED = Described()\nDESCRIBED.k = VALUE",
        "DESCRIBED.k",
        ("DESCRIBED.k = VALUE", "DESCRIBED._k = VALUE"),
        attribute=("DESCRIBED", "k"),
        target="DESCRIBED.k",
    ),
    Place(
        "descriptor's own attribute",
        "class Constant:\n    def __init__(self, value):\n        self.value = value\n\n    def __get__(self, obj, owner=None):\n        return self.value\n\nCONSTANT = Constant(VALUE)\n\nclass Constantly:\n    k = CONSTANT\n\nCONSTANTLY = Constantly()",
        "CONSTANTLY.k",
        ("CONSTANT.value = VALUE", "Constantly.k = Constant(VALUE)"),
        attribute=("CONSTANTLY", "k"),
    ),
    Place(
        "__getattr__",
        "class Forwarding:\n    def __init__(self):\n        self.data = {'k': VALUE}\n\n    def __getattr__(self, name):\n        try:\n            return self.__dict__['data'][name]\n        except KeyError:\n            raise AttributeError(name) from None\n\nFORWARDING = Forwarding()",
        "FORWARDING.k",
        ("FORWARDING.data['k'] = VALUE", "FORWARDING.k = VALUE", "FORWARDING.data = {'k': VALUE}", "FORWARDING.data.clear()"),
        attribute=("FORWARDING", "k"),
    ),
    Place(
        "__getattribute__",
        "class Intercepting:\n    def __getattribute__(self, name):\n        return INTERCEPTED[0] if name == 'k' else object.__getattribute__(self, name)\n\nINTERCEPTED = [VALUE]\nINTERCEPTING = Intercepting()",
        "INTERCEPTING.k",
        ("INTERCEPTED[0] = VALUE", "INTERCEPTED[:] = [VALUE]"),
        attribute=("INTERCEPTING", "k"),
    ),
    Place(
        "module __getattr__",
        "lazy = types.ModuleType('lazy')\nlazy.table = {'k': VALUE}\nlazy.__getattr__ = lambda name: lazy.table[name]",
        "lazy.k",
        ("lazy.table['k'] = VALUE", "lazy.k = VALUE"),
        attribute=("lazy", "k"),
    ),
    of_attribute(
        "SimpleNamespace", "SPACE = types.SimpleNamespace(k=VALUE)", "SPACE",
        changes=("vars(SPACE)['k'] = VALUE", "vars(SPACE).update(k=VALUE)"),
    ),  # fmt: skip
    of_attribute(
        "argparse Namespace", "ARGS = argparse.Namespace(k=VALUE)", "ARGS",
        changes=("vars(ARGS)['k'] = VALUE",),
    ),  # fmt: skip
    of_attribute("attribute of a function", "def owner(x):\n    return x\n\nowner.k = VALUE", "owner"),
    Place(
        "enum member's attribute",
        "class Colour(enum.Enum):\n    RED = 1\n\nColour.RED.k = VALUE",
        "Colour.RED.k",
        ("Colour.RED.k = VALUE",),
        attribute=("Colour.RED", "k"),
        target="Colour.RED.k",
    ),
    Place(
        "enum member",
        "class Kind(enum.Enum):\n    A = 1\n    B = 2.0\n    C = True\n\nKIND = Kind.A",
        "KIND.value",
        ("KIND = Kind.B", "KIND = Kind.C"),
        kinds=("number",),
        declare="global KIND",
        attribute=("KIND", "value"),
    ),
    Place(
        "enum member's value",
        "class Level(enum.Enum):\n    LOW = 1.0\n",
        "Level.LOW.value",
        ("Level.LOW._value_ = VALUE",),
        attribute=("Level.LOW", "value"),
    ),
    of_attribute(
        "thread-local",
        "LOCAL = threading.local()\nLOCAL.k = VALUE",
        "LOCAL",
        changes=("vars(LOCAL)['k'] = VALUE",),
    ),
    Place(
        "weakref target",
        "TARGET = argparse.Namespace(k=VALUE)\nWEAK = weakref.ref(TARGET)",
        "WEAK().k",
        ("TARGET.k = VALUE",),
        attribute=("WEAK()", "k"),
        target="WEAK().k",
    ),
    of_attribute(
        "weakref proxy",
        "PROXIED = argparse.Namespace(k=VALUE)\nPROXY = weakref.proxy(PROXIED)",
        "PROXY",
        changes=("PROXIED.k = VALUE",),
    ),
    Place(
        "ctypes field",
        "class Struct(ctypes.Structure):\n    _fields_ = [('k', ctypes.c_double)]\n\nSTRUCT = Struct(VALUE)",
        "STRUCT.k",
        ("STRUCT.k = VALUE", "ctypes.memset(ctypes.byref(STRUCT), 0, 8)"),
        kinds=("number",),
        attribute=("STRUCT", "k"),
        target="STRUCT.k",
    ),
    Place(
        "ctypes variable",
        "CDOUBLE = ctypes.c_double(VALUE)",
        "CDOUBLE.value",
        ("CDOUBLE.value = VALUE",),
        kinds=("number",),
        attribute=("CDOUBLE", "value"),
        target="CDOUBLE.value",
    ),
    of_attribute(
        "attribute of a tensor", "MARKED = torch.ones(3)\nMARKED.k = VALUE", "MARKED",
        changes=("del MARKED.k",),
    ),  # fmt: skip
    of_attribute(
        "attribute of a Parameter", "WEIGHT = nn.Parameter(torch.ones(3))\nWEIGHT.k = VALUE", "WEIGHT"
    ),
    of_attribute(
        "attribute of an exception", "PROBLEM = ValueError('no')\nPROBLEM.k = VALUE", "PROBLEM"
    ),
    of_attribute(
        "attribute of a dict's subclass",
        "class Table(dict):\n    pass\n\nTABLE = Table(k=VALUE)\nTABLE.k = VALUE",
        "TABLE",
    ),
    of_attribute(
        "attributes that are entries",
        "class Easy(dict):\n    __getattr__ = dict.__getitem__\n    __setattr__ = dict.__setitem__\n\nEASY = Easy(k=VALUE)",
        "EASY",
        changes=("EASY['k'] = VALUE", "EASY.clear()"),
    ),
]
