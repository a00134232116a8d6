"""The documentation as a site, made by `make docs`: https://www.sphinx-doc.org/en/master/usage/configuration.html.

The source folder is the root of the repository, so that links between pages are the same here and on the site.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import fjdl  # noqa: E402

project = "fjdl"
author = copyright = "The fjdl authors"
release = fjdl.__version__

extensions = ["sphinx.ext.autodoc", "myst_parser", "experiments.pages.site"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**", "tests/README.md"]
exclude_patterns = [  # folders without pages, which need not be searched
    ".venv",
    "build",
    "runs",
    "demo",
    "findings",
    ".github",
    "fjdl",
    "configs",
    "docs/conf.py",
]

myst_heading_anchors = 4
highlight_language = "text"
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"fjdl {release}"
html_copy_source = False
