"""The catalogue: every rule as a choice of Reddi's three functions, and what differs from library to library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from torch.optim import Optimizer

from torchstone.optim.adadelta import Adadelta
from torchstone.optim.adagrad import AdagradInRoot
from torchstone.optim.adamnc import AdamNC
from torchstone.optim.amsgrad import AMSGrad
from torchstone.optim.epsilon_hat import EpsilonHatAdam
from torchstone.optim.nadam import Nadam
from torchstone.optim.native import SGD, Adagrad, Adam, native
from torchstone.optim.rmsprop import RMSProp
from torchstone.optim.rmsprop_momentum import RMSPropMomentum
from torchstone.optim.velocity import Velocity

Semantics = Literal["torch", "paper", "keras", "optax"]
Hyper = Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """A rule as one library or its paper computes it.

    Args:
        build: from parameters, ``impl`` and hyperparameters to an optimizer.
        defaults: every hyperparameter that may be given, with its value if it is not.
        fixed: what else makes the variant what it is.
        note: in words.
    """

    build: Callable[..., Optimizer]
    defaults: Hyper
    fixed: Hyper = field(default_factory=dict)
    note: str = ""

    def but(self, note: str, *, fixed: Hyper | None = None, **defaults: Any) -> "Variant":
        """This variant with other defaults or fixed arguments."""
        return Variant(self.build, {**self.defaults, **defaults}, {**self.fixed, **(fixed or {})}, note)


@dataclass(frozen=True)
class Rule:
    r"""A learning rule in the scheme x ← Π(x - α_t φ_t / √ψ_t).

    Args:
        name: by which :func:`create` makes it.
        title: as people call it.
        phi: :math:`\varphi_t(g_1, ..., g_t)`, the direction.
        psi: :math:`\psi_t(g_1^2, ..., g_t^2)`, what its root is divided by.
        alpha: :math:`\alpha_t`, the step size.
        converges: whether :math:`\Gamma_t = \sqrt{\psi_t} / \alpha_t - \sqrt{\psi_{t-1}} / \alpha_{t-1}` is never
            negative, the condition of Reddi's convergence proof, for the textbook's rule with
            :math:`\alpha_t \propto 1 / \sqrt t`.
        paper: where it was published.
        semantics: the rule as torch, the paper, Keras and optax compute it; what a library lacks is not there.
    """

    name: str
    title: str
    phi: str
    psi: str
    alpha: str
    converges: bool
    paper: str
    semantics: Mapping[str, Variant]

    @property
    def defaults(self) -> Hyper:
        """The hyperparameters of torch's semantics."""
        return self.semantics["torch"].defaults


COMMON = {"weight_decay": 0.0, "maximize": False}
MOMENTS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, **COMMON}
MEAN_SQUARE = "(1 − ρ) Σ ρ^(t−i) gᵢ²"
FIRST_MOMENT = "mₜ = (1 − β₁) Σ β₁^(t−i) gᵢ"
SECOND_MOMENT = "vₜ = (1 − β₂) Σ β₂^(t−i) gᵢ²"


def descent() -> list[Rule]:
    """Rules that divide by nothing."""
    plain = Variant(partial(native, SGD), {"lr": 1e-3, **COMMON})
    heavy = Variant(partial(native, SGD), {"lr": 1e-3, "momentum": 0.9, **COMMON}, note="step size outside the buffer")
    ahead = heavy.but("step size outside the buffer", fixed={"nesterov": True})
    inside = Variant(Velocity, heavy.defaults, note="step size inside the buffer")
    inside_ahead = inside.but("step size inside the buffer, at the look-ahead point", fixed={"nesterov": True})
    return [
        Rule(
            "sgd", "Gradient descent", "gₜ", "1", "α", True, "Robbins, Monro 1951",
            {"torch": plain, "paper": plain, "keras": plain.but("", lr=1e-2), "optax": plain},
        ),
        Rule(
            "momentum", "Momentum (heavy ball)", "Σ μ^(t−i) gᵢ", "1", "α", True,
            "Polyak 1964; Sutskever et al. 2013",
            {"torch": heavy, "paper": inside, "keras": inside.but(inside.note, lr=1e-2), "optax": heavy},
        ),
        Rule(
            "nesterov", "Nesterov's accelerated gradient", "gₜ + μ Σ μ^(t−i) gᵢ", "1", "α", True,
            "Nesterov 1983; Sutskever et al. 2013",
            {
                "torch": ahead,
                "paper": inside_ahead,
                "keras": inside_ahead.but(inside_ahead.note, lr=1e-2),
                "optax": ahead,
            },
        ),
    ]  # fmt: skip


def scaled() -> list[Rule]:
    """Rules that divide the gradient by its own size."""
    sums = {"lr": 1e-2, "eps": 1e-10, "initial_accumulator_value": 0.0, "lr_decay": 0.0, **COMMON}
    adagrad = Variant(partial(native, Adagrad), sums, note="ε outside the root, sum from 0")
    rooted = Variant(
        AdagradInRoot,
        {"lr": 1e-3, "eps": 1e-7, "initial_accumulator_value": 0.1, **COMMON},
        note="ε inside the root, sum from 0.1",
    )
    adadelta = Variant(Adadelta, {"lr": 1.0, "rho": 0.9, "eps": 1e-6, **COMMON})
    squares = {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "centered": False, **COMMON}
    rmsprop = Variant(RMSProp, squares, note="ε outside the root")
    rms_root = rmsprop.but("ε inside the root", fixed={"eps_in_root": True}, alpha=0.9)
    heavy = Variant(
        RMSPropMomentum,
        {**squares, "momentum": 0.9, "momentum_mode": "torch"},
        note="ε outside the root, step size outside the buffer",
    )
    graves = Variant(
        RMSPropMomentum,
        {**squares, "alpha": 0.9, "momentum": 0.9},
        {"momentum_mode": "velocity", "eps_in_root": True},
        "ε inside the root, step size inside the buffer",
    )
    return [
        Rule(
            "adagrad", "Adagrad", "gₜ", "1/t Σ gᵢ²", "α/√t", True, "Duchi, Hazan, Singer 2011",
            {
                "torch": adagrad,
                "paper": adagrad.but("sum from 0, no ε", eps=0.0),
                "keras": rooted,
                "optax": rooted,
            },
        ),
        Rule(
            "adadelta", "Adadelta", "gₜ", MEAN_SQUARE, "α √((1 − ρ) Σ ρ^(t−1−i) dᵢ²), d the steps", False,
            "Zeiler 2012, arXiv:1212.5701",
            {
                "torch": adadelta,
                "paper": adadelta.but("", rho=0.95),
                "keras": adadelta.but("", lr=1e-3, rho=0.95, eps=1e-7),
                "optax": adadelta,
            },
        ),
        Rule(
            "rmsprop", "RMSProp", "gₜ", MEAN_SQUARE, "α", False, "Tieleman, Hinton 2012",
            {
                "torch": rmsprop,
                "paper": rmsprop.but("no ε", lr=1e-3, alpha=0.9, eps=0.0),
                "keras": rms_root.but(rms_root.note, lr=1e-3, eps=1e-7),
                "optax": rms_root.but(rms_root.note, lr=1e-3),
            },
        ),
        Rule(
            "rmsprop_momentum", "RMSProp with momentum", "√ψₜ Σ μ^(t−i) gᵢ/√ψᵢ", MEAN_SQUARE, "α", False,
            "Graves 2013, arXiv:1308.0850",
            {
                "torch": heavy,
                "paper": graves.but(
                    f"{graves.note}, centred", lr=1e-4, alpha=0.95, eps=1e-4, centered=True
                ),
                "keras": graves.but(graves.note, lr=1e-3, eps=1e-7),
                "optax": graves.but(graves.note, lr=1e-3),
            },
        ),
    ]  # fmt: skip


def moments() -> list[Rule]:
    """Rules that average both the gradient and its square."""
    adam = Variant(partial(native, Adam), MOMENTS, note="ε after the correction")
    epsilon_hat = Variant(EpsilonHatAdam, {**MOMENTS, "eps": 1e-7}, note="ε before the correction")
    nadam = Variant(Nadam, {**MOMENTS, "lr": 2e-3, "momentum_decay": 4e-3}, note="μₜ = β₁(1 − 0.96^(0.004t)/2)")
    constant = Variant(Nadam, MOMENTS, {"schedule": "constant"}, "μₜ = β₁")
    amsgrad = adam.but("maximum of vₜ, then corrected", fixed={"amsgrad": True})
    uncorrected = Variant(AMSGrad, {**MOMENTS, "eps": 0.0}, {"bias_correction": "none"}, "not corrected, no ε")
    adamnc = Variant(
        AdamNC,
        {"lr": 1e-3, "beta1": 0.9, "beta1_decay": 1.0, "eps": 1e-8, **COMMON},
        note="torch lacks it: the paper's, with torch's ε",
    )
    return [
        Rule(
            "adam", "Adam", FIRST_MOMENT, SECOND_MOMENT, "α √(1 − β₂ᵗ)/(1 − β₁ᵗ)", False,
            "Kingma, Ba 2015, arXiv:1412.6980",
            {"torch": adam, "paper": adam, "keras": epsilon_hat, "optax": adam},
        ),
        Rule(
            "nadam", "Nadam", "μₜ₊₁ mₜ/(1 − Π μᵢ₊₁) + (1 − μₜ) gₜ/(1 − Π μᵢ)", SECOND_MOMENT, "α √(1 − β₂ᵗ)",
            False, "Dozat 2016, ICLR workshop",
            {
                "torch": nadam,
                "paper": nadam.but(
                    f"{nadam.note}, also in mₜ; vₜ corrected by β₂/(1 − β₂ᵗ)", fixed={"schedule": "paper"}
                ),
                "keras": nadam.but("μₜ = β₁(1 − 0.96^t/2)", lr=1e-3, eps=1e-7, momentum_decay=1.0),
                "optax": constant,
            },
        ),
        Rule(
            "amsgrad", "AMSGrad", FIRST_MOMENT, "max over j ≤ t of vⱼ", "α/√t", True,
            "Reddi, Kale, Kumar 2018, arXiv:1904.09237",
            {
                "torch": amsgrad,
                "paper": uncorrected,
                "keras": epsilon_hat.but("maximum of vₜ, then corrected; ε before it", fixed={"amsgrad": True}),
                "optax": Variant(AMSGrad, MOMENTS, {"bias_correction": "before_max"}, "maximum of corrected vₜ"),
            },
        ),
        Rule(
            "adamnc", "AdamNC", "mₜ with β₁,ₜ = β₁ λ^(t−1)", "1/t Σ gᵢ²", "α/√t", True,
            "Reddi, Kale, Kumar 2018, arXiv:1904.09237",
            {"torch": adamnc, "paper": adamnc.but("not corrected, no ε", eps=0.0)},
        ),
    ]  # fmt: skip


RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in (*descent(), *scaled(), *moments())})
"""Every rule by name."""
