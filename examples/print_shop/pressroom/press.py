"""The press: somebody else's machine. One call, and the answer is the finished print."""

import os
from typing import Any

import requests

URL = os.environ.get("PRESS_URL", "http://127.0.0.1:8088")


class PressError(Exception):
    """The press did not print."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the press says {code}")
        self.code = code


class Jammed(PressError):
    """It may print the next time."""


def print_document(ticket: dict[str, Any], document: str, paper: str) -> dict[str, Any]:
    """Prints it and returns what the press says of the print; takes as long as that takes."""
    body = {"order": ticket["order"], "text": document, "paper": paper}
    answer = requests.post(f"{URL}/print", json=body, timeout=30)
    if answer.status_code >= 500:
        raise Jammed("paper_jam")
    if answer.status_code >= 400:
        raise PressError(answer.json()["code"])
    return answer.json()
