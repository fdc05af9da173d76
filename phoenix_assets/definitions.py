"""The asset graph: every source's chain, the mixtures, the training runs, the searches, the evaluations."""

import dagster as dg

from phoenix_assets.clean.assets import clean_assets, model_assets
from phoenix_assets.dedup.assets import dedup_assets, index_assets, load_dedup
from phoenix_assets.dedup.config import DedupConfig
from phoenix_assets.dedup.passages.assets import passage_assets, passage_index_assets
from phoenix_assets.evaluate.assets import evaluate_assets
from phoenix_assets.ingest.assets import ingest_assets
from phoenix_assets.mix.assets import mix_assets, mixture_automation
from phoenix_assets.order.assets import order_assets
from phoenix_assets.search.assets import search_assets
from phoenix_assets.sources import Source, load_sources
from phoenix_assets.tag.assets import quality_assets, tag_assets
from phoenix_assets.tokens.assets import tokenizer_assets, tokens_assets
from phoenix_assets.tokens.config import TOKENIZER
from phoenix_assets.train.assets import train_assets
from phoenix_assets.train.config import load_experiments
from resources.execution import read_configuration
from resources.openlineage import load_openlineage
from resources.phoenix import Phoenix
from sensors.automation import automation_sensor
from sensors.landing import landing_sensor
from sensors.openlineage import openlineage_sensor
from sensors.watchdog import watchdog_sensor


def source_chain(name: str, source: Source, dedup: DedupConfig) -> list[dg.AssetsDefinition]:
    """Return one source's assets, from its raw deliveries to its tagged documents."""
    return [
        *ingest_assets(name, source),
        *clean_assets(name, source),
        *dedup_assets(name, dedup),
        *passage_assets(name, dedup),
        *tag_assets(name, source),
    ]


def build() -> dg.Definitions:
    """Assemble the code location from the configuration."""
    read_configuration()
    sources, dedup, automation = load_sources(), load_dedup(), mixture_automation()
    experiments = load_experiments()
    orders = {name: run.data_order() for name, run in experiments.items()}
    extended = {(run.mixture, run.tokenizer) for run in experiments.values() if run.tokenizer != TOKENIZER}
    return dg.Definitions(
        assets=[
            *(asset for name, source in sources.items() for asset in source_chain(name, source, dedup)),
            *model_assets(),
            *index_assets(dedup),
            *passage_index_assets(dedup),
            *quality_assets(),
            *mix_assets(),
            *tokenizer_assets(),
            *tokens_assets(automation, sorted(extended)),
            *order_assets(orders, automation),
            *train_assets(),
            *search_assets(),
            *evaluate_assets(),
        ],
        sensors=[landing_sensor(sources), automation_sensor(), watchdog_sensor(), *_optional_sensors()],
        resources={"phoenix": Phoenix()},
        executor=dg.in_process_executor,  # one process a run; kernels are parallel inside a step
    )


def _optional_sensors() -> list[dg.SensorDefinition]:
    settings = load_openlineage()
    return [openlineage_sensor(settings)] if settings.transport else []


defs = build()
