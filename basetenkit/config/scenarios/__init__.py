"""The grammar of traffic scenarios: a short text such as `D(100,100)` becomes a distribution of shapes."""

from __future__ import annotations

from .base import FORMS, Scenario, Shape
from .forms import (
    CachedConversation,
    Constant,
    Conversation,
    Dataset,
    Embedding,
    Image,
    ImagePrefix,
    ImageText,
    Normal,
    Prefix,
    Rerank,
    Speech,
    Uniform,
)
from .grammar import Mixture, parse_scenario

__all__ = [
    "FORMS", "CachedConversation", "Constant", "Conversation", "Dataset", "Embedding", "Image", "ImagePrefix", "ImageText",
    "Mixture", "Normal", "Prefix", "Rerank", "Scenario", "Shape", "Speech", "Uniform", "parse_scenario",
]  # fmt: skip
