"""The forms of the designer: what is typed, what is sent of it, and what is wrong beside it."""

from __future__ import annotations

import pytest
from drawing import designer
from lab import DARK, LIGHT, violations
from playwright.sync_api import expect

CHECKOUT = """\
from sagakit import Saga
from sagakit.widgets import SagaDesigner
designer = SagaDesigner(Saga.from_yaml('''
saga: checkout
input: {type: object}
services:
  - {service: bank, breaker: {failures: 3}}
steps:
  - {step: order, compensation: cancel}
  - {step: charge, compensation: refund, retry: {attempts: 3}, timeout: 2, service: bank}
  - {step: reserve, compensation: release, after: order}
  - {step: confirm, after: [charge, reserve], pivot: true, service: bank}
'''))
"""


@pytest.fixture
def checkout(lab):
    book = lab([CHECKOUT, "designer"])
    book.run()
    return designer(book)


def expect_gestures(page, count):
    """The kernel has answered so many gestures, each of which was one message."""
    page.book.expect("designer.state['seq']", count)
    assert page.book.messages("edit") == count


def expect_step(page, name, **options):
    """The step has these options as the kernel has it; None: it has not."""
    draft = f"next(s for s in designer.state['draft']['steps'] if s['step'] == {name!r})"
    page.book.expect(f"[{draft}.get(key) for key in {list(options)!r}]", list(options.values()))


def place(page, path):
    return page.inspector.locator(f'[data-path="{path}"]')


def test_an_option_is_sent_when_its_field_is_left_and_only_then(checkout):
    checkout.step("charge").click()
    field = place(checkout, "retry.attempts").locator("input")
    expect(field).to_have_value("3")
    field.press("Control+A")
    field.press_sequentially("12")
    expect_gestures(checkout, 0)
    field.press("Tab")
    expect_gestures(checkout, 1)
    expect_step(checkout, "charge", retry={"attempts": 12})


def test_what_is_no_number_stays_in_the_field_is_said_there_and_sent_to_nobody(checkout):
    checkout.step("charge").click()
    timeout = place(checkout, "timeout")
    field = timeout.locator("input")
    field.fill("soon")
    field.press("Tab")
    expect(field).to_have_value("soon")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(timeout).to_contain_text("is not a number; give one such as 2.5")
    assert field.get_attribute("aria-describedby")
    expect_gestures(checkout, 0)
    field.press("Escape")
    expect(field).to_have_value("2")
    expect(timeout).not_to_contain_text("is not a number")


def test_what_the_library_refuses_is_said_in_its_words_beside_the_field(checkout):
    checkout.step("charge").click()
    timeout = place(checkout, "timeout")
    checkout.type_into(timeout.locator("input"), "-5")
    expect(timeout).to_contain_text("timeout is -5.0")
    expect(timeout.locator("input")).to_have_attribute("aria-invalid", "true")
    checkout.open("Problems")
    checkout.root.get_by_role("button", name="timeout is -5.0").press("Enter")
    expect(place(checkout, "timeout").locator("input")).to_be_focused()
    place(checkout, "timeout").get_by_role("button", name="Clear timeout").click()
    expect(place(checkout, "timeout")).not_to_contain_text("timeout is -5.0")
    expect_step(checkout, "charge", timeout=None)


def test_a_tick_is_an_arrow_and_what_comes_later_cannot_be_ticked(checkout):
    checkout.step("charge").click()
    after = place(checkout, "after")
    expect(after.get_by_role("checkbox", name="order")).to_be_checked()
    after.get_by_role("checkbox", name="reserve").check()
    expect(checkout.canvas.locator(".react-flow__edge")).to_have_count(5)
    assert "reserve → charge" in checkout.edges()
    expect_step(checkout, "charge", after=["order", "reserve"])
    later = after.get_by_role("checkbox", name="confirm")
    expect(later).to_have_attribute("aria-disabled", "true")
    later.press("Space")
    expect(later).not_to_be_checked()
    expect_gestures(checkout, 1)


def test_a_step_that_is_renamed_keeps_its_arrows_the_selection_and_the_focus(checkout):
    checkout.step("charge").click()
    name = place(checkout, "step").locator("input")
    name.fill("reserve")
    expect(place(checkout, "step")).to_contain_text("another step is called 'reserve'")
    name.fill("bill")
    name.press("Enter")
    expect(checkout.step("bill")).to_be_visible()
    expect(name).to_be_focused()
    expect(name).to_have_value("bill")
    assert {"order → bill", "bill → confirm"} <= checkout.edges()
    expect_gestures(checkout, 1)


def test_policies_are_added_and_removed_by_keys_without_losing_the_place(checkout):
    checkout.canvas.press("Escape")
    services = place(checkout, "services.0")
    services.get_by_role("button", name="Add hedge").press("Enter")
    expect(place(checkout, "services.0.hedge.after").locator("input")).to_be_focused()
    services.get_by_role("button", name="Remove hedge").press("Enter")
    expect(services.get_by_role("button", name="Add hedge")).to_be_focused()
    name = place(checkout, "services.0.service").locator("input")
    checkout.type_into(name, "till")
    for step in ("charge", "confirm"):
        expect_step(checkout, step, service="till")
    checkout.book.expect("designer.saga.services[0].name", "till")


def test_several_steps_are_changed_by_one_message(checkout):
    checkout.step("charge").click()
    checkout.step("reserve").click(modifiers=["Control"])
    expect(checkout.inspector.get_by_role("heading", name="2 steps")).to_be_visible()
    service = place(checkout, "service").locator("input")
    expect(service).to_have_attribute("placeholder", "different")
    checkout.type_into(service, "shop")
    for step in ("charge", "reserve"):
        expect_step(checkout, step, service="shop")
    expect_gestures(checkout, 1)


def test_text_that_is_typed_is_sent_at_a_pause_and_is_never_overwritten(checkout):
    checkout.open("YAML")
    text = checkout.yaml
    text.press("Control+Home")
    text.press_sequentially("# ours\n", delay=20)
    expect_gestures(checkout, 0)
    checkout.book.page.wait_for_timeout(600)  # longer than the pause
    expect_gestures(checkout, 1)
    text.press_sequentially("versio", delay=20)
    checkout.book.page.wait_for_timeout(600)
    assert text.input_value().startswith("# ours\nversiosaga: checkout\n")
    expect(checkout.root.get_by_role("button", name="Line 2").first).to_be_visible()
    text.press("Tab")
    expect(text).not_to_be_focused()
    assert text.input_value().startswith("# ours\nversiosaga: checkout\n")
    text.fill(text.input_value().replace("versiosaga", "saga"))
    checkout.open("Canvas")  # leaving the tab sends what is typed
    expect(checkout.step("charge")).to_be_visible()
    checkout.book.expect("designer.yaml.splitlines()[:2]", ["# ours", "saga: checkout"])
    checkout.book.expect("designer.saga.name", "checkout")


def test_the_kernel_does_not_write_over_what_is_being_typed(checkout):
    checkout.open("YAML")
    checkout.yaml.press("Control+Home")
    checkout.yaml.press_sequentially("# mine")
    checkout.book.execute("designer.yaml = 'saga: other\\nsteps: [{step: order}]'")
    expect(checkout.root.get_by_text("1 step", exact=True)).to_be_visible()
    assert checkout.yaml.input_value().startswith("# minesaga: checkout")
    checkout.yaml.press("Tab")  # whichever was last, both show it from here on
    checkout.book.wait_idle()
    expect(checkout.yaml).to_have_value(checkout.book.value("designer.yaml"))


def test_a_connector_has_the_form_that_its_schema_says(checkout):
    checkout.step("reserve").click()
    checkout.field("Action").select_option(label="HTTP request")
    url = place(checkout, "action.http.url")
    expect(url.first).to_be_visible()
    expect(checkout.inspector).to_contain_text("give one that begins with https://")
    checkout.type_into(checkout.field("URL (text)"), "https://stock.example/reservations")
    checkout.field("Method").select_option(label="POST")
    checkout.type_into(checkout.field("Add to headers: its name"), "Authorization")
    checkout.field("Authorization").select_option(label="Secret")
    checkout.type_into(checkout.field("Secret"), "STOCK_TOKEN")
    checkout.type_into(checkout.field("Add to expected"), "201")
    http = {
        "url": "https://stock.example/reservations",
        "method": "POST",
        "headers": {"Authorization": {"secret": "STOCK_TOKEN"}},
        "expect": [201],
    }
    expect_step(checkout, "reserve", action={"http": http})
    checkout.book.expect("designer.saga is not None", True)


def test_entities_give_the_saga_its_input_a_picture_and_models(checkout):
    checkout.open("Data")
    data = checkout.root.get_by_role("region", name="Data")
    data.get_by_role("button", name="Add an entity to bank").click()
    checkout.type_into(data.get_by_label("Name", exact=True), "Payment")
    data.get_by_role("button", name="Add a field").click()
    checkout.type_into(data.get_by_label("Name of field"), "amount")
    data.get_by_label("Type of amount").select_option("money")
    data.get_by_label("The saga's input").select_option("Payment")
    expect(data.get_by_role("img", name="Payment of bank has id, amount")).to_be_visible()
    expect(data.get_by_label("SQLAlchemy models of saga checkout")).to_contain_text("class Payment")
    checkout.book.expect("list(designer.saga.input_schema['properties'])", ["id", "amount"])
    checkout.type_into(data.get_by_label("Name of amount"), "2nd")
    expect(data).to_contain_text("is no name for Python and SQL")
    expect(data.get_by_label("Name of 2nd")).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_axe_finds_nothing_serious_in_any_form(checkout, theme):
    page = checkout.book.page
    checkout.book.theme(theme)
    checkout.step("charge").click()
    checkout.field("Action").select_option(label="HTTP request")  # with what is wrong beside it
    for title in ("Undoing it", "Trying again"):
        checkout.inspector.locator("summary", has_text=title).click()
    expect(checkout.inspector).to_contain_text("give one that begins with https://")
    assert violations(page, ".sk-root") == []
    checkout.step("reserve").click(modifiers=["Control"])
    assert violations(page, ".sk-root") == []
    checkout.open("Data")
    checkout.root.get_by_role("button", name="Add an entity to bank").click()
    for tab in ("Data", "Problems", "YAML", "Python"):
        checkout.open(tab)
        checkout.book.wait_idle()
        assert violations(page, ".sk-root") == [], tab
        checkout.book.screen.shot(f"forms-{tab}-{theme}", checkout.root)
