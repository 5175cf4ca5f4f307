"""The manifest: what a models directory holds, how good it is, and the proof that it is intact.

Training writes it, serving reads it; it is all that the two share.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path

import msgspec

from recserve.errors import InvalidModels

MANIFEST_NAME = "manifest.json"


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    "File name in the models directory."
    sha256: str
    bytes: int


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Leave-one-out over all items of the catalogue; `training.evaluation` defines each figure."""

    hr: dict[str, float]
    "By list length: 5, 10, 20."
    ndcg: dict[str, float]
    mrr: dict[str, float]
    ndcg_10_low: float
    "Lower end of the bootstrap 95 % interval over users."
    ndcg_10_high: float
    coverage_10: float
    novelty_10: float
    diversity_10: float | None
    "None where items have no genres."
    ndcg_10_by_length: dict[str, float]
    "By the number of items in the user's history."
    n_users: int


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What a variant costs, on the machine of the provenance, one thread."""

    load_ms: float
    "Session from file, median."
    rss_mib: float
    "Resident memory that loading and one run add to the process."
    latency_ms: dict[str, float]
    "Median of one run by batch size, all variants in turns; histories as long as the model reads."


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of the ladder.

    Every variant is an ONNX graph with the int64 inputs `history` (batch, length), item numbers with the
    newest last, 0 pads on the left; `seen` (batch, n_seen), item numbers that must not come back, 0 pads;
    and `k` (1,). It answers with `items` int64 and `scores` float32, both (batch, at most k), best first;
    item 0 with score -inf stands where fewer remain.
    """

    name: str
    description: str
    is_neural: bool
    file: ModelFile
    parameters: int
    metrics: Metrics
    measurement: Measurement
    identical: float
    "Share of test users whose first ten are those of the PyTorch model it was made from, in the same order."
    overlap: float
    "Mean share of the first ten that are also among the first ten of that model."
    validation_ndcg_10: float | None = None
    "NDCG@10 on the validation items, by which the served variants are chosen; None where it was not kept."


class Unshipped(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was measured and is not on the ladder."""

    metrics: Metrics
    reason: str


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    source: str
    licence: str
    n_users: int
    n_items: int
    n_interactions: int
    allow_repeats: bool
    "Whether items of the history may be recommended again."
    sha256: str
    "Digest of the interactions as they were read, before any filter."


class FitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How one fit went; all of it, also when it was killed and went on."""

    n_epochs: int
    best_epoch: int
    "Whose weights were kept."
    best_ndcg_10: float
    "On the validation items, without counts."


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    command: str
    commit: str
    "Commit of the code that ended the run, `-dirty` when the tree was not clean; fits that went on began before."
    created: str
    "ISO 8601, UTC."
    seed: int
    packages: dict[str, str]
    machine: str
    duration_s: float
    "Of the command that ended the run; one that was killed and went on took longer in all."
    fits: dict[str, FitRecord] = {}
    "By what was fitted; empty where it was not kept."


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: int
    version: str
    dataset: Dataset
    catalogue: ModelFile
    ladder: list[Variant]
    "Teacher, student, pruned, int8, counts, popular, as far as they ship; the last needs no history."
    serving: list[str]
    "Variants that the service loads, from best to cheapest; the first is the default."
    similar: str
    "Variant that answers 'similar to this item'."
    max_history: int
    "Most recent items that any variant reads."
    unshipped: dict[str, Unshipped]
    provenance: Provenance

    def files(self) -> list[ModelFile]:
        return [self.catalogue, *(variant.file for variant in self.ladder)]

    def variant(self, name: str) -> Variant:
        known = {variant.name: variant for variant in self.ladder}
        if name not in known:
            raise InvalidModels(f"unknown model variant {name!r}; the manifest has {sorted(known)}")
        return known[name]

    def narrowed(self, names: Collection[str]) -> "Manifest":
        """The same, serving these variants and the last, which alone needs no history; in the ladder's order.

        Raises:
            InvalidModels: the ladder lacks one of them.
        """
        known = [variant.name for variant in self.ladder]
        if not {*names} <= {*known}:
            raise InvalidModels(f"the ladder is to be {[*names]}; the manifest has {known}")
        chosen = {*names, known[-1]}
        return msgspec.structs.replace(self, serving=[name for name in known if name in chosen])


FORMAT = 2


def describe_file(path: Path) -> ModelFile:
    content = path.read_bytes()
    return ModelFile(name=path.name, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def read_manifest(models_dir: Path) -> Manifest:
    """Read the manifest alone; the files it names are not touched.

    Raises:
        InvalidModels: the manifest is missing, malformed or of another format.
    """
    return parse_manifest(read_manifest_bytes(models_dir))


def read_manifest_bytes(models_dir: Path) -> bytes:
    """The manifest as it is stored.

    Raises:
        InvalidModels: it is missing.
    """
    try:
        return (models_dir / MANIFEST_NAME).read_bytes()
    except OSError as err:
        raise InvalidModels(
            f"cannot read {MANIFEST_NAME} in the models directory: {err.strerror}; train with `python -m training`"
        ) from err


def parse_manifest(content: bytes) -> Manifest:
    """Understand a manifest, and refuse one that contradicts itself.

    Raises:
        InvalidModels: it is malformed, of another format or contradictory.
    """
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        raise InvalidModels(
            f"{MANIFEST_NAME} is not a manifest: {err}; train again or restore the file"
        ) from err
    if manifest.format != FORMAT:
        raise InvalidModels(
            f"{MANIFEST_NAME} has format {manifest.format}; this version reads format {FORMAT}"
        )
    _check(manifest)
    return manifest


def _check(manifest: Manifest) -> None:
    names = [variant.name for variant in manifest.ladder]
    if not names:
        raise InvalidModels(f"{MANIFEST_NAME} has an empty ladder; at least one variant is needed")
    if len(set(names)) != len(names):
        raise InvalidModels(f"{MANIFEST_NAME} names a variant twice: {names}")
    if manifest.max_history < 1:
        raise InvalidModels(
            f"{MANIFEST_NAME} has max_history {manifest.max_history}; models read at least 1 item"
        )
    if not manifest.serving or manifest.serving[-1] != names[-1]:
        raise InvalidModels(f"{MANIFEST_NAME} serves {manifest.serving}; the last must be {names[-1]!r}")
    for name in (*manifest.serving, manifest.similar):
        manifest.variant(name)
    if manifest.similar not in manifest.serving:
        raise InvalidModels(
            f"{MANIFEST_NAME} answers similar items with {manifest.similar!r}, which is not served"
        )


def place_of(file: ModelFile, models_dir: Path) -> Path:
    """Where a file of the manifest lies, or is to lie.

    Raises:
        InvalidModels: its name leads elsewhere.
    """
    path = models_dir / file.name
    if path.parent != models_dir or file.name in ("", "..", MANIFEST_NAME):
        raise InvalidModels(
            f"the manifest names {file.name!r}; files must lie directly in the models directory"
        )
    return path


def read_verified(models_dir: Path, file: ModelFile) -> bytes:
    """The file's content, after its digest was found to be the manifest's.

    Raises:
        InvalidModels: the file is missing, or differs from what the manifest promises.
    """
    path = place_of(file, models_dir)
    try:
        content = path.read_bytes()
    except OSError as err:
        raise InvalidModels(
            f"cannot read {file.name} in the models directory: {err.strerror}; restore it or train again"
        ) from err
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256 or len(content) != file.bytes:
        raise InvalidModels(
            f"{file.name} is damaged: SHA-256 {found[:12]}... ({len(content)} bytes), the manifest says "
            f"{file.sha256[:12]}... ({file.bytes} bytes); restore the file or train again"
        )
    return content
