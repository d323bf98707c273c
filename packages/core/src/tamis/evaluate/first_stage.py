"""A first stage for sets that bring none."""

from __future__ import annotations

from collections.abc import Mapping

from tamis.errors import installed
from tamis.evaluate.dataset import Run
from tamis.text.terms import UNSPACED_BLOCKS, marks, spaced
from tamis.values.ranking import Candidate


def bm25_run(queries: Mapping[str, str], corpus: Mapping[str, Candidate], depth: int = 100) -> Run:
    """The best `depth` passages of the corpus for each query by BM25 (Lucene's form, k1 0.9, b 0.4, English stems).

    Words are spelled as those of the pipelines are; scripts without spaces are read in pairs of characters.
    """
    with installed("Evaluation", "eval"):
        import bm25s
        import Stemmer

    def tokens(texts: list[str]) -> bm25s.tokenization.Tokenized:
        return bm25s.tokenize(
            list(map(spaced, texts)),
            token_pattern=words,
            stopwords="en",
            stemmer=Stemmer.Stemmer("english"),
            show_progress=False,
        )

    # Two letters or more with their marks, as is usual, but also a single character that is a word.
    words = rf"\w[\w{marks()}]+|[{UNSPACED_BLOCKS}]"
    ids = list(corpus)
    index = bm25s.BM25(method="lucene", k1=0.9, b=0.4)
    read = tokens([passage.full_text for passage in corpus.values()])
    if not any(map(len, read.ids)):  # Nothing but common words: no index can be made of none.
        return dict.fromkeys(queries, ())
    index.index(read, show_progress=False)
    found, scores = index.retrieve(tokens(list(queries.values())), k=min(depth, len(ids)), show_progress=False)
    return {
        query: tuple((ids[place], float(score)) for place, score in zip(*row, strict=True) if score > 0)
        for query, *row in zip(queries, found.tolist(), scores.tolist(), strict=True)
    }
