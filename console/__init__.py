"""The console: what operators, engineers and callers of Recserve look at.

    views/<view>.py             what a view asks, and the order of its page: `show()`
    panels/<view>_<topic>.py    one topic of a view: its panel, its tiles or its sentences
    charts/                     pictures and tables as pure functions: data in, specification or HTML out
    analysis/                   what follows from the answers, without a page
    queries/                    the questions, in KQL

Beside them stand what all views share: the shell with its bar and status, `page` and `pieces` that pages are made of,
`asking` and `telemetry` that answers come through.
"""
