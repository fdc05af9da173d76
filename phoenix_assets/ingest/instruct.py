"""Instruction data to text: three shapes that are traded, one layout.

    shape       a record has
    alpaca      instruction, input, output (and system)
    sharegpt    conversations: [{from: human | gpt | system | tool, value: …}, …]
    messages    messages: [{role: user | assistant | system | tool, content: … or [{type: text, text: …}, …]}, …]

Each turn is its role's label and its text; an answer follows its question on the next line, any other turn after a blank
line. The labels are those of the conversation's language: its `lang`, or Chinese if enough of its letters are.
"""

from collections.abc import Mapping
from typing import Any, Final

from phoenix_assets.ingest.config import InstructLayout, Role
from phoenix_assets.ingest.records import MetaValue, RecordRejected
from phoenix_assets.ingest.templates import text_field
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

_ROLES: Final[Mapping[str, Role]] = {
    **{role.value: role for role in Role},
    "human": Role.USER,
    "gpt": Role.ASSISTANT,
    "chatgpt": Role.ASSISTANT,
    "bot": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "developer": Role.SYSTEM,
    "function": Role.TOOL,
    "observation": Role.TOOL,
}
Turn = tuple[Role, str]


def conversation_text(fields: Mapping[str, Any], layout: InstructLayout) -> tuple[str, dict[str, MetaValue]]:
    """Return a conversation as text, and its shape and number of turns for `meta`.

    Raises RecordRejected: corrupt for no known shape, a field of the wrong type or an unknown role, empty_text for a
    turn without text or a conversation without a question or an answer.
    """
    shape, turns = _turns(fields)
    if system := text_field(fields, "system") if shape != "alpaca" else "":
        turns.insert(0, (Role.SYSTEM, system))
    present = {role for role, _ in turns}
    for role in (Role.USER, Role.ASSISTANT):
        if role not in present:
            raise RecordRejected(RejectReason.EMPTY_TEXT, f"the conversation has no turn of the {role}")
    language = text_field(fields, "lang", "language")[:2] or _language(turns, layout)
    labels = layout.labels.get(language) or layout.labels[layout.default_language]
    parts: list[str] = []
    for role, text in turns:
        joint = "" if not parts else "\n" if role is Role.ASSISTANT else "\n\n"
        parts.append(f"{joint}{labels[role]}{text}")
    return "".join(parts), {"shape": shape, "turns": len(turns)}


def _turns(fields: Mapping[str, Any]) -> tuple[str, list[Turn]]:
    if fields.get("messages") is not None:
        return "messages", _listed(fields, "messages", "role", "content")
    if fields.get("conversations") is not None:
        return "sharegpt", _listed(fields, "conversations", "from", "value")
    if fields.get("instruction") is not None:
        asked = "\n".join(filter(None, (text_field(fields, "instruction"), text_field(fields, "input"))))
        turns = (
            (Role.SYSTEM, text_field(fields, "system")),
            (Role.USER, asked),
            (Role.ASSISTANT, text_field(fields, "output")),
        )
        return "alpaca", [(role, text) for role, text in turns if text]
    detail = "the record has none of instruction (Alpaca), conversations (ShareGPT), messages (OpenAI)"
    raise RecordRejected(RejectReason.CORRUPT, detail)


def _listed(fields: Mapping[str, Any], name: str, role_field: str, text_name: str) -> list[Turn]:
    turns = fields[name]
    if not isinstance(turns, list) or not all(isinstance(turn, Mapping) for turn in turns):
        raise RecordRejected(RejectReason.CORRUPT, f"field {name!r} must be a list of objects")
    return [_turn(turn, f"{name}.{number}", role_field, text_name) for number, turn in enumerate(turns)]


def _turn(turn: Mapping[str, Any], place: str, role_field: str, text_name: str) -> Turn:
    name = text_field(turn, role_field)
    role = _ROLES.get(name.lower())
    if role is None:
        raise RecordRejected(RejectReason.CORRUPT, f"{place} has the unknown role {name[:50]!r}")
    parts = turn.get(text_name)
    if isinstance(parts, list):
        text = "\n".join(_part(part, place) for part in parts).strip()
    else:
        text = text_field(turn, text_name)
    if not text:
        raise RecordRejected(RejectReason.EMPTY_TEXT, f"{place} has no text")
    return role, text


def _part(part: Any, place: str) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind != "text":
        raise RecordRejected(RejectReason.CORRUPT, f"{place} has a part of type {kind!r}; only text is read")
    return text_field(part, "text")


def _language(turns: list[Turn], layout: InstructLayout) -> str:
    letters = [
        letter for _, text in turns for letter in text[: layout.language_characters] if letter.isalpha()
    ]
    chinese = sum("\u4e00" <= letter <= "\u9fff" for letter in letters)
    return "zh" if chinese > layout.chinese_above * len(letters) else layout.default_language
