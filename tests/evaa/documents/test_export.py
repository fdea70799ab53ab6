"""A version as a file."""

import io
import subprocess
import sys
import zipfile
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.documents.export import Exported, Form, render
from protocols.documents import Brd, Summary
from protocols.records import TurnRecord
from tests.evaa.documents.any_documents import BRDS, SAID, SUMMARIES
from tests.evaa.documents.example import BRD, SUMMARY, TURNS

FORMS: tuple[Form, ...] = get_args(Form)


def exported(form: Form) -> Exported:
    return render(BRD, SUMMARY, TURNS, form)


@pytest.mark.parametrize(
    ("form", "extension", "content_type"),
    [
        ("markdown", "md", "text/markdown; charset=utf-8"),
        ("html", "html", "text/html; charset=utf-8"),
        ("docx", "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("json", "json", "application/json"),
        ("n8n", "n8n.json", "application/json"),
    ],
)
def test_each_form_has_its_name_and_type(form: Form, extension: str, content_type: str) -> None:
    file = exported(form)
    assert (file.filename, file.content_type) == (f"BRD-5e1a0000000000000000beef-v2.{extension}", content_type)


def test_each_form_is_what_it_is_called() -> None:
    assert exported("markdown").data.startswith(b"# Incoming supplier invoices")
    assert exported("html").data.startswith(b"<!DOCTYPE html>")
    assert exported("json").data.startswith(b'{\n  "schema": "urn:evaa:brd:1"')
    with zipfile.ZipFile(io.BytesIO(exported("docx").data)) as package:
        assert package.testzip() is None
        assert "word/document.xml" in package.namelist()


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_the_turns_are_appended_for_readers(form: Form) -> None:
    words = b"two thousand"
    assert words in exported(form).data
    assert words not in render(BRD, SUMMARY, (), form).data


@pytest.mark.parametrize(
    ("brd_id", "stem"),
    [
        ("../../etc/passwd", "etc-passwd-v2"),
        ("BRD ä/\\:*\r\n\x00x", "BRD-x-v2"),
        ("", "BRD-v2"),
        ("....", "BRD-v2"),
        ("a" * 300, "a" * 100 + "-v2"),
    ],
)
def test_the_name_is_safe_whatever_the_id(brd_id: str, stem: str) -> None:
    brd = msgspec.structs.replace(BRD, brd_id=brd_id)
    assert render(brd, SUMMARY, (), "json").filename == f"{stem}.json"


@given(BRDS, SUMMARIES, SAID, st.sampled_from(FORMS))
@settings(deadline=None, max_examples=30)
def test_any_document_can_be_had_in_any_form(
    brd: Brd, summary: Summary, turns: tuple[TurnRecord, ...], form: Form
) -> None:
    file = render(brd, summary, turns, form)
    assert file.filename.isascii()
    assert file.data == render(brd, summary, turns, form).data


@pytest.mark.parametrize("form", FORMS)
def test_twenty_thousand_characters_are_all_there(form: Form) -> None:
    text = "word " * 4_000
    brd = msgspec.structs.replace(BRD, change=text)
    assert len(render(brd, SUMMARY, (), form).data) > (1_000 if form == "docx" else 20_000)


def test_python_docx_is_imported_only_for_a_word_file() -> None:
    code = "import sys, evaa.documents.export; sys.exit('docx' in sys.modules or 'lxml' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
