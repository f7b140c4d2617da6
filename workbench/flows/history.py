"""History letters, as Zeek writes them: upper case for the originator, lower for the responder.

a, d, i and q come once a side; f, h, r and s again where the sequence number differs; c, g, t and w
at the 1st, 10th, 100th occurrence and so on. `^` says that the direction was flipped.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.decode.bits import kernel
from workbench.flows.memory import cold_at, end_at, hot_at, letters_at
from workbench.flows.pools import take_letters
from workbench.flows.rows import (
    CHAINED_LETTERS,
    INLINE_LETTERS,
    MAX_LETTERS,
    SEEN_ACK,
    SEEN_DATA,
    SEEN_FIN,
    SEEN_FIN_RST,
    SEEN_MULTI,
    SEEN_RST,
    SEEN_SYN,
)

LETTER_A: Final = ord("A")
LETTER_C: Final = ord("C")
LETTER_D: Final = ord("D")
LETTER_F: Final = ord("F")
LETTER_G: Final = ord("G")
LETTER_H: Final = ord("H")
LETTER_I: Final = ord("I")
LETTER_Q: Final = ord("Q")
LETTER_R: Final = ord("R")
LETTER_S: Final = ord("S")
LETTER_T: Final = ord("T")
LETTER_W: Final = ord("W")
LETTER_FLIP: Final = ord("^")
_LOWER: Final = 32


@kernel
def add_byte(state: Any, slot: Any, byte: Any) -> Any:
    """Append a character as it is; nothing beyond MAX_LETTERS or an exhausted pool."""
    cold = cold_at(state, slot)
    length = np.int64(cold.letters)
    if length < INLINE_LETTERS:
        cold.history[length] = byte
    else:
        if length >= MAX_LETTERS:
            return
        place = length - INLINE_LETTERS
        hops = place // CHAINED_LETTERS
        inside = place - hops * CHAINED_LETTERS
        if place == 0:
            cold.more_letters = take_letters(state)
        row = np.int64(cold.more_letters)
        if row < 0:
            return
        for hop in range(hops):
            following = np.int64(letters_at(state, row).next)
            if following < 0 and inside == 0 and hop == hops - 1:
                following = take_letters(state)
                letters_at(state, row).next = following
            if following < 0:
                return
            row = following
        letters_at(state, row).text[inside] = byte
    cold.letters = length + 1


@kernel
def add_letter(state: Any, slot: Any, side: Any, letter: Any) -> Any:
    """Append a letter (given in upper case) of one side: 0 the originator, 1 the responder."""
    add_byte(state, slot, letter + _LOWER * side)


@kernel
def first_letter(state: Any, slot: Any, side: Any, bit: Any, letter: Any) -> Any:
    """Append the letter if `bit` was not seen of this side; returns whether it had been seen before."""
    hot = hot_at(state, slot)
    mask = np.int64(bit) << (8 * side)
    seen = np.int64(hot.seen)
    if seen & mask:
        return True
    hot.seen = seen | mask
    add_letter(state, slot, side, letter)
    return False


@kernel
def power_of_ten(count: Any) -> Any:
    """Whether count is 1, 10, 100 ..., the occurrences that are written."""
    step = np.int64(1)
    while step < count:
        step *= 10
    return step == count


@kernel
def tcp_letters(state: Any, slot: Any, side: Any, syn: Any, fin: Any, rst: Any, ack: Any, relative: Any, length: Any) -> Any:
    """Letters of one TCP packet; relative: its first relative sequence number, length: its payload."""
    end = end_at(state, 2 * slot + side)
    flags = syn + fin + rst
    if flags == 0:
        if length > 0:
            first_letter(state, slot, side, SEEN_DATA, LETTER_D)
        elif ack:
            first_letter(state, slot, side, SEEN_ACK, LETTER_A)
        return
    if flags > 1:
        if fin and rst:
            first_letter(state, slot, side, SEEN_FIN_RST, LETTER_I)
        else:
            first_letter(state, slot, side, SEEN_MULTI, LETTER_Q)
        return
    if syn:
        letter = LETTER_H if ack else LETTER_S
        place = np.uint32(relative & 0xFFFFFFFF)
        if first_letter(state, slot, side, SEEN_SYN, letter) and place != end.hist_syn:
            add_letter(state, slot, side, letter)
        end.hist_syn = place
    elif fin:
        place = np.uint32((relative + length) & 0xFFFFFFFF)
        if first_letter(state, slot, side, SEEN_FIN, LETTER_F) and place != end.hist_fin:
            add_letter(state, slot, side, LETTER_F)
        end.hist_fin = place
    else:
        place = np.uint32(relative & 0xFFFFFFFF)
        if first_letter(state, slot, side, SEEN_RST, LETTER_R) and place != end.hist_rst:
            add_letter(state, slot, side, LETTER_R)
        end.hist_rst = place
