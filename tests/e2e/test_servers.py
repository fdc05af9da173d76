"""The web server and the daemon at work on one home: what the sensors start by themselves, exactly what a delivery
touches, and the web UI in a real browser, from the asset graph to a filtered partition with its funnel."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

pytestmark = pytest.mark.slow

SOURCE, DELIVERY = "book", "sanguo-vol2"
RUN_SECONDS = 240
TICKS = 3  # of the automation sensor, without anything to do: then it is quiet
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WAIT_MS = 60_000
PARTITION = "CC-MAIN-2024-22-000"


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where screenshots go: `$PHOENIX_SCREENSHOTS` keeps them."""
    chosen = os.environ.get("PHOENIX_SCREENSHOTS")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def page() -> Iterator[Page]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1400})
        page.set_default_timeout(WAIT_MS)
        yield page
        browser.close()


def test_a_corpus_that_is_up_to_date_stays_as_it_is(dagster: Any) -> None:
    dagster.wait("quiet", lambda: dagster.is_quiet(TICKS), seconds=RUN_SECONDS)
    assert [run.run_id for run in dagster.instance.get_runs() if "dagster/sensor_name" in run.tags] == []


def test_a_new_delivery_flows_through_its_own_partitions_and_nothing_else_reruns(dagster: Any) -> None:
    before = dagster.cursor()
    (dagster.home.path / "held-back" / "landing" / SOURCE / DELIVERY).rename(
        dagster.home.landing / SOURCE / DELIVERY
    )
    dagster.wait("tokens/v3", lambda: dagster.is_made("tokens/v3", before), seconds=RUN_SECONDS)
    dagster.wait("quiet", lambda: dagster.is_quiet(TICKS), seconds=RUN_SECONDS)
    assert dagster.made_since(before) == [
        *(
            f"{SOURCE}/{stage}[{DELIVERY}]"
            for stage in ("raw", "extracted", "normalized", "filtered", "signatures")
        ),
        *(f"dedup/book/{granularity}" for granularity in ("url", "exact", "near")),
        *(f"{SOURCE}/{stage}[{DELIVERY}]" for stage in ("deduped", "paragraphs")),
        "dedup/book/paragraphs",
        f"{SOURCE}/sentences[{DELIVERY}]",
        "dedup/book/sentences",
        *(f"{SOURCE}/{stage}[{DELIVERY}]" for stage in ("trimmed", "tagged")),
        "mix/v3",
        "tokens/v3",
    ]
    dagster.fail_on_failed_runs()


def test_the_same_bytes_again_are_only_registered_again(dagster: Any) -> None:
    before = dagster.cursor()
    landed = dagster.home.landing / SOURCE / DELIVERY
    copied = landed.with_name(f".{DELIVERY}")
    shutil.copytree(landed, copied, copy_function=shutil.copyfile)  # new modification times
    landed.rename(landed.with_name(f".{DELIVERY}.old"))
    copied.rename(landed)
    raw = f"{SOURCE}/raw[{DELIVERY}]"
    dagster.wait("raw", lambda: raw in dagster.made_since(before), seconds=RUN_SECONDS)
    dagster.wait("quiet", lambda: dagster.is_quiet(TICKS), seconds=RUN_SECONDS)
    assert dagster.made_since(before) == [raw]


def test_a_bad_delivery_is_quarantined_and_starts_nothing(dagster: Any) -> None:
    before = dagster.cursor()
    bad = dagster.home.landing / SOURCE / "sanguo-vol3"
    bad.mkdir()
    (bad / "delivery.yaml").write_text("source: book\ndelivery: ../../elsewhere\n")
    table = dagster.home.path / "lake" / "quarantine" / "landing" / "_delta_log"
    dagster.wait("quarantine", table.is_dir, seconds=RUN_SECONDS)
    assert "book/sanguo-vol3/delivery.yaml: bad_manifest" in dagster.home.phoenix("quarantine")
    dagster.wait("quiet", lambda: dagster.is_quiet(TICKS), seconds=RUN_SECONDS)
    assert dagster.made_since(before) == []


@pytest.mark.browser
def test_the_asset_graph_renders_by_source_and_a_source_opens_into_its_chain(
    dagster: Any, page: Page, screenshots: Path
) -> None:
    page.goto(f"{dagster.url}/asset-groups")
    for group in ("cc", "wiki", "code", "models", "dedup", "mix", "tokens", "train", "evaluate"):
        seen(page, group).nth(1).wait_for()  # the first is in the list on the left
    assert is_drawn(page, screenshots / "groups.png")
    seen(page, "cc").nth(1).click()
    for asset in ("raw", "extracted", "normalized", "filtered", "signatures", "deduped", "trimmed", "tagged"):
        seen(page, asset).first.wait_for()
    assert is_drawn(page, screenshots / "asset-graph.png")


@pytest.mark.browser
def test_the_chain_of_a_source_renders(dagster: Any, page: Page, screenshots: Path) -> None:
    page.goto(f"{dagster.url}/assets/cc/filtered?view=lineage&lineageScope=upstream&lineageDepth=5")
    for asset in ("raw", "extracted", "normalized", "filtered", "lid", "kenlm_zh", "kenlm_en"):
        seen(page, asset).first.wait_for()
    assert is_drawn(page, screenshots / "chain.png")


@pytest.mark.browser
def test_a_filtered_partition_shows_its_counts_and_its_funnel(
    dagster: Any, page: Page, screenshots: Path
) -> None:
    page.goto(f"{dagster.url}/assets/cc/filtered?view=partitions&partition={PARTITION}")
    seen(page, "cond_check_perplexity").first.wait_for()  # in the table of drop reasons
    assert seen(page, "rows_dropped").count() == 1
    assert is_drawn(page, screenshots / "filtered-partition.png")
    page.locator("tr", has=page.get_by_text("funnel", exact=True)).get_by_text("[Show Markdown]").click()
    picture = page.locator("img[src^='data:image/png;base64,']")
    picture.wait_for()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    page.get_by_role("button", name="Close").click(trial=True)  # possible when the dialog stands still
    assert is_drawn(page, screenshots / "funnel.png")


def seen(page: Page, text: str) -> Locator:
    """Return the visible elements with exactly this text."""
    return page.get_by_text(text, exact=True).filter(visible=True)


def is_drawn(page: Page, shot: Path) -> bool:
    """Take a screenshot when all has arrived; return whether it holds more than a background."""
    page.wait_for_load_state("networkidle")
    page.screenshot(path=shot)
    colours = Image.open(shot).convert("RGB").getcolors(maxcolors=2**24) or []
    return len(colours) > 50 and max(count for count, _ in colours) < 0.98 * sum(
        count for count, _ in colours
    )
