"""Build script: mypyc compiles the core (wire, tcp, host) to C extensions where a C compiler is installed.

Without a C compiler the same source is installed as plain Python. These environment variables decide
otherwise:

- ``POSTEL_COMPILE=0`` installs plain Python in any case.
- ``POSTEL_COMPILE=1`` makes it an error if the core can't be compiled.
- ``POSTEL_OPTIMISE`` is the C compiler's level of optimisation, 3 by default.

An sdist and an editable install are always plain Python.
"""

import ast
import copy
import os
import re
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.errors import CompileError

CORE = ("postel/wire", "postel/tcp", "postel/host")
PLAIN = {"postel/tcp/observer.py"}  # users derive from its class in plain Python
BUILDING = {"build", "build_ext", "bdist_wheel", "install"}


def modules() -> list[str]:
    """Paths of the core's files.

    They are compiled in one group, so that they call each other as C functions.
    """
    found = sorted(path.as_posix() for folder in CORE for path in Path(folder).rglob("*.py"))
    return [path for path in found if path not in PLAIN]


def extensions() -> list[Extension]:
    """Compile the core with mypyc, and complete the generated C files (`describe`, `name_arguments`)."""
    from mypyc.build import mypycify  # noqa: PLC0415 - only installed where the core is compiled

    before = {path: (path.read_bytes(), path.stat()) for path in Path("build").rglob("*.c")}
    level = os.environ.get("POSTEL_OPTIMISE", "3")
    made = list(mypycify(["--strict", *modules()], opt_level=level))
    if os.name == "posix":
        for extension in made:
            # With warnings gcc takes 300 s for the core instead of 85 s, because it examines the generated
            # code for them.
            extension.extra_compile_args = [*extension.extra_compile_args, "-w", "-g0"]
    sources = {source for extension in made for source in extension.sources}
    describe(sources)
    name_arguments(sources)
    for source in sources:
        # Another level makes another file, so that it is compiled again.
        Path(source).write_text(f"/* -O{level} */\n{Path(source).read_text('utf-8')}", "utf-8")
    for path, (octets, status) in before.items():
        if path.exists() and path.read_bytes() == octets:
            # The file is the same as in the last build: with its old time, setuptools doesn't compile it
            # again.
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return made


# mypyc omits docstrings, and the signatures of functions that have a named constant as a default. The
# functions below write both into the generated C files, where they cost nothing at run time.


def names_in(path: Path) -> dict[str, ast.expr | tuple[Path, str]]:
    """Meaning of each name in a module: an expression, or a file and a name in it ("": the file)."""
    found: dict[str, ast.expr | tuple[Path, str]] = {}
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.AnnAssign | ast.Assign) and node.value is not None:
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            found[ast.unparse(target)] = node.value
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("postel"):
            folder = Path(*str(node.module).split("."))
            for alias in node.names:
                inner = folder / f"{alias.name}.py"
                file = (
                    folder.with_suffix(".py")
                    if folder.with_suffix(".py").exists()
                    else folder / "__init__.py"
                )
                found[alias.asname or alias.name] = (inner, "") if inner.exists() else (file, alias.name)
    return found


class Resolved(ast.NodeTransformer):
    """Replacement of names by literals in defaults, because a C function's signature can't have names."""

    def __init__(self, path: Path) -> None:
        """Resolve names as they are defined in the module at ``path``."""
        self.path = path

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace a name by the literal that it stands for in the module, if that is known."""
        meaning = names_in(self.path).get(node.id)
        if isinstance(meaning, tuple):
            return Resolved(meaning[0]).visit(ast.Name(meaning[1])) if meaning[1] else node
        return node if meaning is None else self.visit(meaning)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Replace ``module.NAME`` by the literal that it stands for, if that is known."""
        meaning = names_in(self.path).get(ast.unparse(node.value))
        return Resolved(meaning[0]).visit(ast.Name(node.attr)) if isinstance(meaning, tuple) else node


def default(path: Path, node: ast.expr) -> ast.expr:
    """Literal for a default value, or ``node`` itself if its value can't be computed."""
    text = ast.unparse(Resolved(path).visit(node))
    try:
        return ast.Constant(eval(text, {"__builtins__": {}}))  # noqa: S307 - the expression is from our own source
    except (NameError, TypeError, AttributeError):
        return node


def signature(path: Path, name: str, function: ast.FunctionDef | None, *, of: str) -> str:
    """Signature in the form that CPython reads, such as ``connect($self, address, port, now, *, data=b'')``.

    ``of`` is "method", "class" or "function". Only a method has ``$self``.
    """
    if function is None:
        return f"{name}()"
    arguments = copy.deepcopy(function.args)
    for argument in (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ):
        if argument is not None:
            argument.annotation = None
    arguments.defaults = [default(path, node) for node in arguments.defaults]
    arguments.kw_defaults = [None if node is None else default(path, node) for node in arguments.kw_defaults]
    kinds = {ast.unparse(decorator) for decorator in function.decorator_list}
    if of == "class":
        del arguments.args[0]
    elif of == "method" and "staticmethod" not in kinds:
        arguments.args[0].arg = f"${arguments.args[0].arg}"
    return f"{name}({ast.unparse(arguments)})"


def literal(text: str) -> str:
    """String literal of C with the octets of ``text``."""
    safe = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join([chr(octet) if octet in safe else f"\\{octet:03o}" for octet in text.encode()]) + '"'


def descriptions() -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """C literals with signature and docstring: of classes by name, of members by class and name.

    No two classes of the core have the same name. For a function of a module, mypyc's name of the module
    stands instead of a class. The literal is NULL if two functions have the same name.
    """
    classes: dict[str, str] = {}
    members: dict[tuple[str, str], str] = {}
    for path in map(Path, modules()):
        module = path.parent.name if path.name == "__init__.py" else path.stem
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                key, head = (f"{module}module", node.name), signature(path, node.name, node, of="function")
                members[key] = (
                    literal(f"{head}\n--\n\n{ast.get_docstring(node) or ''}")
                    if key not in members
                    else "NULL"
                )
            if not isinstance(node, ast.ClassDef):
                continue
            functions = {found.name: found for found in node.body if isinstance(found, ast.FunctionDef)}
            head = signature(path, node.name, functions.get("__init__"), of="class")
            classes[node.name] = literal(f"{head}\n--\n\n{ast.get_docstring(node) or ''}")
            for name, function in functions.items():
                text = ast.get_docstring(function) or ""
                if "property" not in map(ast.unparse, function.decorator_list):
                    text = f"{signature(path, name, function, of='method')}\n--\n\n{text}"
                members[node.name, name] = literal(text)
    return classes, members


def describe(sources: set[str]) -> None:
    """Write docstrings and signatures into the tables of the C files."""
    classes, members = descriptions()
    for source in sources:
        lines = Path(source).read_text("utf-8").split("\n")
        owner = name = kind = ""
        for number, line in enumerate(lines):
            text = line.strip()
            if table := re.fullmatch(
                r"static Py(Method|GetSet)Def (?:\w+?___)*(\w+)_(?:methods|getseters)\[\] = {", text
            ):
                kind, owner = table[1], table[2]
            elif entry := re.match(r'{"(\w+)",', text):
                name = entry[1]
                if "PyDoc_STR(" in text and (owner, name) in members:
                    lines[number] = f"{text.partition('PyDoc_STR(')[0]}PyDoc_STR({members[owner, name]})}},"
            elif found := re.fullmatch(r'\.tp_name = "(\w+)",', text):
                owner, kind = found[1], ""
            elif text.startswith(".tp_doc = PyDoc_STR(") and owner in classes:
                lines[number] = f".tp_doc = PyDoc_STR({classes[owner]}),"
            elif kind == "Method" and "PyDoc_STR(" in text and (owner, name) in members:
                lines[number] = f"{text.partition('PyDoc_STR(')[0]}PyDoc_STR({members[owner, name]})}},"
            elif (
                kind == "GetSet"
                and text in ("NULL, NULL, NULL},", "NULL, NULL},")
                and (owner, name) in members
            ):
                lines[number] = (
                    f"{'NULL, ' if text.count('NULL') == 3 else ''}PyDoc_STR({members[owner, name]}), NULL}},"
                )
        Path(source).write_text("\n".join(lines), "utf-8")


# mypyc refuses an argument of the wrong type with "int object expected; got float". The code below makes the
# message name the argument, and costs nothing until the error is raised.

REFUSE = """
static void Postel_Refuse(const char *name, const char *kind, PyObject *value) {
    PyObject *module = PyImport_ImportModule("postel.compiler");
    PyObject *error = NULL;
    if (module != NULL)
        error = PyObject_CallMethod(module, "refused", "ssO", name, kind, value);
    if (error != NULL) PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    Py_XDECREF(module);
}
"""


def name_arguments(sources: set[str]) -> None:
    """Let compiled functions raise the error of `postel.compiler.refused`, which names the argument."""
    for source in sources:
        text = Path(source).read_text("utf-8")
        text, count = re.subn(
            r'CPy_TypeError\(("[^"]+"), obj_(?!self\b)(\w+)\);', r'Postel_Refuse("\2", \1, obj_\2);', text
        )
        if count:
            included, first, rest = text.partition("\nstatic ")
            Path(source).write_text(f"{included}{REFUSE}{first}{rest}", "utf-8")


def require_compiler() -> None:
    """Exit unless there is a C compiler and the interpreter's headers.

    Otherwise mypyc would work for a minute before the compiler is found missing.
    """
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415 - only to compile
    from setuptools.dist import Distribution  # noqa: PLC0415 - only to compile

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <Python.h>\n", "ascii")
        command = build_ext(Distribution({"ext_modules": [Extension("probe", [str(source)])]}))
        command.build_lib = command.build_temp = folder
        command.ensure_finalized()
        try:
            command.run()
        except CompileError as error:
            raise SystemExit(f"no C compiler that works with this Python: {error}") from error


def compiled() -> None:
    """Install the compiled core."""
    require_compiler()
    # In parallel: the C compiler builds the small modules while it builds the one large group
    setup(ext_modules=extensions(), options={"build_ext": {"parallel": True}})


choice = os.environ.get("POSTEL_COMPILE", "")
if choice == "0" or not BUILDING & set(sys.argv):
    setup()
elif choice == "1":
    compiled()
else:
    try:
        compiled()
    except (ImportError, SystemExit) as error:
        print(
            f"postel: installed as plain Python, because the core can't be compiled: {error}", file=sys.stderr
        )
        setup()
