"""A hash of reached code changes with what the code can do, and with nothing else."""

from __future__ import annotations

import importlib.metadata
import itertools
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kdbench.errors import KdbenchError
from kdbench.provenance.reach import CodeUnavailable, Entry, explain, forget, reached_hash

ROOT = Path(__file__).resolve().parents[2]
METHOD = Entry("kdbench.methods._base", "Method")
ENTRY = Entry("made.top", "Mine")
MADE = {
    "made/__init__.py": '"""Made up."""\n\nfrom made.low import Root\n',
    "made/low.py": '''
        """At the bottom."""

        import torch.nn.functional as F

        import other_library

        FAR = 3
        NEAR = 4

        class Root:
            """Of all."""

            def run(self, x):
                """Runs."""
                return aid(x)

        def aid(x):
            return F.relu(x) * FAR  # as far as that

        def neighbour(x):
            return x * NEAR
        ''',
    "made/middle.py": """
        from made import Root

        class Middle(Root):
            pass

        class Other(Root):
            pass
        """,
    "made/top.py": '''
        from __future__ import annotations

        from dataclasses import dataclass
        from typing import TYPE_CHECKING

        from made.middle import Middle, Other
        from made.plain import DEFAULT, Unrelated, marked, named

        if TYPE_CHECKING:
            from made.plain import Hint

        __all__ = ["Mine"]

        GIVEN: int = 5

        @dataclass(frozen=True)
        class Options:
            first: int = 1
            second: int = 2
            third: str

        class Mine(Middle):
            """The one."""

            kind = "made"
            hint: Hint

            @marked("once")
            def go(self, x: int, by: float = DEFAULT) -> Hint:
                """Goes.

                Far.
                """
                step: int = named(x)
                return [Options(x), GIVEN, step, "text"]

        if __name__ == "__main__":
            print(Mine())
        ''',
    "made/plain.py": """
        import functools
        from math import floor as cut

        DEFAULT = 0.5

        class Hint:
            pass

        class Unrelated:
            pass

        def marked(word):
            return lambda f: functools.wraps(f)(lambda *a: (word, f(*a)))

        def named(x):
            return cut(x)
        """,
}
MADE = {name: textwrap.dedent(text) for name, text in MADE.items()}
Write = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes files into a new folder, which is searched for modules before all others."""
    number = itertools.count()

    def written(files: Mapping[str, str]) -> Path:
        folder = tmp_path / str(next(number))
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(textwrap.dedent(text), encoding="utf-8")
        monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
        forget()
        return folder

    yield written
    forget()


@pytest.fixture
def hashed(write: Write) -> Callable[..., str]:
    """The hash of entries into files that were written anew."""

    def of(files: Mapping[str, str], *entries: Entry) -> str:
        write(files)
        return reached_hash(*(entries or [ENTRY]))

    return of


def changed(files: Mapping[str, str], file: str, old: str, new: str) -> dict[str, str]:
    assert old in files[file], f"{old!r} is not in {file}"
    return {**files, file: files[file].replace(old, new)}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("made/low.py", "* FAR", "+ FAR", id="a function that a base class's method calls"),
        pytest.param("made/low.py", "FAR = 3", "FAR = 3.0", id="a constant"),
        pytest.param("made/low.py", "return aid(x)", "return aid(x) + 1", id="a base class two modules away"),
        pytest.param("made/low.py", "torch.nn.functional", "torch.special", id="another library's function"),
        pytest.param("made/plain.py", "floor as cut", "ceil as cut", id="which of a library's functions a name is"),
        pytest.param("made/plain.py", "cut(x)", "cut(-x)", id="a function"),
        pytest.param("made/plain.py", "(word, f(*a))", "f(*a)", id="what a decorator does"),
        pytest.param("made/plain.py", "DEFAULT = 0.5", "DEFAULT = 0.6", id="a constant that is a default"),
        pytest.param("made/top.py", "= DEFAULT", "= 0.6", id="a default"),
        pytest.param("made/top.py", '    @marked("once")\n', "", id="a decorator gone"),
        pytest.param("made/top.py", '"once"', '"twice"', id="a decorator's argument"),
        pytest.param("made/top.py", "Mine(Middle)", "Mine(Other)", id="the base class"),
        pytest.param("made/top.py", "Mine(Middle)", "Mine(Middle, metaclass=Unrelated)", id="the metaclass"),
        pytest.param(
            "made/top.py", "import Middle, Other", "import Middle as Other, Other as Middle", id="names swapped"
        ),
        pytest.param("made/top.py", 'kind = "made"', 'kind = "found"', id="a class attribute"),
        pytest.param("made/top.py", '"text"', '"word"', id="a string that is no docstring"),
        pytest.param("made/top.py", "GIVEN: int = 5", "GIVEN: int = 6", id="an annotated constant"),
        pytest.param("made/top.py", "second: int = 2", "second: int = 3", id="a field's default"),
        pytest.param("made/top.py", "second: int", "second: ClassVar[int]", id="a field that is none"),
        pytest.param("made/top.py", "    third: str\n", "", id="a field without default"),
        pytest.param("made/top.py", "frozen=True", "frozen=False", id="a decorator's keyword"),
        pytest.param(
            "made/top.py",
            "first: int = 1\n    second: int = 2",
            "second: int = 2\n    first: int = 1",
            id="fields' order",
        ),
    ],
)
def test_a_change_of_what_is_reached_changes_the_hash(file: str, old: str, new: str, hashed: Any) -> None:
    assert hashed(changed(MADE, file, old, new)) != hashed(MADE)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("made/low.py", "NEAR = 4", "NEAR = 5", id="a constant that only a neighbour reads"),
        pytest.param("made/low.py", "x * NEAR", "x", id="a neighbour"),
        pytest.param("made/middle.py", "Other(Root)", "Other", id="a neighbouring class"),
        pytest.param("made/middle.py", "from made import", "from made.low import", id="past a re-export"),
        pytest.param("made/middle.py", "from made import", "from .low import", id="a relative import"),
        pytest.param("made/__init__.py", "import Root", "import Root as Root, aid", id="a re-export line"),
        pytest.param("made/low.py", "import other_library", "import sys, other_library", id="an import"),
        pytest.param(
            "made/low.py", "import torch.nn.functional as F", "from torch.nn import functional as F", id="as F"
        ),
        pytest.param("made/top.py", "import Middle, Other", "import Middle", id="an import that nothing uses"),
        pytest.param("made/top.py", "The one.", "The one and only.", id="a class's docstring"),
        pytest.param("made/top.py", "Far.", "Not far.", id="a function's docstring"),
        pytest.param("made/low.py", '    """Runs."""\n', "\n", id="a docstring gone"),
        pytest.param("made/middle.py", "Middle(Root):\n    pass", 'Middle(Root):\n    """M."""', id="pass"),
        pytest.param("made/low.py", "as far as that", "no farther", id="a comment"),
        pytest.param("made/low.py", "F.relu(x) * FAR", "(F.relu( x )*FAR)", id="formatting"),
        pytest.param("made/top.py", '"text"', "\"te\" 'xt'", id="how a string is written"),
        pytest.param("made/top.py", '"text"', 'u"text"', id="a prefix that means nothing"),
        pytest.param("made/top.py", "x: int, by: float", "x: 'Hint', by", id="annotations of arguments"),
        pytest.param("made/top.py", "-> Hint", "-> Unrelated", id="an annotation of what is returned"),
        pytest.param("made/top.py", "step: int =", "step =", id="an annotation of a local name"),
        pytest.param("made/top.py", "GIVEN: int =", "GIVEN =", id="an annotation of a constant"),
        pytest.param("made/top.py", "first: int", "first: Hint", id="an annotation of a field"),
        pytest.param("made/top.py", "from made.plain import Hint", "from nowhere import Hint", id="for type checkers"),
        pytest.param("made/plain.py", "class Hint:\n    pass", "class Hint:\n    x = 1", id="a hint"),
        pytest.param("made/top.py", "print(Mine())", "print(Mine)", id="the main module's lines"),
        pytest.param("made/top.py", '__all__ = ["Mine"]', '__all__ = ["Mine", "Options"]', id="the list of exports"),
    ],
)
def test_a_change_of_anything_else_does_not(file: str, old: str, new: str, hashed: Any) -> None:
    assert hashed(changed(MADE, file, old, new)) == hashed(MADE)


AID = "def aid(x):\n    return F.relu(x) * FAR  # as far as that\n"


def test_the_order_of_definitions_does_not_count(hashed: Any) -> None:
    without = changed(MADE, "made/low.py", AID, "")
    assert hashed(changed(without, "made/low.py", "FAR = 3\n", f"{AID}FAR = 3\n")) == hashed(MADE)


def test_a_definition_that_moves_to_another_module_is_the_same(hashed: Any) -> None:
    without = changed(MADE, "made/low.py", AID, "")
    moved = changed(without, "made/low.py", "FAR = 3\n", "from made.deep.elsewhere import aid\n")
    moved["made/deep/__init__.py"] = "FAR = 3\n"
    moved["made/deep/elsewhere.py"] = f"from torch.nn import functional as F\n\nfrom made.deep import FAR\n\n{AID}"
    before = hashed(MADE)
    assert hashed(moved) == before
    assert {"made.deep:FAR", "made.deep.elsewhere:aid"} <= set(explain(ENTRY))


def test_what_is_reached_can_be_listed(write: Write) -> None:
    write(MADE)
    assert explain(ENTRY) == [
        "made.low:FAR",
        "made.low:Root",
        "made.low:aid",
        "made.middle:Middle",
        "made.plain:DEFAULT",
        "made.plain:marked",
        "made.plain:named",
        "made.top:GIVEN",
        "made.top:Mine",
        "made.top:Options",
    ]
    assert set(explain(ENTRY, Entry("made.low", "neighbour"))) - set(explain(ENTRY)) == {
        "made.low:NEAR",
        "made.low:neighbour",
    }


HELPERS = {
    "made/__init__.py": "",
    "made/inner/__init__.py": "from made.inner.helpers import f as again\n",
    "made/inner/helpers.py": "def f():\n    return 1\n\ndef g():\n    return 2\n",
}


@pytest.mark.parametrize(
    "user",
    [
        "from made.inner.helpers import f\ndef main(): return f()",
        "from made.inner.helpers import f as h\ndef main(): return h()",
        "from .inner.helpers import f\ndef main(): return f()",
        "from .inner import helpers\ndef main(): return helpers.f()",
        "from . import inner\ndef main(): return inner.helpers.f()",
        "from made.inner import helpers as h\ndef main(): return h.f()",
        "from made.inner import again\ndef main(): return again()",
        "import made.inner.helpers\ndef main(): return made.inner.helpers.f()",
        "import made.inner.helpers as h\ndef main(): return h.f()",
        "import made\ndef main(): return made.inner.again()",
        "from made.inner.helpers import *\ndef main(): return f()",
        "from made.inner import *\ndef main(): return again()",
        "def main():\n    from made.inner.helpers import f\n    return f()",
        "def main():\n    import made.inner.helpers as h\n    return [h.f() for _ in ()]",
        "def main():\n    from .inner import helpers\n    def later(): return helpers.f\n    return later",
        "def main():\n    from made.inner.helpers import f\n    def later():\n        nonlocal f\n        f = f()",
        "try:\n    from made.inner.helpers import f\nexcept ImportError:\n    f = None\ndef main(): return f()",
        "from made import inner\ndef main(name): return getattr(inner, name)",
        "import made.inner.helpers as h\nmain = h.f",
        "import made.inner.helpers as h\nmain = f'{h.f:{h.f}}'",
        "import made.inner.helpers as h\ndef main(x):\n    match x:\n        case h.f: pass",
    ],
)
def test_a_function_is_found_however_it_is_imported(user: str, hashed: Any) -> None:
    files = {**HELPERS, "made/user.py": user}
    main = Entry("made.user", "main")
    before = hashed(files, main)
    assert hashed(changed(files, "made/inner/helpers.py", "return 1", "return 3"), main) != before
    assert hashed(changed(files, "made/inner/helpers.py", "return 2", "return 3"), main) == before


@pytest.mark.parametrize(
    "user",
    [
        "import made.inner.helpers as h\ndef main(name): return getattr(h, name)",
        "from made.inner import helpers\ndef main(): return vars(helpers)",
        "from made.inner import helpers\nALL = [helpers]\ndef main(): return ALL",
        "import made.inner.helpers as h\ndef main(): return h.__dict__",
        "class main:\n    from made.inner import helpers",
        "def main():\n    global h\n    import made.inner.helpers as h",
    ],
)
def test_a_module_that_is_a_value_counts_as_all_that_it_defines(user: str, hashed: Any) -> None:
    files = {**HELPERS, "made/user.py": user}
    main = Entry("made.user", "main")
    before = hashed(files, main)
    assert hashed(changed(files, "made/inner/helpers.py", "return 1", "return 3"), main) != before
    assert hashed(changed(files, "made/inner/helpers.py", "return 2", "return 3"), main) != before


def test_a_module_that_says_where_it_is_does_not_count(hashed: Any) -> None:
    files = {**HELPERS, "made/user.py": "from made.inner import helpers\ndef main(): return helpers.__file__"}
    main = Entry("made.user", "main")
    assert hashed(changed(files, "made/inner/helpers.py", "return 1", "return 3"), main) == hashed(files, main)


def test_an_import_line_in_a_function_does_not_count(hashed: Any) -> None:
    files = {**HELPERS, "made/user.py": "def main():\n    from made.inner.helpers import f as h\n    return h()"}
    main = Entry("made.user", "main")
    past = changed(files, "made/user.py", "inner.helpers import f", "inner import again")
    assert hashed(past, main) == hashed(files, main)


def test_a_name_that_is_made_on_demand_counts_as_all_of_its_module(hashed: Any) -> None:
    files = {
        "made/__init__.py": "HOMES = {'f': 1}\ndef __getattr__(name): return HOMES[name]",
        "made/user.py": "from made import f\ndef main(): return f",
    }
    main = Entry("made.user", "main")
    assert hashed(changed(files, "made/__init__.py", ": 1", ": 2"), main) != hashed(files, main)


def scoped(hashed: Any, body: str) -> bool:
    """Whether code reaches the module's ``size``."""
    files = {"made.py": f"size = 1\nother = 2\n{textwrap.dedent(body)}"}
    main = Entry("made", "main")
    return bool(hashed(changed(files, "made.py", "size = 1\nother", "size = 3\nother"), main) != hashed(files, main))


@pytest.mark.parametrize(
    "body",
    [
        "def main(size): return size",
        "def main(*size): return size",
        "def main(**size): return size",
        "def main(*, size=1): return size",
        "def main(size, /): return size",
        "def main():\n    size = 2\n    return size",
        "def main():\n    print(size)\n    size = 2",
        "def main():\n    size += 2",
        "def main():\n    size: int = 2\n    return size",
        "def main():\n    (a, [size, *b]) = 2\n    return size",
        "def main():\n    for size in (): pass\n    return size",
        "def main():\n    with open(1) as size: return size",
        "def main():\n    try: pass\n    except OSError as size: return size",
        "def main():\n    import size\n    return size",
        "def main():\n    import size.inner\n    return size.inner",
        "def main():\n    from a import b as size\n    return size",
        "def main():\n    def size(): pass\n    return size",
        "def main():\n    class size: pass\n    return size",
        "def main(x):\n    match x:\n        case {'a': [size, *_]}: return size",
        "def main(x):\n    match x:\n        case [*size]: return size",
        "def main(x):\n    match x:\n        case {**size}: return size",
        "def main(x):\n    match x:\n        case int() as size: return size",
        "def main(x):\n    if (size := x): return size",
        "def main(x):\n    return [size := 1 for _ in x], size",
        "def main():\n    del size",
        "def main(size):\n    return lambda: size",
        "def main(size):\n    return [size for _ in ()]",
        "def main():\n    size = 1\n    def inner():\n        nonlocal size\n        size = 2\n    return inner",
        "main = lambda size: size",
        "main = [size for size in ()]",
        "main = {size: size for size in () if size}",
        "main = [size for x in () for size in x]",
        "class main:\n    size = 2\n    area = size * size",
        "class main:\n    def size(self): pass\n    area = size",
        "class main:\n    def run(self): return self.size",
        "def main(x): return x.size",
        "def main(x): return x(size=1)",
        "def main(x: size) -> size: return x",
        "def main():\n    x: size = 1",
        "class main:\n    x: size = 1",
        "class main:\n    @property\n    def size(self): pass\n    @size.setter\n    def size(self, x): pass",
    ],
)
def test_a_name_that_is_shadowed_is_not_the_module_s(body: str, hashed: Any) -> None:
    assert not scoped(hashed, body)


@pytest.mark.parametrize(
    "body",
    [
        "def main(): return size",
        "def main(): return size.real",
        "def main(x=size): return x",
        "def main(*, x=size): return x",
        "def main(size=size): return size",
        "def main():\n    global size\n    return size",
        "def main():\n    global size\n    size = 3",
        "def main():\n    size = 1\n    def inner():\n        global size\n        return size\n    return inner",
        "def main():\n    def inner(): return size\n    return inner",
        "def main():\n    def inner(size): return size\n    return size",
        "def main(): return lambda: size",
        "def main(): return [size for _ in ()]",
        "def main(): return [x for x in size]",
        "def main(): return [size for size in size]",
        "def main(): return [x for x in () if size]",
        "def main(): return [size for size in ()] + [size]",
        "def main(): return f'{size}'",
        "def main(x): return x[size]",
        "def main(x):\n    x[size] = 1",
        "def main(x):\n    match x:\n        case size(): pass",
        "async def main():\n    async with size: pass",
        "@size\ndef main(): pass",
        "@size\nclass main: pass",
        "class main(size): pass",
        "class main(metaclass=size): pass",
        "class main:\n    size = size",
        "class main:\n    size = 2\n    def run(self): return size",
        "class main:\n    size = 2\n    area = [size for _ in ()]",
        "class main:\n    area = size\n    size = 2",
        "class main:\n    class inner:\n        area = size",
        "if other:\n    main = 1\nelse:\n    main = size",
        "main = other\nmain += size",
        "main, _ = 1, size",
        "main = third = size",
        "def main(): return third()\ndef third(): return main() + size",
    ],
)
def test_a_name_that_is_not_shadowed_is(body: str, hashed: Any) -> None:
    assert scoped(hashed, body)


@pytest.mark.parametrize(
    "statement",
    [
        "torch.set_default_dtype({})",
        "torch.backends.cudnn.benchmark = {}",
        "os.environ['X'] = {}",
        "for _ in range({}): torch.set_num_threads(1)",
        "if {}: torch.set_num_threads(1)",
        "_ = torch.manual_seed({})",
        "set_up({})",
        "assert {}",
        "A = torch.backends.cudnn.benchmark = {}",
        "try:\n    import os\nexcept ImportError:\n    raise SystemExit({})",
        "with open(0) as A:\n    assert {}",
        "with open(0) as A:\n    del os.environ[{}]",
    ],
)
@pytest.mark.parametrize("file", ["made/__init__.py", "made/low.py", "made/middle.py", "made/aside.py"])
def test_a_statement_that_acts_counts_for_all_modules_that_are_loaded(statement: str, file: str, hashed: Any) -> None:
    files = {**MADE, "made/aside.py": "", "made/stranger.py": ""}
    files = changed(files, "made/low.py", "import other_library\n", "import other_library\nimport made.aside\n")
    quiet = hashed(files)

    def acting(file: str, what: str) -> str:
        return str(hashed({**files, file: f"{files[file]}\nimport os, torch\n{statement.format(what)}\n"}))

    assert len({acting(file, "1"), acting(file, "2"), quiet}) == 3
    assert acting("made/stranger.py", "1") == quiet


@pytest.mark.parametrize("file", ["made/__init__.py", "made/inner/__init__.py", "made/aside.py"])
def test_packages_around_code_and_imports_in_functions_are_loaded_too(file: str, hashed: Any) -> None:
    files = {"made/__init__.py": "", "made/inner/__init__.py": "", "made/aside.py": ""}
    files["made/inner/user.py"] = "def main():\n    import made.aside\n"
    main = Entry("made.inner.user", "main")
    assert hashed({**files, file: "print(1)"}, main) != hashed(files, main)


def test_what_an_acting_statement_calls_counts_too(hashed: Any, write: Write) -> None:
    acting = MADE | {"made/__init__.py": "from made.low import *\nneighbour(1)\n"}
    assert hashed(changed(acting, "made/low.py", "x * NEAR", "x - NEAR")) != hashed(acting)
    assert {"made:<line 2>", "made.low:neighbour", "made.low:NEAR"} <= set(explain(ENTRY))


def test_a_definition_under_a_condition_counts_with_the_condition(hashed: Any) -> None:
    body = """
        import sys

        if sys.platform == "win32":
            def f():
                return 1
        else:
            try:
                from made.inner.helpers import f
            except ImportError:
                f = None
    """
    files = {**HELPERS, "made/user.py": body}
    entry = Entry("made.user", "f")
    seen = {hashed(files, entry)}
    for file, old, new in [
        ("made/user.py", "return 1", "return 2"),
        ("made/user.py", "win32", "linux"),
        ("made/user.py", "f = None", "f = 0"),
        ("made/inner/helpers.py", "return 1", "return 3"),
    ]:
        seen.add(hashed(changed(files, file, old, new), entry))
    assert len(seen) == 5
    assert hashed(changed(files, "made/inner/helpers.py", "return 2", "return 3"), entry) in seen


def test_all_statements_that_bind_a_name_count_in_their_order(hashed: Any) -> None:
    files = {"made.py": "X = [1]\nX += [2]\nX += [3]\ndef main(): return X\n"}
    main = Entry("made", "main")
    turned = changed(files, "made.py", "X += [2]\nX += [3]", "X += [3]\nX += [2]")
    fewer = changed(files, "made.py", "X += [2]\n", "")
    assert len({hashed(each, main) for each in (files, turned, fewer)}) == 3


def test_only_what_runs_counts_of_a_branch_for_type_checkers(hashed: Any) -> None:
    body = "import typing\nif typing.TYPE_CHECKING:\n    X = 1\nelse:\n    X = 2\ndef main(): return X\n"
    files, main = {"made.py": body}, Entry("made", "main")
    assert hashed(changed(files, "made.py", "X = 1", "X = 3"), main) == hashed(files, main)
    assert hashed(changed(files, "made.py", "X = 2", "X = 3"), main) != hashed(files, main)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("from made.b import g\ndef f(): return g()", "from made.a import f\ndef g(): return f() or 1"),
        ("from made.b import *\ndef f(): return g()", "from made.a import *\ndef g(): return f() or 1"),
        ("import made.b as b\ndef f(): return b", "import made.a as a\ndef g(): return a or 1"),
        ("from made import b\ndef f(): return b.g()", "from made import a\ndef g(): return a.f() or 1"),
    ],
)
def test_modules_that_import_each_other_are_followed_once_round(first: str, second: str, hashed: Any) -> None:
    files = {"made/__init__.py": "from made import a, b", "made/a.py": first, "made/b.py": second}
    entry = Entry("made.a", "f")
    before = hashed(files, entry)
    assert hashed(changed(files, "made/b.py", "or 1", "or 2"), entry) != before


def test_names_that_lead_in_circles_lead_nowhere(write: Write) -> None:
    write({"made/__init__.py": "", "made/a.py": "from made.b import f", "made/b.py": "from made.a import f"})
    with pytest.raises(CodeUnavailable, match=r"^made\.a:f leads to no code$"):
        explain(Entry("made.a", "f"))


def test_many_modules_that_hold_each_other_whole_take_no_time(write: Write) -> None:
    count = 30
    everything = "".join(f"from made.m{n} import *\nimport made.m{n} as m{n}\n" for n in range(count))
    files = {f"made/m{n}.py": f"{everything}def f{n}(): return m{n - 1}, missing" for n in range(count)}
    write({"made/__init__.py": "", **files})
    assert len(explain(Entry("made.m0", "f29"))) == count


def test_a_lone_file_is_followed_and_so_is_kdbench_from_there(write: Write) -> None:
    body = """
        from kdbench.methods import Method, cross_entropy

        WEIGHT = 2

        class Mine(Method):
            def losses(self, batch, student, teacher):
                return {"hard": WEIGHT * cross_entropy(student.logits, batch.y)}

        class Helper:
            pass
        """
    path = write({"made.py": body}) / "made.py"
    entry = Entry.extending(METHOD, path)
    assert entry == Entry.of_file(path, "Mine")
    reached = explain(entry)
    assert {f"{path}:Mine", f"{path}:WEIGHT", "kdbench.methods._functional:cross_entropy"} <= set(reached)
    assert f"{path}:Helper" not in reached
    again = write({"renamed.py": body}) / "renamed.py"
    heavier = write({"made.py": body.replace("WEIGHT = 2", "WEIGHT = 3")}) / "made.py"
    hashes = [reached_hash(Entry.of_file(each, "Mine")) for each in (path, again, heavier)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_lone_file_is_followed_into_the_files_that_it_imports_and_into_nothing_installed(write: Write) -> None:
    files = {
        "mine_alone.py": """
            from statistics import mean

            import click
            from kdbench.methods import Method

            import its_helper

            class Mine(Method):
                def losses(self, batch, student, teacher):
                    click.echo("here")
                    return {"hard": mean([its_helper.eased(student)])}
            """,
        "its_helper.py": """
            from helper_of_that import FACTOR

            def eased(x): return FACTOR * x

            def other(x): return x
            """,
        "helper_of_that.py": "FACTOR = 2",
    }

    def hashed(files: Mapping[str, str]) -> str:
        return reached_hash(Entry.of_file(write(files) / "mine_alone.py", "Mine"))

    before = hashed(files)
    reached = explain(Entry.of_file(write(files) / "mine_alone.py", "Mine"))
    assert {"its_helper:eased", "helper_of_that:FACTOR"} <= set(reached)
    assert not any(name.startswith(("statistics", "click")) for name in reached)
    assert hashed(changed(files, "its_helper.py", "FACTOR * x", "FACTOR + x")) != before
    assert hashed(changed(files, "helper_of_that.py", "2", "3")) != before
    assert hashed(changed(files, "its_helper.py", "return x", "return -x")) == before


def test_a_plug_in_is_followed_through_its_own_package_and_kdbench_alone(hashed: Any, write: Write) -> None:
    files = {
        "plugged/__init__.py": "",
        "plugged/method.py": """
            from kdbench.methods import Method, soft_divergence
            from plugged import tools
            import stranger

            class Plugged(Method):
                def losses(self, *a):
                    return soft_divergence(*a) + tools.ease(*a) + stranger.f(*a)
            """,
        "plugged/tools.py": "def ease(*a): return 1",
        "stranger.py": "def f(*a): return 2",
    }
    entry = Entry("plugged.method", "Plugged")
    before = hashed(files, entry)
    assert Entry.extending(METHOD, "plugged.method") == entry
    reached = explain(entry)
    assert {"plugged.tools:ease", "kdbench.methods._functional:soft_divergence"} <= set(reached)
    assert not any(name.startswith("stranger") for name in reached)
    assert hashed(changed(files, "plugged/tools.py", "return 1", "return 3"), entry) != before
    assert hashed(changed(files, "stranger.py", "return 2", "return 3"), entry) == before
    assert hashed(changed(files, "plugged/method.py", "stranger.f(", "stranger.g("), entry) != before


def test_a_folder_without_init_is_a_package_too(hashed: Any) -> None:
    files = {"spaces/inner/a.py": "from spaces.inner import b\ndef f(): return b.g", "spaces/inner/b.py": "g = 1"}
    entry = Entry("spaces.inner.a", "f")
    assert hashed(changed(files, "spaces/inner/b.py", "g = 1", "g = 2"), entry) != hashed(files, entry)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Entry("no_such_plug_in", "Mine"), "there is no source of no_such_plug_in here"),
        (Entry("no_such_plug_in.inner", "Mine"), "there is no source of no_such_plug_in.inner here"),
        (Entry("made.gone", "Mine"), "there is no source of made.gone here"),
        (Entry("made.low.gone", "Mine"), "there is no source of made.low.gone here"),
        (Entry("math", "floor"), "there is no source of math here"),
        (Entry.of_file(Path("/nowhere/at/all.py"), "Mine"), "there is no source of /nowhere/at/all.py here"),
        (Entry("made.low", "add"), "no 'add' in made.low (did you mean 'aid'?); known: "),
        (Entry("made.low", "F.relu"), "made.low:F.relu is torch.nn.functional.relu, which is not code of its package"),
    ],
)
def test_code_that_is_not_here_is_told_apart(entry: Entry, message: str, write: Write) -> None:
    write(MADE)
    with pytest.raises(CodeUnavailable) as caught:
        reached_hash(ENTRY, entry)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def aid(:", "low.py:1: invalid syntax"),
        ("x = 'a\0b'", "null bytes"),
        ("# coding: klingon", "klingon"),
        (f"x = 0x{'f' * 6000}", "limit"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_in_one_line(text: str, message: str, write: Write) -> None:
    folder = write({**MADE, "made/low.py": text})
    with pytest.raises(KdbenchError) as caught:
        reached_hash(ENTRY)
    assert not isinstance(caught.value, CodeUnavailable)
    assert str(folder / "made" / "low.py") in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_import_that_leads_nowhere_counts_by_its_name(hashed: Any) -> None:
    body = "try:\n    from made import fast\nexcept ImportError:\n    fast = None\ndef main(): return fast\n"
    files, main = {"made/__init__.py": "", "made/user.py": body}, Entry("made.user", "main")
    without = hashed(files, main)
    assert hashed({**files, "made/fast.py": "x = 1"}, main) != without


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("class _Hidden(Root): pass", 0),
        ("from made.middle import Middle", 0),
        ("class Alone: pass", 0),
        ("class One(Root): pass\nclass Two(Root): pass", 2),
    ],
)
def test_a_file_without_exactly_one_public_class_is_refused(body: str, count: int, write: Write) -> None:
    write({**MADE, "made/new.py": f"from made import Root\n{body}"})
    with pytest.raises(KdbenchError, match=rf"^made\.new defines {count} public Root, wanted exactly one$"):
        Entry.extending(Entry("made.low", "Root"), "made.new")


def test_a_class_is_found_through_bases_in_other_modules(write: Write) -> None:
    write(changed(MADE, "made/top.py", "Mine(Middle)", "Mine(Middle[int])"))
    assert Entry.extending(Entry("made", "Root"), "made.top") == ENTRY
    with pytest.raises(KdbenchError, match="defines 0 public"):
        Entry.extending(Entry("made.plain", "Hint"), "made.top")


def test_knowledge_distillation_reaches_its_losses_and_no_other_method() -> None:
    reached = explain(Entry("kdbench.methods.kd", "KD"))
    assert {
        "kdbench.methods._base:Method",
        "kdbench.methods._functional:cross_entropy",
        "kdbench.methods._functional:soft_divergence",
        "kdbench.methods.kd:KD",
    } <= set(reached)
    assert not {"kdbench.methods.crd:_Side", "kdbench.methods._functional:unit"} & set(reached)


def public(folder: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / folder).glob("*.py") if not path.name.startswith("_"))


@pytest.mark.parametrize("name", public("methods"))
def test_no_method_reaches_the_file_of_another(name: str) -> None:
    reached = explain(Entry.extending(METHOD, f"kdbench.methods.{name}"))
    modules = {each.split(":")[0] for each in reached}
    assert f"kdbench.methods.{name}" in modules
    assert not modules & {f"kdbench.methods.{other}" for other in public("methods") if other != name}


def test_every_class_is_the_one_that_the_catalogue_has() -> None:
    from kdbench.catalog.find import DATASETS, METHODS, NETWORKS

    for catalog in (METHODS, NETWORKS, DATASETS):
        base = Entry(catalog.base.__module__, catalog.base.__name__)
        names = set(catalog.names()) - {
            point.name for point in importlib.metadata.entry_points(group=f"kdbench.{catalog.known.kind}")
        }
        for name in names:
            cls: type = catalog.get(name)
            assert Entry.extending(base, cls.__module__) == Entry(cls.__module__, cls.__name__)


EVERYTHING = """
import sys
from kdbench.provenance.reach import Entry, reached_hash

hashes = set()
for line in sys.stdin:
    module, base, name = line.split()
    hashes.add(reached_hash(Entry.extending(Entry(base, name), module)))
hashes.add(reached_hash(Entry("kdbench.training.loop", "Training"), Entry("kdbench.worker", "run_job")))
heavy = {"torch", "numpy", "pandas", "kdbench.methods", "kdbench.architectures", "kdbench.data"} & set(sys.modules)
print(len(hashes), *heavy)
"""


def test_nothing_that_is_hashed_is_imported() -> None:
    kinds = {
        "methods": "kdbench.methods kdbench.methods._base Method",
        "architectures": "kdbench.architectures kdbench.architectures._base Backbone",
        "benchmark/data": "kdbench.data kdbench.data._base Dataset",
    }
    lines = [said.replace(" ", f".{name} ", 1) for folder, said in kinds.items() for name in public(folder)]
    asked = subprocess.run(
        [sys.executable, "-c", EVERYTHING], input="\n".join(lines), capture_output=True, text=True, check=False
    )
    assert asked.stdout.split() == [str(len(lines) + 1)], asked.stderr


def test_a_hash_is_sixteen_hex_digits_and_the_same_in_another_process() -> None:
    code = "from kdbench.provenance.reach import *; print(reached_hash(Entry('kdbench.training.loop', 'Training')))"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = reached_hash(Entry("kdbench.training.loop", "Training"))
    assert asked.stdout.strip() == here
    assert len(here) == 16
    assert set(here) <= set("0123456789abcdef")


def test_a_process_reads_each_file_once_until_it_is_told_to_forget(write: Write) -> None:
    path = write({"made.py": "X = 1"}) / "made.py"
    entry = Entry("made", "X")
    before = reached_hash(entry)
    path.write_text("X = 2")
    assert reached_hash(entry) == before
    forget()
    assert reached_hash(entry) != before
