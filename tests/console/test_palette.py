"""Colours can be read on what they stand on, in both themes."""

import pytest

from console.palette import DARK, LIGHT, Palette, contrast, css_variables, palette_of


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_every_colour_is_readable_on_page_and_surface(palette: Palette) -> None:
    tones = (
        palette.text,
        palette.muted,
        palette.accent,
        palette.good,
        palette.warn,
        palette.bad,
        palette.info,
    )
    colours = {*tones, *palette.series, *palette.phases.values(), *palette.states.values()}

    faint = [
        colour
        for colour in colours
        if min(contrast(colour, palette.background), contrast(colour, palette.surface)) < 4.5
    ]

    assert faint == []


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_themes_name_the_same_phases_and_states() -> None:
    assert (list(LIGHT.phases), list(LIGHT.states)) == (list(DARK.phases), list(DARK.states))
    assert len(LIGHT.series) == len(DARK.series)


def test_unknown_phase_has_the_colour_of_others() -> None:
    assert LIGHT.phase("rerank") == LIGHT.phases["other"]


def test_css_variables_follow_the_theme() -> None:
    assert f"--rs-good:light-dark({LIGHT.good},{DARK.good});" in css_variables()
    assert f"--rs-phase-queue:light-dark({LIGHT.phases['queue']},{DARK.phases['queue']});" in css_variables()


def test_theme_that_is_not_told_is_light() -> None:
    assert palette_of(None) is LIGHT
    assert palette_of("dark") is DARK
