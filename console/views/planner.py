"""Planner: which plan keeps the promise for the least money?"""

import difflib
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import streamlit as st

from console.analysis.backtest import read_backtest
from console.analysis.bill import TELEMETRY, Bill, bill_of, interval_s_of, sku_of
from console.analysis.plan_process import Search
from console.analysis.plan_question import PlanAnswer, PlanQuestion, Point, Setup
from console.analysis.todays_plan import TodaysPlan, todays_plan
from console.asking import Answer, Question, ask, ask_later
from console.bar import current_scope
from console.charts.planner import FIGURES, errors_chart, p99_of, plans_chart, quality_scale
from console.formats import UNKNOWN, ms, number, share, usd
from console.page import altair_chart, current_palette, heading, panel, panel_row, say
from console.pieces import Cell, Column, Tile, Tone, data_table, tiles
from console.queries.histograms import percentile_ms
from console.scope import Scope, link_to
from console.searching import follow, key_of, search_for, searches
from console.settings import settings
from console.telemetry import Table, table_of
from planner.plans import MOST_ALWAYS_READY, SKUS

LOOK_BACK = timedelta(days=30)
"For the plan's own words about its settings."
SLOS_MS = (2, 3, 5, 8, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000)
FACTORS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
RANGE, RATE, TRACE = "Range", "Rate", "Trace"
GROWTH = 1.05
MOST_RATE = 5000.0
MOST_TRACE_BYTES = 30_000_000
TRACES = Path(tempfile.gettempdir()) / "recserve-console-traces"
SHOWN = "planner_shown"
"In the session: the key of the search whose answer is shown."
MOST_ROWS = 9
FASTER = 0.9
"A p99 of this share of another is worth a title."


def show() -> None:
    """Draw the view."""
    scope = current_scope()
    told = ask_later(
        scope, since=scope.until - LOOK_BACK, until=scope.until, settings=Question("plan_settings")
    )
    answers = ask(
        scope,
        allocation=Question("allocation"),
        observed=Question("allocation_observed"),
        load=Question("requests", variant="", version=""),
        volume=Question("volume"),
        work=Question("variant_work", variant="", version=""),
        histogram=Question(
            "latency_histogram",
            variant="",
            version="",
            growth=GROWTH,
            interval=max(scope.until - scope.since, timedelta(days=1)),
        ),
        instances=Question("instances"),
    )
    seconds = answers["allocation"] if answers["allocation"].has_rows else answers["observed"]
    plan = None
    if seconds.has_rows:
        plan = todays_plan(
            told["settings"].result().table,
            seconds.table,
            answers["instances"].table,
            interval_s=interval_s_of(seconds.table),
        )
    sku = plan.setup.sku if plan else sku_of(answers["instances"].table)
    bill = bill_of(seconds.table, answers["load"].table, answers["volume"].table, sku=sku)
    seen = _seen(bill, answers["histogram"].table)

    head = st.container(key="planner-head")
    left, right = panel_row([1, 3])
    with left, st.container(key="panel-controls"):
        question, is_wanted = _show_controls(scope, plan, _variants(answers["work"].table))
    search = _search(scope, question, is_wanted=is_wanted) if question is not None else _shown()
    answer = search.answer if search is not None else None
    with head:
        slo_ms = search.question.slo_ms if search is not None else settings().slo_ms
        heading(f"Which plan meets p99 ≤ {slo_ms:g} ms cheapest?", sentence(search))
        if answer is not None and not answer.error:
            st.html(tiles(figures(scope, answer)))
    with right:
        _show_picture(search, question, seen)
    if answer is None or answer.error or search is None:
        left, right = panel_row([1, 1])
        with left:
            _show_basis(search, answer)
        with right:
            _show_errors()
        return
    left, right = panel_row([3, 2])
    with left:
        _show_plans(answer, search)
        _show_errors()
    with right:
        _show_change(answer, search)
        _show_basis(search, answer)


def sentence(search: Search | None) -> str:
    """The view's answer, with its numbers."""
    if search is None:
        return "Choose a traffic, and let the planner search."
    answer, question = search.answer, search.question
    if answer is None:
        return "The planner is searching; the other views go on meanwhile."
    if answer.error:
        return "There is no answer to these choices."
    if answer.best is None:
        return f"None of {number(answer.n_candidates)} plans does. {answer.why_none}"
    best, today = answer.best, answer.today
    said = (
        f"{_named(best.setup)} for {usd(best.usd_month)} a month: it answers {_within(best)} requests within "
        f"{question.slo_ms:g} ms"
    )
    if today is None:
        return f"{said}."
    if today.setup == best.setup:
        return f"{said}. It is the plan that runs today."
    keeps = "keeps the promise too" if today.keeps else f"answers {_within(today)} requests in time"
    return f"{said}. Today's plan {keeps} and costs {usd(today.usd_month)}."


def figures(scope: Scope, answer: PlanAnswer) -> list[Tile]:
    """The tiles."""
    best, today, peak = answer.best, answer.today, answer.peak
    saved = today.usd_month - best.usd_month if best and today else None
    holding = [each.factor for each in answer.holds if each.keeps]
    fails = next((each for each in answer.holds if not each.keeps), None)
    saved_tone: Tone = "good" if saved is not None and saved > 0 else "quiet"
    return [
        Tile(
            "Recommended",
            usd(best.usd_month if best else None),
            unit="a month" if best else "",
            delta=_usd_interval(best),
            help=f"Instances at list prices; 95 % interval over {answer.n_seeds} seeds",
        ),
        Tile(
            "Saved against today",
            usd(saved) if saved is not None else UNKNOWN,
            unit="a month" if saved is not None else "",
            delta=share(saved / today.usd_month) if saved is not None and today and today.usd_month else "",
            tone=saved_tone,
            href=link_to("cost", scope),
            help="Both simulated with the same arrivals",
        ),
        Tile(
            "p99",
            _value(p99_of(best) if best else None),
            unit="ms" if best else "",
            delta=_interval(best),
            help="Of the recommended plan, with its 95 % interval",
        ),
        Tile(
            "Within the SLO",
            f"{100 * best.slo_share:.2f}" if best else UNKNOWN,
            unit="%" if best else "",
            delta=f"{share(best.shed_share)} refused" if best else "",
        ),
        Tile(
            "Holds up to",
            f"× {max(holding):g}" if holding else ("× 1" if best else UNKNOWN),
            unit="the traffic" if best else "",
            delta=f"{share(fails.slo_share)} at × {fails.factor:g}" if fails else "",
            tone="warn" if fails else "quiet",
            help="The recommended plan under more of the same traffic",
        ),
        Tile(
            "Sized for the peak",
            usd(peak.usd_month if peak else None),
            unit="a month" if peak else "",
            delta=f"{peak.setup.always_ready} always ready, no burst" if peak else "",
            help="What one sets up without a planner: always-ready instances for the busiest ten seconds",
        ),
    ]


def _show_controls(
    scope: Scope, plan: TodaysPlan | None, variants: Sequence[str]
) -> tuple[PlanQuestion | None, bool]:
    """The question that the controls amount to, and whether a search for it was asked for; None: not complete."""
    st.html('<div class="rs-panel-head"><h2>What is asked for</h2></div>')
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
    traffic, factor = _traffic(kind)
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


def _traffic(kind: str) -> tuple[str | None, float]:
    """As the planner understands it, and the factor on it; None: it is not complete."""
    if kind == RATE:
        rate = st.number_input(
            "Requests a second",
            0.1,
            MOST_RATE,
            20.0,
            step=10.0,
            format="%.4g",
            key="rate",
            bind="query-params",
        )
        bursts = st.toggle(
            "In bursts", key="bursts", bind="query-params", help="Spells of 5 s at ten times the calm rate."
        )
        return (f"bursty:{rate:g}/s,burst=10,calm=20s,spell=5s" if bursts else f"{rate:g}/s"), 1.0
    if kind == TRACE:
        file = st.file_uploader(
            "Recorded arrivals, CSV",
            type="csv",
            key="trace",
            help="With a column of times, in a schema that the planner reads.",
        )
        return (_kept_trace(file.getvalue()) if file is not None else None), 1.0
    factor = st.select_slider(
        "Times the traffic", FACTORS, value=1.0, key="factor", format_func=lambda each: f"× {each:g}"
    )
    return "telemetry", float(factor)


def _kept_trace(content: bytes) -> str | None:
    """A file of its own for each content, which the planner's process can read."""
    if len(content) > MOST_TRACE_BYTES:
        return None
    TRACES.mkdir(mode=0o700, exist_ok=True)
    path = TRACES / f"{hashlib.sha256(content).hexdigest()[:24]}.csv"
    if not path.exists():
        path.write_bytes(content)
    return f"trace:{path}"


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


def _search(scope: Scope, question: PlanQuestion, *, is_wanted: bool) -> Search | None:
    """The search to show: the question's own, or, until one asks for it, the one before."""
    key = key_of(scope, question)
    known = searches().known(key)
    if known is None and not is_wanted and (before := _shown()) is not None:
        return before
    st.session_state[SHOWN] = key
    return search_for(scope, question, is_wanted=is_wanted)


def _shown() -> Search | None:
    return searches().known(st.session_state.get(SHOWN, ""))


def _show_picture(
    search: Search | None, question: PlanQuestion | None, seen: tuple[float, float] | None
) -> None:
    palette = current_palette()

    def draw_answer(answer: PlanAnswer) -> None:
        assert search is not None
        if answer.error:
            say(answer.error, "warn")
            return
        if not answer.frontier:
            say(answer.why_none or "No plan answers this traffic.", "warn")
            return
        if scale := quality_scale(answer, palette):
            st.html(scale)
        observed = seen if search.question.traffic == "telemetry" and search.question.factor == 1 else None
        altair_chart(
            plans_chart(answer, palette, slo_ms=search.question.slo_ms, seen=observed),
            key="plans-chart",
            height=520,
        )

    def draw(_: Table) -> None:
        if search is not None:
            follow(search, draw_answer, key="plans")

    if search is None:
        with st.container(key="panel-plans"):
            st.html('<div class="rs-empty">Nothing has been searched for yet.</div>')
        return
    answer = search.answer
    note = (
        "Each point is a plan, its colour the quality it serves; bars are 95 % intervals over seeds. At the upper "
        "edge: slower, or more than 1 % refused."
    )
    if question is not None and _asks_otherwise(search.question, question):
        note = "The controls say something else by now: search to see that. " + note
    panel(
        _picture_title(answer),
        _as_answer(search, _csv_table(answer)),
        draw,
        key="plans",
        unit="USD a month against p99",
        note=note,
    )


def _picture_title(answer: PlanAnswer | None) -> str:
    if answer is None or answer.error:
        return "What does a shorter tail cost?"
    if answer.best is None:
        return f"None of {number(answer.n_candidates)} plans keeps the promise"
    dearer = [
        point
        for point in answer.frontier
        if point.keeps and point.p99_ms is not None and point.usd_month > 1.02 * answer.best.usd_month
    ]
    p99_ms = p99_of(answer.best)
    fastest = min(dearer, key=lambda point: p99_of(point) or 0.0, default=None)
    if fastest is None or p99_ms is None or (p99_of(fastest) or 0.0) > FASTER * p99_ms:
        return f"The cheapest plan has a p99 of {ms(p99_ms)}, and money hardly makes it shorter"
    more = fastest.usd_month - answer.best.usd_month
    return f"{usd(more)} a month more would bring p99 from {ms(p99_ms)} to {ms(p99_of(fastest))}"


def _asks_otherwise(shown: PlanQuestion, asked: PlanQuestion) -> bool:
    same = msgspec.structs.replace(shown, since=asked.since, until=asked.until)
    return same != asked


def _show_plans(answer: PlanAnswer, search: Search) -> None:
    named: list[tuple[str, Tone, Point]] = []
    if answer.best:
        named.append(("recommended", "good", answer.best))
    if answer.today:
        named.append(("today", "info", answer.today))
    if answer.peak:
        named.append(("for the peak", "quiet", answer.peak))
    taken = {(point.setup, point.ladder) for _, _, point in named}
    rest = [point for point in answer.frontier if (point.setup, point.ladder) not in taken]
    rest += _best_by_cost(answer.others, {round(point.usd_month) for _, _, point in named})
    named += [("", "quiet", point) for point in rest[: MOST_ROWS - len(named)]]
    on_frontier = {id(point) for point in answer.frontier}

    def draw(_: Table) -> None:
        st.html(
            data_table(
                [
                    Column(""),
                    Column("Size"),
                    Column("Ready", is_number=True),
                    Column("Warm", is_number=True),
                    Column("Most", is_number=True),
                    Column("Ladder"),
                    Column("p99", unit="ms", is_number=True),
                    Column("In SLO", is_number=True),
                    Column("Refused", is_number=True),
                    Column("Quality", is_number=True),
                    Column("A month", is_number=True),
                ],
                [
                    [
                        Cell(name, tone=tone)
                        if name
                        else Cell("frontier" if id(point) in on_frontier else "beside it"),
                        point.setup.sku,
                        Cell(str(point.setup.always_ready)),
                        Cell(str(point.setup.pre_warmed)),
                        Cell(str(point.setup.max_burst)),
                        " › ".join(point.ladder),
                        Cell(_value(p99_of(point))),
                        Cell(
                            f"{100 * point.slo_share:.2f} %", tone=None if _is_fast(point, search) else "warn"
                        ),
                        Cell(share(point.shed_share)),
                        Cell(f"{point.quality:.4f}" if answer.knows_quality else share(point.quality)),
                        Cell(usd(point.usd_month)),
                    ]
                    for name, tone, point in named
                ],
                label="Plans beside each other",
            )
        )

    panel(
        f"{number(answer.n_candidates)} plans were considered, {number(answer.n_simulated)} simulated",
        _as_answer(search, _csv_table(answer)),
        draw,
        key="candidates",
        note="Ready: always ready. Warm: in reserve. A refused request is late: where more than 1 % are refused there "
        "is no p99. The frontier is what no other plan beats in cost, p99, quality and refusals at once.",
    )


def _best_by_cost(points: Sequence[Point], but: set[int]) -> list[Point]:
    """Of plans that keep the promise, the fastest for each cost that is not among those, cheapest first."""
    fastest: dict[int, Point] = {}
    for point in points:
        cost = round(point.usd_month)
        known = fastest.get(cost)
        if point.keeps and cost not in but and (known is None or (point.p99_ms or 0) < (known.p99_ms or 0)):
            fastest[cost] = point
    return [fastest[cost] for cost in sorted(fastest)]


def _show_change(answer: PlanAnswer, search: Search) -> None:
    def draw(_: Table) -> None:
        if answer.best is None:
            say("There is no plan to change to.", compact=True)
            return
        changes, commands, whole = st.tabs(["Bicep diff", "az commands", "Parameters"])
        with changes:
            diff = parameters_diff(answer.parameters_today, answer.parameters_best)
            st.code(
                diff or "# Nothing changes: today's parameters are the recommended ones.", language="diff"
            )
        with commands:
            st.code("\n".join(answer.commands), language="bash", wrap_lines=True)
        with whole:
            st.code(answer.parameters_best, language="json")
            st.download_button(
                "params.json",
                answer.parameters_best,
                file_name="params.json",
                mime="application/json",
                type="tertiary",
                icon=":material/download:",
                on_click="ignore",
            )

    is_same = answer.best is not None and not parameters_diff(answer.parameters_today, answer.parameters_best)
    panel(
        "Nothing has to change" if is_same else "What to change",
        _as_answer(search, _csv_table(answer)),
        draw,
        key="change",
        note="Today's parameters against the recommended ones; `az deployment group create --parameters @params.json` "
        "applies them.".replace("`", ""),
    )


def parameters_diff(today: str, best: str) -> str:
    """What changes in a parameters file, as a unified diff; empty where nothing does."""
    lines = difflib.unified_diff(
        today.splitlines(), best.splitlines(), "params.json (today)", "params.json", lineterm="", n=1
    )
    return "\n".join(lines)


def _show_errors() -> None:
    palette = current_palette()
    backtest = read_backtest()
    if backtest is None or not backtest.comparisons:
        with st.container(key="panel-errors"):
            st.html(
                '<div class="rs-panel-head"><h2>How wrong are predictions?</h2></div>'
                '<div class="rs-empty"><span>The result of a backtest is not beside this console. '
                "<code>python -m planner backtest</code> tells, where the benchmarks are.</span></div>"
            )
        return
    judged = {name: of for name, of in backtest.summary.items() if of.limit is not None}
    missed = sum(of.n_missed for of in judged.values())
    of_all = sum(of.n for of in judged.values())
    title = f"{of_all - missed} of {of_all} judged predictions were as near as wanted"
    rows: dict[str, Sequence[object]] = {
        "run": [str(each["run"]) for each in backtest.comparisons],
        "figure": [str(each["figure"]) for each in backtest.comparisons],
        "observed": [each.get("observed") for each in backtest.comparisons],
        "predicted": [each.get("predicted") for each in backtest.comparisons],
        "error": [each["error"] for each in backtest.comparisons],
    }
    made = Answer(
        question=f"Runs observed on the emulated plan and predicted, {backtest.date}.",
        kql="# benchmarks/results/backtest.json, by\n"
        "python -m planner backtest --observed benchmarks/results/plan_runs.json",
        table=table_of(rows),
        asked_at=_date(backtest.date),
    )

    def draw(_: Table) -> None:
        altair_chart(
            errors_chart(backtest.comparisons, backtest.limits, palette),
            key="errors-chart",
            height=26 * len({each["figure"] for each in backtest.comparisons}),
        )
        told = [
            f"{FIGURES.get(name, name)}: median {of.median_error:.0%}, wanted {of.limit:.0%}"
            for name, of in judged.items()
        ]
        st.html(f'<p class="rs-note">{"; ".join(told)}.</p>')

    panel(
        title,
        made,
        draw,
        key="errors",
        unit="error",
        note=f"{backtest.n_runs} runs on the emulated plan; a dot a run, shaded what is wanted. Measurements were "
        "taken from other runs.",
    )


def _show_basis(search: Search | None, answer: PlanAnswer | None) -> None:
    with st.container(key="panel-basis"):
        st.html('<div class="rs-panel-head"><h2>What this rests on</h2></div>')
        if search is None or answer is None:
            st.html('<div class="rs-empty">The planner tells with its answer.</div>')
            return
        if answer.error:
            st.html('<div class="rs-empty">Nothing was measured or simulated.</div>')
            return
        said = [
            f"Traffic: {answer.traffic}; {number(answer.rate_per_s, 1)} requests a second, "
            f"{number(answer.n_arrivals)} of them simulated over {answer.duration_s / 60:,.3g} min, with "
            f"{answer.n_seeds} seeds.",
            f"Times of an instance are from {answer.measured_from}.",
            *(f"{note[:1].upper()}{note[1:]}." for note in answer.notes),
            "Instances at list prices; telemetry and storage are not in it."
            + (f" Prices: {answer.unconfirmed}." if answer.unconfirmed else ""),
            f"The search took {answer.took_s:.1f} s.",
        ]
        st.html("<div class='rs-fine'>" + "".join(f"<p>{_escaped(text)}</p>" for text in said) + "</div>")


def _escaped(text: str) -> str:
    return text.replace("EXTRAPOLATED: ", "").replace("&", "&amp;").replace("<", "&lt;")


def _seen(bill: Bill, histogram: Table) -> tuple[float, float] | None:
    """What instances cost a month and what p99 was, as observed."""
    if bill.month_usd is None or not histogram.n_rows:
        return None
    p99_ms = percentile_ms(histogram.rows(), 0.99, growth=GROWTH)
    return None if p99_ms is None else (bill.month_usd - bill.month_usd_of(TELEMETRY), p99_ms)


def _variants(work: Table) -> list[str]:
    if not work.n_rows:
        return []
    return list(dict.fromkeys(name for name in work["variant"].tolist() if name))


def _as_answer(search: Search, table: Table) -> Answer:
    """What a panel needs: the command that asks the same, and rows."""
    question = search.question
    traffic = "telemetry:7d" if question.traffic == "telemetry" else question.traffic
    command = [
        f"python -m planner plan --traffic '{traffic}'",
        f"--slo-p99-ms {question.slo_ms:g}",
        f"--quality {question.quality:g}",
        f"--max-burst {question.most_instances}",
        *(f"--sku {sku}" for sku in question.skus),
        *([f"--ladder {','.join(question.variants)}"] if question.variants else []),
    ]
    if question.logs_url:
        command.append(f"--endpoint {question.logs_url} --workspace {question.workspace}")
    return Answer(
        question="The planner's command that asks about the same, with the last days of telemetry for the range.",
        kql=" \\\n    ".join(command),
        table=table,
        asked_at=search.asked_at,
    )


def _csv_table(answer: PlanAnswer | None) -> Table:
    points: list[tuple[str, Point]] = []
    if answer is not None:
        named = {"recommended": answer.best, "today": answer.today, "peak": answer.peak}
        points += [(name, point) for name, point in named.items() if point is not None]
        points += [("frontier", point) for point in answer.frontier]
        points += [("other", point) for point in answer.others]
    if not points:
        return table_of({"plan": ["searching"]})
    rows: Mapping[str, Sequence[object]] = {
        "plan": [name for name, _ in points],
        "sku": [point.setup.sku for _, point in points],
        "always_ready": [float(point.setup.always_ready) for _, point in points],
        "pre_warmed": [float(point.setup.pre_warmed) for _, point in points],
        "max_burst": [float(point.setup.max_burst) for _, point in points],
        "ladder": [" > ".join(point.ladder) for _, point in points],
        "p50_ms": [point.p50_ms for _, point in points],
        "p99_ms": [point.p99_ms for _, point in points],
        "slo_share": [point.slo_share for _, point in points],
        "shed_share": [point.shed_share for _, point in points],
        "quality": [point.quality for _, point in points],
        "usd_per_month": [point.usd_month for _, point in points],
    }
    return table_of(rows)


def _date(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.fromtimestamp(0)
    return at.astimezone()


def _named(setup: Setup) -> str:
    return (
        f"{setup.sku} with {setup.always_ready} always ready and {setup.pre_warmed} pre-warmed, "
        f"at most {setup.max_burst},"
    )


def _within(point: Point) -> str:
    if point.slo_share == 1:
        return "all"
    told = share(point.slo_share) if point.slo_share < 0.9 else f"{min(100 * point.slo_share, 99.99):.2f} %"
    return f"{told} of the"


def _is_fast(point: Point, search: Search) -> bool:
    return point.slo_share >= search.question.slo_share


def _usd_interval(point: Point | None) -> str:
    if point is None or point.usd_interval is None:
        return ""
    low, high = usd(point.usd_interval.low), usd(point.usd_interval.high)
    return f"{low} to {high}" if low != high else "with every seed"


def _value(p99_ms: float | None) -> str:
    return UNKNOWN if p99_ms is None else f"{p99_ms:.3g}"


def _interval(point: Point | None) -> str:
    if point is None or point.p99_interval is None:
        return ""
    low, high = point.p99_interval.low, point.p99_interval.high
    return f"{_value(low)} to {_value(high)} ms" if low is not None and high is not None else ""
