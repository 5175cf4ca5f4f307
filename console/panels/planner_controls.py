"""What the planner is asked: the promise, the traffic, and the plans that may be."""

from collections.abc import Sequence

import streamlit as st

from console.analysis.plan_question import PlanQuestion, Setup
from console.analysis.todays_plan import TodaysPlan
from console.formats import as_markdown
from console.page import say
from console.panels.planner_traffic import MOST_TRACE_BYTES, RANGE, RATE, TRACE, show_traffic
from console.pieces import panel_title
from console.scope import Scope
from console.settings import settings
from planner.plans import MOST_ALWAYS_READY, SKUS

SLOS_MS = (2, 3, 5, 8, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000)


def show_controls(
    scope: Scope, plan: TodaysPlan | None, variants: Sequence[str]
) -> tuple[PlanQuestion | None, bool]:
    """Draw the controls.

    Args:
        plan: that runs, as far as it is known.
        variants: that were seen.

    Returns:
        The question that they amount to, None where it is not complete; and whether a search for it is wanted.
    """
    st.html(panel_title("What is asked for"))
    promised = min(SLOS_MS, key=lambda each: abs(each - settings().slo_ms))
    slo_ms = st.select_slider(
        "p99 at most, ms",
        SLOS_MS,
        value=promised,
        key="slo",
        bind="query-params",
        help="Of all requests; refused ones are late.",
    )
    kind = st.segmented_control(
        "Traffic",
        [RANGE, RATE, TRACE],
        default=RANGE,
        required=True,
        key="traffic",
        bind="query-params",
    )
    traffic, factor = show_traffic(kind)
    by_devices = st.slider(
        "Answered by devices, %",
        0,
        95,
        0,
        step=5,
        key="edge",
        bind="query-params",
        help="Of this traffic, beyond what devices answer already. One of fifty of those is asked of the cloud too.",
    )
    sizes = st.pills(
        "Sizes",
        list(SKUS),
        selection_mode="multi",
        default=[plan.setup.sku if plan else "EP1"],
        key="sizes",
        help="A size that was never measured is extrapolated from one that was.",
    )
    most = st.slider("Most instances", 1, 60, 10, key="most", bind="query-params")
    chosen: Sequence[str] = ()
    if len(variants) > 1:
        chosen = st.pills(
            "Variants that may answer",
            list(variants),
            selection_mode="multi",
            default=list(variants),
            format_func=as_markdown,
            key="ladder",
            help="Every ladder of neighbouring rungs is tried; brownout goes down it under pressure.",
        )
    quality = st.slider(
        "Least quality, % of the best",
        50,
        100,
        95,
        key="quality",
        bind="query-params",
        help="Mean NDCG@10 of the answers.",
    )
    today = _todays_controls(plan)
    is_wanted = st.button("Search plans", type="primary", icon=":material/search:", width="stretch")
    problem = _problem(traffic, sizes, chosen, variants, scope)
    if problem:
        say(problem, "warn", compact=True)
        return None, False
    assert traffic is not None
    workspace = scope.workspace
    return (
        PlanQuestion(
            logs_url=workspace.logs_url if workspace else "",
            workspace=workspace.workspace_id if workspace else "",
            since=scope.since,
            until=scope.until,
            traffic=traffic,
            factor=factor,
            edge_share=by_devices / 100,
            slo_ms=float(slo_ms),
            slo_share=settings().slo_share,
            quality=quality / 100,
            skus=tuple(sku for sku in SKUS if sku in sizes),
            most_instances=most,
            variants=tuple(chosen) if len(chosen) < len(variants) else (),
            today=today,
        ),
        is_wanted,
    )


def _todays_controls(plan: TodaysPlan | None) -> Setup:
    """The plan to compare with: as it said itself, or as concluded, until somebody knows better."""
    known = plan.setup if plan else Setup()
    with st.popover("Today's plan", width="stretch", icon=":material/tune:"):
        st.caption(
            "As the plan said at its start."
            if plan and plan.is_told
            else "Telemetry does not know all of these. Set what the portal says."
        )
        sku = st.selectbox("Size", list(SKUS), index=list(SKUS).index(known.sku), key="today_sku")
        always_ready = st.number_input(
            "Always ready", 1, MOST_ALWAYS_READY, known.always_ready, key="today_ready"
        )
        pre_warmed = st.number_input("Pre-warmed", 0, 10, min(known.pre_warmed, 10), key="today_warm")
        burst = st.number_input("At most", 1, 100, known.max_burst, key="today_burst")
    return Setup(
        sku=sku,
        always_ready=always_ready,
        pre_warmed=pre_warmed,
        max_burst=max(burst, always_ready, pre_warmed),
    )


def _problem(
    traffic: str | None, sizes: Sequence[str], chosen: Sequence[str], variants: Sequence[str], scope: Scope
) -> str:
    if traffic is None:
        return f"Choose a file of arrivals, at most {MOST_TRACE_BYTES // 1_000_000} MB."
    if not sizes:
        return "Choose at least one size."
    if len(variants) > 1 and not chosen:
        return "Choose at least one variant."
    if traffic == "telemetry" and scope.workspace is None:
        return "Telemetry is not configured; plan for a rate."
    return ""
