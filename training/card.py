"""The model card: what a models directory is good for, how good, and made from what."""

from recserve.inference.manifest import Manifest, Metrics

CARD = """\
# Model card: {dataset.name}, version {version}

Recommends items to a person from what that person took before, oldest first. Written by
`{provenance.command}`; every figure below comes from `manifest.json`.

## The ladder

From best to cheapest. NDCG@10 over all {dataset.n_items} items, leave-one-out by time, with the 95 %
bootstrap interval over {n_test} test users; items a user already had are never counted as answers.

| variant | NDCG@10 | 95 % interval | HR@10 | MRR@10 | parameters | bytes |
| --- | --- | --- | --- | --- | --- | --- |
{ladder}

{descriptions}

Measured for comparison, not shipped:

| model | NDCG@10 | 95 % interval | HR@10 | MRR@10 |
| --- | --- | --- | --- | --- |
{measured}

## How it was made

- Data: {dataset.name}, {dataset.n_interactions} interactions of {dataset.n_users} users with {dataset.n_items} items,
  after users and items with fewer than 5 interactions were left out (SHA-256 of the interactions file:
  `{dataset.sha256}`).
- The last interaction of each user is the test, the one before it the validation; neither is fitted on.
- Fitted at {provenance.created} in {provenance.duration_s:.0f} s on {provenance.machine}, seed {provenance.seed}, with
  {packages}.

## What it is not good for

- It has seen {dataset.n_users} users: rare items are guesses, and items that came after the data are unknown.
- All interactions count the same: a low rating is a sign of interest, not of dislike.
- It must not decide anything about people; it orders a list.

## Licence

The models and the catalogue are made from data under these terms: {dataset.licence}. Source:
<{dataset.source}>. The full text is in `DATA-LICENCE.txt` and covers everything in this directory.
"""


def write_card(manifest: Manifest) -> str:
    return CARD.format(
        version=manifest.version,
        dataset=manifest.dataset,
        provenance=manifest.provenance,
        n_test=manifest.ladder[0].metrics.n_users,
        ladder="\n".join(
            f"| {variant.name} | {_row(variant.metrics)} | {variant.parameters} | {variant.file.bytes} |"
            for variant in manifest.ladder
        ),
        descriptions="\n".join(f"- **{variant.name}**: {variant.description}" for variant in manifest.ladder),
        measured="\n".join(f"| {name} | {_row(metrics)} |" for name, metrics in manifest.measured.items()),
        packages=", ".join(f"{name} {version}" for name, version in manifest.provenance.packages.items()),
    )


def _row(metrics: Metrics) -> str:
    interval = f"{metrics.ndcg_10_low:.4f} to {metrics.ndcg_10_high:.4f}"
    return f"{metrics.ndcg_10:.4f} | {interval} | {metrics.hr_10:.4f} | {metrics.mrr_10:.4f}"
