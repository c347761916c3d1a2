"""What costs are called, and their numbers as people read them."""

HEADINGS = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "elementwise": "element-wise",
    "activation_memory": "activations",
    "file_size": "file",
    "latency_ms": "latency",
    "latency_p95_ms": "p95",
    "throughput": "windows/s",
}
"""What a cost is called, in the order of the columns."""

ADDED = "method_parameters"
"""What a method trains beside its student: a cost of training alone."""

NOTHING = "–"
"""Where there is no number."""


def shown(key: str, value: float | None) -> str:
    """A cost as people read it: ``2,975,622``, ``261 M``, ``6.61 kB``, ``1.2 ms``."""
    if value is None:
        return NOTHING
    if key.endswith("parameters"):
        return f"{value:,.0f}"
    if key.endswith("_ms"):
        return f"{value:.3g} ms" if value < 999.5 else f"{value:,.0f} ms"
    return _scaled(value, "B" if key in ("activation_memory", "file_size") else "")


def ratio(value: float) -> str:
    """A compression ratio: ``36×``."""
    return f"{value:.3g}×" if value < 999.5 else f"{value:,.0f}×"


def _scaled(value: float, unit: str) -> str:
    """Three digits and a decimal prefix."""
    for prefix in ("", "k", "M", "G"):
        if value < 999.5:
            return f"{value:.3g} {prefix}{unit}".rstrip()
        value /= 1000
    return f"{value:.3g} T{unit}"
