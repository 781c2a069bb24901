"""Random sizes and tensors for measurements, the same for the same seed."""

import math

import numpy as np

import rushlight

__all__ = ["FuzzedParameter", "FuzzedTensor", "Fuzzer", "ParameterAlias"]


class FuzzedParameter:
    """A number that is drawn for each measurement, such as a size.

    Args:
        name: Its name, by which tensors refer to it.
        minval, maxval: The least and the greatest value. With a dict they must be left out.
        distribution: ``"uniform"``, ``"loguniform"`` or a dict from values to their probabilities.
            Uniform numbers are ints if both bounds are.
        strict: Keep the value when others are drawn again because of a constraint.

    Raises:
        AssertionError: The distribution is unknown, or its probabilities do not sum to 1.

    >>> import numpy as np
    >>> from rushlight.utils.benchmark import FuzzedParameter
    >>> 1 <= FuzzedParameter("n", 1, 9, "uniform").sample(np.random.RandomState(0)) <= 9
    True
    """

    def __init__(self, name, minval=None, maxval=None, distribution=None, strict=False):
        if isinstance(distribution, dict):
            if any(p < 0 for p in distribution.values()):
                raise AssertionError("Probabilities cannot be negative")
            if abs(sum(distribution.values()) - 1) > 1e-5:
                raise AssertionError("Distribution is not normalized")
            if minval is not None or maxval is not None:
                raise AssertionError(
                    "When passing a custom distribution, 'minval' and 'maxval' must be None"
                )
        elif distribution not in ("loguniform", "uniform"):
            raise AssertionError(f"Unknown distribution: {distribution}")
        self._name = name
        self._minval = minval
        self._maxval = maxval
        self._distribution = distribution
        self.strict = strict

    @property
    def name(self):
        return self._name

    def sample(self, state):
        """Draw a value from NumPy's generator ``state``."""
        low, high = self._minval, self._maxval
        if isinstance(self._distribution, dict):
            chances = tuple(self._distribution.values())
            return [*self._distribution][state.choice(np.arange(len(chances)), p=chances)]
        if self._distribution == "loguniform":
            drawn = int(2 ** state.uniform(low=np.log2(low), high=np.log2(high)))
            return min(max(drawn, low), high)
        if isinstance(low, int) and isinstance(high, int):
            return int(state.randint(low=low, high=high + 1))
        return state.uniform(low=low, high=high)


class ParameterAlias:
    """A value of a parameter's distribution that stands for the value of another parameter.

    Args:
        alias_to: The name of the other parameter.

    >>> from rushlight.utils.benchmark import ParameterAlias
    >>> ParameterAlias("n")
    ParameterAlias[alias_to: n]
    """

    def __init__(self, alias_to):
        self.alias_to = alias_to

    def __repr__(self):
        return f"ParameterAlias[alias_to: {self.alias_to}]"


class FuzzedTensor:
    """A tensor that is made for each measurement.

    Args:
        name: Its name.
        size: Its shape, of ints and names of parameters.
        steps: For each dim, the step with which a larger tensor is sliced. Default: no steps.
        probability_contiguous: How often the dims lie in memory in their order. Default: 0.5.
        min_elements, max_elements: Bounds of the number of elements. Default: none.
        max_allocation_bytes: The most bytes of the larger tensor. Default: no bound.
        dim_parameter: The name of the parameter that tells the number of dims. Default: all.
        roll_parameter: Accepted without effect.
        dtype: Its dtype. Default: float32.
        cuda: Whether it is made on a GPU. Default: False.
        tensor_constructor: A function of ``size``, ``dtype`` and all parameters that makes it.
            Default: uniform random numbers.

    >>> from rushlight.utils.benchmark import FuzzedTensor
    >>> FuzzedTensor("x", size=("n", 4), max_elements=40).satisfies_constraints({"n": 11})
    False
    """

    def __init__(
        self, name, size, steps=None, probability_contiguous=0.5, min_elements=None,
        max_elements=None, max_allocation_bytes=None, dim_parameter=None, roll_parameter=None,
        dtype=rushlight.float32, cuda=False, tensor_constructor=None,
    ):  # fmt: skip
        self._name = name
        self._size = size
        self._steps = steps
        self._probability_contiguous = probability_contiguous
        self._min_elements = min_elements
        self._max_elements = max_elements
        self._max_allocation_bytes = max_allocation_bytes
        self._dim_parameter = dim_parameter
        self._dtype = dtype
        self._cuda = cuda
        self._tensor_constructor = tensor_constructor

    @property
    def name(self):
        return self._name

    @staticmethod
    def default_tensor_constructor(size, dtype, **kwargs):
        """Make a tensor of uniform random numbers; of integers, from 1 to 126."""
        if dtype.is_floating_point or dtype.is_complex:
            return rushlight.rand(size, dtype=dtype)
        return rushlight.randint(1, 127, size, dtype=dtype)

    def _make_tensor(self, params, state):
        size, steps, allocated = self._get_size_and_steps(params)
        make = self._tensor_constructor or self.default_tensor_constructor
        raw = make(size=allocated, dtype=self._dtype, **params)
        raw = raw.cuda() if self._cuda else raw
        order = plain = np.arange(len(size))
        if state.rand() > self._probability_contiguous:
            while len(size) > 1 and np.all(order == plain):
                order = state.permutation(raw.dim())
            inverse = tuple(np.argsort(order).tolist())
            raw = raw.permute(tuple(order.tolist())).contiguous().permute(inverse)
        tensor = raw[tuple([slice(0, n * k, k) for n, k in zip(size, steps, strict=True)])]
        return tensor, {
            "numel": int(tensor.numel()), "order": order, "steps": steps,
            "is_contiguous": tensor.is_contiguous(), "dtype": str(self._dtype),
        }  # fmt: skip

    def _get_size_and_steps(self, params):
        dim = len(self._size) if self._dim_parameter is None else params[self._dim_parameter]

        def resolved(values):
            known = tuple([params.get(v, v) for v in values])[:dim]
            return known + (1,) * (dim - len(known))

        size, steps = resolved(self._size), resolved(self._steps or ())
        return size, steps, tuple([n * k for n, k in zip(size, steps, strict=True)])

    def satisfies_constraints(self, params):
        """Tell whether the tensor for these parameters keeps to its bounds.

        Args:
            params: Dict from the names of parameters to their values.

        Returns:
            True or False.
        """
        size, _, allocated = self._get_size_and_steps(params)
        elements = math.prod([int(n) for n in size])
        nbytes = math.prod([int(n) for n in allocated]) * self._dtype.itemsize
        least, most, room = self._min_elements, self._max_elements, self._max_allocation_bytes
        fits = least is None or least <= elements
        return fits and (most is None or elements <= most) and (room is None or nbytes <= room)


class Fuzzer:
    """Draw parameters, and make tensors by them.

    Args:
        parameters: List of ``FuzzedParameter`` and lists of them.
        tensors: List of ``FuzzedTensor`` and lists of them.
        constraints: Functions of the dict of parameters; all must be true. Default: none.
        seed: Seed of all random numbers. Default: another one each time.

    Raises:
        ValueError: A parameter and a tensor have one name. While drawing: nothing fits.

    >>> from rushlight.utils.benchmark import FuzzedParameter, FuzzedTensor, Fuzzer
    >>> n, x = FuzzedParameter("n", 2, 2, "uniform"), FuzzedTensor("x", ("n", 3))
    >>> fuzzer = Fuzzer([n], [x], seed=0)
    >>> [tensors["x"].shape for tensors, properties, parameters in fuzzer.take(1)]
    [torch.Size([2, 3])]
    """

    def __init__(self, parameters, tensors, constraints=None, seed=None):
        if seed is None:
            seed = int(np.random.RandomState().randint(0, 2**32 - 1, dtype=np.int64))
        self._seed = seed
        self._parameters = _flat(parameters, FuzzedParameter)
        self._tensors = _flat(tensors, FuzzedTensor)
        self._constraints = constraints or ()
        twice = {p.name for p in self._parameters} & {t.name for t in self._tensors}
        if twice:
            raise ValueError(f"Duplicate names in parameters and tensors: {twice}")
        self._rejections = self._total_generated = 0

    def take(self, n):
        """Yield ``n`` times the tensors by name, their properties, and the parameters.

        Args:
            n: How often.

        Yields:
            Tuple of three dicts.
        """
        state = np.random.RandomState(self._seed)
        rushlight.manual_seed(int(state.randint(low=0, high=2**63, dtype=np.int64)))
        for _ in range(n):
            params = self._generate(state)
            made = {t.name: t._make_tensor(params, state) for t in self._tensors}
            tensors = {name: tensor for name, (tensor, _) in made.items()}
            yield tensors, {name: properties for name, (_, properties) in made.items()}, params

    @property
    def rejection_rate(self):
        """The part of the drawn parameters that did not fit."""
        return self._rejections / self._total_generated if self._total_generated else 0.0

    def _generate(self, state):
        kept: dict = {}
        for _ in range(1000):
            drawn = {}
            for p in self._parameters:
                drawn[p.name] = kept[p.name] if p.name in kept else p.sample(state)
                if p.strict:
                    kept[p.name] = drawn[p.name]
            params = _resolved(drawn)
            self._total_generated += 1
            if all(f(params) for f in self._constraints) and all(
                t.satisfies_constraints(params) for t in self._tensors
            ):
                return params
            self._rejections += 1
        raise ValueError("Failed to generate a set of valid parameters.")


def _flat(values, kind):
    return tuple([v for group in values for v in ([group] if isinstance(group, kind) else group)])


def _resolved(params):
    """``params``, in which each alias has the value that it stands for."""
    found = {}
    for name, value in params.items():
        passed = {name}
        while isinstance(value, ParameterAlias):
            if value.alias_to in passed:
                raise ValueError(f"ParameterAlias cycle detected\n{params}")
            passed.add(value.alias_to)
            value = params[value.alias_to]
        found[name] = value
    return found
