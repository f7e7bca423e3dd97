"""The catalogue of rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch.optim import Optimizer

from torchstone.optim.adamnc import AdamNC


@dataclass(frozen=True)
class Rule:
    name: str
    title: str
    build: Callable[..., Optimizer]
    defaults: Mapping[str, Any]
    fixed: Mapping[str, Any] = field(default_factory=dict)


def _rules() -> dict[str, Rule]:
    o = torch.optim
    adam = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "maximize": False}
    sgd = {"lr": 1e-3, "weight_decay": 0.0, "maximize": False}
    rms = {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "maximize": False}
    rules = [
        Rule("sgd", "Gradient descent", o.SGD, sgd),
        Rule("momentum", "Momentum", o.SGD, sgd | {"momentum": 0.9}),
        Rule("nesterov", "Nesterov", o.SGD, sgd | {"momentum": 0.9}, {"nesterov": True}),
        Rule("adagrad", "Adagrad", o.Adagrad, sgd | {"lr": 1e-2, "eps": 1e-10}),
        Rule("adadelta", "Adadelta", o.Adadelta, sgd | {"lr": 1.0, "rho": 0.9, "eps": 1e-6}),
        Rule("rmsprop", "RMSProp", o.RMSprop, rms),
        Rule("rmsprop_momentum", "RMSProp + momentum", o.RMSprop, rms | {"momentum": 0.9}),
        Rule("adam", "Adam", o.Adam, adam),
        Rule("nadam", "Nadam", o.NAdam, adam | {"lr": 2e-3, "momentum_decay": 4e-3}),
        Rule("amsgrad", "AMSGrad", o.Adam, adam, {"amsgrad": True}),
        Rule("adamnc", "AdamNC", AdamNC, adam),
    ]
    return {rule.name: rule for rule in rules}


RULES: Mapping[str, Rule] = MappingProxyType(_rules())
