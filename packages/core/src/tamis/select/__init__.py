"""How many candidates to keep, none included, which, and in which order."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tamis.select.abstain import Abstain, Abstention
    from tamis.select.artefact import Artefact
    from tamis.select.budget import Knapsack, TokenBudget
    from tamis.select.calibration import Calibrate, Conformal, Isotonic, Platt, Temperature, Unit
    from tamis.select.confidence import Confidence, Gap, Linear, Logistic, Mahalanobis, Max, Stacked, Std
    from tamis.select.cover import Cover
    from tamis.select.cut import Deduplicate, Threshold, TopN
    from tamis.select.diversify import DPP, MMR
    from tamis.select.dynamic_k import DynamicK
    from tamis.select.dynamic_rag import DynamicRAG
    from tamis.select.facets import Facets
    from tamis.select.fitting import fit
    from tamis.select.gaps import LargestGap, Spike
    from tamis.select.in_list import InList
    from tamis.select.mass import SoftmaxMass
    from tamis.select.near_duplicates import NearDuplicates
    from tamis.select.place import Place
    from tamis.select.policies import Policy
    from tamis.select.scorer import scorer_id
    from tamis.select.shapes import Knee, TailTest
    from tamis.select.thresholds import AtLeast, Calibrated, ConformalRecall, Fixed, NearBest, RatioToBest, ZScore
    from tamis.select.utility import ExpectedF, ExpectedUtility

_WHERE = {
    "Abstain": "abstain",
    "Abstention": "abstain",
    "Artefact": "artefact",
    "AtLeast": "thresholds",
    "Calibrate": "calibration",
    "Calibrated": "thresholds",
    "Confidence": "confidence",
    "Conformal": "calibration",
    "ConformalRecall": "thresholds",
    "Cover": "cover",
    "DPP": "diversify",
    "Deduplicate": "cut",
    "DynamicK": "dynamic_k",
    "DynamicRAG": "dynamic_rag",
    "ExpectedF": "utility",
    "ExpectedUtility": "utility",
    "Facets": "facets",
    "Fixed": "thresholds",
    "Gap": "confidence",
    "InList": "in_list",
    "Isotonic": "calibration",
    "Knapsack": "budget",
    "Knee": "shapes",
    "LargestGap": "gaps",
    "Linear": "confidence",
    "Logistic": "confidence",
    "MMR": "diversify",
    "Mahalanobis": "confidence",
    "Max": "confidence",
    "NearBest": "thresholds",
    "NearDuplicates": "near_duplicates",
    "Place": "place",
    "Platt": "calibration",
    "Policy": "policies",
    "RatioToBest": "thresholds",
    "SoftmaxMass": "mass",
    "Spike": "gaps",
    "Stacked": "confidence",
    "Std": "confidence",
    "TailTest": "shapes",
    "Temperature": "calibration",
    "Threshold": "cut",
    "TokenBudget": "budget",
    "TopN": "cut",
    "Unit": "calibration",
    "ZScore": "thresholds",
    "fit": "fitting",
    "scorer_id": "scorer",
}

__all__ = [
    "DPP",
    "MMR",
    "Abstain",
    "Abstention",
    "Artefact",
    "AtLeast",
    "Calibrate",
    "Calibrated",
    "Confidence",
    "Conformal",
    "ConformalRecall",
    "Cover",
    "Deduplicate",
    "DynamicK",
    "DynamicRAG",
    "ExpectedF",
    "ExpectedUtility",
    "Facets",
    "Fixed",
    "Gap",
    "InList",
    "Isotonic",
    "Knapsack",
    "Knee",
    "LargestGap",
    "Linear",
    "Logistic",
    "Mahalanobis",
    "Max",
    "NearBest",
    "NearDuplicates",
    "Place",
    "Platt",
    "Policy",
    "RatioToBest",
    "SoftmaxMass",
    "Spike",
    "Stacked",
    "Std",
    "TailTest",
    "Temperature",
    "Threshold",
    "TokenBudget",
    "TopN",
    "Unit",
    "ZScore",
    "fit",
    "scorer_id",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tamis.select' has no attribute {name!r}")
    return getattr(import_module(f"tamis.select.{_WHERE[name]}"), name)
