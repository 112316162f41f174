"""The documentation site: `make docs` writes it to docs/_build/html, where it opens without a network."""

import sys
from pathlib import Path

import biocnn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "biocnn"
author = copyright = "The biocnn developers"
version = release = biocnn.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser", "biocnn_docs"]
exclude_patterns = ["_build"]
default_role = "py:obj"  # in docstrings, `name` is a name of Python

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 4

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"biocnn {release}"

html_copy_source = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
