"""`<source>/normalized` and `<source>/filtered`, and the models that the funnel reads: `models/lid`, `models/kenlm_*`."""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import dagster as dg
import polars as pl

from phoenix_assets.clean.config import KenlmConfig, LidConfig, load_normalize
from phoenix_assets.clean.profiles import ROOT_PROFILE, SAFETY, FilterProfile, load_profile
from phoenix_assets.config import config_dir, load
from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.pretrained import PretrainedModel
from phoenix_assets.schema import DOCUMENT
from phoenix_assets.sources import Source
from resources.build import Build
from resources.conservation import conservation
from resources.declare import Automation, declared, deliveries
from resources.phoenix import Phoenix
from resources.report import materialized
from resources.shard_work import OnFrame, shard_work

_FUNNEL = tuple(
    f"phoenix_assets.clean.{name}"
    for name in (
        "stages",
        "funnel",
        "characters",
        "character_rules",
        "repetition",
        "words",
        "word_hashes",
        "wordlists",
        "lexicon",
        "text_rules",
        "ngrams",
        "dictionary",
        "segmentation",
        "language",
        "perplexity",
        "code_rules",
        "math_rules",
        "safety",
    )
)
_NORMALIZE = tuple(
    f"phoenix_assets.clean.{name}" for name in ("stages", "normalize", "spacing", "punctuation", "regions")
)
_FOREIGN_PARAGRAPHS = tuple(f"phoenix_assets.clean.{name}" for name in ("paragraphs", "language"))
_MASKED_BY = (
    "personal_data",
    "personal_candidates",
    "personal_numbers",
    "phone_numbers",
    "network_addresses",
)
_MASKING = tuple(f"phoenix_assets.clean.{name}" for name in _MASKED_BY)
_KENLM = tuple(
    f"phoenix_assets.clean.{name}" for name in ("kenlm_training", "reference", "language", "perplexity")
)
_PRETRAINED = ("phoenix_assets.pretrained",)
LID = "models/lid"
LID_FILE = "lid.ftz"


def kenlm_key(lang: str) -> str:
    """Return the asset path of a language's perplexity model."""
    return f"models/kenlm_{lang}"


def clean_assets(name: str, source: Source) -> list[dg.AssetsDefinition]:
    """Return the cleaning assets of a source's chain."""
    return [_normalized(name), _filtered(name, source)]


def _normalized(name: str) -> dg.AssetsDefinition:
    normalize = load_normalize(name)
    config = {"normalize": normalize.model_dump(mode="json")}
    models = [LID] if normalize.foreign_paragraphs else []

    @dg.asset(
        **declared(
            f"{name}/normalized",
            room="clean",
            kernels=_NORMALIZE
            + (_FOREIGN_PARAGRAPHS if normalize.foreign_paragraphs else ())
            + (_MASKING if normalize.masking else ()),
            config=config,
            deps=[f"{name}/extracted", *models],
            partitions=deliveries(name),
            kinds=("deltalake", "polars"),
            conserves_rows=True,
            description="Text with unprintable characters, superfluous spaces and mixed punctuation put right, without "
            "paragraphs in foreign languages, personal data masked.",
        )
    )
    def normalized(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.clean.stages import normalize_documents

        upstream = f"{name}/extracted"
        build = phoenix.start(context, config=config, same=[upstream, *models])
        kernel = partial(
            normalize_documents, config=normalize, lid=build.file(LID, LID_FILE) if models else None
        )
        work = shard_work(build, OnFrame(kernel, tuple(DOCUMENT)))
        stored = build.commit_shards(DOCUMENT, phoenix.engine.map(work, build.shards(upstream)))
        sample = phoenix.lake.read(stored.as_input()).select("locator", "title", "text").head(5).collect()
        return materialized(stored, sample=sample, checks=[conservation(build, stored, upstream=[upstream])])

    return normalized


def _filtered(name: str, source: Source) -> dg.AssetsDefinition:
    profile = load_profile(source.filter_profile)
    languages = load(KenlmConfig, config_dir() / "kenlm.yaml").languages
    config = {"filter_profile": profile.model_dump(mode="json")}
    models = [LID, *(kenlm_key(lang) for lang in languages)]

    @dg.asset(
        **declared(
            f"{name}/filtered",
            room="clean",
            kernels=_FUNNEL,
            config=config,
            deps=[f"{name}/normalized", *models],
            partitions=deliveries(name),
            kinds=("deltalake", "fasttext", "kenlm"),
            conserves_rows=True,
            description=f"Documents that pass the filter funnel, profile `{source.filter_profile}`: "
            f"{profile.description}",
        )
    )
    def filtered(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.clean.funnel import FunnelModels
        from phoenix_assets.clean.stages import FILTERED, filter_documents

        upstream = f"{name}/normalized"
        build = phoenix.start(context, config=config, same=[upstream, *models])
        kenlm = {lang: build.file(kenlm_key(lang), f"{lang}.binary") for lang in languages}
        paths = FunnelModels.of(build.file(LID, LID_FILE), kenlm)
        kernel = partial(filter_documents, profile=profile, models=paths)
        work = shard_work(build, OnFrame(kernel, tuple(DOCUMENT)))
        stored = build.commit_shards(FILTERED, phoenix.engine.map(work, build.shards(upstream)))
        return materialized(
            stored,
            pictures=_funnel_pictures(build, stored, profile),
            sample=_dropped_sample(build, stored),
            checks=[conservation(build, stored, upstream=[upstream])],
        )

    return filtered


def _funnel_pictures(build: Build, stored: StoredRecord, profile: FilterProfile) -> Mapping[str, bytes]:
    from phoenix_assets import figures
    from phoenix_assets.histogram import histograms

    record = stored.record
    values = {
        rule.value: pl.col("rules_value").list.get(place, null_on_oob=True)
        for place, rule in enumerate(profile.judged)
        if rule not in SAFETY
    }
    panels = histograms(build.lake.read(record.side_tables[SideTable.LEDGER]), values)
    thresholds = {
        rule.value: bound
        for rule, setting in profile.rules.items()
        if rule not in SAFETY
        for bound in setting.given().values()
    }
    counts = {"documents in": record.counts["rows_in"], **record.reasons, "kept": record.counts["rows_out"]}
    title = f"{build.asset} {build.partition}"
    return {
        "funnel": figures.bars(counts, title=f"{title}: documents by outcome", unit="documents"),
        "rule_values": figures.histograms(
            panels, thresholds, title=f"{title}: rule values, thresholds in red"
        ),
    }


def _dropped_sample(build: Build, stored: StoredRecord) -> pl.DataFrame:
    ledger = build.lake.read(stored.record.side_tables[SideTable.LEDGER])
    dropped = ledger.filter(~pl.col("kept")).bottom_k(5, by="doc_id").select("doc_id", "drop_reason")
    chosen = dropped.collect(engine="streaming").sort("doc_id")
    texts = build.read(build.inputs[0].asset).filter(pl.col("doc_id").is_in(chosen["doc_id"].implode()))
    found = texts.select("doc_id", "locator", "text").collect(engine="streaming")
    return chosen.join(found, on="doc_id", maintain_order="left")


def model_assets() -> list[dg.AssetsDefinition]:
    """Return the assets of language identification and of the perplexity models."""
    kenlm = load(KenlmConfig, config_dir() / "kenlm.yaml")
    return [_lid(), *(_kenlm(lang, kenlm) for lang in kenlm.languages)]


def _lid() -> dg.AssetsDefinition:
    lid = load(LidConfig, config_dir() / "lid.yaml")
    config = {"lid": lid.model_dump(mode="json", exclude_none=True)}

    @dg.asset(
        **declared(
            LID,
            room="clean",
            kernels=_PRETRAINED if lid.pretrained else ("phoenix_assets.clean.language",),
            config=config,
            automation=Automation.WHEN_MISSING,
            kinds=("fasttext",),
            description="The fastText language identification model that normalisation and the funnel read.",
        )
    )
    def model(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.clean.language import fetch_lid
        from phoenix_assets.pretrained import fetch_pretrained

        build = phoenix.start(context, config=config)
        with phoenix.lake.scratch() as folder:
            if lid.pretrained:
                fetch_pretrained(lid.pretrained, Path(folder) / LID_FILE)
            else:
                shutil.copy(fetch_lid(phoenix.path / "cache" / "models", lid), Path(folder) / LID_FILE)
            return materialized(build.commit_files(Path(folder)))

    return model


def _kenlm(lang: str, kenlm: KenlmConfig) -> dg.AssetsDefinition:
    if pretrained := kenlm.pretrained.get(lang):
        return _pretrained_kenlm(lang, pretrained)
    return _trained_kenlm(lang, kenlm)


def _pretrained_kenlm(lang: str, pretrained: PretrainedModel) -> dg.AssetsDefinition:
    config = {"pretrained": pretrained.model_dump(mode="json"), "lang": lang}

    @dg.asset(
        **declared(
            kenlm_key(lang),
            room="clean",
            kernels=_PRETRAINED,
            config=config,
            automation=Automation.WHEN_MISSING,
            kinds=("kenlm",),
            description=f"The {lang} perplexity model, trained elsewhere: {pretrained.location}.",
        )
    )
    def model(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.pretrained import fetch_pretrained

        build = phoenix.start(context, config=config)
        with phoenix.lake.scratch() as folder:
            fetch_pretrained(pretrained, Path(folder) / f"{lang}.binary")
            return materialized(build.commit_files(Path(folder)))

    return model


def _trained_kenlm(lang: str, kenlm: KenlmConfig) -> dg.AssetsDefinition:
    references = kenlm.reference_sources[lang]
    upstream = [f"{source}/normalized" for source in references]
    config = {"kenlm": kenlm.model_dump(mode="json", exclude={"pretrained"}), "lang": lang}

    @dg.asset(
        **declared(
            kenlm_key(lang),
            room="clean",
            kernels=_KENLM,
            config=config,
            deps=[LID, *upstream],
            automation=Automation.WHEN_MISSING,
            kinds=("kenlm",),
            description=f"The {lang} perplexity model, trained on normalised text of: {', '.join(references)}.",
        )
    )
    def model(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.clean.funnel import load_lid
        from phoenix_assets.clean.kenlm_training import find_builder, train
        from phoenix_assets.clean.reference import reference_sentences

        build = phoenix.start(context, config=config, same=[LID], all_of=upstream)
        documents = build.read_all(upstream).select("doc_id", "text").collect()
        lid = load_lid(build.file(LID, LID_FILE))
        limit = kenlm.reference_characters[lang]
        lines = reference_sentences(
            documents, lang, lid, load_profile(ROOT_PROFILE).parameters.language, limit
        )
        builder = find_builder()
        with phoenix.lake.scratch() as folder:
            train(lines, Path(folder) / f"{lang}.binary", kenlm, builder.lmplz, builder.build_binary)
            return materialized(build.commit_files(Path(folder), counts={"sentences": len(lines)}))

    return model
