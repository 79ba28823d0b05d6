"""Texts in files that people read and programs parse."""

import json


def quoted(text: str) -> str:
    """Return a text in double quotes as TOML and YAML both read it.

    That is JSON's, but for signs that cannot be printed (TOML) and those beyond 16 bits (YAML).
    """
    said = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in said)
