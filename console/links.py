"""A question as URL query parameters, so that every view of an answer is a link."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from console.api_values import ItemId, Question

MAX_K = 20
DEFAULT_K = 8
"As many as one screen shows."
MAX_FILMS = 20
MAX_USER_ID_LENGTH = 256
"The API's own bound."
EXAMPLE_FILMS = (260, 1196, 1210)
"The first three Star Wars films in MovieLens."


@dataclass(frozen=True, slots=True)
class Link:
    """What a link asks for, with what could not be used replaced or left out."""

    question: Question
    by_user: bool
    complaints: tuple[str, ...]
    "A sentence for everything in the link that was not used; none repeats the link's own words."


def write_link(question: Question, *, by_user: bool) -> dict[str, str]:
    whom = (
        {"user": question.user_id}
        if by_user
        else {"items": ",".join(quote(str(item_id), safe="") for item_id in question.history)}
    )
    return {**whom, "k": str(question.k)}


def read_link(params: Mapping[str, str], catalogue: Sequence[ItemId]) -> Link:
    """Read query parameters that anybody may have written.

    Args:
        params: query parameters; `user` wins over `items`.
        catalogue: ids of all items that can be asked about, the most popular first.
    """
    complaints: list[str] = []
    k = _read_k(params, complaints)
    user_id = params.get("user", "")
    if len(user_id) > MAX_USER_ID_LENGTH:
        complaints.append(
            f"The link's user id is longer than {MAX_USER_ID_LENGTH} characters; it is ignored."
        )
        user_id = ""
    history = _read_items(params, catalogue, complaints)
    question = Question(history=history, user_id=user_id, k=k)
    return Link(question, by_user="user" in params, complaints=tuple(complaints))


def _read_k(params: Mapping[str, str], complaints: list[str]) -> int:
    text = params.get("k", str(DEFAULT_K))
    if text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= MAX_K:
        return int(text)
    complaints.append(
        f"The link asks for a number of films that is not between 1 and {MAX_K}; here are {DEFAULT_K}."
    )
    return DEFAULT_K


def _read_items(
    params: Mapping[str, str], catalogue: Sequence[ItemId], complaints: list[str]
) -> tuple[ItemId, ...]:
    known = {str(item_id): item_id for item_id in catalogue}
    if "items" not in params:
        return _example(known, catalogue)
    wanted = dict.fromkeys(unquote(text) for text in params["items"].split(",") if text)
    found = [known[text] for text in wanted if text in known]
    if wanted and not found:
        complaints.append("The catalogue holds none of the films in the link; here is an example instead.")
        return _example(known, catalogue)
    if n_lost := len(wanted) - len(found):
        complaints.append(
            f"The catalogue lacks {n_lost} of the {len(wanted)} films in the link; the rest are shown."
        )
    if len(found) > MAX_FILMS:
        complaints.append(f"The link names {len(found)} films; the first {MAX_FILMS} are shown.")
    return tuple(found[:MAX_FILMS])


def _example(known: Mapping[str, ItemId], catalogue: Sequence[ItemId]) -> tuple[ItemId, ...]:
    if all(str(item_id) in known for item_id in EXAMPLE_FILMS):
        return EXAMPLE_FILMS
    return tuple(catalogue[:3])
