"""What commands answer with `--json`: one pydantic model a command, all of one shape.

`fabricbo.cli.schemas` writes their JSON Schemas to docs/schemas.
"""
