"""Where interactions come from: public releases, files of sequences, or the user's own tables."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.datasets.complete_journey import CompleteJourney
from training.datasets.dataset import Adapter, Dataset, DatasetError
from training.datasets.movielens import BASE_URL, RELEASES, MovieLens, read_movielens, readable_title
from training.datasets.sequence_file import SequenceFile
from training.datasets.table import Table

__all__ = [
    "BASE_URL",
    "KINDS",
    "RELEASES",
    "Adapter",
    "Dataset",
    "DatasetError",
    "read_dataset",
    "read_movielens",
    "readable_title",
]

KINDS = tuple(adapter.kind for adapter in (MovieLens, CompleteJourney, SequenceFile, Table))


def read_dataset(
    source: str,
    *,
    kind: str | None = None,
    items: Path | None = None,
    allow_repeats: bool | None = None,
    cache_dir: Path,
    base_url: str = BASE_URL,
) -> Dataset:
    """Read any source of interactions.

    Args:
        source: a file, a directory, or the name of a public data set.
        kind: one of `KINDS`; without it the source is looked at.
        items: titles for a table; other kinds bring their own.
        allow_repeats: whether items taken before may be recommended again; without it the kind decides.
        cache_dir: keeps what was downloaded.
        base_url: where MovieLens releases are downloaded from.

    Raises:
        DatasetError: no kind fits, or the data is not what its kind must be.
    """
    adapters = (
        MovieLens(cache_dir=cache_dir, base_url=base_url),
        CompleteJourney(),
        SequenceFile(),
        Table(items=items),
    )
    adapter = _choose(adapters, source, kind)
    if items is not None and not isinstance(adapter, Table):
        raise DatasetError(
            f"{items} cannot be used: items belong to the kind table, and {source!r} is of the kind {adapter.kind}"
        )
    dataset = adapter.read(source)
    return dataset if allow_repeats is None else replace(dataset, allow_repeats=allow_repeats)


def _choose(adapters: Sequence[Adapter], source: str, kind: str | None) -> Adapter:
    if kind is not None:
        for adapter in adapters:
            if adapter.kind == kind:
                return adapter
        raise DatasetError(f"unknown kind {kind!r}; {_describe(adapters)}")
    fitting = [adapter for adapter in adapters if adapter.recognises(source)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DatasetError(f"{source!r} is ambiguous; say which kind it is: {_describe(fitting)}")
    if Path(source).exists():
        raise DatasetError(f"{source!r} looks like no kind of data; {_describe(adapters)}")
    raise DatasetError(
        f"{source!r} is neither a file, nor a directory, nor a name I know; {_describe(adapters)}"
    )


def _describe(adapters: Sequence[Adapter]) -> str:
    return "kinds are " + "; ".join(f"{adapter.kind}: {adapter.accepts}" for adapter in adapters)
