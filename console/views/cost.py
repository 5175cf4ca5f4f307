"""Cost: what does a thousand recommendations cost, and who pays?"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from html import escape

import numpy as np
import streamlit as st

from console.analysis.bill import (
    CLASSES,
    DEFAULT_REGION,
    TELEMETRY,
    TITLES,
    Bill,
    bill_of,
    interval_s_of,
    sku_of,
    usd_per_instance_s,
)
from console.analysis.elsewhere import Comparison, Elsewhere, compare_plans
from console.analysis.payers import Payer, payers_of
from console.analysis.plan_question import PlanAnswer, PlanQuestion
from console.analysis.todays_plan import TodaysPlan, todays_plan
from console.asking import Answer, Question, ask, ask_later
from console.bar import current_scope
from console.charts.cost import (
    ROW_PX,
    allocation_chart,
    bill_strip,
    elsewhere_chart,
    hours_strip,
    swatch,
)
from console.formats import UNKNOWN, number, share, short, usd
from console.page import Click, altair_chart, current_palette, echart, heading, panel, panel_row, say
from console.palette import Palette
from console.pieces import Cell, Column, Tile, Tone, anchor, badge, data_table, tiles
from console.scope import Scope, link_to
from console.searching import follow, search_for
from console.settings import settings
from console.telemetry import Table, table_of

LOOK_BACK = timedelta(days=30)
"For the plan's own words about its settings."
WASTE = ("idle", "pre_warmed")
MUCH = 0.5
NEAR = 0.05
"A modelled bill this near to the observed one is said to agree."
FEW_ANSWERS = 100
NO_ALLOCATION = (
    "Nothing in this range says which instances were allocated: neither the plan nor the instances' own heartbeats. "
    "Choose a range with traffic."
)


def show() -> None:
    """Draw the view."""
    scope = current_scope()
    palette = current_palette()
    told = ask_later(
        scope, since=scope.until - LOOK_BACK, until=scope.until, settings=Question("plan_settings")
    )
    answers = ask(
        scope,
        allocation=Question("allocation"),
        observed=Question("allocation_observed"),
        # The bill is of all variants: instances are there for each of them.
        load=Question("requests", variant="", version=""),
        volume=Question("volume"),
        work=Question("variant_work", variant="", version=""),
        histogram=Question(
            "latency_histogram",
            variant="",
            version="",
            growth=1.3,
            interval=max(scope.until - scope.since, timedelta(days=1)),
        ),
        instances=Question("instances"),
    )
    seconds = answers["allocation"] if answers["allocation"].has_rows else answers["observed"]
    if answers["allocation"].is_failed:
        seconds = answers["allocation"]
    sku = sku_of(answers["instances"].table)
    plan = None
    if seconds.has_rows:
        plan = todays_plan(
            told["settings"].result().table,
            seconds.table,
            answers["instances"].table,
            interval_s=interval_s_of(seconds.table),
        )
        sku = plan.setup.sku if plan is not None and plan.is_told else sku
    bill = bill_of(
        seconds.table, answers["load"].table, answers["volume"].table, region=DEFAULT_REGION, sku=sku
    )
    payers = payers_of(bill, answers["work"].table)
    elsewhere = _elsewhere(scope, answers, bill, plan)

    heading("What does a thousand recommendations cost, and who pays?", sentence(bill, payers))
    st.html(tiles(figures(scope, bill, seconds.table, answers["load"].table)))

    left, right = panel_row([3, 2])
    with left:
        _show_time(scope, seconds, bill, palette)
    with right:
        _show_bill(seconds, answers, bill, palette)
    left, right = panel_row([3, 2])
    with left:
        _show_payers(scope, answers["work"], payers)
    with right:
        _show_modelled(scope, seconds, answers["load"], bill, plan, palette)
    _show_elsewhere(answers, elsewhere, bill, palette)


def sentence(bill: Bill, payers: Sequence[Payer]) -> str:
    """The view's answer, with its numbers."""
    if bill.month_usd is None:
        return "Telemetry of this range does not tell what was allocated, so there is no bill."
    if bill.usd_per_1000 is None:
        return f"Nothing was answered in this range, and standing by costs {usd(bill.month_usd)} a month."
    waste = bill.month_usd_of(*WASTE) / bill.month_usd
    said = f"{usd(bill.usd_per_1000)}, or {usd(bill.month_usd)} a month at this pace. "
    said += f"{share(waste)} of it pays for instances that stood by idle"
    if (first := largest(payers)) is not None:
        said += f"; {first[0]} did {share(first[2])} of the computing"
    said += "."
    if bill.n_answers < FEW_ANSWERS:
        said += f" It rests on {number(bill.n_answers)} answers only."
    if bill.is_approximate:
        said += " An approximation, from what instances saw of themselves."
    return said


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


def figures(scope: Scope, bill: Bill, allocation: Table, load: Table) -> list[Tile]:
    """The tiles."""
    waste_usd = bill.month_usd_of(*WASTE)
    waste = waste_usd / bill.month_usd if bill.month_usd else None
    telemetry = bill.part(TELEMETRY)
    waste_tone: Tone = "warn" if waste is not None and waste > MUCH else "quiet"
    about = "approximation" if bill.is_approximate else ""
    return [
        Tile(
            "Per 1,000 recommendations",
            usd(bill.usd_per_1000),
            delta=about or (f"{short(bill.n_answers)} answered" if bill.n_answers else ""),
            spark=usd_per_1000_over_time(bill, allocation, load) if allocation.n_rows else (),
            help="Instances and telemetry of this range, by what was answered",
        ),
        Tile(
            "A month at this pace",
            usd(bill.month_usd),
            delta=f"730 h like these {_length(bill.elapsed_s)}" if bill.elapsed_s else "",
            help="List prices, without tax, discounts and storage",
        ),
        Tile(
            "Idle and pre-warmed",
            usd(waste_usd) if bill.month_usd is not None else UNKNOWN,
            unit="a month" if bill.month_usd is not None else "",
            delta=f"{share(waste)} of the bill" if waste is not None else "",
            tone=waste_tone,
            help="Time of always-ready instances without a request in flight, and of the reserve",
            href=link_to("planner", scope),
        ),
        Tile(
            "Instances",
            number(bill.n_instances, 2) if bill.elapsed_s else UNKNOWN,
            delta=f"{bill.sku}, on average" if bill.elapsed_s else "",
            href=link_to("concurrency", scope),
        ),
        Tile(
            "Telemetry",
            usd(telemetry.month_usd if telemetry else 0.0) if bill.month_usd is not None else UNKNOWN,
            unit="a month" if bill.month_usd is not None else "",
            delta=f"{share(telemetry.share)} of the bill"
            if telemetry
            else ("within the free amount" if bill.month_usd is not None else ""),
            help="What Log Analytics takes in, its free amount taken off",
        ),
    ]


def usd_per_1000_over_time(bill: Bill, allocation: Table, load: Table) -> list[float]:
    """Cost of instances per 1,000 answers in each bin; NaN where nothing was answered."""
    if not load.n_rows:
        return []
    starts, bins = np.unique(allocation["interval_start"], return_inverse=True)
    column = "allocated_s" if "allocated_s" in allocation.columns else "observed_s"
    spent_s = np.bincount(bins, np.nan_to_num(allocation[column]), minlength=starts.size)
    places = np.searchsorted(starts, load["interval_start"])
    is_known = (places < starts.size) & (
        starts[np.minimum(places, starts.size - 1)] == load["interval_start"]
    )
    answers = np.bincount(places[is_known], np.nan_to_num(load["n_ok"])[is_known], minlength=starts.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        costs = 1000 * spent_s * usd_per_instance_s(bill.sku) / answers
    return [float(cost) if np.isfinite(cost) else float("nan") for cost in costs]


def _show_time(scope: Scope, seconds: Answer, bill: Bill, palette: Palette) -> None:
    interval = scope.interval

    def draw(table: Table) -> None:
        touched = echart(
            allocation_chart(table, interval.total_seconds(), palette),
            key="allocation",
            height=268,
            label="Allocated instances over time, by what their time was spent on",
            click=True,
        )
        if isinstance(touched, Click) and isinstance(touched.value, list) and touched.value:
            _show_moment(scope, touched.value[0], interval)

    busiest = max(bill.parts, key=lambda part: part.instance_s, default=None)
    title = "What were instances paid for?"
    if busiest is not None and busiest.instance_s:
        title = (
            f"{share(busiest.instance_s / bill.instance_s)} of the instances' time was "
            f"{TITLES[busiest.name].lower().replace(', ', ' and ')}"
        )
    panel(
        title,
        seconds,
        draw,
        key="time",
        unit="instances",
        note="Seconds that instances sampled themselves; time before readiness is missing."
        if bill.is_approximate
        else "Every billed second, by what it was spent on. Click a bar for the requests of that time.",
        empty=NO_ALLOCATION,
    )


def _show_moment(scope: Scope, at_ms: object, interval: timedelta) -> None:
    """A link to what happened in a bin that was clicked."""
    if not isinstance(at_ms, int | float) or not 0 < at_ms < 1e14:
        return
    since = scope.since.fromtimestamp(at_ms / 1e3, scope.since.tzinfo)
    until = since + interval
    st.html(
        f'<p class="rs-note">{since:%H:%M:%S} to {until:%H:%M:%S} UTC: '
        f"{anchor('requests', link_to('latency', scope, since=since, until=until))} · "
        f"{anchor('instances', link_to('concurrency', scope, since=since, until=until))} · "
        f"{anchor('cold starts', link_to('cold_starts', scope, since=since, until=until))}</p>"
    )


def _show_bill(seconds: Answer, answers: Mapping[str, Answer], bill: Bill, palette: Palette) -> None:
    def draw(*_: Table) -> None:
        rows = "".join(
            f"<tr><td><i class='rs-swatch' style='background:{swatch(part.name, palette)}'></i>{part.title}</td>"
            f"<td class='rs-number'>{_hours(part.instance_s)}</td>"
            f"<td class='rs-number'>{share(part.share)}</td>"
            f"<td class='rs-number'>{_small_usd(part.usd_per_1000)}</td>"
            f"<td class='rs-number'>{_small_usd(part.month_usd)}</td></tr>"
            for part in bill.parts
        )
        hours = _hours(bill.instance_s)
        st.html(
            bill_strip(bill, palette)
            + '<div class="rs-table" tabindex="0" role="region" aria-label="The bill by its lines"><table><thead><tr>'
            '<th scope="col">Line</th><th scope="col" class="rs-number">Hours</th>'
            '<th scope="col" class="rs-number">Share</th>'
            '<th scope="col" class="rs-number">Per 1,000</th><th scope="col" class="rs-number">A month</th>'
            f"</tr></thead><tbody>{rows}</tbody><tfoot><tr><td>Total</td><td class='rs-number'>{hours}</td>"
            f"<td class='rs-number'>100 %</td><td class='rs-number'>{usd(bill.usd_per_1000)}</td>"
            f"<td class='rs-number'>{usd(bill.month_usd)}</td></tr></tfoot></table></div>"
        )
        remarks = [badge("approximation", "warn")] if bill.is_approximate else []
        remarks += [
            badge("prices unconfirmed", "quiet", help="; ".join(bill.unconfirmed)) if bill.unconfirmed else ""
        ]
        st.html(f"<div class='rs-remarks'>{' '.join(remarks)}</div>")

    panel(
        "The bill",
        [seconds, answers["load"], answers["volume"]],
        draw,
        key="bill",
        unit="USD",
        note=f"{bill.sku} at list prices of {DEFAULT_REGION}; hours of this range.",
        empty=NO_ALLOCATION,
        csv=lambda: table_of(
            {
                "line": [part.name for part in bill.parts],
                "instance_s": [part.instance_s for part in bill.parts],
                "share": [part.share for part in bill.parts],
                "usd_per_1000": [part.usd_per_1000 for part in bill.parts],
                "usd_per_month": [part.month_usd for part in bill.parts],
            }
        ).csv(),
    )


def _show_payers(scope: Scope, work: Answer, payers: Sequence[Payer]) -> None:
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


def _show_modelled(
    scope: Scope, seconds: Answer, load: Answer, bill: Bill, plan: TodaysPlan | None, palette: Palette
) -> None:
    search = None
    if plan is not None and scope.workspace is not None and load.has_rows:
        question = PlanQuestion(
            goal="model",
            logs_url=scope.workspace.logs_url,
            workspace=scope.workspace.workspace_id,
            since=scope.since,
            until=scope.until,
            slo_ms=settings().slo_ms,
            slo_share=settings().slo_share,
            skus=(plan.setup.sku,),
            most_instances=plan.setup.max_burst,
            today=plan.setup,
        )
        search = search_for(scope, question)
    observed_s = {part.name: part.instance_s for part in bill.parts if part.name in CLASSES}

    def draw_answer(answer: PlanAnswer) -> None:
        if answer.error or answer.today is None:
            say(f"There is no model of this range: {answer.error or 'the plan is not known.'}", compact=True)
            return
        modelled_s = modelled_seconds(answer, bill.elapsed_s)
        whole_s = max(sum(observed_s.values()), sum(modelled_s.values()))
        st.html(
            "<div class='rs-strips'>"
            f"<span>Billed</span>{hours_strip(observed_s, whole_s, palette, label='Billed')}"
            f"<span>Modelled</span>{hours_strip(modelled_s, whole_s, palette, label='Modelled')}</div>"
            + _modelled_table(observed_s, modelled_s)
            + f"<p class='rs-note'>{_about_model(answer, plan)}</p>"
        )

    def draw(*_: Table) -> None:
        if search is None:
            say("There were no requests to simulate.", compact=True)
        else:
            follow(search, draw_answer, key="modelled")

    modelled = search.answer if search is not None else None
    panel(
        _modelled_title(modelled, bill),
        [seconds, load],
        draw,
        key="modelled",
        unit="instance-hours",
        note="The planner's simulation of the same arrivals on today's plan, against what was billed.",
        empty=NO_ALLOCATION,
    )


def modelled_seconds(answer: PlanAnswer, elapsed_s: float) -> dict[str, float]:
    """Allocated seconds by class that the simulator has, for a stretch of the bill's length."""
    if answer.today is None or not answer.duration_s:
        return {}
    return {
        name: spent_s * elapsed_s / answer.duration_s for name, spent_s in answer.today.allocated_s.items()
    }


def _modelled_title(answer: PlanAnswer | None, bill: Bill) -> str:
    title = "Does the model agree with the bill?"
    if answer is None or answer.today is None or not bill.instance_s:
        return title
    error = sum(modelled_seconds(answer, bill.elapsed_s).values()) / bill.instance_s - 1
    if abs(error) <= NEAR:
        return f"The model's total agrees with the bill to {share(max(abs(error), 0.001))}"
    return f"The model's total is {share(abs(error))} {'above' if error > 0 else 'below'} what was billed"


def _modelled_table(observed_s: Mapping[str, float], modelled_s: Mapping[str, float]) -> str:
    names = [name for name in CLASSES if observed_s.get(name, 0.0) > 0 or modelled_s.get(name, 0.0) > 0]
    rows: list[list[Cell | str | float | None]] = [
        _compared(TITLES[name], observed_s.get(name, 0.0), modelled_s.get(name, 0.0)) for name in names
    ]
    rows.append(_compared("Total", sum(observed_s.values()), sum(modelled_s.values())))
    return data_table(
        [
            Column("Time"),
            Column("Billed", unit="h", is_number=True),
            Column("Modelled", unit="h", is_number=True),
            Column("Error", is_number=True),
        ],
        rows,
        label="Billed and modelled time by class",
    )


def _compared(title: str, observed_s: float, modelled_s: float) -> list[Cell | str | float | None]:
    error = f"{modelled_s / observed_s - 1:+.0%}".replace("%", " %") if observed_s else UNKNOWN
    return [title, observed_s / 3600, modelled_s / 3600, Cell(error)]


def _about_model(answer: PlanAnswer, plan: TodaysPlan | None) -> str:
    assert plan is not None
    told = "" if plan.is_told else ", as far as its instances tell"
    said = f"{plan.setup}{told}. {number(answer.n_arrivals)} arrivals; times from {answer.measured_from}."
    return escape(said)


def _elsewhere(
    scope: Scope, answers: Mapping[str, Answer], bill: Bill, plan: TodaysPlan | None
) -> Comparison:
    if not answers["load"].has_rows or not answers["histogram"].has_rows:
        return Comparison()
    return _compare(
        answers["load"].table,
        answers["histogram"].table,
        scope.interval.total_seconds(),
        plan.setup.sku if plan else bill.sku,
        plan.setup.always_ready if plan else 1,
        plan.setup.pre_warmed if plan else 1,
        key=(answers["load"].asked_at, answers["histogram"].asked_at),
    )


@st.cache_data(max_entries=40, show_spinner=False)
def _compare(
    _load: Table,
    _histogram: Table,
    interval_s: float,
    sku: str,
    always_ready: int,
    pre_warmed: int,
    *,
    key: object,
) -> Comparison:
    return compare_plans(
        _load,
        _histogram,
        interval_s=interval_s,
        sku=sku,
        always_ready=always_ready,
        pre_warmed=pre_warmed,
    )


def _show_elsewhere(
    answers: Mapping[str, Answer], elsewhere: Comparison, bill: Bill, palette: Palette
) -> None:
    today_usd = bill.month_usd - bill.month_usd_of(TELEMETRY) if bill.month_usd is not None else None

    def draw(*_: Table) -> None:
        if not elsewhere.plans:
            say("There were no answers whose time could be billed.", compact=True)
            return
        left, right = st.container(key="elsewhere-body").columns([3, 2], gap="medium")
        with left:
            n_rows = len(elsewhere.plans) + (today_usd is not None)
            altair_chart(
                elsewhere_chart(elsewhere.plans, today_usd, bill.usd_per_1000_of_instances, palette),
                key="elsewhere-chart",
                height=ROW_PX * n_rows,
            )
        with right:
            st.html(_fine_print(elsewhere))

    panel(
        _elsewhere_title(elsewhere.plans, today_usd),
        [answers["load"], answers["histogram"]],
        draw,
        key="elsewhere",
        unit="USD a month",
        note="The same requests by what each plan meters: nobody waits there and nothing starts cold. "
        "Telemetry is left out; it costs the same everywhere.",
        csv=lambda: table_of(
            {
                "plan": [plan.title for plan in elsewhere.plans],
                "usd_per_month": [plan.month_usd for plan in elsewhere.plans],
                "usd_per_1000": [plan.usd_per_1000 for plan in elsewhere.plans],
            }
        ).csv(),
    )


def _elsewhere_title(plans: Sequence[Elsewhere], today_usd: float | None) -> str:
    if not plans or not today_usd:
        return "What would the same traffic cost on other plans?"
    first = plans[0]
    if first.month_usd < today_usd:
        return (
            f"By its time alone this traffic would cost {usd(first.month_usd)} a month on {first.title}; "
            f"today it costs {usd(today_usd)}"
        )
    return f"No other plan would cost less than today's {usd(today_usd)} a month"


def _fine_print(elsewhere: Comparison) -> str:
    said = [
        f"{number(elsewhere.n_requests)} requests of {elsewhere.mean_ms:.3g} ms on average, drawn from the range's own "
        "times; 512 MB an instance, up to 16 requests at once."
    ]
    if elsewhere.sampled:
        said.append(f"A sample: {elsewhere.sampled}.")
    assumptions = dict.fromkeys(text for plan in elsewhere.plans for text in plan.assumptions)
    doubts = dict.fromkeys(text for plan in elsewhere.plans for text in plan.unconfirmed)
    said += [f"{text}." for text in assumptions]
    if doubts:
        said.append("List prices, unconfirmed: " + "; ".join(doubts) + ".")
    items = "".join(f"<p>{escape(text.replace('EXTRAPOLATED: ', ''))}</p>" for text in said)
    return f"<div class='rs-fine'><p><b>What this rests on</b></p>{items}</div>"


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return number(hours, 1 if hours >= 0.1 else 2) if seconds else UNKNOWN


def _small_usd(value: float | None) -> str:
    return "< $0.0001" if value is not None and 0 < value < 5e-5 else usd(value)


def _length(seconds: float) -> str:
    for size, unit in ((86_400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"
