"""The phone on the sandbox's page shows new messages by itself, is accessible, and shows any content as text."""

from collections.abc import Callable
from itertools import product
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from sandbox.model import Channel, SendRequest
from sandbox.server import APPLICATION_ID, MESSAGE_ID
from tests.support.browser import Screen
from tests.support.running import Sandbox, other_pin

COLOR_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
Visit = Callable[..., Screen]
OTHER = "+14155552671"
HOSTILE = """<img src=x onerror="document.title='taken'"><script>document.title='taken'</script> {{pin}} &lt;b&gt;"""


def deliver(sandbox: Sandbox, phone: str, channel: Channel = Channel.SMS) -> None:
    """Send a message that was not requested on the page."""
    sandbox.two_factor.send(SendRequest(application_id=APPLICATION_ID, message_id=MESSAGE_ID, to=phone), channel)


def test_messages_appear_by_themselves_in_a_thread_per_number(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    screen = visit()
    deliver(sandbox, phone)
    expect(screen.messages).to_have_count(1)
    deliver(sandbox, OTHER, Channel.VOICE)
    expect(screen.thread(OTHER)).to_have_attribute("aria-selected", "true")
    expect(screen.messages).to_have_count(1)
    expect(screen.messages).to_contain_text(["Call from"])
    expect(screen.page.get_by_role("tab")).to_contain_text([OTHER, phone])
    expect(screen.page.locator("#announcer")).to_have_text(f"New call to {OTHER}: Your code is {sandbox.pin(OTHER)}")
    screen.thread(phone).click()
    expect(screen.messages).to_contain_text([sandbox.pin(phone)])


def test_a_new_message_does_not_replace_the_thread_that_is_read(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    screen = visit()
    deliver(sandbox, phone)
    screen.thread(phone).click()
    deliver(sandbox, OTHER)
    expect(screen.thread(OTHER)).to_contain_text("1 new")
    expect(screen.thread(phone)).to_be_focused()
    expect(screen.thread(phone)).to_have_attribute("aria-selected", "true")
    screen.page.keyboard.press("ArrowDown")
    expect(screen.thread(OTHER)).to_be_focused()
    expect(screen.thread(OTHER)).not_to_contain_text("new")
    expect(screen.messages).to_contain_text([sandbox.pin(OTHER)])


def test_a_newer_pin_marks_the_older_one(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    screen = visit()
    deliver(sandbox, phone)
    deliver(sandbox, phone)
    expect(screen.messages).to_have_count(2)
    expect(screen.messages.first.get_by_text("A newer PIN was sent")).to_be_visible()
    expect(screen.messages.last.get_by_text("A newer PIN was sent")).to_be_hidden()


def test_a_reconnect_shows_no_message_twice(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    screen = visit()
    deliver(sandbox, phone)
    expect(screen.messages).to_have_count(1)
    sandbox.hang_up()
    expect(screen.page.get_by_text("Connection lost")).to_be_visible()
    deliver(sandbox, phone)
    expect(screen.page.get_by_text("Live", exact=True)).to_be_visible()
    expect(screen.messages).to_have_count(2)
    assert screen.messages.locator(".digits").all_inner_texts() == sandbox.pins(phone)


def test_a_new_sandbox_begins_with_an_empty_phone(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    screen = visit()
    deliver(sandbox, phone)
    expect(screen.messages).to_have_count(1)
    sandbox.reset()
    sandbox.hang_up()
    expect(screen.page.get_by_text("No messages yet")).to_be_visible()
    deliver(sandbox, OTHER)
    expect(screen.page.get_by_role("tab")).to_contain_text([OTHER])


def test_two_tabs_show_the_same_messages(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    first, second = visit(), visit()
    first.send(phone)
    expect(second.messages).to_contain_text(["Pending"])
    second.recipient.fill(phone)
    second.verify(second.read_pin())
    for screen in (first, second):
        expect(screen.messages).to_contain_text(["Verified"])
        expect(screen.messages).to_have_count(1)


def test_a_late_visitor_sees_earlier_messages(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    deliver(sandbox, OTHER)
    deliver(sandbox, phone)
    screen = visit()
    expect(screen.page.get_by_role("tab")).to_contain_text([phone, OTHER])
    expect(screen.messages).to_contain_text([sandbox.pin(phone)])
    expect(screen.page.locator("#announcer")).to_have_text("")


def test_a_hostile_message_is_only_text(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    sandbox.reset(message_text=HOSTILE, sender_id="<i>Bank</i>")
    screen = visit()
    screen.send(phone)
    expect(screen.messages).to_contain_text([HOSTILE.partition("{{pin}}")[0]])
    expect(screen.messages).to_contain_text(["SMS from <i>Bank</i>"])
    assert screen.page.locator("main img, main script, main i").count() == 0
    assert screen.page.title() == "Infobip OTP sandbox"


def test_a_click_copies_the_pin(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    screen = visit()
    screen.send(phone)
    screen.copy_button.click()
    expect(screen.page.locator("#toast")).to_have_text(f"PIN {sandbox.pin(phone)} copied")
    assert screen.clipboard() == sandbox.pin(phone)
    expect(screen.pin).to_have_value("")


def test_where_copying_is_not_allowed_the_pin_is_selected(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    screen = visit()
    screen.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')) }")
    deliver(sandbox, phone)
    screen.copy_button.click()
    expect(screen.page.locator("#toast")).to_contain_text("press Ctrl+C")
    assert screen.page.evaluate("getSelection().toString()") == sandbox.pin(phone)


def test_the_page_can_be_used_by_keyboard_alone(visit: Visit, phone: str) -> None:
    keys = (screen := visit()).page.keyboard
    keys.press("Tab")
    expect(screen.recipient).to_be_focused()
    keys.type(phone)
    keys.press("Enter")
    expect(screen.pin).to_be_focused()
    screen.copy_button.wait_for()
    for focused in (screen.verify_button, screen.thread(phone), screen.page.get_by_role("tabpanel")):
        keys.press("Tab")
        expect(focused).to_be_focused()
    keys.press("Tab")
    keys.press("Enter")
    expect(screen.page.locator("#toast")).to_be_visible()
    for _ in range(4):
        keys.press("Shift+Tab")
    expect(screen.pin).to_be_focused()
    keys.press("Control+V")
    keys.press("Enter")
    expect(screen.messages).to_contain_text(["Verified"])


def test_the_page_is_accessible(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    """axe-core finds no violation on a narrow or wide, light or dark page, with messages, refusals and the wire."""
    deliver(sandbox, OTHER)
    deliver(sandbox, phone)
    sandbox.clock.ahead += 601
    screen = visit(reduced_motion="reduce")
    screen.send(phone)
    expect(screen.messages).to_contain_text(["Expired", "Pending"])
    screen.verify(other_pin(sandbox.pin(phone)))
    expect(screen.pin).to_have_attribute("aria-invalid", "true")
    screen.page.get_by_text("Numbers to try").click()
    screen.copy_button.click()
    assert_accessible(screen)
    screen.verify(sandbox.pin(phone))
    expect(screen.messages).to_contain_text(["Verified"])
    screen.send("12")
    expect(screen.recipient).to_have_attribute("aria-invalid", "true")
    assert_accessible(screen)


def assert_accessible(screen: Screen) -> None:
    for width, color_scheme in product((360, 1200), COLOR_SCHEMES):
        screen.page.set_viewport_size({"width": width, "height": 800})
        screen.page.emulate_media(color_scheme=color_scheme)
        assert violations(screen) == []
        assert screen.page.evaluate("document.documentElement.scrollWidth") <= width


def violations(screen: Screen) -> list[Any]:
    found: Any = Axe().run(screen.page).response["violations"]
    return [(each["id"], [node["target"] for node in each["nodes"]]) for each in found]


def test_axe_finds_a_missing_label(visit: Visit) -> None:
    screen = visit()
    screen.page.evaluate("document.querySelector('label').remove()")
    assert ("label", [["#recipient"]]) in violations(screen)


def test_nothing_is_animated_with_reduced_motion(visit: Visit, sandbox: Sandbox, phone: str) -> None:
    deliver(sandbox, phone)
    for reduced_motion, moves in (("reduce", "none"), ("no-preference", "arrive")):
        screen = visit(reduced_motion=reduced_motion)
        expect(screen.messages.first).to_have_css("animation-name", moves)
