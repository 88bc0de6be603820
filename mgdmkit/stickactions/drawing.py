"""From a skeleton to pixels: a pen that draws in scene units, and the stick person it draws.

Scene units: the frame is 1 wide and 1 high, x grows to the right, y grows upwards from the ground the person
stands on. A standing person is about 0.7 high. Nothing here knows how many pixels a unit has, so the same
code draws stills, videos and posters; it draws without antialiasing, at twice the size that is asked for.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from PIL import ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]

INK: Colour = (44, 44, 58)
WHITE: Colour = (252, 250, 245)

THIGH, SHIN, TORSO, UPPER_ARM, FOREARM, HEAD = 0.165, 0.165, 0.205, 0.122, 0.125, 0.071
ANKLE = 0.022  # height of the ankle above the sole


@lru_cache(maxsize=4096)
def shade(colour: Colour, factor: float) -> Colour:
    """`colour` darker (`factor` < 1) or lighter (> 1, towards white)."""
    if factor <= 1:
        return tuple(int(c * factor) for c in colour)
    return tuple(int(c + (255 - c) * (factor - 1)) for c in colour)


class Pen:
    """Draws shapes given in scene units (or in a moved, turned, mirrored copy of them) on a Pillow image."""

    __slots__ = ("a", "b", "c", "d", "draw", "scale", "tx", "ty")

    def __init__(
        self, draw: ImageDraw.ImageDraw, scale: float, tx: float, ty: float, turned: tuple[float, ...] | None = None
    ):
        """`scale` pixels per unit; the origin lies at pixel (`tx`, `ty`), and the axes along the matrix `turned`."""
        self.draw, self.scale, self.tx, self.ty = draw, scale, tx, ty
        self.a, self.b, self.c, self.d = turned or (scale, 0.0, 0.0, -scale)

    def at(self, x: float, y: float, turn: float = 0.0, flip: int = 1) -> "Pen":
        """The pen of an object at (x, y), turned by `turn` degrees; `flip` -1 mirrors object and turn."""
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        a, b, c, d = self.a * flip, self.b, self.c * flip, self.d
        turned = (a * cos + b * sin, -a * sin + b * cos, c * cos + d * sin, -c * sin + d * cos)
        return Pen(self.draw, self.scale, *self.pixel((x, y)), turned)

    def pixel(self, p: Point) -> Point:
        x, y = p
        return self.tx + self.a * x + self.b * y, self.ty + self.c * x + self.d * y

    def shape(self, colour: Colour, *points: Point) -> None:
        """A filled polygon."""
        self.draw.polygon([self.pixel(p) for p in points], colour)

    def box(self, colour: Colour, x0: float, y0: float, x1: float, y1: float) -> None:
        """A filled rectangle with the corners (x0, y0) and (x1, y1)."""
        if self.b == 0.0:
            (px, py), (qx, qy) = self.pixel((x0, y0)), self.pixel((x1, y1))
            (left, right), (top, bottom) = sorted((round(px), round(qx))), sorted((round(py), round(qy)))
            # Pillow fills both end pixels of a rectangle; a box ends where the next one starts.
            self.draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), colour)
        else:
            self.shape(colour, (x0, y0), (x1, y0), (x1, y1), (x0, y1))

    def oval(self, colour: Colour, p: Point, rx: float, ry: float) -> None:
        """An ellipse along the frame's axes; it does not turn with the pen."""
        x, y = self.pixel(p)
        rx, ry = rx * self.scale, ry * self.scale
        left, top = round(x - rx), round(y - ry)
        # A dot too small for the size asked for is still one sample point.
        self.draw.ellipse((left, top, max(left, round(x + rx) - 1), max(top, round(y + ry) - 1)), colour)

    def disc(self, colour: Colour, p: Point, radius: float) -> None:
        self.oval(colour, p, radius, radius)

    def bar(self, colour: Colour, p: Point, q: Point, width: float, width_q: float | None = None) -> None:
        """A straight bar from p to q with flat ends, `width` wide (`width_q` at q)."""
        px, py = self.pixel(p)
        qx, qy = self.pixel(q)
        dx, dy = qx - px, qy - py
        length = math.hypot(dx, dy) or 1.0
        nx, ny = -dy / length * self.scale / 2, dx / length * self.scale / 2
        (ax, ay), (bx, by) = ((nx * w, ny * w) for w in (width, width_q or width))
        self.draw.polygon([(px + ax, py + ay), (qx + bx, qy + by), (qx - bx, qy - by), (px - ax, py - ay)], colour)

    def limb(self, colour: Colour, p: Point, q: Point, width: float, width_q: float | None = None) -> None:
        """A bar with round ends."""
        self.bar(colour, p, q, width, width_q)
        self.disc(colour, p, width / 2)
        self.disc(colour, q, (width_q or width) / 2)


@dataclass(frozen=True)
class Look:
    """A person: proportions (1 is average) and colours."""

    legs: float
    torso: float
    arms: float
    head: float
    girth: float
    skin: Colour
    hair: Colour
    hair_style: int  # 0 short, 1 long, 2 bun, 3 cap
    shirt: Colour
    sleeves: bool  # long
    trousers: Colour
    shoes: Colour


@dataclass(frozen=True)
class Skeleton:
    """Joint positions in scene units; index 0 of a pair is the limb near the viewer."""

    face: int  # 1 looks to the right, -1 to the left
    hip: Point
    shoulder: Point
    head: Point
    tilt: float  # of the head, degrees, positive towards the face
    elbows: tuple[Point, Point]
    hands: tuple[Point, Point]
    knees: tuple[Point, Point]
    feet: tuple[Point, Point]


def _bend(start: Point, goal: Point, first: float, second: float, side: int) -> tuple[Point, Point]:
    """Middle joint and end of a two-segment limb reaching for `goal`; `side` is the way the joint points."""
    dx, dy = goal[0] - start[0], goal[1] - start[1]
    distance = math.hypot(dx, dy) or 1e-6
    ux, uy = dx / distance, dy / distance
    reach = min(max(distance, abs(first - second) + 0.03), (first + second) * 0.999)
    along = (first * first - second * second + reach * reach) / (2 * reach)
    off = math.sqrt(max(first * first - along * along, 0.0)) * side
    middle = (start[0] + ux * along - uy * off, start[1] + uy * along + ux * off)
    return middle, (start[0] + ux * reach, start[1] + uy * reach)


def skeleton(pose: tuple[float, ...], look: Look, face: int) -> Skeleton:
    """Solve the joints of a body for a pose: hip (x, y), lean, nod, near and far hand, near and far foot.

    The pose names goals in scene units for the average body; another body reaches for the same goals with
    its own limbs, so hands stay on the objects whatever the proportions.
    """
    hx, hy, lean, nod, nx, ny, fx, fy, px, py, qx, qy = pose[:12]
    hip = (hx, hy * look.legs)
    torso = TORSO * look.torso
    angle = math.radians(lean)
    shoulder = (hip[0] + face * torso * math.sin(angle), hip[1] + torso * math.cos(angle))
    tilt = 0.7 * lean + nod
    angle = math.radians(tilt)
    neck = 0.022 + HEAD * look.head
    head = (shoulder[0] + face * neck * math.sin(angle), shoulder[1] + neck * math.cos(angle))
    upper, fore = UPPER_ARM * look.arms, FOREARM * look.arms
    thigh, shin = THIGH * look.legs, SHIN * look.legs
    arms = [_bend(shoulder, goal, upper, fore, -face) for goal in ((nx, ny), (fx, fy))]
    legs = [_bend(hip, goal, thigh, shin, face) for goal in ((px, py + ANKLE), (qx, qy + ANKLE))]
    (elbows, hands), (knees, feet) = zip(*arms, strict=True), zip(*legs, strict=True)
    return Skeleton(face, hip, shoulder, head, tilt, elbows, hands, knees, feet)


def draw_shadow(pen: Pen, body: Skeleton, ground: Colour) -> None:
    """The soft patch on the ground below the body."""
    xs = (body.hip[0], body.feet[0][0], body.feet[1][0], body.head[0])
    left, right = min(xs) - 0.05, max(xs) + 0.07
    pen.oval(shade(ground, 0.86), ((left + right) / 2, -0.004), (right - left) / 2, 0.024)


def _leg(pen: Pen, body: Skeleton, look: Look, i: int, tone: float) -> None:
    hip, knee, foot = body.hip, body.knees[i], body.feet[i]
    cloth, width = shade(look.trousers, tone), 0.062 * look.girth
    dx, dy = foot[0] - knee[0], foot[1] - knee[1]
    length = math.hypot(dx, dy) or 1e-6
    # A foot that carries weight is flat on the ground, a hanging or lying one is square to the shin.
    flat = dy < -0.6 * length
    tx, ty = (body.face * 0.048, -0.004) if flat else (0.045 * (-dy / length), 0.045 * (dx / length))
    pen.limb(shade(look.shoes, tone), foot, (foot[0] + tx, foot[1] + ty), 0.044, 0.034)
    pen.limb(cloth, hip, knee, width * 1.1, width)
    pen.limb(cloth, knee, foot, width, width * 0.78)


def _arm(pen: Pen, body: Skeleton, look: Look, i: int, tone: float) -> None:
    shoulder, elbow, hand = body.shoulder, body.elbows[i], body.hands[i]
    cloth, skin, width = shade(look.shirt, tone), shade(look.skin, 0.5 + tone / 2), 0.046 * look.girth
    pen.limb(cloth if look.sleeves else skin, elbow, hand, width * 0.95, width * 0.8)
    pen.limb(cloth, shoulder, elbow, width * 1.12, width)
    pen.disc(skin, hand, 0.026)


def _arc(start: float, stop: float, radius: float) -> list[Point]:
    steps = [start + (stop - start) * i / 8 for i in range(9)]
    return [(radius * math.cos(math.radians(s)), radius * math.sin(math.radians(s))) for s in steps]


# In units of the head's radius, in the frame of a head that looks to the right.
_HAIR = (
    [*_arc(28, 205, 1.1), (-0.45, 0.0), (-0.25, 0.45)],
    [*_arc(30, 190, 1.12), (-1.3, -1.25), (-0.5, -1.35), (-0.42, 0.0), (-0.2, 0.45)],
    [*_arc(30, 200, 1.08), (-0.5, 0.0), (-0.2, 0.5)],
    [(1.55, 0.32), (1.5, 0.5), (0.95, 0.6), *_arc(40, 180, 1.12), (-1.1, 0.3)],
)


def _head(pen: Pen, body: Skeleton, look: Look) -> None:
    r = HEAD * look.head
    pen.bar(shade(look.skin, 0.88), body.shoulder, body.head, 0.045)
    own = pen.at(*body.head, -body.tilt, body.face)
    if look.hair_style == 2:
        own.disc(look.hair, (-0.95 * r, 0.75 * r), 0.5 * r)
    own.disc(look.skin, (0.97 * r, -0.12 * r), 0.2 * r)
    own.disc(look.skin, (0.0, 0.0), r)
    own.shape(look.hair, *((x * r, y * r) for x, y in _HAIR[look.hair_style]))
    own.disc(INK, (0.5 * r, 0.02 * r), 0.14 * r)
    own.bar(shade(look.skin, 0.6), (0.45 * r, -0.52 * r), (0.78 * r, -0.4 * r), 0.1 * r)


def draw_person(pen: Pen, body: Skeleton, look: Look, between=None) -> None:
    """Draw the body from far to near; `between` (no arguments) draws what the near arm holds in front of it."""
    _arm(pen, body, look, 1, 0.72)
    _leg(pen, body, look, 1, 0.74)
    _leg(pen, body, look, 0, 1.0)
    width = 0.1 * look.girth
    (hx, hy), (sx, sy) = body.hip, body.shoulder
    # The chest ends a little below the shoulder joint, so that neck and shoulder stay visible.
    waist, chest = ((hx + (sx - hx) * part, hy + (sy - hy) * part) for part in (0.12, 0.86))
    pen.limb(look.shirt, waist, chest, width * 0.9, width)
    _head(pen, body, look)
    if between is not None:
        between()
    _arm(pen, body, look, 0, 0.87)
