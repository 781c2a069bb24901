"""The documentation site: ``python -m sphinx -W docs build/site``."""

import re
import sys
from pathlib import Path

import rushlight

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))

import site_pages  # noqa: E402  # from tools

site_pages.write(HERE / "generated")

project = "rushlight"
version = release = rushlight.__version__
html_title = "rushlight"
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
extensions = ["myst_nb"]
exclude_patterns = ["surface.tsv"]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
nb_execution_mode = "cache"  # of the introduction: what it prints and draws belongs to it
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

nitpicky = True  # every link leads somewhere, but for the types that docstrings mention
nitpick_ignore_regex = [("py:(class|exc)", ".*")]
maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"
pygments_style = "friendly"
pygments_dark_style = "native"


def setup(app):
    """Take the empty line that ends a doctest, in front of the fence, out of what is shown."""

    def tidy(app, name, content):
        content[0] = re.sub(r"\n\n```(?=\n)", "\n```", content[0])

    app.connect("source-read", tidy)
