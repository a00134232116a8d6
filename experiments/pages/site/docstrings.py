"""Docstrings, which are written in Markdown's plainest form, as reStructuredText.

Blocks stand between blank lines: examples after a prompt, blocks that are indented or fenced, lists and paragraphs.
Only code between backticks means something inside of a paragraph, and everything else stands as it is.
"""

import re
from collections.abc import Iterator, Sequence

_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)+")
_SPECIAL = re.compile(r"([\\*|_`])")
_LIST = re.compile(r"(-|\d+\.) ")
_COUNTED = re.compile(r"\(?(\w+)[.)] ")


def as_rst(lines: Sequence[str]) -> list[str]:
    """The lines of a docstring for Sphinx.

    >>> as_rst(["Mean of `x`, as in `jax.numpy.mean`.", "", ">>> 1 + 1", "2"])
    ['Mean of ``x``, as in :py:obj:`jax.numpy.mean`.', '', '>>> 1 + 1', '2', '']
    """
    found: list[str] = []
    for block in _blocks(lines):
        found += [*_block(block), ""]
    return found


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Groups of lines between blank ones; a fenced block is one group, blank lines and all."""
    group: list[str] = []
    for line in lines:
        if line.strip() or _open(group):
            group.append(line.rstrip())
        elif group:
            yield group
            group = []
    if group:
        yield group


def _open(group: Sequence[str]) -> bool:
    return sum(line.startswith("```") for line in group) == 1


def _block(block: list[str]) -> list[str]:
    if block[0].startswith("```"):
        inner = [f"   {line}" for line in block[1:] if not line.startswith("```")]
        return [f".. code-block:: {block[0].strip('`') or 'text'}", "", *inner]
    for index, line in enumerate(block):
        if line.startswith(">>>"):
            return [*([*_text(block[:index]), ""] if index else []), *block[index:]]
    if all(line.startswith("    ") for line in block):
        return [".. code-block:: text", "", *block]
    return _text(block)


def _text(block: Sequence[str]) -> list[str]:
    """A paragraph, or paragraphs and lists, which need blank lines between them."""
    parts: list[list[str]] = [[]]
    for line in block:
        in_list = bool(parts[-1]) and _LIST.match(parts[-1][0]) is not None
        begins = _LIST.match(line) is not None and (line.startswith("-") or not parts[-1])
        if begins or (in_list and not line.startswith("  ")):
            parts.append([line])
        else:
            parts[-1].append(line)
    found = [_marked(part) for part in parts if part]
    return [line for index, part in enumerate(found) for line in ([""] if index else []) + part]


def _marked(part: list[str]) -> list[str]:
    """One paragraph or entry of a list; a code span may end on the next line."""
    head = "\\" if _COUNTED.match(part[0]) and not _LIST.match(part[0]) else ""
    bullet = _LIST.match(part[0])
    start = bullet.group() if bullet else ""
    text = "\n".join([part[0][len(start) :], *(line.strip() for line in part[1:])])
    lines = _spans(text).split("\n")
    indent = " " * len(start)
    return [f"{start}{head}{lines[0]}", *(indent + _safe_start(line) for line in lines[1:])]


def _safe_start(line: str) -> str:
    return f"\\{line}" if re.match(r"[-+] |\.\. |>>>", line) else line


def _spans(text: str) -> str:
    """Code between backticks as references or literals, the rest escaped."""
    pieces = re.split(r"(`[^`]+`)", text)
    found = [_code(piece) if index % 2 else _SPECIAL.sub(r"\\\1", piece) for index, piece in enumerate(pieces)]
    for index in range(1, len(found), 2):
        if found[index - 1] and re.match(r"[^\s\-:/'\"<(\[{]", found[index - 1][-1]):
            found[index] = f"\\ {found[index]}"
        if found[index + 1] and re.match(r"[^\s\-.,:;!?\\/'\")\]}>]", found[index + 1][0]):
            found[index] = f"{found[index]}\\ "
    return "".join(found)


def _code(piece: str) -> str:
    inner = " ".join(piece.strip("`").split())
    return f":py:obj:`{inner}`" if _NAME.fullmatch(inner) else f"``{inner}``"
