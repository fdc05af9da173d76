"""YAML that somebody else wrote: of bounded size and depth, with neither aliases nor tags."""

from typing import Any

import yaml


class UntrustedYaml(Exception):
    """What is wrong with a text, in words that its author understands."""


def load_untrusted(content: bytes, *, max_bytes: int, max_depth: int) -> Any:
    """Return the values of a YAML text, after one pass over its events. Raises UntrustedYaml."""
    if len(content) > max_bytes:
        raise UntrustedYaml(f"it is larger than {max_bytes} bytes; split the delivery")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UntrustedYaml(f"it is not UTF-8: {error.reason} at byte {error.start}") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_events(text, loader, max_depth)
        return yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader in both cases
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UntrustedYaml(f"it is not readable as YAML: {error}") from error


def _check_events(text: str, loader: Any, max_depth: int) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.AliasEvent):
            raise UntrustedYaml("aliases (*name) are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > max_depth:
            raise UntrustedYaml(f"it is nested deeper than {max_depth} levels")
