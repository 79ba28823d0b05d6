"""The documentation site: what `mkdocs build` cannot do by itself.

Only `hooks` knows of MkDocs; the rest turns something of the project into Markdown or HTML.
"""
