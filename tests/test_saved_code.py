"""Compiled callbacks on disk: a start needs no Numba, and the machine is the same."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.compile_cache import COMPILED_SOURCES, compiled_modules
from emulator.jit import StandIn
from emulator.saved_code import COMPLETE, PREFER_NUMBA, SavedCode, saved

IR = """
declare void @nowhere_to_be_found()
define i64 @other(i64 %x) {
  %y = mul i64 %x, 3
  ret i64 %y
}
define i64 @mangled(i64 %x) {
  %small = icmp sge i64 %x, 0
  br i1 %small, label %fine, label %raise
raise:
  call void @nowhere_to_be_found()
  ret i64 0
fine:
  %y = call i64 @other(i64 %x)
  ret i64 %y
}
"""
BOOT = """
import json, sys
from emulator.bench.host_workloads import WORKLOADS
from emulator.machine import Machine
from emulator.timing.profile import load_profile

machine = Machine(load_profile("pentium4-willamette-1400"), memory_bytes=16 << 20)
guest = next(workload for workload in WORKLOADS if workload.name == "walks").guest(3000)
machine.load(guest.image)
outcome = machine.run(max_cycles=100_000_000)
result = [outcome.kind, machine.cycles, machine.statistics(), machine.ledger.to_json()]
print(json.dumps(["numba" in sys.modules, result]))
"""


def test_a_function_is_saved_and_linked_under_its_own_name(tmp_path: Path) -> None:
    SavedCode(tmp_path).save("package.triple", IR, "mangled")
    later = SavedCode(tmp_path)  # it owns the code
    address = later.address("package.triple")
    assert address is not None
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(14) == 42
    assert later.address("package.other") is None


def test_what_is_damaged_or_has_no_folder_is_not_there(tmp_path: Path) -> None:
    store = SavedCode(tmp_path)
    (tmp_path / "broken.o").write_bytes(b"\0not an object file")
    assert store.address("broken") is None
    store.save("wrong", "this is no IR", "mangled")
    assert list(tmp_path.iterdir()) == [tmp_path / "broken.o"]
    nowhere = SavedCode(None)
    nowhere.save("package.triple", IR, "mangled")
    assert nowhere.address("package.triple") is not None  # compiled again at each start
    assert nowhere.address("package.double") is None
    assert not nowhere.complete


def test_it_is_complete_as_long_as_every_file_is_whole(tmp_path: Path) -> None:
    store = SavedCode(tmp_path)
    store.save("package.triple", IR, "mangled")
    assert not store.complete
    store.finish()
    assert store.complete
    file = tmp_path / "package.triple.o"
    file.write_bytes(file.read_bytes()[:-1])
    assert not store.complete
    file.unlink()
    assert not store.complete
    (tmp_path / COMPLETE).write_text("nonsense")
    assert not store.complete


def test_everything_compiled_is_named() -> None:
    modules = compiled_modules()
    assert {"emulator.compiled", "emulator.timing.hooks", "emulator.cpu.sysenter"} <= set(modules)
    root = Path(__file__).parent.parent / "emulator"
    named = {path for pattern in COMPILED_SOURCES for path in root.glob(pattern)}
    users = {path for path in root.rglob("*.py") if "from emulator.jit import" in path.read_text()}
    assert users <= named
    assert [path for path in root.rglob("*.py") if "\nfrom numba import" in path.read_text()] == []


def test_a_stand_in_is_whatever_a_signature_needs() -> None:
    types = StandIn()
    assert types.void(types.CPointer(types.int64), types.Array(types, 1, "C")) is types
    with pytest.raises(AttributeError):
        types.__array_interface__  # noqa: B018


def boot(**environment: str) -> tuple[bool, object]:
    command = [sys.executable, "-c", BOOT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | environment)
    with_numba, result = json.loads(done.stdout)
    return with_numba, result


def test_a_machine_without_numba_is_the_machine_with_it() -> None:
    if not saved.complete:
        boot()  # the first start of this version compiles
    without, counts = boot()
    assert not without
    assert boot(**{PREFER_NUMBA: "1"}) == (True, counts)
