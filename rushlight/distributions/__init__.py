"""Probability distributions: ``torch.distributions``."""

from rushlight.distributions.bernoulli import Bernoulli
from rushlight.distributions.binomial import Binomial
from rushlight.distributions.cauchy import Cauchy
from rushlight.distributions.chi2 import Chi2
from rushlight.distributions.continuous_bernoulli import ContinuousBernoulli
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.exponential import Exponential
from rushlight.distributions.fishersnedecor import FisherSnedecor
from rushlight.distributions.gamma import Gamma
from rushlight.distributions.generalized_pareto import GeneralizedPareto
from rushlight.distributions.geometric import Geometric
from rushlight.distributions.laplace import Laplace
from rushlight.distributions.negative_binomial import NegativeBinomial
from rushlight.distributions.normal import Normal
from rushlight.distributions.poisson import Poisson
from rushlight.distributions.studentT import StudentT
from rushlight.distributions.uniform import Uniform
from rushlight.distributions.von_mises import VonMises

__all__ = [
    "Bernoulli",
    "Binomial",
    "Cauchy",
    "Chi2",
    "ContinuousBernoulli",
    "Distribution",
    "Exponential",
    "ExponentialFamily",
    "FisherSnedecor",
    "Gamma",
    "GeneralizedPareto",
    "Geometric",
    "Laplace",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "StudentT",
    "Uniform",
    "VonMises",
]
