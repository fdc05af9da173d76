"""A threshold study as text, as a picture, and as one self-contained HTML file."""

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from phoenix_assets.bounds import SIGNS, bounds_text
from phoenix_assets.cli.terminal_histogram import histogram_text

if TYPE_CHECKING:
    from phoenix_assets.clean.study_config import StudyConfig

_STYLE: Final = (
    "body{font:14px system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.3em .7em;border-bottom:1px solid #ddd;"
    "text-align:right;vertical-align:top}td.text,th.text{text-align:left}img{max-width:100%}"
    "pre{white-space:pre-wrap;margin:0}"
)


def study_text(study: Mapping[str, Any], config: "StudyConfig") -> str:
    """Return a study as a page of text."""
    histogram = study["histogram"]
    counts = [sum(layers) for layers in zip(*histogram["all"].values(), strict=True)]
    bounds, tried = _marks(study, study["lang"] or "")
    lines = [
        *_head(study),
        "",
        histogram_text(
            histogram["edges"], counts, bounds | tried, rows=config.terminal_rows, width=config.terminal_width
        ),
        "",
        *_table(study),
    ]
    for name, rows in study["samples"].items():
        if rows:
            lines += ["", f"{len(rows)} of the documents that {name.replace('_', ' ')}:"]
            lines += [line for row in rows for line in _sample_lines(row)]
    return "\n".join(lines)


def study_picture(study: Mapping[str, Any]) -> bytes:
    """Return a study's distributions as PNG: of all documents, and of the largest languages."""
    from phoenix_assets.figures import Distribution, distributions

    histogram = study["histogram"]
    languages = histogram["languages"]
    panels = {"all languages": ("", histogram["all"])} if len(languages) > 1 else {}
    panels |= {lang or "language unknown": (lang, layers) for lang, layers in languages.items()}
    drawn = [
        Distribution(name, histogram["edges"], layers, *_marks(study, lang), log=histogram["log"])
        for name, (lang, layers) in panels.items()
    ]
    title = f"{study['source']}: {study['rule']}, {study['total']['all']:,} documents"
    if study["cutoff"]:
        total = study["total"]
        title += (
            f"\ntried {bounds_text(study['cutoff'])}: would drop {_share(total['would_drop'], total['all'])}, "
            f"bring back {_share(total['would_return'], total['all'])}"
        )
    return distributions(drawn, title=title, x=study["rule"])


def study_html(study: Mapping[str, Any]) -> str:
    """Return a study as one HTML file that needs no other: picture, numbers, samples."""
    picture = base64.b64encode(study_picture(study)).decode()
    rows = list(_rows(study))
    parts = [
        f"<!doctype html><meta charset=utf-8><title>{_escaped(study['source'])}: {study['rule']}</title>"
        f"<style>{_STYLE}</style><h1>{_escaped(study['source'])}: {study['rule']}</h1>",
        *(f"<p>{_escaped(line)}</p>" for line in _head(study)[1:]),
        f'<img alt="distribution of {study["rule"]}" src="data:image/png;base64,{picture}">',
        _html_table(rows[0], rows[1:], text_from=len(rows[0])),
    ]
    for name, found in study["samples"].items():
        if found:
            header = ("value", "language", "delivery", "document", "text")
            cells = [
                (f"{_value(row['value'])}", row["lang"], row["delivery"], row["doc_id"], row["text"] or "")
                for row in found
            ]
            parts += [f"<h2>{name.replace('_', ' ')}</h2>", _html_table(header, cells, text_from=1)]
    return "\n".join(parts)


def _head(study: Mapping[str, Any]) -> list[str]:
    bounds = "; ".join(
        f"{f'{lang}: ' if lang else ''}{bounds_text(one)}{'' if one['enforced'] else ' (not enforced)'}"
        for lang, one in study["bounds"].items()
    )
    lines = [
        f"{study['source']}: {study['rule']} of {study['total']['all']:,} documents in "
        f"{len(study['deliveries'])} deliveries{' in ' + study['lang'] if study['lang'] else ''}",
        f"kept if {bounds}",
        f"to change it: {study['profile_file']}, {study['edit']} (profile of {', '.join(study['sources'])})",
    ]
    if study["changed_since"]:
        lines.append(f"{study['profile_file']} has changed since these documents were judged: they are stale")
    if any(not row["lang"] and row["kept"] for row in study["languages"]):
        lines.append(
            "some ledgers do not say the language yet: materialise them again, else common bounds are used"
        )
    if study["cutoff"]:
        own = [lang for lang in study["bounds"] if lang] if not study["lang"] else []
        stays = f"; bounds of their own stay for {', '.join(own)} (try them with --lang)" if own else ""
        lines.append(f"tried: {bounds_text(study['cutoff'])}{stays}")
    return lines


def _marks(study: Mapping[str, Any], lang: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return the bounds in force in `lang` and those that are tried there, by what a picture calls them."""
    now = study["bounds"].get(lang, study["bounds"][""])
    concerned = study["lang"] or not lang or lang not in study["bounds"]
    tried = study["cutoff"] if study["cutoff"] and concerned else {}
    return (
        {f"now {sign} {now[name]:,g}": now[name] for name, sign in SIGNS.items() if name in now},
        {
            f"tried {sign} {tried[name]:,g}": tried[name]
            for name, sign in SIGNS.items()
            if name in tried and tried[name] != now.get(name)
        },
    )


def _rows(study: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the header and a row a language, then the sum where there are several."""
    tried = ("would drop", "tokens", "would return", "tokens") if study["cutoff"] else ()
    yield ("language", "documents", "tokens (est.)", "median", "fail", *tried)
    rows = study["languages"]
    total = [{**study["total"], "lang": "all", "q0.5": None}] if len(rows) > 1 else []
    for row in (*rows, *total):
        cells = [
            row["lang"] or "unknown",
            f"{row['all']:,}",
            f"{row['all_tokens']:,}",
            _value(row.get("q0.5")),
        ]
        cells.append(_share(row["fails"], row["all"]))
        if study["cutoff"]:
            for fate in ("would_drop", "would_return"):
                cells += [_share(row[fate], row["all"]), f"{row[f'{fate}_tokens']:,}"]
        yield tuple(cells)


def _table(study: Mapping[str, Any]) -> list[str]:
    rows = list(_rows(study))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]


def _sample_lines(row: Mapping[str, Any]) -> list[str]:
    text = " ".join((row["text"] or "").split())
    return [f"  {row['doc_id']}  {row['lang']}  {_value(row['value'])}  {row['delivery']}", f"      {text}"]


def _html_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, text_from: int) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        marked = (
            f"<{tag}{' class=text' if place >= text_from else ''}>{_escaped(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(marked)}</tr>"

    return "\n".join(["<table>", line(header, "th"), *(line(row, "td") for row in rows), "</table>"])


def _escaped(text: str) -> str:
    return html.escape(text)


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}"


def _share(count: int, of: int) -> str:
    return f"{count:,} ({count / of:.1%})" if of else "0"
