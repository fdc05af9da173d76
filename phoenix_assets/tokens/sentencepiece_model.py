"""A SentencePiece `.model` as a `tokenizer.json` that encodes the same.

The conversion itself is `transformers`' own, told by the model's settings: normaliser, dummy prefix, white space,
byte fallback. The model's Protocol Buffers message is read by the few of its fields that this needs, because the
generated class that `sentencepiece` ships asks for one exact runtime. Whether the ids really are the same, the check
of `models/tokenizer` says.
"""

from functools import cache
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from tokenizers import AddedToken

from phoenix_assets.errors import ConfigError

KERNEL_VERSION: Final = "1"

_PACKAGE: Final = "phoenix.sentencepiece"
_Field = descriptor_pb2.FieldDescriptorProto
# name → field name → (number, type); numbers from sentencepiece_model.proto 0.2
_MESSAGES: Final[dict[str, dict[str, tuple[int, int]]]] = {
    "SentencePiece": {
        "piece": (1, _Field.TYPE_STRING),
        "score": (2, _Field.TYPE_FLOAT),
        "type": (3, _Field.TYPE_INT32),
    },
    "TrainerSpec": {
        "model_type": (3, _Field.TYPE_INT32),
        "byte_fallback": (35, _Field.TYPE_BOOL),
        "unk_id": (40, _Field.TYPE_INT32),
        "unk_piece": (46, _Field.TYPE_STRING),
    },
    "NormalizerSpec": {
        "precompiled_charsmap": (2, _Field.TYPE_BYTES),
        "add_dummy_prefix": (3, _Field.TYPE_BOOL),
        "remove_extra_whitespaces": (4, _Field.TYPE_BOOL),
        "escape_whitespaces": (5, _Field.TYPE_BOOL),
    },
}
_MODEL: Final = {
    "pieces": (1, "SentencePiece"),
    "trainer_spec": (2, "TrainerSpec"),
    "normalizer_spec": (3, "NormalizerSpec"),
}
_DEFAULTS: Final = {
    "type": "1",
    "model_type": "1",
    "unk_piece": "<unk>",
    "add_dummy_prefix": "true",
    "remove_extra_whitespaces": "true",
    "escape_whitespaces": "true",
}
_UNIGRAM, _BPE = 1, 2  # TrainerSpec.ModelType
_UNKNOWN, _CONTROL = 2, 3  # SentencePiece.Type


def tokenizer_of_sentencepiece(model: bytes) -> bytes:
    """Return the `tokenizer.json` of a SentencePiece model, its control symbols as special tokens.

    Raises ConfigError for bytes that are no such model, or one by words or characters.
    """
    from transformers.convert_slow_tokenizer import SpmConverter

    proto = _parsed(model)
    kind = proto.trainer_spec.model_type
    if kind not in (_UNIGRAM, _BPE):
        raise ConfigError(f"the SentencePiece model is of type {kind}: give a unigram (1) or BPE (2) model")
    pieces = list(proto.pieces)
    vocabulary: Any = [(piece.piece, piece.score) for piece in pieces]
    if kind == _BPE:
        vocabulary = {piece.piece: number for number, piece in enumerate(pieces)}
    tokenizer = SpmConverter.build_tokenizer_from_spm_proto(proto, vocabulary)
    tokenizer.add_special_tokens(
        [
            AddedToken(piece.piece, normalized=False, special=True)
            for piece in pieces
            if piece.type in (_UNKNOWN, _CONTROL)
        ]
    )
    return str(tokenizer.to_str(pretty=False)).encode("utf-8")


def _parsed(model: bytes) -> Any:
    proto = _message_class()()
    try:
        proto.ParseFromString(model)
    except DecodeError as error:
        raise ConfigError(f"not a SentencePiece model ({error}); give the .model file") from error
    if not proto.pieces:
        raise ConfigError("not a SentencePiece model: it has no pieces; give the .model file")
    return proto


@cache
def _message_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="phoenix/sentencepiece.proto", package=_PACKAGE, syntax="proto2"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            added = message.field.add(name=field, number=number, type=kind, label=_Field.LABEL_OPTIONAL)
            if field in _DEFAULTS:
                added.default_value = _DEFAULTS[field]
    model = file.message_type.add(name="Model")
    for field, (number, of) in _MODEL.items():
        label = _Field.LABEL_REPEATED if field == "pieces" else _Field.LABEL_OPTIONAL
        model.field.add(
            name=field, number=number, type=_Field.TYPE_MESSAGE, type_name=f".{_PACKAGE}.{of}", label=label
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Model"))
