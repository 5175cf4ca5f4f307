"""The model card: what a models directory is good for, how good, and made from what."""

from recserve.inference.manifest import Manifest, Metrics

CARD = """\
# Model card: {dataset.name}, version {version}

Recommends items to a person from what that person took before, oldest first. Written by
`{provenance.command}`; every figure below comes from `manifest.json`.

## The ladder

NDCG@10 over all {dataset.n_items} items, leave-one-out by time, with the 95 % bootstrap interval over {n_test}
test users; {repeats} Latency is the median of one run, one thread, one user with a long history.

| variant | NDCG@10 | 95 % interval | HR@10 | MRR@10 | parameters | bytes | latency |
| --- | --- | --- | --- | --- | --- | --- | --- |
{ladder}

{descriptions}

The service loads {serving}, and answers with the first of them unless it is pressed.

Measured and not shipped:

| model | NDCG@10 | 95 % interval | HR@10 | MRR@10 | why |
| --- | --- | --- | --- | --- | --- |
{unshipped}

## How it was made

- Data: {dataset.name}, {dataset.n_interactions} interactions of {dataset.n_users} users with {dataset.n_items} items,
  after users and items with fewer than 5 interactions were left out (SHA-256 of the interactions file:
  `{dataset.sha256}`).
- The last interaction of each user is the test, the one before it the validation; neither is fitted on.
- Ended at {provenance.created} on {provenance.machine}, seed {provenance.seed}, with
  {packages}.
{fits}

## What it is not good for

- It has seen {dataset.n_users} users: rare items are guesses, and items that came after the data are unknown.
- All interactions count the same: a low rating is a sign of interest, not of dislike.
- It must not decide anything about people; it orders a list.

## Licence

The models and the catalogue are made from data under these terms: {dataset.licence}. Source:
{dataset.source}. The full text is in `DATA-LICENCE.txt` and covers everything in this directory.
"""


def write_card(manifest: Manifest) -> str:
    return CARD.format(
        version=manifest.version,
        dataset=manifest.dataset,
        provenance=manifest.provenance,
        n_test=manifest.ladder[0].metrics.n_users,
        repeats="items a user already had may be answers."
        if manifest.dataset.allow_repeats
        else "items a user already had are never counted as answers.",
        ladder="\n".join(
            f"| {variant.name} | {metrics_row(variant.metrics)} | {variant.parameters} | {variant.file.bytes} "
            f"| {variant.measurement.latency_ms['1']:.3f} ms |"
            for variant in manifest.ladder
        ),
        descriptions="\n".join(f"- **{variant.name}**: {variant.description}" for variant in manifest.ladder),
        serving=", ".join(manifest.serving),
        unshipped="\n".join(
            f"| {name} | {metrics_row(model.metrics)} | {model.reason} |"
            for name, model in manifest.unshipped.items()
        ),
        fits="\n".join(
            f"- Fit of the {name}: {fit.n_epochs} epochs, best after {fit.best_epoch} (NDCG@10 "
            f"{fit.best_ndcg_10:.4f} on validation, without counts)."
            for name, fit in manifest.provenance.fits.items()
        ),
        packages=", ".join(f"{name} {version}" for name, version in manifest.provenance.packages.items()),
    )


def metrics_row(metrics: Metrics) -> str:
    interval = f"{metrics.ndcg_10_low:.4f} to {metrics.ndcg_10_high:.4f}"
    return f"{metrics.ndcg['10']:.4f} | {interval} | {metrics.hr['10']:.4f} | {metrics.mrr['10']:.4f}"
