"""Univariate distributions: (class, its parameters, values for log_prob and cdf, bad parameters)."""

_UNIT = [0.1, 0.5, 0.8]
_COUNTS = [0.0, 1.0, 4.0]
_LINE = [-1.5, 0.3, 2.0]
_HALF = [0.2, 1.0, 7.0]
_BAD_SCALE = {"scale": -1.0}

CASES = [
    ("Bernoulli", {"probs": [0.2, 0.5, 1.0]}, [0.0, 1.0, 1.0], {"probs": 1.5}),
    ("Bernoulli", {"logits": _LINE}, [0.0, 1.0, 1.0], {"logits": float("nan")}),
    ("Beta", {"concentration1": [0.5, 2.0, 30.0], "concentration0": [0.4, 3.0, 5.0]}, _UNIT,
     {"concentration1": -1.0}),
    ("Beta", {"concentration1": 2.0, "concentration0": 1.5}, _UNIT, {"concentration0": 0.0}),
    ("Binomial", {"total_count": 6, "probs": [0.1, 0.5, 0.9]}, _COUNTS, {"total_count": -1}),
    ("Binomial", {"total_count": [3.0, 40.0, 500.0], "logits": [-1.5, 0.0, 2.0]}, [2.0, 20.0, 450.0],
     {"logits": float("nan")}),
    ("Cauchy", {"loc": _LINE, "scale": [0.5, 1.0, 2.0]}, _LINE[::-1], _BAD_SCALE),
    ("Chi2", {"df": [0.7, 2.0, 9.0]}, _HALF, {"df": -1.0}),
    ("ContinuousBernoulli", {"probs": [0.1, 0.5001, 0.9]}, _UNIT, {"probs": -0.1}),
    ("ContinuousBernoulli", {"logits": [-3.0, 0.0, 2.0]}, _UNIT, {"logits": float("nan")}),
    ("Exponential", {"rate": [0.3, 1.0, 5.0]}, _HALF, {"rate": 0.0}),
    ("FisherSnedecor", {"df1": [1.5, 3.0, 10.0], "df2": [3.0, 5.0, 9.0]}, _HALF, {"df2": 0.0}),
    ("Gamma", {"concentration": [0.3, 1.0, 20.0], "rate": [0.5, 1.0, 3.0]}, _HALF, {"rate": -2.0}),
    ("GeneralizedPareto", {"loc": [0.0, -1.0, 0.5], "scale": [0.5, 1.0, 2.0],
                           "concentration": [0.3, 0.0, -0.2]}, [0.4, 0.3, 2.0], _BAD_SCALE),
    ("GeneralizedPareto", {"loc": [0.0, 1.0], "scale": [1.0, 2.0], "concentration": [1.5, -0.5]},
     [0.5, 2.0], _BAD_SCALE),
    ("Geometric", {"probs": [0.2, 0.5, 1.0]}, [3.0, 1.0, 0.0], {"probs": 0.0}),
    ("Geometric", {"logits": _LINE}, _COUNTS, {"logits": float("nan")}),
    ("Gumbel", {"loc": _LINE, "scale": [0.5, 1.0, 2.0]}, _LINE, _BAD_SCALE),
    ("HalfCauchy", {"scale": [0.5, 1.0, 2.0]}, _HALF, _BAD_SCALE),
    ("HalfNormal", {"scale": [0.5, 1.0, 2.0]}, _HALF, _BAD_SCALE),
    ("InverseGamma", {"concentration": [0.8, 1.5, 6.0], "rate": [0.5, 1.0, 2.0]}, _HALF, {"rate": 0.0}),
    ("Kumaraswamy", {"concentration1": [0.5, 1.0, 3.0], "concentration0": [0.7, 1.5, 2.0]}, _UNIT,
     {"concentration1": 0.0}),
    ("Laplace", {"loc": _LINE, "scale": [0.5, 1.0, 2.0]}, _LINE[::-1], _BAD_SCALE),
    ("LogNormal", {"loc": _LINE, "scale": [0.5, 1.0, 0.2]}, _HALF, _BAD_SCALE),
    ("NegativeBinomial", {"total_count": [0.0, 2.5, 7.0], "probs": [0.3, 0.5, 0.9]}, [0.0, 1.0, 4.0],
     {"probs": 1.0}),
    ("NegativeBinomial", {"total_count": 3, "logits": _LINE}, _COUNTS, {"total_count": -1.0}),
    ("Normal", {"loc": _LINE, "scale": [0.5, 1.0, 2.0]}, _LINE[::-1], _BAD_SCALE),
    ("Normal", {"loc": 0.5, "scale": 2.0}, _LINE, _BAD_SCALE),
    ("Pareto", {"scale": [0.5, 1.0, 2.0], "alpha": [0.8, 1.5, 4.0]}, [0.7, 1.5, 9.0], {"alpha": 0.0}),
    ("Poisson", {"rate": [0.0, 2.0, 30.0]}, [0.0, 1.0, 25.0], {"rate": -1.0}),
    ("RelaxedBernoulli", {"temperature": [0.7, 0.5, 2.0], "probs": [0.2, 0.5, 0.9]}, _UNIT, {"probs": 1.5}),
    ("RelaxedBernoulli", {"temperature": [0.7], "logits": _LINE}, _UNIT, {"logits": float("nan")}),
    ("StudentT", {"df": [0.8, 1.5, 6.0], "loc": _LINE, "scale": [0.5, 1.0, 2.0]}, _LINE[::-1], {"df": 0.0}),
    ("StudentT", {"df": [3.0, 4.0]}, [0.5, -1.0], {"df": -1.0}),
    ("Uniform", {"low": [-1.0, 0.0, 2.0], "high": [0.5, 1.0, 9.0]}, [-0.5, 0.3, 2.0], {"low": 10.0}),
    ("Uniform", {"low": 0.0, "high": 2.0}, [0.1, 0.5, 1.5], {"high": -1.0}),
    ("VonMises", {"loc": _LINE, "concentration": [0.3, 2.0, 40.0]}, _LINE[::-1], {"concentration": 0.0}),
    ("Weibull", {"scale": [0.5, 1.0, 2.0], "concentration": [1.0, 1.5, 4.0]}, _HALF, _BAD_SCALE),
]  # fmt: skip
