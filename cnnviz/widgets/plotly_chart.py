"""A plotly chart in a notebook: stored as its data, and dark in a dark page.

A plotly figure has fixed colours, and no grey has a contrast of 4.5 with both of JupyterLab's papers, #ffffff and
#111111 (4.35 is the most). So the page turns the finished picture round: light becomes dark, hues stay.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from IPython.display import display

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# It reaches the plotly charts of the cell in which it stands, and no others. 0.93: white becomes #121212, as the page.
STYLE = """<style class="cnnviz-plotly">
body[data-jp-theme-light="false"] .jp-OutputArea:has(.cnnviz-plotly) .js-plotly-plot {
  filter: invert(0.93) hue-rotate(180deg);
}
</style>"""


def show(figure: Figure, text: str) -> None:
    """Show a plotly figure, in words where nothing draws it; a stored notebook has it without a copy of plotly.

    >>> import plotly.graph_objects as go
    >>> show(go.Figure(), "nothing yet")  # doctest: +ELLIPSIS
    {'application/vnd.plotly.v1+json': {'data': [], ...}, 'text/plain': 'nothing yet'}
    {'text/html': '<style ...', 'text/plain': ''}
    """
    chart = json.loads(figure.to_json())
    display({"application/vnd.plotly.v1+json": chart, "text/plain": text}, raw=True)
    display({"text/html": STYLE, "text/plain": ""}, raw=True)
