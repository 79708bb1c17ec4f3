"""What tests ask of any figure: its words, and whether they cover each other."""

import itertools

import matplotlib.text
from matplotlib.backends.backend_agg import FigureCanvasAgg


def texts(figure):
    """All words on a figure."""
    words = "\n".join(t.get_text() for t in visible_texts(figure))
    return words.replace("\N{NO-BREAK SPACE}", " ")


def visible_texts(figure):
    figure.draw_without_rendering()
    # Ticks beyond the limits of an axis, or of one that is off, exist but are not drawn.
    beyond = {
        label
        for ax in figure.axes
        for axis, ends in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim()))
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not (ax.axison and min(ends) <= tick.get_loc() <= max(ends))
    }
    return [
        t
        for t in figure.findobj(matplotlib.text.Text)
        if t.get_text().strip() and t.get_visible() and t not in beyond
    ]


def overlaps(figure):
    """Pairs of texts that cover each other, and texts that leave the page."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    page = figure.bbox
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in visible_texts(figure)]
    for text, box in boxes:
        if box.x0 < -1 or box.y0 < -1 or box.x1 > page.x1 + 1 or box.y1 > page.y1 + 1:
            yield text, "page"
    for (one, a), (two, b) in itertools.combinations(boxes, 2):
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1:
            yield one, two
