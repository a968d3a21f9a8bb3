"""Ranking quality, by ir-measures (MacAvaney, Macdonald & Ounis, ECIR 2022), ticket by ticket.

Success@k   1 if any of the first k suggestions is relevant, else 0
RR@10       1 / rank of the first relevant suggestion within 10, else 0; its mean is MRR@10
nDCG@10     sum over ranks of grade / log2(rank + 1), divided by the same sum of the ideal ranking
            (linear gain, as trec_eval; Järvelin & Kekäläinen, TOIS 2002)
R@5         share of the relevant articles that are among the first 5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MEASURES = ("Success@1", "Success@3", "Success@5", "RR@10", "nDCG@10", "R@5")

MEANINGS = {
    "Success@1": "first suggestion right",
    "Success@3": "a right one in first 3",
    "Success@5": "a right one in first 5",
    "RR@10": "1 / rank of a right one",
    "nDCG@10": "quality of the first 10",
    "R@5": "right ones found in 5",
}

Ranking = Sequence[str]
"""Article paths, best first, none twice."""


def score_rankings(
    labels: Mapping[str, Mapping[str, int]], rankings: Mapping[str, Ranking]
) -> dict[str, dict[str, float]]:
    """Every measure of every query in `labels`; a query without a ranking scores 0.

    Ranks count, not scores: ties of scores were settled when the ranking was made, and a tool that settles them anew
    (trec_eval does, by document name) would measure another ranking than the one users see.
    """
    import ir_measures

    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    qrels = [
        ir_measures.Qrel(query_id, target, grade)
        for query_id, grades in labels.items()
        for target, grade in grades.items()
    ]
    run = [
        ir_measures.ScoredDoc(query_id, target, float(-rank))
        for query_id in labels
        for rank, target in enumerate(rankings.get(query_id, ()))
    ]
    scores = {query_id: dict.fromkeys(MEASURES, 0.0) for query_id in labels}
    if run:
        for metric in ir_measures.iter_calc(measures, qrels, run):
            scores[metric.query_id][str(metric.measure)] = float(metric.value)
    return scores
