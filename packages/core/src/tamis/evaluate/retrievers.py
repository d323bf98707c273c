"""Asking any retriever: those of LlamaIndex, LangChain and Haystack by what they can do, and any function.

Nothing of a framework is imported: an object is known by its methods, and what it returns by its attributes.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from numbers import Real
from typing import Any

from tamis.errors import ConfigError, DataError
from tamis.values.ranking import Candidate

Ask = Callable[[str], list[Candidate]]
"""From the text of a query to what was found, best first."""

TEXTS = ("text", "content", "page_content")
QUERIES = ("query", "text", "question")
"""What inputs of components that take the query are called."""


def asking(retriever: Any, top_k: int | None = None, output: str | None = None) -> Ask:
    """How to ask a retriever.

    Args:
        retriever: of LlamaIndex (a retriever or an index), of LangChain (a retriever or a vector store), of Haystack (a
            retriever that takes texts, a pipeline, or a pair of a text embedder and a retriever that takes vectors), or
            a function from a text to what it found, which may be async. A function returns strings, mappings with a
            `text`, `Candidate`s or documents of a framework, each perhaps in a pair with its score.
        top_k: how many to ask for, where the retriever takes a number, and at most to take. `None`: what it is set to.
        output: the component of a Haystack pipeline whose documents count, where several give some.

    Raises `ConfigError` for an object that is none of these.
    """
    if isinstance(retriever, (tuple, list)) and len(retriever) == 2 and all(hasattr(one, "run") for one in retriever):
        find = _embedded(retriever[0], retriever[1], top_k)
    elif _has(retriever, "inputs", "run", "add_component"):
        find = _pipeline(retriever, top_k, output)
    elif _has(retriever, "retrieve"):  # LlamaIndex
        find = retriever.retrieve
    elif _has(retriever, "similarity_search_with_score"):
        find = _with_scores(retriever, {"k": top_k or 100})
    elif type(retriever).__name__ == "VectorStoreRetriever" and getattr(retriever, "search_type", "") == "similarity":
        # As it would search, but with the scores that it leaves out.
        wanted = {**retriever.search_kwargs, **({"k": top_k} if top_k else {})}
        find = _with_scores(retriever.vectorstore, wanted, retriever.invoke)
    elif _has(retriever, "as_retriever"):
        find = retriever.as_retriever(similarity_top_k=top_k or 100).retrieve
    elif _has(retriever, "invoke"):  # LangChain
        find = retriever.invoke
    elif _has(retriever, "run"):
        find = _component(retriever, top_k)
    elif callable(retriever):
        find = retriever
    else:
        raise ConfigError(
            f"cannot ask a {type(retriever).__name__}: give a retriever of LlamaIndex, LangChain or Haystack, or a "
            "function from the text of a query to what it finds"
        )
    return lambda text: [candidate(item) for item in islice(_listed(_settled(find(text))), top_k)]


def candidate(item: Any) -> Candidate:
    """What a retriever found, as a candidate with its id, score and metadata. `DataError` for what has no text."""
    if isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[1], Real | None):
        return replace(candidate(item[0]), score=None if item[1] is None else float(item[1]))
    if isinstance(item, (Candidate, str)):
        return Candidate.of(item)
    if isinstance(item, Mapping):
        return _of_mapping(item)
    if (node := getattr(item, "node", None)) is not None:  # LlamaIndex's NodeWithScore
        return replace(candidate(node), score=item.score)
    if hasattr(item, "get_content"):  # LlamaIndex's nodes
        return Candidate(item.get_content() or "", item.node_id, metadata=dict(item.metadata or {}))
    for name, metadata in (("page_content", "metadata"), ("content", "meta")):  # LangChain's, Haystack's documents
        if hasattr(item, name):
            found = dict(getattr(item, metadata, None) or {})
            return Candidate(getattr(item, name) or "", item.id, score=getattr(item, "score", None), metadata=found)
    raise DataError(f"a retriever returned a {type(item).__name__}, which has no text: {str(item)[:80]!r}")


def _of_mapping(item: Mapping[str, Any]) -> Candidate:
    fields = dict(item)
    name = next((name for name in TEXTS if isinstance(fields.get(name), str)), None)
    if name is None:
        raise DataError(f"a retriever returned a mapping without a text ({', '.join(TEXTS)}): {sorted(fields)}")
    text, nested = fields.pop(name), fields.pop("metadata", None) or fields.pop("meta", None) or {}
    identity = fields.pop("_id", fields.pop("id", None))
    title, score = fields.pop("title", None), fields.pop("score", None)
    return Candidate(text, identity, title or None, score, {**dict(nested), **fields})


def _has(value: Any, *names: str) -> bool:
    return not inspect.isclass(value) and all(callable(getattr(value, name, None)) for name in names)


def _listed(found: Any) -> Iterable[Any]:
    """What was found as a sequence: Haystack's components return a mapping with `documents`."""
    if isinstance(found, Mapping) and "documents" in found:
        found = found["documents"]
    if isinstance(found, (str, Mapping)) or not isinstance(found, Iterable):
        raise DataError(f"a retriever must return a list of what it found, got a {type(found).__name__}")
    return found


def _settled(value: Any) -> Any:
    """The value, or what it will be: awaited in a thread of its own, since a loop may run in this one."""
    if not inspect.isawaitable(value):
        return value

    async def wait() -> Any:
        return await value

    with ThreadPoolExecutor(1) as alone:
        return alone.submit(asyncio.run, wait()).result()


def _with_scores(
    store: Any, wanted: Mapping[str, Any], otherwise: Callable[[str], Any] | None = None
) -> Callable[[str], Any]:
    def find(text: str) -> Any:
        try:
            return store.similarity_search_with_score(text, **wanted)
        except NotImplementedError:  # A store that gives no scores.
            if otherwise is None:
                return store.similarity_search(text, **wanted)
            return otherwise(text)

    return find


def _warm(component: Any) -> Any:
    if _has(component, "warm_up"):
        component.warm_up()
    return component


def _component(component: Any, top_k: int | None) -> Callable[[str], Any]:
    """A component of Haystack that takes a text."""
    takes = inspect.signature(component.run).parameters
    name = next((name for name in QUERIES if name in takes), None)
    if name is None:
        wants = ", ".join(takes)
        raise ConfigError(
            f"{type(component).__name__} takes {wants}, and no text: give the pipeline that embeds the query, or the "
            "pair (text_embedder, retriever)"
        )
    more = {"top_k": top_k} if top_k and "top_k" in takes else {}
    ready = _warm(component)
    return lambda text: ready.run(**{name: text}, **more)


def _embedded(embedder: Any, retriever: Any, top_k: int | None) -> Callable[[str], Any]:
    """A text embedder and a retriever of Haystack, one after the other."""
    ready = _warm(embedder)
    more = {"top_k": top_k} if top_k and "top_k" in inspect.signature(retriever.run).parameters else {}
    return lambda text: retriever.run(query_embedding=ready.run(text=text)["embedding"], **more)


def _pipeline(pipeline: Any, top_k: int | None, output: str | None) -> Callable[[str], Any]:
    """A pipeline of Haystack: the query goes into all inputs of that name, the documents come from its end."""
    inputs: Mapping[str, Mapping[str, Any]] = pipeline.inputs()
    takers = {c: [name for name in QUERIES if name in sockets] for c, sockets in inputs.items()}
    takers = {component: names[:1] for component, names in takers.items() if names}
    if not takers:
        raise ConfigError(
            f"no component of the pipeline takes a query ({', '.join(QUERIES)}); its inputs: {dict(inputs)}"
        )
    unfed = [
        f"{component}.{name}"
        for component, sockets in inputs.items()
        for name, socket in sockets.items()
        if socket.get("is_mandatory") and name not in takers.get(component, ())
    ]
    if unfed:
        raise ConfigError(
            f"the pipeline needs more than a query: {', '.join(unfed)}; wrap it in a function of the query"
        )
    several = {c: {"top_k": top_k} for c, sockets in inputs.items() if top_k and "top_k" in sockets}
    _warm(pipeline)
    kept = {"include_outputs_from": {output}} if output else {}

    def find(text: str) -> Any:
        data = {c: {**dict.fromkeys(names, text), **several.get(c, {})} for c, names in takers.items()}
        made = pipeline.run(data, **kept)
        giving = [c for c, out in made.items() if isinstance(out, Mapping) and "documents" in out]
        if output:
            giving = [c for c in giving if c == output]
        if len(giving) != 1:
            some = f"several of its ends give documents ({', '.join(giving)})" if giving else "no end gives documents"
            raise ConfigError(f"{some}: say output=, the component whose documents are what the pipeline retrieves")
        return made[giving[0]]["documents"]

    return find
