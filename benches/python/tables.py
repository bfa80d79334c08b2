"""The Markdown tables that the scripts in this folder print, and writing them into pages.

A page marks the place of a table with a pair of comments, `<!-- compare -->` and `<!-- /compare
-->`; whatever is between them is replaced.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from pathlib import Path

PEERS = ["torch_eager", "torch_channels_last", "onnxruntime", "openvino", "ncnn"]


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def fill(page: str, texts: dict[str, str]) -> None:
    """Replace the text between those marks that a page has; an error if it has none of them."""
    path = Path(page)
    old = path.read_text(encoding="utf-8")
    found = [mark for mark in texts if f"<!-- {mark} -->" in old]
    if not found:
        raise SystemExit(f"{page} has none of the places <!-- {' -->, <!-- '.join(texts)} -->: put one there")
    for mark in found:
        pattern = rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)"
        old, count = re.subn(pattern, lambda m, t=texts[mark]: f"{m[1]}{t}\n{m[2]}", old, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{page}: expected one <!-- {mark} --> and its end, found {count}")
    path.write_text(old, encoding="utf-8")


def where(report: dict) -> str:
    """The machine of a report, as a sentence."""
    return f"{report['machine']}, {report['processors']} processors, {report['system']}; {report['started']}"


# ---- compare.py ----


def ratio(results: dict, engine: str = "rvision") -> tuple[str, float]:
    """The fastest peer and its time divided by rvision's."""
    peers = {e: r["median_ms"] for e, r in results.items() if e in PEERS and "median_ms" in r}
    if not peers or "median_ms" not in results.get(engine, {}):
        return "nobody", float("nan")
    fastest = min(peers, key=peers.get)
    return fastest, peers[fastest] / results[engine]["median_ms"]


def ratios(report: dict, setting: str | None = None, engine: str = "rvision") -> list[float]:
    """The ratios of all cells, in one setting or in all, if there is something to compare."""
    found = [
        ratio(results, engine)[1]
        for settings in report["networks"].values()
        for key, results in settings.items()
        if setting in (None, key)
    ]
    return [factor for factor in found if factor == factor]


def mean(factors: list[float]) -> str:
    return f"{statistics.geometric_mean(factors):.2f}" if factors else "-"


def settings(report: dict) -> list[str]:
    return list(dict.fromkeys(setting for each in report["networks"].values() for setting in each))


def threads(count: int) -> str:
    return f"{count} thread{'s' if count != 1 else ''}"


def words(setting: str) -> str:
    count, batch = setting.split("x")
    return f"{threads(int(count))}, batch {batch}"


def pictures(report: dict) -> str:
    size = report["size"]
    return "each network's preset's size" if size is None else f"{size} x {size}"


def factor(value: float) -> str:
    return f"{value:.2f}" if value == value else "-"


def measured(report: dict, setting: str) -> list[str]:
    """The engines that ran at least once in a setting."""
    cells = [each[setting] for each in report["networks"].values() if setting in each]
    return [e for e in report["engines"] if any("median_ms" in cell.get(e, {}) for cell in cells)]


def times(report: dict, setting: str, *, spread: bool) -> str:
    engines = measured(report, setting)
    half = "rvision_half" in engines
    head = ["network", *engines, "fastest peer", "peer / rvision", *["peer / rvision_half"] * half]
    rows = []
    for name, each in report["networks"].items():
        if setting not in each:
            continue
        results = each[setting]
        cells = [cell(results.get(engine, {}), spread) for engine in engines]
        fastest, own = ratio(results)
        halved = [factor(ratio(results, "rvision_half")[1])] * half
        rows.append([name, *cells, fastest, f"**{factor(own)}**", *halved])
    return table(head, rows)


def cell(result: dict, spread: bool) -> str:
    if "median_ms" not in result:
        return "-"
    digits = 1 if result["median_ms"] < 100 else 0
    text = f"{result['median_ms']:.{digits}f}"
    return f"{text} ({result['p10_ms']:.{digits}f}-{result['p90_ms']:.{digits}f})" if spread else text


def left_out(report: dict) -> list[str]:
    """The empty cells, with reasons."""
    return [
        f"* {name}, {words(setting)}: {engine}: {result['error']}"
        for name, each in report["networks"].items()
        for setting, results in each.items()
        for engine, result in results.items()
        if "error" in result
    ]


def full(report: dict) -> str:
    """All results of compare.py."""
    versions = ", ".join(f"{engine} {version}" for engine, version in report["versions"].items())
    parts = [
        f"{where(report)}; load {report['load_before']:.1f} before. {versions}. "
        f"Pictures of {pictures(report)}.",
        f"Geometric mean of the fastest peer's time over rvision's, all {len(ratios(report))} cells: "
        f"{mean(ratios(report))}.",
    ]
    for setting in settings(report):
        own, half = ratios(report, setting), ratios(report, setting, "rvision_half")
        wins = sum(value > 1 for value in own)
        summary = f"rvision is the fastest on {wins} of {len(own)}; geometric mean {mean(own)}"
        summary += f", with float16 weights {mean(half)}." if half else "."
        parts += [
            f"### {words(setting).capitalize()}",
            "Median milliseconds (10 % - 90 %).",
            times(report, setting, spread=True),
            summary,
        ]
    empty = left_out(report)
    if empty:
        parts += ["### Left out", "\n".join(empty)]
    return "\n\n".join(parts)


def short(report: dict, setting: str) -> str:
    """Medians of one setting."""
    title = f"Median milliseconds on {report['machine']}, {words(setting)}, pictures of {pictures(report)}:"
    means = f"Geometric mean over {len(ratios(report))} cells of all settings: {mean(ratios(report))}."
    return f"{title}\n\n{times(report, setting, spread=False)}\n\n{means}"


def plot(report: dict, setting: str, path: str) -> None:
    """A bar chart of each engine's time divided by rvision's, in one setting."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    networks = {name: each[setting] for name, each in report["networks"].items() if setting in each}
    engines = measured(report, setting)
    figure, axes = plt.subplots(figsize=(1.5 + 1.3 * len(networks), 4.5))
    width = 0.8 / len(engines)
    for i, engine in enumerate(engines):
        heights = [
            r.get(engine, {}).get("median_ms", float("nan")) / r["rvision"].get("median_ms", float("nan"))
            for r in networks.values()
        ]
        axes.bar([place + i * width for place in range(len(networks))], heights, width, label=engine)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(networks))], list(networks), rotation=20)
    axes.set_ylabel("time / rvision's time")
    axes.set_title(f"{words(setting)}, {report['machine']}")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
