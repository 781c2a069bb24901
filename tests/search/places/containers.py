"""Items: of lists, dicts, sets, and of memory that C code keeps."""

from tests.search.places.place import Place, of_item

PLACES = [
    of_item(
        "dict", "DICT = {'k': VALUE, 'other': 1}", "DICT",
        changes=("DICT.update(k=VALUE)", "del DICT['k']", "DICT = {'k': VALUE}", "DICT.clear()",
                 "DICT['more'] = 1", "DICT.update(k=DICT.pop('k', 1))"),
        declare="global DICT",
    ),  # fmt: skip
    of_item(
        "nested dict", "NESTED = {'a': {'b': {'k': VALUE}}}", "NESTED['a']['b']",
        changes=("NESTED['a'] = {'b': {'k': VALUE}}",),
    ),  # fmt: skip
    of_item(
        "OrderedDict", "ORDERED = collections.OrderedDict(k=VALUE, other=1)", "ORDERED",
        changes=("ORDERED.move_to_end('k')", "del ORDERED['k']"),
    ),  # fmt: skip
    of_item(
        "defaultdict", "DEFAULT = collections.defaultdict(lambda: 1.0, k=VALUE)", "DEFAULT",
        changes=("del DEFAULT['k']", "DEFAULT.default_factory = lambda: 4.0; DEFAULT.pop('k', None)"),
    ),  # fmt: skip
    of_item(
        "Counter", "COUNTER = collections.Counter(k=2)", "COUNTER",
        changes=("COUNTER.update(['k'])", "del COUNTER['k']"), kinds=("number",),
    ),  # fmt: skip
    of_item(
        "ChainMap", "FIRST, SECOND = {}, {'k': VALUE}\nCHAIN = collections.ChainMap(FIRST, SECOND)", "CHAIN",
        changes=("SECOND['k'] = VALUE", "FIRST['k'] = VALUE", "FIRST.clear()"),
    ),  # fmt: skip
    of_item(
        "UserDict", "USERS = collections.UserDict(k=VALUE)", "USERS", changes=("USERS.data['k'] = VALUE",)
    ),
    Place(
        "MappingProxyType",
        "PROXIED_DICT = {'k': VALUE}\nVIEW = types.MappingProxyType(PROXIED_DICT)",
        "VIEW['k']",
        ("PROXIED_DICT['k'] = VALUE",),
        item=("VIEW", "'k'"),
    ),
    of_item(
        "a mapping class's items",
        "class Mapping:\n    def __init__(self, value):\n        self.kept = value\n\n    def __getitem__(self, key):\n        return self.kept\n\n    def __setitem__(self, key, value):\n        self.kept = value\n\nMAPPING = Mapping(VALUE)",
        "MAPPING",
        changes=("MAPPING.kept = VALUE",),
        item=None,
    ),
    of_item("dict keyed by a tuple", "TUPLED = {(1, 'a'): VALUE}", "TUPLED", "(1, 'a')", item=None),
    of_item("dict keyed by an int", "NUMBERED = {0: VALUE, 1: 1}", "NUMBERED", "0"),
    of_item(
        "list", "LIST = [VALUE]", "LIST", "0", item=None, sequence="LIST",
        changes=("LIST[:] = [VALUE]", "LIST = [VALUE]", "LIST.append(VALUE)", "LIST.insert(0, VALUE)", "LIST.clear()",
                 "LIST.reverse()", "LIST.append(LIST[-1])"),
        declare="global LIST",
    ),  # fmt: skip
    Place(
        "tuple in a list", "TUPLES = [(VALUE, 1)]", "TUPLES[0][0]",
        ("TUPLES[0] = (VALUE, 1)",), sequence="TUPLES[0]",
    ),  # fmt: skip
    of_item(
        "list in a tuple", "INNER = ([VALUE], 1)", "INNER[0]", "0", item=None, sequence="INNER[0]",
        changes=("INNER[0][:] = [VALUE]", "INNER[0].append(VALUE)", "INNER[0].clear()"),
    ),  # fmt: skip
    of_item(
        "deque", "DEQUE = collections.deque([VALUE], maxlen=3)", "DEQUE", "0", item=None, sequence="DEQUE",
        changes=("DEQUE.appendleft(VALUE)", "DEQUE.append(VALUE)", "DEQUE.rotate(1)", "DEQUE.clear()"),
    ),  # fmt: skip
    of_item(
        "list's subclass", "class Lines(list):\n    pass\n\nLINES = Lines([VALUE])", "LINES", "0", item=None,
        sequence="LINES", changes=("LINES.append(VALUE)", "LINES.insert(0, VALUE)"),
    ),  # fmt: skip
    Place("length of a list", "LONG = [1, 2]", "len(LONG)", ("LONG.append(1)", "LONG.clear()"), kinds=("number",)),
    Place("length of a dict", "WIDE = {1: 2}", "len(WIDE)", ("WIDE[5] = 1", "WIDE.clear()"), kinds=("number",)),
    Place("length of a set", "BAG = {1}", "len(BAG)", ("BAG.add(2)", "BAG.clear()"), kinds=("number",)),
    Place("truth of a list", "FULL = [1]", "bool(FULL)", ("FULL.clear()", "FULL.append(2)"), kinds=("flag",)),
    Place("set membership", "SET = {'a', 3}", "'a' in SET", ("SET.discard('a')", "SET.add('a')"), kinds=("flag",)),
    Place(
        "frozenset membership", "FIXED = frozenset({'a'})", "'a' in FIXED",
        ("FIXED = frozenset()", "FIXED = frozenset({'b', 'a'})"), kinds=("flag",), declare="global FIXED",
    ),  # fmt: skip
    Place("dict membership", "KEYS = {'a': 1}", "'a' in KEYS", ("KEYS.clear()", "KEYS['a'] = 2"), kinds=("flag",)),
    Place("list membership", "ROW = [1, 'a']", "'a' in ROW", ("ROW.clear()", "ROW.append('a')"), kinds=("flag",)),
    Place(
        "order of a dict", "ORDER = {'a': 1.0, 'b': 2.0}", "[*ORDER.values()][0]",
        ("ORDER['a'] = ORDER.pop('a')", "ORDER['b'] = ORDER.pop('b')", "ORDER['a'] = VALUE"), kinds=("number",),
    ),  # fmt: skip
    of_item(
        "array.array", "ARRAY = array.array('d', [VALUE])", "ARRAY", "0", item=None, sequence="ARRAY",
        changes=("ARRAY.append(VALUE)", "ARRAY.insert(0, VALUE)"), kinds=("number",),
    ),  # fmt: skip
    of_item(
        "bytearray", "BYTES = bytearray([2, 3])", "BYTES", "0", item=None, sequence="BYTES",
        changes=("BYTES[0] = 5", "BYTES.append(1)", "BYTES.reverse()"), kinds=("number",),
    ),  # fmt: skip
    Place(
        "memoryview", "UNDER = bytearray([2, 3])\nMEMORY = memoryview(UNDER)", "MEMORY[0]",
        ("UNDER[0] = 5", "MEMORY[0] = 7"), kinds=("number",), target="MEMORY[0]", sequence="MEMORY",
    ),  # fmt: skip
    of_item(
        "ctypes array", "CARRAY = (ctypes.c_double * 2)(VALUE, 1.0)", "CARRAY", "0", item=None, sequence="CARRAY",
        kinds=("number",),
    ),  # fmt: skip
    Place(
        "BytesIO", "BUFFER = io.BytesIO(b'ab')", "BUFFER.getvalue()[0]", ("BUFFER.getbuffer()[0] = 99",),
        kinds=("number",),
    ),  # fmt: skip
    Place("StringIO", "TEXT = io.StringIO('2.0')", "float(TEXT.getvalue())", ("TEXT.write('3')",), kinds=("number",)),
    of_item(
        "small NumPy array", "SMALL = np.array([2.0, 3.0])", "SMALL", "0", item=None, sequence="SMALL",
        changes=("SMALL[:] = 5.0", "SMALL += 1", "SMALL = np.array([VALUE, 1.0])"),
        kinds=("number",), declare="global SMALL",
    ),  # fmt: skip
    of_item(
        "large NumPy array", "LARGE = np.full(20000, 2.0)", "LARGE", "0", item=None,
        changes=("LARGE[:] = 5.0", "LARGE += 1", "LARGE = np.full(20000, VALUE)"),
        kinds=("number",), declare="global LARGE",
    ),  # fmt: skip
    Place(
        "NumPy array's tensor", "SHARED = np.full((3,), 2.0, dtype=np.float32)", "torch.from_numpy(SHARED)",
        ("SHARED[:] = 5.0", "SHARED[0] = 7.0"), kinds=("tensor",),
    ),  # fmt: skip
    Place(
        "large NumPy array's tensor", "SHARED_LARGE = np.full((30000, 3), 2.0, dtype=np.float32)",
        "torch.as_tensor(SHARED_LARGE)[:1]", ("SHARED_LARGE[:] = 5.0", "SHARED_LARGE[0] = 7.0"), kinds=("tensor",),
    ),  # fmt: skip
    Place(
        "an element of a tensor", "TENSOR = torch.tensor([2.0, 3.0])", "TENSOR[0]",
        ("TENSOR[0] = 5.0", "TENSOR.mul_(2)", "TENSOR = torch.tensor([7.0])", "TENSOR.data = torch.tensor([4.0, 1.0])"),
        kinds=("tensor",), declare="global TENSOR",
    ),  # fmt: skip
    Place(
        "a tensor's shape", "SHAPED = torch.ones(2)", "SHAPED.shape[0]",
        ("SHAPED = torch.ones(3)", "SHAPED.data = torch.ones(4)", "SHAPED.resize_(5)"), kinds=("number",), declare="global SHAPED",
    ),  # fmt: skip
    Place(
        "a tensor's flags", "FLAGGED = torch.ones(3)", "FLAGGED.requires_grad",
        ("FLAGGED.requires_grad_()", "FLAGGED.requires_grad_(False)"), kinds=("flag",),
    ),  # fmt: skip
    Place(
        "a tensor's grad", "GRADED = torch.ones(3, requires_grad=True)", "GRADED.grad is None",
        ("GRADED.grad = torch.ones(3)", "GRADED.grad = None"), kinds=("flag",),
    ),  # fmt: skip
    Place(
        "a tensor's dtype", "TYPED = torch.ones(3)", "TYPED.dtype == torch.float32",
        ("TYPED = TYPED.double()", "TYPED.data = TYPED.double()"), kinds=("flag",), declare="global TYPED",
    ),  # fmt: skip
]
