"""Takes out of a program what only its readers in the repository need: user data has 16 KiB for everything."""

import ast


def slim_python(source: str) -> str:
    """Return the same program without comments of whole lines, docstrings and blank lines.

    Works on lines, not by unparsing: the result is the same byte for byte on every Python that can parse it.
    """
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Module(body=body) | ast.ClassDef(body=body) | ast.FunctionDef(body=body):
                for statement in filter(_is_docstring, body):
                    first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
                    # A body needs a statement: the text goes, the line stays.
                    rest = [lines[first][: statement.col_offset] + "pass"] if len(body) == 1 else []
                    lines[first:last] = rest + [""] * (last - first - len(rest))
    return slim_shell("\n".join(lines))


def slim_shell(source: str) -> str:
    """Return a script or unit without blank lines and lines of comment only; it must not have here-documents."""
    shebang, *lines = source.splitlines()
    kept = [line for line in lines if line.strip() and line.lstrip()[0] not in "#"]
    return "".join(f"{line}\n" for line in ([shebang] if shebang.startswith("#!") or shebang[0] != "#" else []) + kept)


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
