"""What a run gives back in Python, and classes in place of names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kdbench import Matrix, Selection, Session, runtime
from kdbench.errors import KdbenchError
from kdbench.methods import Method
from kdbench.methods.kd import KD

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_documented_code_runs_and_gives_what_it_says(tmp_path: Path, cache: Path, monkeypatch: Any) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.setenv("KDBENCH_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, "python.md", "exec"), scope)
    ran, frame = scope["ran"], scope["frame"]
    assert ran.exit_code == 0
    assert ran.answer().startswith("Answer (macro-F1")
    assert ran.answer() in ran.text
    assert list(frame["row"].unique()) == ["teacher alone", "student alone", "kd", "dkd"]
    assert len(frame) == len(ran.records()) == 8
    by_digest = {record.digest: record for record in ran.records()}
    for line in frame.itertuples():
        assert by_digest[line.digest].metrics["student"]["macro_f1"] == line.macro_f1
    assert (tmp_path / "gain.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    for wrong, said in ((lambda: ran.figure("gains"), "no 'gains' in figures"), (lambda: ran.table("f2"), "no 'f2'")):
        with pytest.raises(KdbenchError, match=said):
            wrong()
    again = Session(scope["session"].matrix, runtime(store=tmp_path / "runs", device="cpu"), say=lambda line: None)
    assert again.run(jobs=1, track=False).text == ran.text


def test_a_whole_matrix_may_stand_for_a_selection(tmp_path: Path) -> None:
    matrix = Matrix.load("quick")
    assert Session(matrix, runtime(store=tmp_path, device="cpu")).matrix == matrix


def test_a_class_is_known_by_its_name_or_by_its_file(tmp_path: Path, monkeypatch: Any) -> None:
    assert Selection(methods=(KD, "dkd")).methods == ("kd", "dkd")
    path = tmp_path / "my_own_kd.py"
    source = (ROOT / "methods" / "kd.py").read_text(encoding="utf-8")
    path.write_text(source.replace("class KD(", "class MyOwnKD("), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_own_kd  # type: ignore[import-not-found]

    chosen = Selection(methods=my_own_kd.MyOwnKD)
    assert chosen.methods == (str(path),)
    (row,) = Session(chosen, runtime(store=tmp_path / "runs", device="cpu")).matrix.methods
    assert re.fullmatch(r"my_own_kd@[0-9a-f]{8}", row.method.name)


def test_a_network_class_is_known_by_its_name_or_by_its_file(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "my_own_mlp.py"
    source = (ROOT / "architectures" / "mlp.py").read_text(encoding="utf-8")
    path.write_text(source.replace("class MLP(", "class MyOwnMLP("), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_own_mlp  # type: ignore[import-not-found]

    from kdbench.architectures.cnn import CNN

    chosen = Selection(pairs=[(my_own_mlp.MyOwnMLP, "mlp(hidden=4)"), (CNN, my_own_mlp.MyOwnMLP)])
    assert chosen.pairs == (f"{path}:mlp(hidden=4)", f"cnn:{path}")
    first, second = Session(chosen, runtime(store=tmp_path / "runs", device="cpu")).matrix.pairs
    assert re.fullmatch(r"my_own_mlp@[0-9a-f]{8}", first[0].name)
    assert second[1] == first[0]


def test_a_class_that_is_in_no_file_is_refused_in_a_line() -> None:
    made = type("Typed", (Method,), {"__module__": "__nowhere__"})
    with pytest.raises(KdbenchError, match="is in no file, so no other process could find it"):
        Selection(methods=(made,))
    with pytest.raises(KdbenchError, match="is in no file, so no other process could find it"):
        Selection(pairs=((made, "mlp"),))
    with pytest.raises(KdbenchError, match="wanted teacher:student as a text, or the two of them"):
        Selection(pairs=(("mlp",),))


def test_a_class_written_into_an_interpreter_is_refused() -> None:
    code = "from kdbench import Selection\nfrom kdbench.methods import Method\nclass Mine(Method): pass\n"
    code += "Selection(methods=(Mine,))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "KdbenchError: the class __main__:Mine is in no file" in ended.stderr


@pytest.mark.slow
def test_a_script_that_has_a_class_and_runs_it_unguarded_is_refused_and_does_not_go_on_without_end(
    store: Path, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(
        "from kdbench import Selection, Session, runtime\n"
        "from kdbench.methods import Method, cross_entropy\n"
        "class Mine(Method):\n    kind = 'logit'\n"
        "    def losses(self, batch, student, teacher):\n"
        "        return {'hard': cross_entropy(student.logits, batch.y)}\n"
        f"Session(Selection(datasets='synthetic(people=4)', methods=[Mine]), runtime(store={str(store)!r})).plan()\n"
    )
    ended = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    said = ended.stderr.splitlines()[-1]
    assert "script.py begins a run while it is imported for its class; put what must not be run again under" in said
