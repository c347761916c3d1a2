from __future__ import annotations

from kdbench.errors import DataUnavailable, KdbenchError, MachineError, nearest


def test_an_unknown_name_is_answered_with_the_nearest_and_all_known_ones() -> None:
    assert nearest("datasets", "uci_hr", ["uci_har", "synthetic"]) == (
        "no 'uci_hr' in datasets (did you mean 'uci_har'?); known: synthetic, uci_har"
    )


def test_a_name_like_no_other_gets_no_suggestion() -> None:
    assert nearest("datasets", "qqq", ["uci_har"]) == "no 'qqq' in datasets; known: uci_har"


def test_only_the_machine_s_fault_ends_with_one() -> None:
    assert [error.exit_code for error in (KdbenchError, DataUnavailable, MachineError)] == [2, 2, 1]
    assert issubclass(DataUnavailable, KdbenchError)
    assert issubclass(MachineError, KdbenchError)
