"""The folder that `take` writes: every form that passes the gate, and what is said of them and of those that do not."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

import torch

from kdbench.deploy import executorch_forms, tflite_forms
from kdbench.deploy.c_form import code_size, compiled, compiler, run_c, timed_c, write_c
from kdbench.deploy.chain import NoChain, chain
from kdbench.deploy.demo import HOW, runtime_folder, write_demo
from kdbench.deploy.golden import golden, write_golden
from kdbench.deploy.onnx_forms import export, quantise, run
from kdbench.deploy.pages import Told, card, parity_text
from kdbench.deploy.parity import Form, judged, objection
from kdbench.deploy.subject import Subject
from kdbench.deploy.timing import TIMES, Timed, timed
from kdbench.errors import KdbenchError
from kdbench.files import fresh_folder
from kdbench.provenance.environment import device_name

WHOLE, INT8 = "model.onnx", "model.int8.onnx"
PTE, PTE8 = "model.pte", "model.int8.pte"
LITE, LITE8 = "model.tflite", "model.int8.tflite"


@dataclass
class Made:
    """What came of a subject.

    Args:
        forms: the trained model, then every form in the folder.
        refused: forms that were made, and that the gate kept out of it.
        left_out: what could not be made, each with the reason.
    """

    forms: list[Form] = field(default_factory=list)
    refused: list[Form] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        """What whoever takes the folder must not overlook, a line each."""
        lines = [f"refused, so not in the folder: {form.against}" for form in self.refused]
        if self.refused and not any(form.bits == 8 for form in self.forms):
            lines.append("no form in 8 bits is in the folder: the gate refused every one that could be made")
        return [
            *lines,
            *(f"in the folder by --force, against the gate: {form.against}" for form in self.forms if form.against),
        ]

    def form(self, file: str) -> Form | None:
        """The form of a file, if it is there."""
        return next((form for form in self.forms if form.file == file), None)


def write_folder(
    subject: Subject, folder: Path, *, chosen: str, force: bool = False, say: Callable[[str], None] = lambda line: None
) -> Made:
    """Write every form of a subject into a new folder.

    Args:
        subject: what is taken.
        folder: must not be there.
        chosen: how the cell was chosen, a sentence.
        force: whether to write what the gate refuses too.
        say: is told how it goes.

    Raises:
        KdbenchError: if the folder is there, no form can be made, or one in 32 bits says something else than what was
            trained; forms in 8 bits are refused one by one.
    """
    if folder.exists():
        raise KdbenchError(f"{folder} is there already; -o names another folder")
    with fresh_folder(folder) as place:
        made = Made()
        for form in _forms(subject, place, made):
            say(f"{form.file or 'trained model'}: {form.size:,} bytes")
            _admit(subject, place, made, form, force=force)
        _others(subject, place, made)
        _write_pages(subject, place, made, chosen)
    return made


def _admit(subject: Subject, place: Path, made: Made, form: Form, *, force: bool) -> None:
    """Let a form stay in the folder, or take it out.

    Raises:
        KdbenchError: if it is one in 32 bits, and what it says is not what was trained.
    """
    against = objection(subject, made.forms[0], form) if made.forms else ""
    form = replace(form, against=against)
    if not against or force:
        made.forms.append(form)
        return
    if form.bits != 8:
        raise KdbenchError(f"refused: {against}; a form in 32 bits must say what was trained; --force writes it anyway")
    (place / form.file).unlink()
    made.refused.append(form)


def _forms(subject: Subject, place: Path, made: Made) -> Iterator[Form]:
    """One form after the other, made and judged; what cannot be made is noted."""
    x, at = subject.windows(subject.split.evaluation), subject.split.evaluation[:1]
    size = sum(4 * each.numel() for each in subject.model.state_dict().values())
    yield judged(subject, subject.probabilities, name="trained, torch", file="", size=size)
    window = subject.windows(at)

    def of_onnx(name: str, file: str, bits: int, how: str = "") -> Form:
        path = place / file
        measured = timed(path, window)
        size = path.stat().st_size
        return judged(subject, run(path, x), name=name, file=file, size=size, timed=measured, how=how, bits=bits)

    export(subject.model, len(subject.sees), subject.use.length, place / WHOLE)
    yield of_onnx("ONNX, 32 bits", WHOLE, 32)
    try:
        found = quantise(subject, place / INT8)
        yield of_onnx("ONNX, 8 bits", INT8, 8, found.said)
    except KdbenchError as error:
        (place / INT8).unlink(missing_ok=True)
        made.left_out.append(f"{INT8}: {error}")
    try:
        yield _c_form(subject, place)
    except NoChain as error:
        made.left_out.append(f"model.c: {error}")
    yield from _executorch(subject, place, made)
    yield from _litert(subject, place, made)


def _executorch(subject: Subject, place: Path, made: Made) -> Iterator[Form]:
    """ExecuTorch's programs, each or the reason why there is none."""
    reason = executorch_forms.HOW if executorch_forms.absent() else executorch_forms.not_for(subject)
    if reason:
        made.left_out.append(f"{PTE} and {PTE8}: {reason}")
        return
    for file, name, lower in (
        (PTE, "ExecuTorch, 32 bits", executorch_forms.lower),
        (PTE8, "ExecuTorch, 8 bits", executorch_forms.lower_int8),
    ):
        try:
            yield _pte_form(subject, place / file, name, lower(subject))
        except KdbenchError as error:
            (place / file).unlink(missing_ok=True)
            made.left_out.append(f"{file}: {error}")


def _pte_form(subject: Subject, path: Path, name: str, lowered: executorch_forms.Lowered) -> Form:
    program, rows = bytes(lowered.program.buffer), golden(subject)[0]
    said = executorch_forms.run(program, subject.windows(subject.split.evaluation))
    whole = path.name == PTE
    executorch_forms.write_bundled(subject, lowered, path, (subject.probabilities if whole else said)[rows])
    if failed := executorch_forms.proven(path, len(rows)):
        raise KdbenchError(f"the program fails {len(failed)} of its {len(rows)} golden windows")
    more = path.stat().st_size - len(program)
    how = f"{lowered.how}; size is the program's, {more:,} bytes more are {len(rows)} golden "
    how += f"windows with what {'torch' if whole else 'the program itself, run here,'} says of them"
    measured, bits = timed(path, subject.windows(subject.split.evaluation[:1])), 32 if whole else 8
    return judged(subject, said, name=name, file=path.name, size=len(program), timed=measured, how=how, bits=bits)


def _litert(subject: Subject, place: Path, made: Made) -> Iterator[Form]:
    """LiteRT's files, each or the reason why there is none."""
    if tflite_forms.absent():
        made.left_out.append(f"{LITE} and {LITE8}: {tflite_forms.HOW}")
        return
    x = subject.windows(subject.split.evaluation)
    for file, name, bits in ((LITE, "LiteRT, 32 bits", 32), (LITE8, "LiteRT, 8 bits", 8)):
        path, how = place / file, "weights and activations 32 bits, one window at a time"
        try:
            if bits == 8:
                how = tflite_forms.quantise(subject, path)
            else:
                tflite_forms.convert(subject, path)
            said, measured = tflite_forms.run(path, x), timed(path, x[:1])
        except KdbenchError as error:
            path.unlink(missing_ok=True)
            made.left_out.append(f"{file}: {error}")
            continue
        size = path.stat().st_size
        yield judged(subject, said, name=name, file=file, size=size, timed=measured, how=how, bits=bits)


def _c_form(subject: Subject, place: Path) -> Form:
    layers = chain(place / WHOLE)
    names = [subject.use.channels[number][0] for number in subject.sees]
    needs = write_c(layers, names, subject.use.classes, place)
    if compiler() is None:
        for name in ("model.h", "model.c", "main.c"):
            (place / name).unlink()
        raise NoChain("no C compiler here that could show what it says")
    x = subject.windows(subject.split.evaluation)
    with tempfile.TemporaryDirectory(prefix="kdbench-") as built:
        program = compiled(place, Path(built) / "model")
        said = run_c(program, x, len(subject.use.classes))
        took = timed_c(program, x[0], TIMES)
    code = code_size(place)
    how = f"RAM {needs.ram:,} bytes of buffers, flash {needs.flash:,} bytes of constants"
    how += f" and {code:,} of code at -Os" if code is not None else ""
    size = needs.flash + (code or 0)
    return judged(
        subject, said, name="C, 32 bits", file="model.c", size=size, timed=Timed(*took, memory=needs.ram), how=how
    )


def _others(subject: Subject, place: Path, made: Made) -> None:
    """Golden windows, the page that runs them, and the script for a phone."""
    write_golden(subject, place / "golden.npz")
    rows, _ = golden(subject)
    if made.form("model.c"):
        windows = subject.windows(subject.split.evaluation[rows])
        (place / "golden.f32").write_bytes(windows.astype("<f4").tobytes())
        (place / "golden-probabilities.f32").write_bytes(subject.probabilities[rows].astype("<f4").tobytes())
    script = place / "phone.sh"
    script.write_text(
        files("kdbench").joinpath("deploy", "files", "phone.sh").read_text(encoding="utf-8"), encoding="utf-8"
    )
    script.chmod(0o755)
    runtime = runtime_folder()
    if runtime is None:
        made.left_out.append(HOW)
    else:
        write_demo(subject, place, runtime)


def _write_pages(subject: Subject, place: Path, made: Made, chosen: str) -> None:
    told = Told(chosen, tuple(made.refused), tuple(made.left_out))
    text = parity_text(subject, made.forms, told, processor=device_name(torch.device("cpu")))
    (place / "parity.md").write_text(text, encoding="utf-8")
    plain = json.dumps(card(subject, made.forms, told, folder=place), indent=1, ensure_ascii=False)
    (place / "card.json").write_text(f"{plain}\n", encoding="utf-8")
