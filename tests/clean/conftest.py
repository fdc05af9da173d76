"""Real models, small: language identification, KenLM trained on a few hundred lines; the golden document."""

import argparse
import difflib
import importlib.util
import inspect
import json
import os
import textwrap
from pathlib import Path

import polars as pl
import pytest

from phoenix_assets.clean.config import KenlmConfig, LidConfig
from phoenix_assets.clean.funnel import FunnelModels
from phoenix_assets.clean.kenlm_training import find_builder, train
from phoenix_assets.clean.language import fetch_lid
from phoenix_assets.clean.perplexity import sentences
from phoenix_assets.clean.profiles import load_profiles
from phoenix_assets.config import config_dir, load

HERE = Path(__file__).parent

CHINESE = [
    "北京是中华人民共和国的首都，也是全国的政治中心、文化中心和国际交往中心。城市位于华北平原的北部，背靠燕山。",
    "长江是亚洲第一长河，发源于青藏高原的唐古拉山脉，自西向东流经十一个省级行政区，最后在上海注入东海。",
    "造纸术是中国古代的四大发明之一，它使书写材料变得便宜而轻便，对世界文明的传播起了很大的作用。",
    "春天来了，公园里的桃花和樱花都开了，许多人带着孩子在湖边散步，还有老人在亭子里下棋聊天。",
    "这本书介绍了统计学的基本概念，包括平均数、方差和回归分析，每一章的后面都有练习题和参考答案。",
    "他每天早上六点起床，先跑步半个小时，然后吃早饭，再坐地铁去公司上班，晚上回家以后还要读一会儿书。",
]


def _docstrings():
    texts = []
    for module in (argparse, difflib, json, textwrap, inspect, pl.DataFrame, pl.Expr):
        members = [module, *(member for _, member in inspect.getmembers(module, callable))]
        texts += [text for member in members if len(text := inspect.getdoc(member) or "") > 300]
    return sorted(set(texts))[:300]


@pytest.fixture(scope="session")
def reference():
    spec = importlib.util.spec_from_file_location("clean_reference", HERE / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def golden():
    return (HERE.parent / "golden" / "funnel_case.txt").read_text("utf-8")


@pytest.fixture(scope="session")
def english():
    return _docstrings()


@pytest.fixture(scope="session")
def chinese(golden):
    pairs = [a + "\n" + b for a in CHINESE for b in CHINESE]
    return [*CHINESE, *pairs, golden]


@pytest.fixture(scope="session")
def profiles():
    return load_profiles()


@pytest.fixture(scope="session")
def kenlm_config():
    return load(KenlmConfig, config_dir() / "kenlm.yaml").model_copy(update={"memory": "200M", "order": 3})


@pytest.fixture(scope="session")
def kenlm_paths(tmp_path_factory, kenlm_config, english, chinese):
    folder = tmp_path_factory.mktemp("kenlm")
    builder = find_builder()
    for lang, texts in (("en", english[::2]), ("zh", chinese[:-1])):
        lines = sentences(pl.Series(texts), lang)
        train(lines, folder / lang, kenlm_config, builder.lmplz, builder.build_binary)
    return {lang: folder / lang for lang in ("en", "zh")}


@pytest.fixture(scope="session")
def lid_path():
    home = Path(os.environ.get("PHOENIX_HOME", HERE.parents[1] / ".phoenix"))
    return fetch_lid(home / "cache" / "models", load(LidConfig, config_dir() / "lid.yaml"))


@pytest.fixture(scope="session")
def funnel_models(lid_path, kenlm_paths):
    return FunnelModels.of(lid_path, kenlm_paths)
