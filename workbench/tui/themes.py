"""Looks: dark, light, high contrast, 16 colours. Colour never says anything that a word or a mark does not."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

DARK: Final = Theme(
    name="workbench-dark",
    primary="#5fafd7",
    secondary="#87afaf",
    accent="#ffd787",
    warning="#ffaf5f",
    error="#ff8787",
    success="#87d787",
    foreground="#e4e4e4",
    background="#121417",
    surface="#1c2026",
    panel="#272c34",
    dark=True,
    variables={
        "block-cursor-background": "#5fafd7",
        "block-cursor-foreground": "#0b0d10",
        "block-cursor-text-style": "bold",
        "footer-key-foreground": "#ffd787",
        "scrollbar": "#4a525e",
        "scrollbar-background": "#1c2026",
    },
)

LIGHT: Final = Theme(
    name="workbench-light",
    primary="#005f87",
    secondary="#5f5f87",
    accent="#875f00",
    warning="#af5f00",
    error="#af0000",
    success="#005f00",
    foreground="#1c1c1c",
    background="#fafafa",
    surface="#eeeeee",
    panel="#dcdfe3",
    dark=False,
    variables={
        "block-cursor-background": "#005f87",
        "block-cursor-foreground": "#ffffff",
        "footer-key-foreground": "#875f00",
    },
)

CONTRAST: Final = Theme(
    name="workbench-contrast",
    primary="#00ffff",
    secondary="#ffffff",
    accent="#ffff00",
    warning="#ffff00",
    error="#ff8080",
    success="#00ff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#303030",
    dark=True,
    text_alpha=1.0,
    variables={
        "block-cursor-background": "#ffff00",
        "block-cursor-foreground": "#000000",
        "block-cursor-text-style": "bold",
        "footer-key-foreground": "#ffff00",
        "text-muted": "#ffffff",
        "text-disabled": "#c0c0c0",
        "scrollbar": "#ffffff",
        "scrollbar-background": "#303030",
    },
)

#: Only colours of the 16-colour palette, so that nothing is rounded to another one.
SIXTEEN: Final = Theme(
    name="workbench-16",
    primary="#55ffff",
    secondary="#aaaaaa",
    accent="#ffff55",
    warning="#ffff55",
    error="#ff5555",
    success="#55ff55",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#0000aa",
    dark=True,
    text_alpha=1.0,
    variables={
        "block-cursor-background": "#55ffff",
        "block-cursor-foreground": "#000000",
        "block-cursor-text-style": "bold",
        "footer-key-foreground": "#ffff55",
        "text-muted": "#aaaaaa",
        "text-disabled": "#aaaaaa",
        "text-primary": "#55ffff",
        "text-accent": "#ffff55",
        "text-warning": "#ffff55",
        "text-error": "#ff5555",
        "surface-lighten-1": "#555555",
        "surface-lighten-2": "#555555",
        "scrollbar": "#aaaaaa",
        "scrollbar-background": "#000000",
    },
)

THEMES: Final = (DARK, LIGHT, CONTRAST, SIXTEEN)
