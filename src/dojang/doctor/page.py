"""A report as one HTML page that needs no network: thumbnails by finding, names and words made inert."""

from __future__ import annotations

import base64
import io

import numpy as np
from jinja2 import Environment, StrictUndefined
from PIL import Image

from dojang.data.decode import decode
from dojang.data.manifest import Manifest, plain
from dojang.doctor.findings import KINDS, Report
from dojang.doctor.look import Looks
from dojang.errors import DataError

# findings of a kind that are shown, and the side of a thumbnail
_MOST, _SIDE = 200, 144

_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Scan of {{ data }}</title>
<style>
:root { color-scheme: light dark; --line: #8884; --dim: #777; --error: #c8401f; --warning: #b07800; --note: #3a7ca5; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 66rem; margin: 0 auto; padding: 1rem 1rem 4rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.05rem; margin: 2rem 0 .2rem; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
tr { border-bottom: 1px solid var(--line); }
.tag { color: #fff; border-radius: .3rem; padding: .05rem .45rem; font-size: .8rem; margin-right: .4rem; }
.error { background: var(--error); } .warning { background: var(--warning); } .note { background: var(--note); }
p { margin: .3rem 0; } .dim { color: var(--dim); }
.all { display: flex; flex-wrap: wrap; gap: .8rem; margin-top: .6rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: .4rem; padding: .5rem; max-width: 20rem; }
figure img { height: 9rem; max-width: 9.2rem; object-fit: contain; background: #8882; }
figcaption { font-size: .78rem; overflow-wrap: anywhere; }
</style></head><body>
<h1>Scan of {{ data }}</h1>
<p>{{ summary }}</p>
<table><tr><th>split</th><th class="n">pictures</th><th class="n">classes</th></tr>
{% for split, number, classes in splits %}
<tr><td>{{ split }}</td><td class="n">{{ number }}</td><td class="n">{{ classes }}</td></tr>
{% endfor %}</table>
{% for note in notes %}<p class="dim">{{ note }}</p>{% endfor %}
{% if not groups %}<p><b>Nothing wrong was found.</b></p>{% endif %}
{% for group in groups %}
<h2><span class="tag {{ group.gravity }}">{{ group.gravity }}</span>{{ group.title }} ({{ group.number }})</h2>
<p class="dim">{{ group.advice }}.{% if group.left %} {{ group.left }} more are in the JSON.{% endif %}</p>
<div class="all">{% for finding in group.findings %}<figure>
{% for picture in finding.pictures %}
{% if picture %}<img src="data:image/jpeg;base64,{{ picture }}" alt="">{% endif %}
{% endfor %}
<figcaption>{% for name in finding.names %}{{ name }}<br>{% endfor %}
<span class="dim">{{ finding.words }}</span></figcaption>
</figure>{% endfor %}</div>
{% endfor %}
</body></html>
"""


def render(report: Report, manifest: Manifest, looks: Looks) -> str:
    """The text of the page."""
    unread = set(looks.bad)
    groups = []
    for kind, about in KINDS.items():
        found = report.of(kind)
        if not found:
            continue
        shown = [
            {
                "names": [plain(path) for path in finding.paths],
                "words": plain(finding.words),
                "pictures": ["" if path in unread else _thumb(manifest, path) for path in finding.paths],
            }
            for finding in found[:_MOST]
        ]
        groups.append(
            {
                "gravity": about.gravity,
                "title": about.title,
                "advice": about.advice,
                "number": f"{len(found):,}",
                "left": max(0, len(found) - _MOST),
                "findings": shown,
            }
        )
    splits = [
        (split or "all", f"{sum(classes.values()):,}", sum(1 for n in classes.values() if n))
        for split, classes in report.counts.items()
    ]
    formats = ", ".join(f"{name} {n:,}" for name, n in report.formats.items())
    ends = " to ".join(f"{width:,} x {height:,}" for width, height in report.sizes[::2])
    summary = "; ".join(part for part in (f"{report.pictures:,} pictures", formats, ends) if part)
    # every name is escaped: a folder may be called <script>
    made = Environment(autoescape=True, undefined=StrictUndefined).from_string(_TEMPLATE)
    return made.render(
        data=plain(report.data), summary=summary, splits=splits, notes=[plain(n) for n in report.notes], groups=groups
    )


def _thumb(manifest: Manifest, path: str) -> str:
    """A picture in small, as base64 of a JPEG; nothing where it can no longer be read."""
    try:
        levels = decode(manifest.source.read(path), path, mode="RGB")
    except DataError:
        return ""
    image = Image.fromarray(np.ascontiguousarray(levels))
    if max(image.size) < _SIDE // 2:
        larger = _SIDE // 2 // max(image.size) + 1
        image = image.resize((image.width * larger, image.height * larger), Image.Resampling.NEAREST)
    image.thumbnail((_SIDE, _SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return base64.b64encode(file.getvalue()).decode("ascii")
