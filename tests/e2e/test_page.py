"""The dashboard, in a browser: one relay, one Chromium."""

import http.client
import json
import socket
import urllib.error
import urllib.request

import pytest

from lab.browser import Browser
from lab.net import free_port
from lab.patience import PATIENCE
from lab.send import message, submit
from test_cli import eventually

HOSTILE = "<img src=x onerror=window.pwned=1><script>window.pwned=1</script>"


@pytest.fixture(scope="module")
def browser():
    b = Browser()
    yield b
    b.close()


class Site:
    """A relay with its page."""

    def __init__(self, relay, port):
        self.relay = relay
        self.url = f"http://127.0.0.1:{port}/"

    def get(self, path, headers=None):
        request = urllib.request.Request(self.url + path, headers=headers or {})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()

    def ask(self, path):
        return json.loads(self.get(path)[2])

    def states(self, **filters):
        query = "&".join(f"{k}={v}" for k, v in filters.items())
        return [r["state"] for r in self.ask(f"v1/queue?{query}")["rows"]]


@pytest.fixture(scope="module")
def site(world):
    port = free_port()
    relay = world.relay(
        {
            "http": {"address": f"127.0.0.1:{port}"},
            "retry": {"schedule": ["1h"]},
        }
    )
    yield Site(relay, port)
    relay.close()


@pytest.fixture
def page(site, browser):
    """The page, looked at; it must not have complained in the end."""
    assert site.relay.is_up(), site.relay.stderr()
    look_at(browser, site)
    yield browser
    assert browser.problems() == []


def look_at(browser, site, **options):
    browser.open(site.url, **options)
    browser.until("() => document.querySelector('#state').dataset.is === 'ok'")


@pytest.fixture
def home(world):
    return world.domain(world.peer())


def delivered(world, site, *options):
    """A message that went under a strict policy: its domain and id."""
    peer = world.peer()
    domain = world.sts(world.domain(peer), mx=[peer])
    mid = submit(site.relay, f"bob@{domain}", *options)
    site.relay.log.one("delivery.sent", mid=mid)
    return domain, mid


def refused(world, site, *names, reply="450 4.2.1 come back later", **options):
    """Recipients of one message that wait: their domain, its id."""
    peer = world.peer()
    domain = world.domain(peer)
    to = [f"{name}@{domain}" for name in names or ("bob",)]
    peer.replies["RCPT"] = {address: [[reply]] for address in to}
    mid = submit(site.relay, *to, **options)
    site.relay.log.wait("delivery.deferred", len(to), mid=mid)
    return domain, mid


def waiting(world, site, *names):
    """The same with a message for each: the domain, the ids."""
    domain = world.domain(world.nobody())
    mids = [submit(site.relay, f"{name}@{domain}") for name in names]
    site.relay.log.wait("delivery.deferred", mid=mids[0])
    return domain, mids


def open_drawer(page, kind, name):
    page.do("await page.evaluate((h) => { location.hash = h; }, arg)", f"{kind}/{name}")
    page.until("() => document.querySelector('#drawer .body')")


def confirm(page, count):
    """Goes on, once the dialog says how many recipients it would be."""
    page.until(
        "(n) => document.querySelector('#confirm .primary:not(:disabled)')"
        "?.textContent.includes(n)",
        f"{count} recipient",
    )
    page.click("#confirm .primary")
    page.until("() => !document.querySelector('#confirm').open")


# --- what is served ---


def test_the_page_is_static_strict_and_cached_by_its_tag(site):
    for path in "", "page.css", "page.js":
        status, headers, body = site.get(path)
        assert status == 200 and body
        csp = headers["Content-Security-Policy"]
        assert "default-src 'none'" in csp and "script-src 'self'" in csp
        assert "unsafe" not in csp and "frame-ancestors 'none'" in csp
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-cache"
        assert "Set-Cookie" not in headers
        with pytest.raises(urllib.error.HTTPError) as e:
            site.get(path, {"If-None-Match": headers["ETag"]})
        assert e.value.code == 304 and e.value.read() == b""


def test_the_control_socket_has_it_too(site):
    class Unix(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(site.relay.config["control"]["socket"])

    c = Unix("localhost")
    c.request("GET", "/")
    answer = c.getresponse()
    assert answer.status == 200 and b"<title>Sealpost</title>" in answer.read()
    c.close()


def test_other_paths_are_still_not_there(site):
    for path in "page", "index.html", "page.js/", "../etc/passwd":
        with pytest.raises(urllib.error.HTTPError) as e:
            site.get(path)
        assert e.value.code == 404


# --- what is shown ---


def test_the_numbers_are_those_of_the_status(world, site, page):
    delivered(world, site)
    domain, _ = refused(world, site, "a", "b")
    queue = site.ask("v1/status")["queue"]
    page.until(
        "([all, held]) => { const t = document.querySelector('#states').innerText;"
        " return t.includes(`all${all}`) && t.includes(`held${held}`); }",
        [queue["recipients"], queue["held"]],
    )
    row = page.do(
        "return await page.locator('#destinations tr', { hasText: arg })"
        ".locator('td').allInnerTexts()",
        domain,
    )
    assert row[2:6] == ["2", "0", "2", "0"], row
    assert "450 4.2.1 come back later" in row[6]
    total = site.ask("v1/status")["counters"]["sent"]
    words = f"{total} recipient{'s' * (total != 1)} sent"
    assert words in page.text("footer").replace(",", "")


def test_the_last_hour_is_drawn_and_said_in_words(world, site, page):
    history = site.ask("v1/history")
    assert history["step_s"] == 10 and len(history["at"]) >= 1
    lengths = {len(v) for v in history.values() if isinstance(v, list)}
    assert lengths == {len(history["at"])}
    delivered(world, site)
    assert site.ask("v1/history")["hour"]["delivered"] >= 1
    page.until("() => document.querySelectorAll('.chart svg .grid').length === 9")
    for chart, word in ("flow", "sent"), ("delay", "deliver"), ("queue", "recipient"):
        label = page.do(
            "return await page.getAttribute(arg, 'aria-label')", f"#chart-{chart} svg"
        )
        assert word in label.lower()


def test_a_policy_that_holds_mail_back_is_named_with_its_reason(world, site, page):
    peer = world.peer(host := f"mx.{world.name()}", cert=world.ca.expired(host))
    domain = world.sts(world.domain(peer), mx=[peer])
    mid = submit(site.relay, f"bob@{domain}")
    site.relay.log.one("delivery.deferred", mid=mid)
    page.until("(d) => document.querySelector('#refusals').innerText.includes(d)", domain)
    text = page.text("#refusals")
    assert "certificate expired" in text and "mta-sts" in text
    open_drawer(page, "message", mid)
    text = page.text("#drawer")
    assert "mta-sts enforce" in text and "certificate has expired" in text


def test_a_destination_shows_its_plan(world, site, page):
    domain, _ = delivered(world, site)
    open_drawer(page, "to", domain)
    text = page.text("#drawer")
    assert "would be sent" in text and "enforce" in text and "pkix" in text


def test_what_happens_is_seen_at_once(world, site, page):
    page.until("() => document.querySelector('#activity-sum').textContent === 'live'")
    domain, mid = delivered(world, site)
    page.until("(d) => document.querySelector('#activity').innerText.includes(d)", domain)
    page.until("(m) => document.querySelector('#latest').innerText.includes(m)", mid)


# --- finding ---


def test_an_id_shows_the_whole_timeline(world, site, page):
    domain, mid = delivered(world, site)
    page.press("/")
    page.type(mid)
    page.press("Enter")
    page.until("() => document.querySelector('#drawer .timeline')")
    text = page.text("#drawer")
    event = site.ask(f"v1/messages/{mid}/trace")["events"][0]["attempt"]
    for key in "host", "address", "policy", "tls_version", "tls_cipher", "verdict":
        assert event[key] in text, key
    assert event["reply"] in text and "delivered" in text


def test_an_address_finds_finished_and_waiting_mail(world, site, page):
    domain, mid = delivered(world, site)
    other, waits = refused(world, site, sender=f"bob@{domain}")
    page.press("/")
    page.type(f"bob@{domain}")
    page.press("Enter")
    page.until("(m) => document.querySelector('#drawer').innerText.includes(m)", mid)
    text = page.text("#drawer table")
    assert waits in text and "delivered" in text and "waits" in text
    page.press("/")
    page.type(other)
    page.press("Enter")
    # What was found before stands there until the answer comes.
    page.until(
        "(m) => !document.querySelector('#drawer table')?.innerText.includes(m)", mid
    )
    page.until("(m) => document.querySelector('#drawer table')?.innerText.includes(m)", waits)
    assert mid not in page.text("#drawer table")


def test_a_link_to_a_message_opens_it(world, site, page):
    _, mid = delivered(world, site)
    page.open(f"{site.url}#message/{mid}")
    page.until("() => document.querySelector('#drawer .timeline')")
    assert mid in page.text("#drawer h2")
    page.press("Escape")
    page.until("() => !document.querySelector('#drawer').open && !location.hash")


def test_what_is_not_there_is_said(site, page):
    open_drawer(page, "find", "nobody@nowhere.example")
    assert "no such message" in page.text("#drawer")
    open_drawer(page, "find", "not an address@")
    page.until("() => document.querySelector('#drawer .problem')")
    page.do("state.problems.length = 0")  # the browser counts a 400 as one


# --- actions ---


def test_each_action_asks_first_and_does_what_it_says(world, site, home, page):
    domain, mid = refused(world, site, "a", "b", sender=f"app@{home}")
    open_drawer(page, "message", mid)
    page.click("#drawer [data-verb=hold]")
    page.until("() => !document.querySelector('#confirm .primary').disabled")
    assert "2 recipients" in page.text("#confirm")
    page.press("Escape")
    assert site.states(id=mid) == ["deferred"] * 2, "nothing was done"
    page.click("#drawer [data-verb=hold]")
    confirm(page, 2)
    assert site.states(id=mid) == ["held"] * 2
    page.until("() => document.querySelector('#said').textContent.includes('2 recipients held')")
    page.click("#drawer [data-verb=release]")
    confirm(page, 2)
    site.relay.log.wait("delivery.deferred", 4, mid=mid)
    page.click("#drawer [data-verb=retry]")
    confirm(page, 2)
    site.relay.log.wait("delivery.deferred", 6, mid=mid)
    page.click("#drawer [data-verb=bounce]")
    confirm(page, 2)
    eventually(lambda: site.states(id=mid) == [])
    assert world.ledger.one(f"app@{home}")
    page.until("() => document.querySelector('#drawer').innerText.includes('finished')")


def test_a_destination_is_changed_as_a_whole(world, site, page):
    domain, _ = waiting(world, site, "a", "b")
    open_drawer(page, "to", domain)
    page.until("() => document.querySelector('#drawer [data-verb=delete]')")
    page.click("#drawer [data-verb=delete]")
    confirm(page, 2)
    eventually(lambda: site.states(domain=domain) == [])


def test_a_selection_is_changed_and_nothing_else(world, site, page):
    domain, (first, _, last) = waiting(world, site, "a", "b", "c")
    page.do("await page.evaluate((d) => setFilter({ domain: d }), arg)", domain)
    page.until("() => document.querySelectorAll('#queue tbody tr').length === 3")
    for mid in first, last:
        page.click(f"#queue input[aria-label='Select message {mid}']")
    assert "2 messages selected" in page.text("#selection")
    page.click("#selection [data-verb=hold]")
    confirm(page, 2)
    eventually(lambda: sorted(site.states(domain=domain)).count("held") == 2)
    assert site.states(id=first) == ["held"] and site.states(id=last) == ["held"]


def test_a_change_that_fails_says_why(world, site, page):
    _, mid = refused(world, site)
    page.do(
        "await page.route('**/v1/queue/hold', (r) => r.fulfill({ status: 503,"
        " json: { error: 'the store is busy <b>now</b>' } }))"
    )
    open_drawer(page, "message", mid)
    page.click("#drawer [data-verb=hold]")
    page.until("() => document.querySelector('#confirm .problem').textContent"
               " === 'the store is busy <b>now</b>'")
    page.do("state.problems.length = 0")  # of the 503


# --- by keyboard ---


def test_all_of_it_works_by_keyboard(world, site, page):
    domain, mid = refused(world, site, "a")
    page.do("await page.evaluate((d) => setFilter({ domain: d }), arg)", domain)
    page.until("() => document.querySelectorAll('#queue tbody tr').length === 1")
    page.press("Tab")
    assert page.do("return await page.evaluate(() => document.activeElement.className)") == "skip"
    page.press("g", "q", "x")
    page.until("() => !document.querySelector('#selection').hidden")
    page.press("Enter")
    page.until("() => document.querySelector('#drawer .timeline')")
    page.press("Tab", "Tab", "Tab")
    assert (
        page.do("return await page.evaluate(() => document.activeElement.dataset.verb)")
        == "hold"
    )
    page.press("Enter")
    page.until("() => !document.querySelector('#confirm .primary').disabled")
    page.press("Enter")
    eventually(lambda: site.states(id=mid) == ["held"])
    page.until("() => !document.querySelector('#confirm').open")
    page.press("Escape")
    page.until("() => !document.querySelector('#drawer').open")
    page.press("g", "d", "j")
    assert page.do("return await page.evaluate(() => document.activeElement.matches('#destinations tr'))")
    page.press("?")
    assert page.do("return await page.isVisible('#keys')")
    page.press("Escape")
    page.press("/")
    assert page.do("return await page.evaluate(() => document.activeElement.id)") == "query"


# --- for everybody ---


@pytest.mark.parametrize("dark", [False, True])
def test_it_has_contrast_names_and_roles(world, site, browser, dark):
    domain, mid = refused(world, site, "a", "b")
    look_at(browser, site, dark=dark)
    browser.until("(d) => document.querySelector('#queue').innerText.length > 50")
    assert browser.wrong() == []
    open_drawer(browser, "message", mid)
    assert browser.wrong() == []
    browser.click("#drawer [data-verb=delete]")
    browser.until("() => !document.querySelector('#confirm .primary').disabled")
    assert browser.wrong() == []
    assert browser.problems() == []


def test_a_phone_never_scrolls_sideways(world, site, browser):
    domain, mid = refused(world, site, "a" * 60, reply="450 4.2.0 " + "x" * 300)
    look_at(browser, site, width=360, height=740)
    wide = (
        "return await page.evaluate(() => Math.max(document.documentElement.scrollWidth,"
        " document.querySelector('#drawer').scrollWidth) - innerWidth)"
    )
    browser.until("() => document.querySelector('#queue tbody tr')")
    assert browser.do(wide) <= 0
    open_drawer(browser, "message", mid)
    assert browser.do(wide) <= 0
    open_drawer(browser, "to", domain)
    assert browser.do(wide) <= 0
    assert browser.problems() == []


# --- against harm ---


def test_what_comes_from_elsewhere_is_text(world, site, page):
    data = message(extra=[f"X-A: {HOSTILE}"]).replace(
        b"Message-ID: <", b"Message-ID: <<img/src=x/onerror=window.pwned=1>"
    )
    domain, mid = refused(world, site, reply=f"450 4.2.0 {HOSTILE}", data=data)
    page.until("() => document.querySelector('#destinations').innerText.includes('<img src=x')")
    page.until("() => document.querySelector('#queue').innerText.includes('<img src=x')")
    open_drawer(page, "message", mid)
    assert HOSTILE in page.text("#drawer .reply")
    open_drawer(page, "to", domain)
    assert "<img src=x" in page.text("#drawer")
    open_drawer(page, "find", "%3Cimg%20src%3Dx%20onerror%3Dwindow.pwned%3D1%3E")
    page.until("() => document.querySelector('#drawer h2').innerText.includes('<img')")
    assert page.do(
        "return await page.evaluate(() => [window.pwned === undefined,"
        " document.querySelectorAll('img, main script').length])"
    ) == [True, 0]
    page.do("state.problems.length = 0")  # of the search that was no address


def test_with_a_token_only_the_page_itself_is_open(world, site, browser, tmp_path):
    port = free_port()
    secret = tmp_path / "token"
    secret.write_text("correct-horse-battery-staple\n")
    secret.chmod(0o600)
    relay = world.relay(
        {
            "": {"mode": "sink"},
            "policy": {"enforce": "report"},
            "http": {"address": f"127.0.0.1:{port}", "token_file": str(secret)},
        }
    )
    closed = Site(relay, port)
    assert closed.get("")[0] == closed.get("page.js")[0] == 200
    for path in "v1/status", "v1/history", "v1/messages", "metrics":
        with pytest.raises(urllib.error.HTTPError) as e:
            closed.get(path)
        assert e.value.code == 401
    browser.open(closed.url)
    browser.until("() => document.querySelector('#token').open")
    browser.type("wrong")
    browser.press("Enter")
    browser.until("() => document.querySelector('#token-problem').textContent")
    browser.type("correct-horse-battery-staple")
    browser.press("Enter")
    browser.until("() => document.querySelector('#state').dataset.is === 'ok'")
    banners = browser.text("#banners")
    assert "Sink mode" in banners and "only reported" in banners
    kept = "return await page.evaluate(() => [localStorage.length, document.cookie])"
    assert browser.do(kept) == [0, ""]
    relay.close()


def test_a_relay_that_went_away_is_noticed_and_found_again(site, browser):
    look_at(browser, site)
    site.relay.stop()
    browser.until("() => document.querySelector('#state').textContent.startsWith('no answer for')")
    assert "does not answer" in browser.text("#banners")
    site.relay.start()
    browser.until("() => document.querySelector('#state').textContent === 'running'")
    browser.until("() => document.querySelector('#banners').children.length === 0")
    assert not [p for p in browser.problems() if "ERR_" not in p]
