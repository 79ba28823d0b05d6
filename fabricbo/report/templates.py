"""The templates of the pages; what is not marked as safe is escaped."""

from importlib.resources import files

from jinja2 import Environment, FunctionLoader, Template, select_autoescape


def template(name: str) -> Template:
    """Return a template of this folder."""
    folder = files("fabricbo.report")
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
