"""The small student: words and letters of a row (TF-IDF), and logistic regression on them.

It learns in a second without a GPU, and what it does not know is much what a larger one does not
know either. It is scikit-learn's, which is loaded where rows are chosen and nowhere else.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from stepdistill.annotator.active_learning.answer_forms import (
    PoolRow,
    form_of,
    label_in,
    ranges_of,
)
from stepdistill.annotator.active_learning.shared_text import folds
from stepdistill.common.kinds.kind import Kind

Floats = npt.NDArray[np.float64]
_MOST_FEATURES = 10_000  # of words, and of letters
_MOST_FORMS = 30  # different answers that are learnt, the commonest
_DIMENSIONS = 64
_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """What a student says of all rows of a pool."""

    labels: list[str]  # the likeliest of each
    unsure: Floats  # 0..1: 1 where the two likeliest are as likely


class Features:
    """What a pool's rows are known by: sparse for the student, and dense for how near they are."""

    def __init__(
        self,
        rows: Sequence[PoolRow],
        kind: Kind,
        seed: int,
        model: Callable[[], Any] | None = None,
    ) -> None:
        """model: a classifier of scikit-learn; None: logistic regression."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import FeatureUnion

        self.rows, self.kind, self._model = rows, kind, model or _regression
        each: Any = FeatureUnion(
            [
                ("words", _vectorizer(TfidfVectorizer, "word", (1, 2))),
                ("letters", _vectorizer(TfidfVectorizer, "char_wb", (3, 5))),
            ]
        )
        texts = [row.text or " " for row in rows]
        self.sparse: Any = each.fit_transform(texts)
        self.pairs = _pairs(rows, each, self.sparse, self._model) if _has_choices(rows) else None
        most = min(_DIMENSIONS, min(self.sparse.shape) - 1)
        if most < 1:
            self.dense: Floats = np.ones((len(rows), 1))
            return
        svd: Any = TruncatedSVD(most, random_state=seed)
        with _one_core():
            vectors = cast(Floats, svd.fit_transform(self.sparse))
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.dense = vectors / np.maximum(lengths, 1e-12)

    def guesses(self, known: dict[int, str], *, held_out: bool = True) -> Guesses:
        """What a student says that learnt these labels (row -> label). held_out: of the rows that
        it learnt, what one says that did not."""
        whole = self._learnt(known)
        if not held_out:
            return whole
        labels, unsure, order = [*whole.labels], whole.unsure.copy(), sorted(known)
        order.sort(key=lambda row: self.rows[row].number)
        for left_out in folds([(row, self.rows[row]) for row in order], _FOLDS):
            rest = {row: known[row] for row in order if row not in left_out}
            if rest:
                said = self._learnt(rest)
                for row in left_out:
                    labels[row], unsure[row] = said.labels[row], said.unsure[row]
        return Guesses(labels=labels, unsure=unsure)

    def _learnt(self, known: dict[int, str]) -> Guesses:
        if self.pairs is not None:
            return self.pairs.learnt(known)
        ranges, rows = ranges_of(self.kind, list(known.values())), sorted(known)
        forms = [
            form_of(self.kind, ranges.get(known[row], known[row]), self.rows[row]) for row in rows
        ]
        learnt = {form for form, _ in Counter(forms).most_common(_MOST_FORMS)}
        kept = [(row, form) for row, form in zip(rows, forms, strict=True) if form in learnt]
        rows, forms = [row for row, _ in kept], [form for _, form in kept]
        names, chances = _chances(self._model, self.sparse, rows, forms)
        best: list[int] = chances.argmax(axis=1).tolist()
        labels = [
            label_in(self.kind, names[n], row) for n, row in zip(best, self.rows, strict=True)
        ]
        return Guesses(labels=labels, unsure=_unsure(chances))


class _Pairs:
    """Rows that each bring options of their own: every option is right or not."""

    def __init__(
        self,
        rows: Sequence[PoolRow],
        sparse: Any,
        options: Any,
        starts: list[int],
        model: Callable[[], Any],
    ) -> None:
        import scipy.sparse

        self._rows, self._starts, self._model = rows, starts, model
        owners = np.repeat(np.arange(len(rows)), np.diff(starts))
        sparse_of: Any = scipy.sparse
        alike: Any = np.asarray(sparse[owners].multiply(options).sum(axis=1))
        self._features: Any = sparse_of.csr_matrix(
            sparse_of.hstack([options, sparse_of.csr_matrix(alike * 4)])
        )

    def learnt(self, known: dict[int, str]) -> Guesses:
        """What a student says of all rows."""
        pairs: list[int] = []
        targets: list[str] = []
        for row in sorted(known):
            for n, choice in enumerate(self._rows[row].choices):
                pairs.append(self._starts[row] + n)
                targets.append("yes" if choice == known[row] else "no")
        names, chances = _chances(self._model, self._features, pairs, targets)
        right = chances[:, names.index("yes")] if "yes" in names else np.ones(len(chances))
        most = max(len(row.choices) for row in self._rows)
        table = np.zeros((len(self._rows), max(2, most)))
        for n, row in enumerate(self._rows):
            mine = right[self._starts[n] : self._starts[n + 1]]
            table[n, : len(row.choices)] = mine / max(float(mine.sum()), 1e-12)
        best: list[int] = table.argmax(axis=1).tolist()
        labels = [
            row.choices[n] if n < len(row.choices) else ""
            for n, row in zip(best, self._rows, strict=True)
        ]
        return Guesses(labels=labels, unsure=_unsure(table))


def commonest(labels: Sequence[str]) -> str:
    """The label that is said most, the first of those."""
    return Counter(labels).most_common(1)[0][0]


def _vectorizer(made: Any, analyzer: str, span: tuple[int, int]) -> Any:
    return made(
        analyzer=analyzer,
        ngram_range=span,
        sublinear_tf=True,
        max_features=_MOST_FEATURES,
        token_pattern=r"(?u)\b\w+\b" if analyzer == "word" else None,
        dtype=np.float64,
    )


def _has_choices(rows: Sequence[PoolRow]) -> bool:
    return any(row.choices for row in rows)


def _pairs(
    rows: Sequence[PoolRow], vectorizer: Any, sparse: Any, model: Callable[[], Any]
) -> _Pairs:
    starts = [0]
    for row in rows:
        starts.append(starts[-1] + len(row.choices))
    options = vectorizer.transform([choice or " " for row in rows for choice in row.choices])
    return _Pairs(rows, sparse, options, starts, model)


def _regression() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=8.0, max_iter=200, tol=1e-3)


def _chances(
    made: Callable[[], Any], features: Any, rows: list[int], names: list[str]
) -> tuple[list[str], Floats]:
    """The names, and how likely each is of every line of the features, learnt from some lines."""
    if len(set(names)) == 1:
        return names[:1], np.ones((features.shape[0], 1))
    model = made()
    with _one_core():
        model.fit(features[rows], names)
        chances = cast(Floats, model.predict_proba(features))
    return [str(name) for name in model.classes_], chances


def _one_core() -> Any:
    """Its matrices are too small to share: threads would wait for each other, for seconds where
    the machine has other work, and sums in another order might choose other rows."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def _unsure(chances: Floats) -> Floats:
    if chances.shape[1] < 2:
        return np.ones(len(chances))
    two = np.partition(chances, -2, axis=1)[:, -2:]
    return 1.0 - (two[:, 1] - two[:, 0])
