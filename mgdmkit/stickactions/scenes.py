"""The six places and the objects in them, drawn with a `Pen` in scene units (see `drawing.py`).

A backdrop never moves. A `Prop` may: its state `s` runs from 0 (shut, empty, folded) to 1 (open, full, spread).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mgdmkit.stickactions.drawing import INK, WHITE, Colour, Pen, shade

LEFT, RIGHT, BOTTOM, TOP, HORIZON = -0.3, 1.3, -0.3, 1.06, 0.1  # what a backdrop covers; where the floor ends

RED, ORANGE, YELLOW, GREEN = (214, 80, 72), (232, 146, 62), (244, 200, 84), (104, 158, 92)
TEAL, BLUE, VIOLET, BROWN = (62, 150, 150), (76, 122, 190), (140, 104, 176), (140, 98, 66)
STEEL, DARK, WOOD, LEAF = (158, 168, 180), (72, 76, 90), (190, 144, 96), (82, 138, 78)
TINTS: tuple[Colour, ...] = (RED, BLUE, ORANGE, TEAL, VIOLET)  # a clip's prop has one of these


def _room(pen: Pen, wall: Colour, floor: Colour) -> None:
    pen.box(wall, LEFT, HORIZON, RIGHT, TOP)
    pen.box(floor, LEFT, BOTTOM, RIGHT, HORIZON)
    pen.box(shade(wall, 1.5), LEFT, HORIZON, RIGHT, HORIZON + 0.022)


def _picture(pen: Pen, x: float, y: float, colour: Colour) -> None:
    pen.box(WHITE, x - 0.05, y - 0.06, x + 0.05, y + 0.06)
    pen.box(colour, x - 0.036, y - 0.046, x + 0.036, y + 0.046)
    pen.shape(shade(colour, 1.4), (x - 0.036, y - 0.046), (x + 0.036, y - 0.046), (x + 0.01, y + 0.015))


def _clock(pen: Pen, x: float, y: float) -> None:
    pen.disc(INK, (x, y), 0.05)
    pen.disc(WHITE, (x, y), 0.04)
    pen.bar(INK, (x, y), (x, y + 0.03), 0.01)
    pen.bar(INK, (x, y), (x + 0.02, y - 0.005), 0.01)


def kitchen(pen: Pen, v: list[float]) -> Colour:
    """Tiles, counter with a stove, wall shelf. `v` are eight numbers in [0, 1); returns the floor's colour."""
    wall = ((248, 234, 206), (244, 226, 208), (240, 236, 214))[int(v[0] * 3)]
    floor = ((206, 160, 122), (196, 166, 140), (212, 172, 128))[int(v[1] * 3)]
    _room(pen, wall, floor)
    for i in range(-3, 13):
        pen.box(shade(floor, 0.93), i * 0.1, BOTTOM if i % 2 else -0.02, i * 0.1 + 0.1, -0.02 if i % 2 else HORIZON)
    tile = shade(wall, 0.93)
    pen.box(tile, 0.62, 0.34, RIGHT, 0.58)
    for i in range(4):
        pen.box(wall, 0.62, 0.38 + 0.06 * i, RIGHT, 0.388 + 0.06 * i)
    front = ((134, 172, 150), (128, 160, 178), (196, 150, 110))[int(v[2] * 3)]
    pen.box(front, 0.64, 0.03, RIGHT, 0.32)
    pen.box(shade(front, 0.7), 0.66, 0.0, RIGHT, 0.03)
    pen.box(shade(front, 0.85), 0.895, 0.05, 0.905, 0.3)
    pen.box(WHITE, 0.93, 0.24, 1.0, 0.255)
    pen.box((238, 232, 226), 0.62, 0.32, RIGHT, 0.345)
    pen.box(DARK, 0.7, 0.345, 0.88, 0.353)
    pen.box(BROWN, 0.66, 0.6, RIGHT, 0.618)
    for i, colour in enumerate((RED, TEAL, YELLOW)):
        if v[3 + i] < 0.6:
            pen.box(colour, 0.9 + 0.07 * i, 0.618, 0.95 + 0.07 * i, 0.68 + 0.03 * v[3 + i])
    if v[6] < 0.5:
        _clock(pen, 0.44 + 0.1 * v[7], 0.8)
    else:
        _picture(pen, 0.4 + 0.1 * v[7], 0.78, TEAL)
    return floor


def gym(pen: Pen, v: list[float]) -> Colour:
    """Mirrors, wall bars, a dumbbell rack on a rubber floor."""
    wall = ((148, 166, 196), (136, 162, 182), (160, 160, 190))[int(v[0] * 3)]
    floor = ((92, 98, 114), (82, 98, 108), (100, 94, 110))[int(v[1] * 3)]
    _room(pen, wall, floor)
    pen.box(((236, 176, 60), (222, 104, 78), (96, 190, 160))[int(v[2] * 3)], LEFT, 0.74, RIGHT, 0.775)
    for i in range(3):
        x = 0.3 + 0.25 * i + 0.05 * v[3]
        pen.box(shade(wall, 1.28), x, 0.2, x + 0.22, 0.68)
        pen.shape(shade(wall, 1.42), (x + 0.03, 0.2), (x + 0.09, 0.2), (x + 0.19, 0.68), (x + 0.13, 0.68))
    if v[4] < 0.6:
        pen.box(DARK, 0.92, 0.24, RIGHT, 0.255)
        for i in range(4):
            pen.limb(INK, (0.95 + 0.07 * i, 0.275), (0.97 + 0.07 * i, 0.275), 0.04)
    for i in range(-3, 14):
        pen.box(shade(floor, 1.06), i * 0.1 + 0.03 * v[5], BOTTOM, i * 0.1 + 0.004 + 0.03 * v[5], HORIZON)
    return floor


def workshop(pen: Pen, v: list[float]) -> Colour:
    """Planked wall, pegboard with tools, a heavy bench."""
    wall = ((176, 140, 110), (166, 134, 112), (182, 150, 116))[int(v[0] * 3)]
    floor = ((150, 144, 138), (142, 140, 140), (158, 148, 136))[int(v[1] * 3)]
    _room(pen, wall, floor)
    for i in range(-3, 14):
        pen.box(shade(wall, 0.92), LEFT, 0.1 + 0.09 * i, RIGHT, 0.106 + 0.09 * i)
    pen.box(shade(wall, 0.7), 0.64, 0.46, RIGHT, 0.8)
    pen.box(shade(wall, 1.45), 0.65, 0.47, RIGHT, 0.79)
    for i in range(3):
        x = 0.89 + 0.07 * i
        if v[2 + i] < 0.7:
            pen.bar(BROWN, (x, 0.62), (x, 0.7), 0.022)
            pen.bar((STEEL, DARK, RED)[i], (x, 0.52), (x, 0.63), 0.034 - 0.006 * i)
    pen.box(shade(WOOD, 0.72), 0.68, 0.0, 0.72, 0.3)
    pen.box(shade(WOOD, 0.62), 0.72, 0.07, RIGHT, 0.1)
    pen.box(shade(WOOD, 0.8), 0.66, 0.19, RIGHT, 0.3)
    pen.box(WOOD, 0.63, 0.29, RIGHT, 0.33)
    if v[5] < 0.6:
        for i in range(3):
            pen.box((RED, BLUE, YELLOW)[i], 0.9 + 0.06 * i, 0.33, 0.945 + 0.06 * i, 0.38 + 0.02 * v[6])
    if v[7] < 0.5:
        pen.shape(shade(YELLOW, 1.2), (0.4, 0.78), (0.56, 0.78), (0.52, 0.84), (0.44, 0.84))
        pen.bar(INK, (0.48, 0.84), (0.48, TOP), 0.008)
    return floor


def garden(pen: Pen, v: list[float]) -> Colour:
    """Sky, hills, a fence with a gap for the gate, a tree with a branch, a flower bed."""
    sky = ((178, 220, 240), (190, 226, 236), (168, 210, 238))[int(v[0] * 3)]
    grass = ((134, 186, 100), (122, 178, 104), (146, 188, 94))[int(v[1] * 3)]
    pen.box(sky, LEFT, HORIZON, RIGHT, TOP)
    for x, y, size in ((0.2 + 0.3 * v[2], 0.78, 0.05), (0.72 + 0.2 * v[3], 0.7, 0.04)):
        pen.oval(WHITE, (x, y), size * 2, size * 0.8)
        pen.oval(WHITE, (x + size * 0.6, y + size * 0.5), size, size * 0.8)
    pen.oval(shade(grass, 0.9), (0.15 + 0.4 * v[4], 0.1), 0.5, 0.26)
    pen.oval(shade(grass, 0.82), (0.9 - 0.3 * v[4], 0.1), 0.45, 0.2)
    pen.box(grass, LEFT, BOTTOM, RIGHT, HORIZON + 0.02)
    pen.box(shade(grass, 1.12), LEFT, 0.03, RIGHT, 0.05)
    # The pickets leave out the gate.
    for i in (*range(-1, 8), *range(12, 19)):
        x = 0.36 + 0.052 * i
        pen.shape(WHITE, (x, 0.08), (x + 0.034, 0.08), (x + 0.034, 0.3), (x + 0.017, 0.33), (x, 0.3))
    for low, high in ((0.15, 0.175), (0.25, 0.275)):
        pen.box(shade(WHITE, 0.9), 0.3, low, 0.76, high)
        pen.box(shade(WHITE, 0.9), 0.98, low, RIGHT, high)
    pen.box(shade(BROWN, 0.9), 0.02, 0.06, 0.1, 0.66)
    pen.bar(shade(BROWN, 0.9), (0.06, 0.66), (0.29, 0.735), 0.03, 0.018)
    for x, y, r in ((-0.06, 0.72, 0.16), (0.1, 0.84, 0.15), (0.22, 0.84, 0.08)):
        pen.disc(LEAF, (x, y), r)
    pen.disc(shade(LEAF, 1.15), (0.06, 0.84), 0.1)
    for i in range(4):
        if v[4 + i] < 0.6:
            x = 0.8 + 0.06 * i
            pen.box(LEAF, x, 0.0, x + 0.008, 0.06)
            pen.disc((RED, YELLOW, VIOLET, WHITE)[i], (x + 0.004, 0.065), 0.018)
    return grass


def office(pen: Pen, v: list[float]) -> Colour:
    """A window over the desk, carpet, pictures."""
    wall = ((214, 210, 232), (206, 216, 232), (222, 214, 226))[int(v[0] * 3)]
    floor = ((128, 136, 164), (138, 132, 158), (120, 140, 156))[int(v[1] * 3)]
    _room(pen, wall, floor)
    pen.box(WHITE, 0.66, 0.43, 1.08, 0.83)
    pen.box((150, 200, 232), 0.68, 0.45, 1.06, 0.81)
    for i in range(5):
        x, own = 0.076 * i, v[2 + i % 4]
        pen.box(shade((120, 140, 172), 1.0 + 0.2 * own), 0.68 + x, 0.45, 0.745 + x, 0.5 + 0.16 * own)
    pen.box(WHITE, 0.865, 0.45, 0.88, 0.81)
    pen.box(shade(WOOD, 0.75), 0.72, 0.0, 0.75, 0.28)
    pen.box(shade(WOOD, 0.75), 1.0, 0.0, 1.03, 0.28)
    pen.box(shade(WOOD, 0.88), 0.9, 0.14, 1.03, 0.28)
    pen.box(shade(WOOD, 1.15), 0.67, 0.275, RIGHT, 0.305)
    if v[6] < 0.5:
        _picture(pen, 0.47 + 0.06 * v[7], 0.76, (BLUE, GREEN, ORANGE)[int(v[5] * 3)])
    else:
        _clock(pen, 0.46 + 0.06 * v[7], 0.78)
    return floor


def beach(pen: Pen, v: list[float]) -> Colour:
    """Sun, sea, a sail, sand."""
    sky = ((252, 214, 166), (166, 222, 244), (248, 200, 178))[int(v[0] * 3)]
    sand = ((240, 214, 158), (236, 206, 150), (244, 220, 170))[int(v[1] * 3)]
    pen.box(sky, LEFT, 0.3, RIGHT, TOP)
    pen.box(shade(sky, 1.3), LEFT, 0.3, RIGHT, 0.46)
    pen.disc((255, 240, 190), (0.2 + 0.5 * v[2], 0.72), 0.075)
    sea = (66, 164, 190)
    pen.box(sea, LEFT, 0.16, RIGHT, 0.37)
    pen.box(shade(sea, 1.2), LEFT, 0.21, RIGHT, 0.225)
    pen.box(shade(sea, 1.5), LEFT, 0.148, RIGHT, 0.166)
    if v[3] < 0.7:
        x = 0.1 + 0.75 * v[4]
        pen.shape(WHITE, (x, 0.37), (x, 0.54), (x + 0.1, 0.39))
        pen.shape(RED, (x - 0.06, 0.37), (x + 0.1, 0.37), (x + 0.07, 0.34), (x - 0.03, 0.34))
    pen.box(sand, LEFT, BOTTOM, RIGHT, 0.15)
    pen.oval(shade(sand, 0.95), (0.1 + 0.6 * v[5], 0.07), 0.18, 0.02)
    pen.oval(shade(sand, 0.95), (0.9 - 0.6 * v[6], -0.06), 0.2, 0.02)
    if v[7] < 0.5:
        for i in range(5):
            pen.disc(ORANGE, (0.08 + 0.016 * math.cos(1.26 * i), -0.06 + 0.016 * math.sin(1.26 * i)), 0.012)
    return sand


BACKDROPS: dict[str, Callable[[Pen, list[float]], Colour]] = {
    draw.__name__: draw for draw in (beach, garden, gym, kitchen, office, workshop)
}


# ---- props: origin where they are gripped, or where they stand ------------------------------------------------


def _fridge(pen: Pen, s: float, tint: Colour) -> None:
    w, h = 0.22, 0.64
    body = shade(tint, 1.45)
    pen.box(shade(tint, 0.8), -0.012, 0.0, w + 0.012, h + 0.012)
    pen.box(body, 0.0, 0.02, w, h)
    if s > 0.02:
        pen.box((255, 250, 222), 0.01, 0.03, w - 0.01, h - 0.01)
        for i, y in enumerate((0.16, 0.32, 0.48)):
            pen.box(STEEL, 0.01, y, w - 0.01, y + 0.012)
            pen.box((GREEN, ORANGE, RED)[i], 0.1, y + 0.012, 0.14, y + 0.09)
            pen.disc((YELLOW, RED, BLUE)[i], (0.175, y + 0.036), 0.026)
    angle = math.radians(100 * s)
    x, e = w * math.cos(angle), 0.05 * math.sin(angle)
    pen.shape(shade(body, 0.86 if s > 0.5 else 0.96), (0, 0.02), (x, 0.02 - e), (x, h + e), (0, h))
    pen.bar(shade(tint, 0.6), (x * 0.9, 0.33), (x * 0.9, 0.47), 0.016)


def _oven(pen: Pen, s: float, tint: Colour) -> None:
    pen.box(DARK, -0.09, 0.0, 0.09, 0.27)
    for i in range(3):
        pen.disc(tint, (-0.05 + 0.05 * i, 0.25), 0.012)
    pen.box((255, 158, 66) if s > 0.02 else DARK, -0.075, 0.01, 0.075, 0.22)
    if s > 0.02:
        pen.box((196, 92, 40), -0.075, 0.01, 0.075, 0.05)
        pen.box(INK, -0.07, 0.08, 0.07, 0.09)
        pen.oval((240, 206, 140), (0.0, 0.115), 0.045, 0.026)
    angle = math.radians(90 * s)
    y, e = 0.01 + 0.21 * math.cos(angle) - 0.05 * math.sin(angle), 0.035 * math.sin(angle)
    pen.shape(shade(STEEL, 0.75), (-0.08, 0.01), (0.08, 0.01), (0.08 + e, y), (-0.08 - e, y))
    if s < 0.6:
        pen.shape(shade(STEEL, 0.45), (-0.05, 0.05), (0.05, 0.05), (0.05 + e / 2, y - 0.05), (-0.05 - e / 2, y - 0.05))
    pen.bar(WHITE, (-0.07 - e, y - 0.008), (0.07 + e, y - 0.008), 0.016)


def _plate(pen: Pen, s: float, tint: Colour) -> None:
    pen.disc(shade(tint, 0.9), (0, 0), 0.056)
    pen.disc(WHITE, (0, 0), 0.048)
    pen.disc(shade(tint, 1.6), (0, 0), 0.028)


def _pot(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(DARK, (-0.088, 0.012), (0.088, 0.012), 0.018)
    pen.box(tint, -0.066, -0.035, 0.066, 0.04)
    pen.box(shade(tint, 0.8), -0.066, -0.035, 0.066, -0.018)
    pen.box(shade(tint, 1.3), -0.074, 0.034, 0.074, 0.05)


def _spoon(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(shade(WOOD, 0.9), (0.0, 0.03), (0.0, -0.1), 0.016)


def _knife(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(INK, (-0.035, 0.0), (0.03, 0.0), 0.026)
    pen.shape((176, 190, 206), (0.03, 0.022), (0.16, 0.022), (0.145, -0.026), (0.03, -0.026))
    pen.shape((232, 238, 244), (0.03, 0.0), (0.155, 0.0), (0.145, -0.026), (0.03, -0.026))


def _board(pen: Pen, s: float, tint: Colour) -> None:
    pen.box(WOOD, -0.07, 0.0, 0.09, 0.016)
    pen.limb(ORANGE, (-0.03, 0.03), (0.04, 0.03), 0.03, 0.018)
    pen.disc(GREEN, (-0.05, 0.034), 0.018)


def _bag(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(INK, (0.0, 0.3), (0.0, -0.16), 0.01)
    pen.limb(tint, (0.0, -0.22), (0.0, -0.6), 0.13)
    pen.bar(shade(tint, 0.75), (-0.065, -0.3), (0.065, -0.3), 0.03)
    pen.bar(shade(tint, 0.75), (-0.065, -0.52), (0.065, -0.52), 0.03)


def _barbell(pen: Pen, s: float, tint: Colour) -> None:
    pen.disc(INK, (0, 0), 0.088)
    pen.disc(tint, (0, 0), 0.078)
    pen.disc(shade(tint, 0.75), (0, 0), 0.046)
    pen.disc((230, 232, 236), (0, 0), 0.02)


def _kettlebell(pen: Pen, s: float, tint: Colour) -> None:
    pen.disc(INK, (0, -0.012), 0.036)
    pen.disc((122, 138, 166), (0, -0.01), 0.018)
    pen.disc(INK, (0, -0.075), 0.056)
    pen.disc(tint, (0, -0.075), 0.026)


def _step(pen: Pen, s: float, tint: Colour) -> None:
    pen.box(shade(WOOD, 1.15), -0.13, 0.0, 0.13, 0.125)
    pen.box(shade(WOOD, 0.85), -0.13, 0.0, 0.13, 0.02)
    pen.box(tint, -0.08, 0.045, 0.08, 0.085)


def _mat(pen: Pen, s: float, tint: Colour) -> None:
    pen.shape(tint, (-0.22, -0.05), (0.28, -0.05), (0.24, 0.012), (-0.18, 0.012))
    pen.shape(shade(tint, 1.3), (-0.185, -0.036), (0.245, -0.036), (0.22, 0.0), (-0.165, 0.0))


def _crate(pen: Pen, s: float, tint: Colour) -> None:
    pen.box(shade(tint, 0.65), -0.085, -0.07, 0.085, 0.07)
    for i in range(3):
        pen.box(shade(tint, 1.15), -0.078, -0.063 + 0.045 * i, 0.078, -0.028 + 0.045 * i)


def _ladder(pen: Pen, s: float, tint: Colour) -> None:
    for i in range(11):
        pen.bar(shade(tint, 0.85), (-0.06, 0.07 + 0.075 * i), (0.06, 0.07 + 0.075 * i), 0.022)
    pen.bar(tint, (-0.065, 0.0), (-0.065, 0.9), 0.024)
    pen.bar(tint, (0.065, 0.0), (0.065, 0.9), 0.024)


def _drawer(pen: Pen, s: float, tint: Colour) -> None:
    x = -0.17 * s
    pen.bar(STEEL, (x + 0.05, 0.085), (x + 0.05, 0.11), 0.03)
    pen.bar(RED, (x + 0.1, 0.08), (x + 0.1, 0.105), 0.026)
    pen.box(shade(tint, 0.8), x, 0.0, x + 0.2, 0.09)
    pen.box(shade(tint, 1.2), x - 0.016, -0.006, x + 0.006, 0.1)
    pen.limb(INK, (x - 0.024, 0.04), (x - 0.024, 0.06), 0.016)
    pen.box(shade(WOOD, 0.86), 0.0, 0.09 if s > 0.03 else 0.0, 0.02, 0.1)


def _saw(pen: Pen, s: float, tint: Colour) -> None:
    pen.shape((222, 228, 234), (0.02, 0.03), (0.2, 0.008), (0.2, -0.012), (0.02, -0.034))
    for i in range(6):
        x, y = 0.028 * i, 0.003 * i
        pen.shape((222, 228, 234), (0.03 + x, -0.03 + y), (0.056 + x, -0.026 + y), (0.044 + x, -0.045 + y))
    pen.limb(tint, (0.0, 0.022), (0.0, -0.026), 0.034)


def _hammer(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(tint, (-0.02, 0.0), (0.12, 0.0), 0.02)
    pen.bar(DARK, (0.13, 0.03), (0.13, -0.04), 0.042)


def _plank(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(INK, (0.0, 0.02), (0.0, 0.075 - 0.04 * s), 0.012)
    pen.box(shade(WOOD, 1.35), -0.13, 0.0, 0.16, 0.03)


def _gate(pen: Pen, s: float, tint: Colour) -> None:
    angle = math.radians(78 * s)
    w, e = -0.22 * math.cos(angle), 0.035 * math.sin(angle)
    dark = shade(tint, 0.8)
    for i in range(5):
        t0, t1 = i / 5 + 0.02, i / 5 + 0.16
        pen.shape(
            tint, (w * t0, 0.02 - e * t0), (w * t1, 0.02 - e * t1), (w * t1, 0.3 + e * t1), (w * t0, 0.3 + e * t0)
        )
    for y in (0.08, 0.22):
        pen.shape(dark, (0, y), (w, y - e * (0.5 - y) * 2), (w, y + 0.03 + e * y), (0, y + 0.03))
    pen.box(dark, -0.014, -0.02, 0.02, 0.36)
    pen.disc(INK, (w * 0.94, 0.26), 0.014)


def _bench(pen: Pen, s: float, tint: Colour) -> None:
    for x in (-0.11, 0.09):
        pen.box(DARK, x, 0.0, x + 0.02, 0.15)
    pen.bar(DARK, (-0.11, 0.15), (-0.15, 0.34), 0.018)
    pen.bar(shade(WOOD, 0.9), (-0.128, 0.22), (-0.152, 0.34), 0.034)
    pen.box(shade(WOOD, 0.9), -0.13, 0.145, 0.12, 0.17)


def _lantern(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(INK, (0.0, 0.0), (0.0, -0.03), 0.01)
    pen.shape(INK, (-0.046, -0.055), (0.046, -0.055), (0.0, -0.015))
    pen.box(tint, -0.048, -0.165, 0.048, -0.055)
    pen.box((255, 236, 150), -0.03, -0.155, 0.03, -0.065)
    pen.box(INK, -0.052, -0.178, 0.052, -0.163)


def _flower(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(LEAF, (0.0, -0.05), (0.0, 0.09), 0.014)
    pen.oval(LEAF, (0.025, 0.02), 0.022, 0.01)
    for i in range(5):
        pen.disc(tint, (0.032 * math.cos(1.257 * i + 0.3), 0.115 + 0.032 * math.sin(1.257 * i + 0.3)), 0.024)
    pen.disc(YELLOW, (0.0, 0.115), 0.02)


def _soil(pen: Pen, s: float, tint: Colour) -> None:
    pen.oval(shade(BROWN, 0.8), (0.0, 0.0), 0.1, 0.03)
    pen.oval(BROWN, (0.0, 0.008), 0.075, 0.02)


def _leaves(pen: Pen, s: float, tint: Colour) -> None:
    for i, x in enumerate((-0.1, -0.05, -0.02, 0.03, 0.07, 0.11)):
        pen.oval((ORANGE, RED, YELLOW)[i % 3], (x, 0.006 + 0.014 * (i % 2)), 0.028, 0.013)


def _rake(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(WOOD, (-0.2, 0.0), (0.34, 0.0), 0.016)
    pen.bar(tint, (0.34, 0.05), (0.34, -0.05), 0.018)
    for i in range(5):
        pen.bar(tint, (0.34, -0.05 + 0.025 * i), (0.37, -0.05 + 0.025 * i), 0.01)


def _shovel(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(WOOD, (-0.14, 0.0), (0.24, 0.0), 0.018)
    pen.bar(INK, (-0.14, 0.03), (-0.14, -0.03), 0.018)
    pen.shape(STEEL, (0.22, 0.045), (0.22, -0.045), (0.31, -0.035), (0.34, 0.0), (0.31, 0.035))
    if s > 0.3:
        pen.shape(shade(BROWN, 0.8), (0.23, 0.03), (0.32, 0.02), (0.3, 0.07), (0.25, 0.075))


def _chair(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(INK, (0.0, 0.03), (0.0, 0.15), 0.02)
    pen.bar(INK, (-0.07, 0.02), (0.07, 0.02), 0.016)
    pen.disc(INK, (-0.07, 0.01), 0.014)
    pen.disc(INK, (0.07, 0.01), 0.014)
    pen.limb(shade(tint, 0.85), (-0.09, 0.16), (0.08, 0.16), 0.036)
    pen.limb(tint, (-0.105, 0.24), (-0.125, 0.38), 0.036)


def _laptop(pen: Pen, s: float, tint: Colour) -> None:
    angle = math.radians(12 + 105 * s)
    x, y = 0.07 - 0.155 * math.cos(angle), 0.012 + 0.155 * math.sin(angle)
    if s > 0.1:
        pen.bar((186, 240, 255), (0.054, 0.016), (x - 0.016, y - 0.004), 0.026, 0.03)
    pen.bar(DARK, (0.07, 0.012), (x, y), 0.022)
    pen.box(STEEL, -0.09, 0.0, 0.08, 0.018)


def _cabinet(pen: Pen, s: float, tint: Colour) -> None:
    x = 0.15 + 0.17 * s
    pen.box(shade(tint, 0.7), x - 0.16, 0.29, x, 0.38)
    pen.box(WHITE, x - 0.13, 0.36, x - 0.02, 0.415)
    pen.box(YELLOW, x - 0.1, 0.36, x - 0.06, 0.425)
    pen.box(shade(tint, 1.3), x - 0.012, 0.285, x + 0.01, 0.395)
    pen.limb(INK, (x + 0.018, 0.34), (x + 0.018, 0.355), 0.015)
    pen.box(shade(tint, 1.1), -0.06, 0.0, 0.15, 0.43)
    pen.box(shade(tint, 0.8), -0.06, 0.43, 0.16, 0.445)
    for y in (0.14, 0.28):
        pen.box(shade(tint, 0.8), -0.06, y, 0.15, y + 0.01)


def _blinds(pen: Pen, s: float, tint: Colour) -> None:
    bottom = 0.38 - 0.36 * (1 - s) - 0.02
    cloth = shade(tint, 1.5)
    pen.box(cloth, 0.0, bottom, 0.4, 0.38)
    y = 0.36
    while y > bottom:
        pen.box(shade(tint, 1.2), 0.0, y, 0.4, y + 0.008)
        y -= 0.032
    pen.box(shade(tint, 0.8), 0.0, bottom - 0.012, 0.4, bottom + 0.006)
    pen.box(shade(tint, 0.8), -0.01, 0.37, 0.41, 0.395)
    pen.bar(WHITE, (-0.02, 0.38), (-0.02, 0.3 - 0.24 * s), 0.008)
    pen.disc(INK, (-0.02, 0.3 - 0.24 * s), 0.014)


def _whiteboard(pen: Pen, s: float, tint: Colour) -> None:
    pen.box(STEEL, -0.015, -0.015, 0.255, 0.295)
    pen.box(WHITE, 0.0, 0.0, 0.24, 0.28)
    left = 3.0 * s
    for i in range(3):
        if left > 0:
            y = 0.22 - 0.07 * i
            pen.bar(tint, (0.22, y), (0.22 - 0.19 * min(left, 1.0), y), 0.018)
        left -= 1.0


def _marker(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(RED, (-0.02, -0.01), (0.04, 0.02), 0.018)


def _cup(pen: Pen, s: float, tint: Colour) -> None:
    pen.disc(shade(tint, 0.8), (0.04, 0.0), 0.03)
    pen.shape(tint, (-0.042, 0.045), (0.042, 0.045), (0.032, -0.045), (-0.032, -0.045))
    pen.bar(WHITE, (-0.042, 0.042), (0.042, 0.042), 0.018)


def _parasol(pen: Pen, s: float, tint: Colour) -> None:
    pen.bar(WHITE, (0.0, -0.02), (0.0, 0.8), 0.02)
    half, drop, top = 0.03 + 0.22 * s, 0.3 - 0.16 * s, 0.8
    edge = [(-half + 2 * half * i / 6, top - drop - (0.012 if i % 2 else 0.0)) for i in range(7)]
    for i in range(6):
        pen.shape(tint if i % 2 else WHITE, (0.0, top), edge[i], edge[i + 1])
    pen.disc(INK, (0.0, 0.37 + 0.19 * s), 0.016)


def _surfboard(pen: Pen, s: float, tint: Colour) -> None:
    outline = [(0.27 * math.cos(t), 0.05 * math.sin(t)) for t in (i * math.pi / 8 for i in range(16))]
    pen.shape(tint, *outline)
    pen.bar(WHITE, (-0.24, 0.0), (0.24, 0.0), 0.018)
    pen.bar(WHITE, (0.12, 0.04), (0.12, -0.04), 0.026)


def _towel(pen: Pen, s: float, tint: Colour) -> None:
    pen.shape(tint, (-0.36, -0.05), (0.4, -0.05), (0.36, 0.015), (-0.32, 0.015))
    for i in range(4):
        x = -0.26 + 0.16 * i
        pen.shape(WHITE, (x, -0.05), (x + 0.06, -0.05), (x + 0.055, 0.015), (x + 0.005, 0.015))


def _hat(pen: Pen, s: float, tint: Colour) -> None:
    straw = (254, 248, 228)
    pen.limb(shade(straw, 0.9), (-0.125, 0.0), (0.125, 0.0), 0.032)
    pen.shape(straw, (-0.07, 0.0), (0.07, 0.0), (0.058, 0.07), (0.025, 0.09), (-0.025, 0.09), (-0.058, 0.07))
    pen.bar(tint, (-0.068, 0.022), (0.068, 0.022), 0.03)


def _ball(pen: Pen, s: float, tint: Colour) -> None:
    pen.disc(WHITE, (0.0, 0.0), 0.062)
    for colour, angles in ((tint, (0.2, 0.7, 1.2, 1.7)), (YELLOW, (2.3, 2.8, 3.3, 3.8)), (BLUE, (4.4, 4.9, 5.4, 5.9))):
        pen.shape(colour, (0.0, 0.0), *[(0.06 * math.cos(t), 0.06 * math.sin(t)) for t in angles])


def _kite(pen: Pen, s: float, tint: Colour) -> None:
    pen.shape(tint, (0.0, 0.1), (0.07, 0.0), (0.0, -0.13), (-0.07, 0.0))
    pen.shape(YELLOW, (0.0, 0.1), (0.07, 0.0), (0.0, 0.0))
    pen.shape(YELLOW, (0.0, -0.13), (-0.07, 0.0), (0.0, 0.0))
    for i in range(3):
        pen.disc(tint, (0.02 * (-1) ** i, -0.16 - 0.035 * i), 0.013)


def _cooler(pen: Pen, s: float, tint: Colour) -> None:
    pen.box(tint, -0.08, 0.0, 0.08, 0.1)
    pen.box(WHITE, -0.085, 0.1, 0.085, 0.13)


def _can(pen: Pen, s: float, tint: Colour) -> None:
    pen.box(tint, -0.05, 0.0, 0.05, 0.09)
    pen.bar(tint, (0.05, 0.02), (0.11, 0.1), 0.02)
    pen.bar(shade(tint, 0.7), (-0.04, 0.1), (0.04, 0.1), 0.014)


def _plant(pen: Pen, s: float, tint: Colour) -> None:
    for x, y in ((-0.05, 0.17), (0.05, 0.18), (0.0, 0.22), (-0.02, 0.14)):
        pen.oval(LEAF, (x, y), 0.04, 0.05)
    pen.shape(tint, (-0.05, 0.1), (0.05, 0.1), (0.035, 0.0), (-0.035, 0.0))


@dataclass(frozen=True)
class Prop:
    """An object of one scene: how to draw it, where it rests, how often a clip shows it at rest."""

    scene: str
    draw: Callable[[Pen, float, Colour], None]
    x: float
    y: float
    often: float = 1.0  # 1: part of the furniture
    loose: float = 0.0  # how often it rests in a random state instead of state 0


PROPS: dict[str, Prop] = {
    "fridge": Prop("kitchen", _fridge, 0.04, 0.0, loose=0.1),
    "oven": Prop("kitchen", _oven, 0.79, 0.03, loose=0.1),
    "pot": Prop("kitchen", _pot, 0.79, 0.39, 0.6),
    "board": Prop("kitchen", _board, 0.67, 0.345, 0.4),
    "plate": Prop("kitchen", _plate, 0.78, 0.674, 0.5),
    "spoon": Prop("kitchen", _spoon, 0.79, 0.5, 0.0),
    "knife": Prop("kitchen", _knife, 0.79, 0.5, 0.0),
    "mat": Prop("gym", _mat, 0.36, 0.0, 0.5),
    "bag": Prop("gym", _bag, 0.13, 0.86),
    "step": Prop("gym", _step, 0.8, 0.0),
    "kettlebell": Prop("gym", _kettlebell, 0.6, 0.13, 0.4),
    "barbell": Prop("gym", _barbell, 0.24, 0.1, 0.4),
    "ladder": Prop("workshop", _ladder, 0.17, 0.0),
    "drawer": Prop("workshop", _drawer, 0.66, 0.195, loose=0.1),
    "crate": Prop("workshop", _crate, 0.32, 0.07, 0.4),
    "plank": Prop("workshop", _plank, 0.76, 0.33, 0.6, loose=1.0),
    "saw": Prop("workshop", _saw, 0.69, 0.6, 0.6),
    "hammer": Prop("workshop", _hammer, 0.8, 0.4, 0.0),
    "gate": Prop("garden", _gate, 0.98, 0.03, loose=0.2),
    "bench": Prop("garden", _bench, 0.22, 0.02),
    "lantern": Prop("garden", _lantern, 0.26, 0.72, 0.5),
    "soil": Prop("garden", _soil, 0.66, 0.0, 0.6),
    "flower": Prop("garden", _flower, 0.66, 0.04, 0.4),
    "leaves": Prop("garden", _leaves, 0.66, 0.0, 0.1),
    "can": Prop("garden", _can, 0.88, -0.05, 0.5),
    "rake": Prop("garden", _rake, 0.8, 0.2, 0.0),
    "shovel": Prop("garden", _shovel, 0.8, 0.2, 0.0),
    "chair": Prop("office", _chair, 0.45, 0.0, 0.7),
    "whiteboard": Prop("office", _whiteboard, 0.03, 0.48, loose=0.7),
    "cabinet": Prop("office", _cabinet, 0.02, 0.0, loose=0.1),
    "blinds": Prop("office", _blinds, 0.67, 0.44, loose=0.8),
    "laptop": Prop("office", _laptop, 0.79, 0.305, 0.7, loose=0.5),
    "cup": Prop("office", _cup, 0.96, 0.345, 0.5),
    "marker": Prop("office", _marker, 0.0, 0.0, 0.0),
    "plant": Prop("office", _plant, 1.0, 0.3, 0.4),
    "parasol": Prop("beach", _parasol, 0.78, 0.0, loose=0.4),
    "towel": Prop("beach", _towel, 0.44, 0.0, 0.5),
    "surfboard": Prop("beach", _surfboard, 0.22, 0.04, 0.4),
    "kite": Prop("beach", _kite, 0.4, 0.78, 0.3),
    "cooler": Prop("beach", _cooler, 0.12, 0.03, 0.5),
    "ball": Prop("beach", _ball, 0.94, 0.05, 0.5),
    "hat": Prop("beach", _hat, 0.9, 0.05, 0.0),
}
