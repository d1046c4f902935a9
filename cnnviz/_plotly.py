"""How every plotly chart of the package looks. Private."""

TEXT = 14  # pixels: what a reader in the last row can read; plotly's own is 12
LOOK = {"template": "plotly_white", "font": {"size": TEXT}, "hoverlabel": {"font": {"size": TEXT}}}
COLOURS = ("#9aa1ab", "#b35900", "#1f66b0")  # of three things side by side; the last one is what it is about
