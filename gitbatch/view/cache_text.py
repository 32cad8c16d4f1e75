"""The layers of the cache as text."""

from collections.abc import Iterator

from gitbatch.repo.templates.expiry import CachedLayer
from gitbatch.text import clean_text, format_count, format_size
from gitbatch.view.outputs.cache import CacheOutput

_STEPS = ((86400, "day"), (3600, "hour"), (60, "minute"))


def render_cache(output: CacheOutput, now: float) -> Iterator[str]:
    """Yields the lines about a cache folder; `now`: seconds since the epoch."""
    if output.removed:
        size = format_size(sum(layer.size for layer in output.removed))
        yield f"removed {format_count(len(output.removed), 'layer')}, {size}"
    for layer in output.layers:
        yield _render_layer(layer, now)
    count = format_count(len(output.layers), "layer")
    yield f"{count}, {format_size(output.size)}, in {clean_text(output.folder, 2000)}"


def _render_layer(layer: CachedLayer, now: float) -> str:
    used = f"used {_format_age(now - layer.used)} ago" if layer.purpose else "incomplete"
    where = clean_text(f"{layer.repository}/{layer.name}", 2000)
    return f"{layer.purpose or '-':<8}  {format_size(layer.size):>10}  {used:<20}  {where}"


def _format_age(seconds: float) -> str:
    for length, unit in _STEPS:
        if seconds >= length:
            return format_count(int(seconds // length), unit)
    return "a moment"
