"""Ranges of numbers, as types of fields. None of them takes nan or infinity.

Whole numbers: pydantic's `PositiveInt` and `NonNegativeInt`; any finite number: its `FiniteFloat`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat

Positive = Annotated[PositiveFloat, Field(allow_inf_nan=False)]
"""Above 0."""
NonNegative = Annotated[NonNegativeFloat, Field(allow_inf_nan=False)]
"""0 or above: a weight, a temperature, a distance."""
Share = Annotated[float, Field(ge=0, le=1)]
"""0 to 1, both included."""
ShareAboveZero = Annotated[float, Field(gt=0, le=1)]
"""0 to 1 without 0."""
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]
"""0 to 1 without 1."""
ShareBetween = Annotated[float, Field(gt=0, lt=1)]
"""0 to 1 without either."""
MOST_TOKENS = 131_072
"""Of an answer or a thought: no model writes more at once."""
MOST_SAMPLES = 1_000
TokensWritten = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
"""How many tokens a model may write: bounded, since a dry run makes a text of that size."""
Samples = Annotated[int, Field(ge=1, le=MOST_SAMPLES)]
"""How often a question is asked: bounded, since all calls are made ready together."""
TwoOrMore = Annotated[int, Field(ge=2)]
"""A whole number from 2: how many are compared."""
