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
TwoOrMore = Annotated[int, Field(ge=2)]
"""A whole number from 2: how many are compared."""
