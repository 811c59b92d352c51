"""The documentation's site in Chromium: opened as files and from a server, on a screen and a phone.

POSTEL_DOCS is the folder of a site that `make docs` built; without it the site is built here.
POSTEL_SCREENSHOTS=folder keeps pictures.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright isn't installed (pip install playwright)"
)
pytest.importorskip("sphinx", reason="Sphinx isn't installed (pip install 'postel[docs]')")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (apt install chromium)")

ROOT = Path(__file__).parents[2]
# No sandbox as root; and nothing that calls home.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
PAGES = {
    "index": "index.html",
    "how-to": "how-to.html",
    "host": "api/postel.Host.html",
    "errors": "api/postel.errors.html",
    "claims": "claims.html",
    "compliance": "compliance.html",
    "chinese": "project/README.zh.html",
    "source": "_modules/postel/host/host.html",
    "search": "search.html?q=Host.connect",
}
WIDER = """() => [...document.querySelectorAll("article *")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
  .filter((element) => !element.closest("pre, .table-wrapper"))
  .map((element) => element.outerHTML.slice(0, 100))"""

Open = Callable[..., "playwright.Page"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if built := os.environ.get("POSTEL_DOCS"):
        return Path(built)
    target = tmp_path_factory.mktemp("site") / "docs"
    subprocess.run([sys.executable, "-m", "tools.docs.build", str(target)], cwd=ROOT, check=True)
    return target


class Silent(SimpleHTTPRequestHandler):
    """Files below /manuals/postel/, and not a word on the terminal."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.removeprefix("/manuals/postel"))

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/manuals/postel/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as found:
        chromium = found.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


def failed(request: "playwright.Request") -> list[str]:
    """What is wrong with a request that failed: nothing where the reader went on to another page."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"{request.url}: {request.failure}"]


@pytest.fixture
def visit(browser: "playwright.Browser") -> Iterator[Open]:
    """Open a page. At the end no script may have complained, and nothing may have come from elsewhere."""
    complaints: list[str] = []
    loaded: list[str] = []
    contexts = []

    def opened(place: str, **options: object) -> "playwright.Page":
        context = browser.new_context(**{"viewport": SIZES["desk"], **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None,
        )
        page.on("requestfailed", lambda request: complaints.extend(failed(request)))
        page.on("request", lambda request: loaded.append(request.url))
        page.goto(place)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in loaded if not re.match(r"file:|data:|http://127\.0\.0\.1:", url)] == []


def keep(page: "playwright.Page", name: str) -> None:
    if folder := os.environ.get("POSTEL_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"docs-{name}.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_as_a_file_and_is_as_wide_as_the_screen(
    visit: Open, site: Path, name: str, size: str, scheme: str
) -> None:
    page = visit(site.as_uri() + "/" + PAGES[name], viewport=SIZES[size], color_scheme=scheme)
    if name == "search":
        page.locator("ul.search li").first.wait_for()
    keep(page, f"{name}-{size}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(WIDER) == []


def found(page: "playwright.Page", query: str) -> list[str]:
    """Addresses that a search finds, best first."""
    box = page.locator("input[name=q]").first
    box.fill(query)
    box.press("Enter")
    page.get_by_text(re.compile("Search finished|did not match")).wait_for()
    links = page.locator("ul.search li > a")
    return links.evaluate_all("all => all.map(link => link.getAttribute('href').split('?')[0])")


@pytest.fixture(params=["file", "server"])
def start(request: pytest.FixtureRequest, site: Path, address: str) -> str:
    return address if request.param == "server" else site.as_uri() + "/"


def test_a_search_finds_a_method_and_leads_there(visit: Open, start: str) -> None:
    page = visit(start + "index.html")
    assert found(page, "Host.connect")[0] == "api/postel.Host.html#postel.Host.connect"
    page.locator("ul.search li > a").first.click()
    assert page.locator("dt:target .sig-name").inner_text() == "connect"
    assert "connection" in page.locator("dl:has(> dt:target) > dd").inner_text()


@pytest.mark.parametrize("query", ["握手", "三次握手", "协议栈", "TIME-WAIT 报文段"])
def test_a_search_finds_chinese(visit: Open, start: str, query: str) -> None:
    page = visit(start + "api/postel.html")
    assert "project/README.zh.html" in found(page, query)


def test_a_search_finds_nothing_where_nothing_is(visit: Open, start: str) -> None:
    assert found(visit(start + "index.html"), "纸飞机") == []


def test_a_page_and_its_translation_lead_to_each_other(visit: Open, start: str) -> None:
    page = visit(start + "index.html")
    page.locator("article").get_by_role("link", name="中文", exact=True).click()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.locator("article").get_by_role("link", name="English", exact=True).click()
    assert page.url.endswith("/project/README.html")
    assert page.locator("html").get_attribute("lang") == "en"


def test_names_in_pages_and_signatures_lead_to_their_description(visit: Open, start: str) -> None:
    page = visit(start + "how-to.html")
    page.locator("article a > code", has_text="postel.aio.loop_factory").first.click()
    assert page.url.endswith("api/postel.aio.html#postel.aio.loop_factory")
    page.goto(start + "api/postel.Host.html")
    page.locator("dt.sig a", has_text="Config").first.click()
    assert page.url.endswith("api/postel.Config.html#postel.Config")


def test_the_list_of_pages_marks_the_one_at_hand(visit: Open, start: str) -> None:
    page = visit(start + "api/postel.Host.html")
    assert page.locator(".sidebar-tree li.current-page > a").inner_text() == "Host"
    page.locator(".sidebar-tree").get_by_role("link", name="Tutorial", exact=True).click()
    assert page.locator("h1").inner_text().startswith("A first connection")
