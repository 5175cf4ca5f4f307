"""Which variant pays: answers, computing and cost of each."""

from collections.abc import Sequence

import streamlit as st

from console.analysis.payers import Payer
from console.asking import Answer
from console.formats import UNKNOWN, share, short, usd
from console.page import panel
from console.pieces import Cell, Column, data_table
from console.scope import Scope, link_to
from console.telemetry import Table, table_of


def show_payers(scope: Scope, work: Answer, payers: Sequence[Payer]) -> None:
    """Draw what each variant of each version answered, computed and cost."""

    def draw(_: Table) -> None:
        st.html(
            data_table(
                [
                    Column("Variant"),
                    Column("Models"),
                    Column("Answers", is_number=True),
                    Column("Computing", unit="ms each", is_number=True),
                    Column("Share of computing", is_bar=True),
                    Column("Per 1,000", is_number=True),
                    Column("A month", is_number=True),
                ],
                [
                    [
                        Cell(
                            payer.variant,
                            href=link_to("latency", scope, variant=payer.variant)
                            if payer.variant != "not known"
                            else "",
                            help="Its requests",
                        ),
                        Cell(payer.version[:10] or UNKNOWN, help=payer.version),
                        Cell(short(payer.n_answers)),
                        payer.compute_ms,
                        payer.compute_share,
                        Cell(usd(payer.usd_per_1000)),
                        Cell(usd(payer.month_usd)),
                    ]
                    for payer in payers
                ],
                label="Variants by what they cost",
            )
        )

    title = "Which variant pays?"
    if (first := largest(payers)) is not None:
        name, answer_share, compute_share = first
        title = f"{name} gave {share(answer_share)} of the answers and did {share(compute_share)} of the computing"
    panel(
        title,
        work,
        draw,
        key="payers",
        note="A model run is shared by its batch. Idle time is shared out like computing, telemetry by answers.",
        empty="No answer of this range says which variant gave it.",
        csv=lambda: table_of(
            {
                name: [getattr(payer, name) for payer in payers]
                for name in (
                    "variant",
                    "version",
                    "n_answers",
                    "answer_share",
                    "compute_ms",
                    "compute_share",
                    "usd_per_1000",
                    "month_usd",
                )
            }
        ).csv(),
    )


def largest(payers: Sequence[Payer]) -> tuple[str, float, float] | None:
    """The variant that computed most, over its versions: name, share of answers, share of computing."""
    shares: dict[str, tuple[float, float]] = {}
    for payer in payers:
        answered, computed = shares.get(payer.variant, (0.0, 0.0))
        shares[payer.variant] = (answered + payer.answer_share, computed + payer.compute_share)
    if not shares:
        return None
    name = max(shares, key=lambda each: shares[each][1])
    return name, min(shares[name][0], 1.0), min(shares[name][1], 1.0)
