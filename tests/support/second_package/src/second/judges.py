"""A judge."""

from typing import ClassVar

from tamis.extend import Asked, Asking, Capability, Judge, Unit, Verdict, part


@part
class Longer(Judge):
    """Prefers the longer passage, without asking the model."""

    unit: ClassVar[Unit] = "list"
    needs: ClassVar[tuple[Capability, ...]] = ()

    def ask(self, asked: Asked) -> Asking[Verdict]:
        yield from ()
        return Verdict.scored([float(len(ranked.text)) for ranked in asked.shown])
