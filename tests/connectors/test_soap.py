"""SOAP operations as actions, against a service that speaks SOAP 1.1 on a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from real_service import Asked, Service

from sagakit import DefinitionError, Execution, Retry, Saga, run, simulate, step
from sagakit.connectors import Secret, Soap
from sagakit.events import StepAttemptFailed, StepFailed, StepInDoubt

pytest.importorskip("zeep")
etree = pytest.importorskip("lxml.etree")

WSDL = """<?xml version="1.0"?>
<definitions name="Bank" targetNamespace="urn:bank" xmlns="http://schemas.xmlsoap.org/wsdl/"
    xmlns:tns="urn:bank" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:xsd="http://www.w3.org/2001/XMLSchema">
  <types><xsd:schema targetNamespace="urn:bank" elementFormDefault="qualified">
    <xsd:element name="Pay"><xsd:complexType><xsd:sequence>
      <xsd:element name="order" type="xsd:string"/>
      <xsd:element name="amount" type="xsd:decimal"/>
    </xsd:sequence></xsd:complexType></xsd:element>
    <xsd:element name="Paid"><xsd:complexType><xsd:sequence>
      <xsd:element name="receipt" type="xsd:string"/>
      <xsd:element name="left" type="xsd:decimal"/>
      <xsd:element name="at" type="xsd:dateTime"/>
    </xsd:sequence></xsd:complexType></xsd:element>
  </xsd:schema></types>
  <message name="PayIn"><part name="body" element="tns:Pay"/></message>
  <message name="PayOut"><part name="body" element="tns:Paid"/></message>
  <portType name="BankType"><operation name="Pay">
    <input message="tns:PayIn"/><output message="tns:PayOut"/>
  </operation></portType>
  <binding name="BankBinding" type="tns:BankType">
    <soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Pay"><soap:operation soapAction="urn:bank#Pay"/>
      <input><soap:body use="literal"/></input><output><soap:body use="literal"/></output>
    </operation>
  </binding>
  <service name="Bank"><port name="BankPort" binding="tns:BankBinding">
    <soap:address location="{url}/pay"/>
  </port></service>
</definitions>"""

ENVELOPE = """<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">
<s:Body>{}</s:Body></s:Envelope>"""
PAID = ENVELOPE.format(
    '<Paid xmlns="urn:bank"><receipt>r-1</receipt><left>7.50</left>'
    "<at>2026-01-01T00:00:00Z</at></Paid>"
)
FAULT = ENVELOPE.format(
    "<s:Fault><faultcode>s:{code}</faultcode><faultstring>{text}</faultstring>{more}</s:Fault>"
)
XML = {"content-type": "text/xml; charset=utf-8"}


@pytest.fixture
def bank(service: Service) -> Iterator[Service]:
    """Answers ``service.reply``; its WSDL is not counted among what it was asked."""
    service.reply = (200, PAID)  # type: ignore[attr-defined]

    def answer(asked: Asked) -> Any:
        if asked.method == "GET":
            service.asked.remove(asked)
            return 200, WSDL.format(url=service.url).encode(), XML
        reply = service.reply  # type: ignore[attr-defined]
        return reply and (reply[0], reply[1].encode(), XML)

    service.answer = answer
    return service


def pay(bank: Service, **options: Any) -> Soap:
    arguments = {"order": "${input.order}", "amount": "${input.amount}"}
    return Soap(f"{bank.url}/bank.wsdl", "Pay", arguments, **options)


def once(bank: Service, input: Any = None, **options: Any) -> Execution:
    saga = Saga("one", step(pay(bank, **options), name="pay", retry=Retry(attempts=2)))
    return run(saga, input or {"order": "a <&> b", "amount": 12.5}, id="x")


def failure(execution: Execution) -> Any:
    kinds = StepFailed | StepInDoubt | StepAttemptFailed
    return next(event for event in execution.events if isinstance(event, kinds))


def test_an_operation_is_called_with_its_arguments_and_the_steps_key(bank: Service) -> None:
    execution = once(bank)
    assert execution.results == {
        "pay": {"receipt": "r-1", "left": "7.50", "at": "2026-01-01T00:00:00Z"}
    }
    (asked,) = bank.asked
    sent = etree.fromstring(asked.body)
    assert sent.findtext(".//{urn:bank}order") == "a <&> b"
    assert sent.findtext(".//{urn:bank}amount") == "12.5"
    assert asked.headers["idempotency-key"] == "x/pay/action"
    assert asked.headers["soapaction"] == '"urn:bank#Pay"'


def test_a_result_mapping_and_headers_by_secret(
    bank: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGAKIT_TEST_BANK", "planted-password")
    execution = once(
        bank,
        headers={"Authorization": Secret("SAGAKIT_TEST_BANK", prefix="Basic ")},
        result="response.body.receipt + '/' + input.order",
        port="BankPort",
        address=f"{bank.url}/elsewhere",
    )
    assert execution.results == {"pay": "r-1/a <&> b"}
    assert bank.asked[0].headers["authorization"] == "Basic planted-password"
    assert bank.asked[0].path == "/elsewhere"


DETAIL = "<detail><NoMoney xmlns='urn:bank'/></detail>"


@pytest.mark.parametrize(
    ("reply", "kind", "in_doubt"),
    [
        ((500, FAULT.format(code="Client", text="no money", more="")), StepFailed, None),
        ((500, FAULT.format(code="Server", text="no money", more=DETAIL)), StepFailed, None),
        ((500, FAULT.format(code="Server", text="oh", more="")), StepAttemptFailed, True),
        ((500, "<html>oh</html>"), StepAttemptFailed, True),
        ((503, "busy"), StepAttemptFailed, False),
        ((404, "gone"), StepFailed, None),
        (None, StepAttemptFailed, True),
        ((200, "hello"), StepInDoubt, None),
    ],
)
def test_what_an_answer_means(bank: Service, reply: Any, kind: Any, in_doubt: Any) -> None:
    bank.reply = reply  # type: ignore[attr-defined]
    failed = failure(once(bank))
    assert type(failed) is kind
    assert getattr(failed, "in_doubt", None) is in_doubt
    assert failed.error.message.startswith("step 'pay': Pay ")


def test_what_only_reads_is_never_in_doubt_and_sends_no_key(bank: Service) -> None:
    bank.reply = None  # type: ignore[attr-defined]
    failed = failure(once(bank, read=True))
    assert not failed.in_doubt
    assert "idempotency-key" not in bank.asked[0].headers


@pytest.mark.parametrize(
    ("options", "input"),
    [({}, {"order": None, "amount": "x"}), ({"port": "NoPort"}, None)],
    ids=["arguments", "port"],
)
def test_what_does_not_fit_the_description_is_terminal_and_not_sent(
    bank: Service, options: Any, input: Any
) -> None:
    failed = failure(once(bank, input, **options))
    assert isinstance(failed, StepFailed)
    assert failed.terminal
    assert bank.asked == []


def test_an_operation_and_an_argument_that_are_not_there_are_named(bank: Service) -> None:
    wsdl = f"{bank.url}/bank.wsdl"
    for action in (Soap(wsdl, "Pya"), Soap(wsdl, "Pay", {"amuont": 1})):
        failed = failure(run(Saga("s", step(action, name="pay"))))
        assert failed.terminal
        assert "Pya" in failed.error.message or "amuont" in failed.error.message


def test_a_service_that_is_not_there_can_be_tried_again(nobody: str) -> None:
    action = Soap(f"{nobody}/bank.wsdl", "Pay")
    failed = failure(run(Saga("s", step(action, name="pay", retry=Retry(attempts=2)))))
    assert isinstance(failed, StepAttemptFailed)
    assert not failed.in_doubt


def test_a_description_that_reaches_for_files_is_refused(service: Service) -> None:
    evil = (
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
        '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/">&b;</definitions>'
    )
    service.answer = lambda asked: (200, evil.encode(), XML)
    failed = failure(run(Saga("s", step(Soap(f"{service.url}/evil.wsdl", "Pay"), name="pay"))))
    assert failed.terminal
    assert "root:" not in failed.error.message


def test_it_round_trips_and_is_checked() -> None:
    action = Soap("bank.wsdl", "Pay", {"a": ["${input}"]}, example={"receipt": "r"}, read=True)
    saga = Saga("s", step(action, action, name="a"))
    assert Saga.from_yaml(saga.to_yaml()) == saga
    assert simulate(saga).results == {"a": {"receipt": "r"}}
    bad = Soap("", " ", {"a": "${foo}"}, address="ftp://x", headers={"Cookie": "a"}, result="x")
    with pytest.raises(DefinitionError) as caught:
        Saga("s", step(bad, name="a"))
    assert [problem.path[4] for problem in caught.value.problems] == [
        "wsdl", "operation", "address", "headers", "arguments", "result",
    ]  # fmt: skip
