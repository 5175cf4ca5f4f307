"""From the candidates of a model to the list that is shown.

check_rules     refuses what this catalogue cannot do, before a model is asked
pool_size       says how many candidates to ask the model for, next_pool_size when those were too few
rank            filters, weighs, diversifies, explores and pins
choose_reasons  names the item of the history that each shown item is tied to
"""

from recserve.inference.ranking.checks import check_rules
from recserve.inference.ranking.explanations import N_TIES, choose_reasons, history_to_explain
from recserve.inference.ranking.listing import Ranking, rank
from recserve.inference.ranking.pool import next_pool_size, pool_size

__all__ = [
    "N_TIES",
    "Ranking",
    "check_rules",
    "choose_reasons",
    "history_to_explain",
    "next_pool_size",
    "pool_size",
    "rank",
]
