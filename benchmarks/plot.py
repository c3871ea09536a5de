"""Draws requests.png from requests.json of a folder. Runs in the peers' environment, which has matplotlib."""

import json
import statistics
import sys
from pathlib import Path

from matplotlib import pyplot

_OURS, _LIMIT, _PEER = "#1f6f5c", "#b9c4c9", "#7c93a3"


def main(folder: Path) -> None:
    """Draw a bar for each server and a panel for each operation."""
    pyplot.switch_backend("Agg")
    results = json.loads((folder / "requests.json").read_text())
    cases = results["cases"]
    height = 0.9 + 0.34 * len(cases[0]["servers"])
    figure, panels = pyplot.subplots(len(cases), 1, figsize=(9, height * len(cases) + 0.6), squeeze=False)
    for panel, case in zip(panels[:, 0], cases, strict=True):
        rates = {
            server["title"]: statistics.median(one["per_second"] for one in server["rounds"])
            for server in case["servers"]
        }
        names = sorted(rates, key=lambda name: rates[name])
        bars = panel.barh(names, [rates[name] for name in names], color=[_colour(name) for name in names])
        panel.bar_label(bars, [f"{rates[name]:,.0f}" for name in names], padding=4, fontsize=8)
        panel.set_title(f"{case['title']}: requests/s", loc="left", fontsize=10, fontweight="bold")
        panel.tick_params(labelsize=8)
        panel.margins(x=0.1)
        panel.spines[["top", "right"]].set_visible(False)
    figure.text(0.01, 0.004, "; ".join(results["conditions"][1:4]), fontsize=6.5, color="#555555")
    figure.tight_layout(rect=(0, 0.015, 1, 1))
    figure.savefig(folder / "requests.png", dpi=130)


def _colour(title: str) -> str:
    if title.startswith("Leasehold"):
        return _OURS
    return _LIMIT if title.startswith("L1") else _PEER


if __name__ == "__main__":
    main(Path(sys.argv[1]))
