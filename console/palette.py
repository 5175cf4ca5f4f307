"""Colours, once: of text, states and phases, for either theme, each readable on its background."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """The colours of one theme, as `#rrggbb`; all but `line`, `surface` and `scale` reach 4.5:1 on both backgrounds."""

    background: str
    surface: str
    "Of tiles and tables that stand out."
    text: str
    muted: str
    "Captions and axis labels."
    line: str
    "Grid lines and borders."
    accent: str
    good: str
    warn: str
    bad: str
    info: str
    series: tuple[str, ...]
    "For what has no colour of its own, in this order."
    phases: Mapping[str, str]
    "Of a request, in the order of time."
    states: Mapping[str, str]
    "Of an instance."
    scale: tuple[str, ...]
    "From nothing to much, for heatmaps."
    is_dark: bool

    def phase(self, name: str) -> str:
        """A phase's colour; those that the console does not know share one."""
        return self.phases.get(name, self.phases["other"])

    def tone(self, name: str) -> str:
        """The colour of good, warn, bad, info or quiet."""
        return {"good": self.good, "warn": self.warn, "bad": self.bad, "info": self.info}.get(
            name, self.muted
        )


# Paper and ink; petrol for what is ours, ochre where attention is wanted.
LIGHT = Palette(
    background="#fbfaf7",
    surface="#f1efe9",
    text="#1f2a30",
    muted="#5c646a",
    line="#dcd8ce",
    accent="#0f6b66",
    good="#1b6e43",
    warn="#87580a",
    bad="#ae322c",
    info="#2c6490",
    series=("#0f6b66", "#87580a", "#2c6490", "#7a529c", "#a8415a", "#47702f", "#5d646a", "#8a5138"),
    phases={
        "startup": "#6b665a",
        "admit": "#70654c",
        "state": "#2c6490",
        "queue": "#8a5b08",
        "infer": "#0b716a",
        "rank": "#47702f",
        "search": "#5b6a12",
        "models": "#8a5138",
        "encode": "#7a529c",
        "other": "#a8415a",
    },
    states={
        "busy": "#0b716a",
        "ready": "#47702f",
        "starting": "#8a5b08",
        "pre-warmed": "#2c6490",
        "idle": "#6b665a",
        "failed": "#ae322c",
    },
    scale=("#f1efe9", "#cfe3de", "#9cc9c1", "#5fa79f", "#2c837c", "#0f6b66", "#8a5b08", "#ae322c"),
    is_dark=False,
)
DARK = Palette(
    background="#12181b",
    surface="#1b2327",
    text="#e8e6e0",
    muted="#a3abae",
    line="#2f393e",
    accent="#5cc3b8",
    good="#62c48b",
    warn="#e0a33e",
    bad="#f0847a",
    info="#7ab4e0",
    series=("#3fb5a9", "#e0a33e", "#7ab4e0", "#bfa0dd", "#ec8fa3", "#98c97e", "#a3abae", "#d99a7c"),
    phases={
        "startup": "#b0aa9b",
        "admit": "#938d7e",
        "state": "#6fa8d8",
        "queue": "#e0a33e",
        "infer": "#3fb5a9",
        "rank": "#98c97e",
        "search": "#c3cb63",
        "models": "#d99a7c",
        "encode": "#bfa0dd",
        "other": "#ec8fa3",
    },
    states={
        "busy": "#3fb5a9",
        "ready": "#98c97e",
        "starting": "#e0a33e",
        "pre-warmed": "#6fa8d8",
        "idle": "#938d7e",
        "failed": "#f0847a",
    },
    scale=("#1b2327", "#1d3a3b", "#1f5653", "#24746e", "#2f9d92", "#62c3b5", "#e0a33e", "#f0847a"),
    is_dark=True,
)


def palette_of(theme: str | None) -> Palette:
    """The palette of a theme as the browser names it, light unless it is `dark`."""
    return DARK if theme == "dark" else LIGHT


def css_variables() -> str:
    """Every colour as a CSS variable that follows the theme: `--rs-good`, `--rs-phase-queue`, `--rs-series-1`."""
    lines = "".join(
        f"--rs-{name}:light-dark({light},{dark});"
        for (name, light), (_, dark) in zip(_named(LIGHT), _named(DARK), strict=True)
    )
    return f".stApp{{{lines}}}"


def _named(palette: Palette) -> Sequence[tuple[str, str]]:
    single = ("background", "surface", "text", "muted", "line", "accent", "good", "warn", "bad", "info")
    return [
        *((name, getattr(palette, name)) for name in single),
        *((f"series-{number}", colour) for number, colour in enumerate(palette.series, start=1)),
        *((f"phase-{name}", colour) for name, colour in palette.phases.items()),
        *((f"state-{name}", colour) for name, colour in palette.states.items()),
    ]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours as WCAG 2 defines it, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return sum(weight * channel for weight, channel in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
