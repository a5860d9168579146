"""Write values as literals of SQL, where DuckDB or DataFusion takes no parameters."""


def text_literal(text: object) -> str:
    """Return `text` as a quoted literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"
