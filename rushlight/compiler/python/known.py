"""Lists of functions written in C, whose reads and writes cannot be observed.

If recorded code calls a function in C that is neither listed here nor handled in ``calls.py``, the
recorded function runs eagerly. Functions are listed by the module or type that they belong to, as
``home_of`` gives it.
"""

import builtins
import functools
import operator
import threading
import types
import weakref
from collections import OrderedDict, defaultdict, deque

from rushlight.ours import PACKAGES

__all__ = [
    "MUTATORS", "OF_VALUES", "PURE_TYPES", "REPLAYED", "REPLAYED_OURS", "home_of", "is_pure",
]  # fmt: skip

#: Modules whose functions and classes in C have results that depend only on their arguments.
_PURE_MODULES = frozenset((
    "_abc", "_ast", "_bisect", "_blake2", "_collections", "_collections_abc", "_contextvars",
    "_csv", "_ctypes", "_datetime", "_decimal", "_functools", "_hashlib", "_json", "_md5",
    "_opcode", "_operator", "_sha1", "_sha2", "_sha256", "_sha3", "_sha512", "_sre",
    "_statistics", "_string", "_struct", "_typing", "abc", "array", "binascii", "cmath",
    "collections", "copy", "copyreg", "ctypes", "dataclasses", "datetime", "decimal", "enum",
    "fractions", "functools", "inspect", "itertools", "llvmlite", "math", "ml_dtypes", "numbers",
    "numpy", "operator", "re", *PACKAGES, "scipy", "string", "struct", "types", "typing",
    "unicodedata", "zlib",
))  # fmt: skip
#: The exceptions: functions of these modules that read or change something else.
_IMPURE = frozenset((
    "_datetime.now", "_datetime.today", "_datetime.utcnow", "_decimal.setcontext",
    "_decimal.localcontext", "_contextvars.set", "_contextvars.reset", "_contextvars.run",
    "datetime.now", "datetime.today", "datetime.utcnow", "numpy.fromfile", "numpy.load",
    "numpy.memmap", "numpy.save", "numpy.tofile", "numpy.dump", "numpy.seterr",
    "numpy._get_extobj_dict",
))  # fmt: skip
#: Builtin functions that do more than compute a result.
_IMPURE_BUILTINS = frozenset((
    "breakpoint", "delattr", "input", "open", "print", "setattr",
))  # fmt: skip
#: Single functions of other modules that are treated alike.
_PURE_FUNCTIONS = frozenset((
    "sys.intern", "sys.exc_info", "sys.exception", "sys._getframe", "sys.getsizeof",
    "sys._getframemodulename", "sys.audit", "_thread.allocate_lock", "_thread.acquire",
    "_thread.release", "_thread.acquire_lock", "_thread.release_lock", "_thread.__enter__",
    "_thread.__exit__", "_thread.RLock", "_thread._is_owned",
    "_weakref.proxy", "_weakref.getweakrefcount", "_imp.acquire_lock",
    "_imp.release_lock", "posix.fspath", "nt.fspath", "_warnings._filters_mutated",
    "_warnings._filters_mutated_lock_held", "_warnings._acquire_lock", "_warnings._release_lock",
))  # fmt: skip
#: Functions that read a state. Each later call calls them again and compares the result.
REPLAYED = frozenset((
    "_contextvars.get", "_decimal.getcontext", "decimal.getcontext", "sys.getrecursionlimit",
    "sys.getdefaultencoding", "posix.getcwd", "nt.getcwd", "posix.getpid", "nt.getpid",
    "gc.isenabled", "sys.gettrace", "sys.getswitchinterval", "_thread.get_ident",
))  # fmt: skip
#: Functions of this package that read a state and change nothing; they are called again, too.
REPLAYED_OURS = frozenset((
    "are_deterministic_algorithms_enabled", "get_float32_matmul_precision",
    "get_num_interop_threads", "get_num_threads", "initial_seed",
    "is_anomaly_check_nan_enabled", "is_anomaly_enabled",
    "is_deterministic_algorithms_warn_only_enabled",
))  # fmt: skip
#: Functions of this package that depend on a tensor's elements; the recorder handles them.
OF_VALUES = frozenset((
    "__bool__", "__contains__", "__float__", "__index__", "__int__", "allclose", "equal", "item",
    "tolist",
))  # fmt: skip
#: Types of callable objects that read a state; they are called again, too.
REPLAYED_TYPES = (weakref.ref, operator.attrgetter, operator.itemgetter)
#: Types whose methods and construction depend only on their arguments.
PURE_TYPES = (
    *[v for v in vars(builtins).values() if isinstance(v, type)], deque, defaultdict, OrderedDict,
    types.SimpleNamespace, types.MappingProxyType, types.MethodType, types.FunctionType,
    types.CellType, types.GeneratorType, types.CodeType, types.GenericAlias, functools.partial,
    weakref.ref,
)  # fmt: skip
#: Methods of lists, dicts, sets and the like that change them.
MUTATORS = frozenset((
    "__delitem__", "__iadd__", "__iand__", "__imul__", "__init__", "__ior__", "__isub__",
    "__ixor__", "__setitem__", "_count_elements", "add", "append", "appendleft", "byteswap",
    "clear",
    "difference_update", "discard", "extend", "extendleft", "fill", "frombytes", "fromlist",
    "heapify", "heappop", "heappush", "heappushpop", "heapreplace", "insert", "insort_left",
    "insort_right", "intersection_update", "itemset", "move_to_end", "partition", "pop",
    "popitem", "popleft", "put", "remove", "resize", "reverse", "rotate", "setdefault", "setfield",
    "setflags", "sort", "symmetric_difference_update", "update",
))  # fmt: skip
#: The mutators whose effect does not depend on the present contents.
ADDING = frozenset((
    "add", "append", "appendleft", "clear", "extend", "extendleft", "fill", "frombytes",
    "fromlist", "insert",
))  # fmt: skip
_BUILTINS = frozenset(("builtins", None))


def home_of(function):
    """(The module or type that a function in C belongs to, the function's name)."""
    owner = getattr(function, "__objclass__", None)
    if owner is None:
        owner = getattr(function, "__self__", None)
        if isinstance(owner, types.ModuleType):
            return owner.__name__, function.__name__
        if owner is not None:
            owner = _definer(owner if isinstance(owner, type) else type(owner), function)
    name = getattr(function, "__name__", type(function).__name__)
    if owner is not None:
        return owner, name
    return getattr(function, "__module__", None) or type(function).__module__, name


def _definer(cls, function):
    """The class among ``cls`` and its bases that a bound method in C comes from."""
    name = getattr(function, "__name__", None)
    return next((c for c in cls.__mro__ if name in c.__dict__), cls)


def is_pure(function):
    """Whether the result of a function or class in C depends only on its arguments."""
    if isinstance(function, type):
        return _pure_class(function)
    home, name = home_of(function)
    if isinstance(home, type):
        if home in PURE_TYPES or issubclass(home, BaseException):
            return True
        home = home.__module__
    root = (home or "").split(".")[0]
    if home in _BUILTINS:
        return name not in _IMPURE_BUILTINS
    if (home or "").startswith("numpy.random"):
        return False
    full = f"{root}.{name}"
    return full in _PURE_FUNCTIONS or (root in _PURE_MODULES and full not in _IMPURE)


def _pure_class(cls):
    """Whether all C classes among ``cls`` and its bases are known to be pure.

    Classes written in Python are observed when their code runs.
    """
    for c in cls.__mro__:
        if c in PURE_TYPES or issubclass(c, BaseException):
            continue
        if c.__flags__ & 1 << 9:  # made by a class statement
            continue
        if c.__module__.split(".")[0] not in _PURE_MODULES or "random" in c.__module__:
            return c is threading.local
    return True
