"""Small XML files of annotations, without anything that a file could be an attack with."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat

from fjdl.data.files import read_at_most
from fjdl.errors import DataFormatError

LARGEST = 2**22  # bytes of a file
DEEPEST = 32  # elements within one another


def read_xml(path: Path | str) -> ElementTree.Element:
    """The root of the XML document in a file.

    Raises `DataError` with the line's number for a file that cannot be read, has more than 4 MiB, is not well-formed,
    is nested more than 32 deep, or declares a document type, and so for every entity that is not one of XML's own.
    """
    builder, depth = ElementTree.TreeBuilder(), 0
    parser = expat.ParserCreate()

    def refuse(rule: str, received: str) -> NoReturn:
        raise DataFormatError.told(f"{path}, line {parser.CurrentLineNumber}: {rule}, got {received}")

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            refuse(f"elements must be at most {DEEPEST} deep", f"<{name[:40]}> deeper")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def document_type(name: str, *_: Any) -> None:
        refuse("the document must not declare a type or entities", f"<!DOCTYPE {name[:40]}>")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = document_type
    try:
        with open(path, "rb") as stream:
            content = read_at_most(stream, LARGEST)
        if len(content) > LARGEST:
            raise DataFormatError(path, None, "the file", f"have at most {LARGEST} bytes", "more")
        parser.Parse(content, True)
        return builder.close()
    except expat.ExpatError as error:
        raise DataFormatError(
            path, f"line {error.lineno}", "the file", "be XML", f"{expat.ErrorString(error.code)}"
        ) from None
    except (OSError, LookupError, ValueError) as error:
        raise DataFormatError(path, None, "", "be readable XML", f"{' '.join(str(error).split())}") from error
