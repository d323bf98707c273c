"""docs/services.md shows the table of providers as it is, and its examples can be built."""

from __future__ import annotations

import re

import pytest
import yaml

from support.places import ROOT
from tamis import load
from tamis.models import RerankService
from tamis.models.served.rerank_providers import PROVIDERS

PAGE = (ROOT / "docs" / "services.md").read_text(encoding="utf-8")


def row(name: str) -> str:
    provider = PROVIDERS[name]
    asked = ", ".join(f"`{word}`" for word in (provider.documents, provider.top, *provider.body) if word)
    limit = f" (limit {provider.most_documents})" if provider.most_documents else ""
    billed = provider.tokens or provider.search_units
    cells = [
        f"`{name}`",
        f"`{provider.base_url}/{provider.path}`",
        asked,
        f"`{'.'.join(provider.results)}[].{provider.score}`",
        provider.scale.kind,
        f"{RerankService('m', name).max_batch}{limit}",
        f"`{'.'.join(billed)}`" if billed else "not reported",
        f"`{provider.key}`" if provider.key else "",
    ]
    return f"| {' | '.join(cells)} |"


def test_the_page_lists_every_provider_as_it_is() -> None:
    missing = [line for line in map(row, PROVIDERS) if line not in PAGE]
    assert not missing, "put these into docs/services.md:\n" + "\n".join(missing)
    assert PAGE.count("\n| `") == len(PROVIDERS)


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE, re.S))
def test_the_pipelines_of_the_page_can_be_built(text: str) -> None:
    assert isinstance(load(yaml.safe_load(text), allow="all").stages[0].model, RerankService)
