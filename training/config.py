"""A run's settings, all on one page, read from a TOML file; what is left out keeps its default."""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from training.counts import CountsConfig
from training.distillation import DistilConfig
from training.errors import TrainingError
from training.fitting import FitConfig, Positive
from training.pruning import PruneConfig
from training.sasrec import SasRecConfig
from training.scoring_head import HeadKind


class ConfigError(TrainingError):
    """A run configuration that cannot be used; the message names file, setting and what is allowed."""


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The default is the same for every dataset; `docs/models.md` shows how it does."""

    seed: Annotated[int, Meta(ge=0)] = 0
    counts: CountsConfig = CountsConfig()
    lean_neighbours: Positive = 12
    "Neighbours an item in the counts that the pruned and int8 rungs are blended with."
    teacher: SasRecConfig = SasRecConfig(dim=128, n_heads=4, ffn_width=512, dropout=0.5)
    student: SasRecConfig = SasRecConfig(dim=64, n_heads=2, ffn_width=256, dropout=0.2)
    fit: FitConfig = FitConfig()
    "How the teacher is fitted."
    refit: FitConfig = FitConfig(loss="sampled_softmax", max_epochs=80, patience=3)
    "How student and pruned student are fitted, from the teacher."
    head: HeadKind = "flat"
    """How the student scores items. `flat` is one product over the catalogue, blended with counts. The others are
    for large catalogues (`training.heads`): `exact_int8` and `inverted_file`, without counts."""
    distil: DistilConfig = DistilConfig()
    prune: PruneConfig = PruneConfig()

    def __post_init__(self) -> None:
        if self.student.max_length != self.teacher.max_length:
            raise ValueError("teacher.max_length and student.max_length must be the same")
        if self.prune.n_heads > self.student.n_heads or self.prune.ffn_width > self.student.ffn_width:
            raise ValueError("prune.n_heads and prune.ffn_width must not exceed those of the student")


def read_config(path: Path | None) -> RunConfig:
    """The run's settings.

    Raises:
        ConfigError: the file is missing or not TOML, or a setting is unknown or out of range.
    """
    if path is None:
        return RunConfig()
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
        config = msgspec.convert(settings, RunConfig)
    except OSError as err:
        raise ConfigError(f"cannot read {path}: {err.strerror}") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as err:
        raise ConfigError(f"{path}: {err}") from err
    for fit in ("fit", "refit"):
        if "seed" in settings.get(fit, {}):
            raise ConfigError(
                f"{path}: {fit}.seed cannot be set; the run's own `seed` is that of all its fits"
            )
    return config
