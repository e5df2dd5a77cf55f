"""What an embedder is promised: every way to build against the core works, and every name is there."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fabcore
from fabcore import symbols
from fabcore._core import layout
from fabcore._embed import ffi, lib
from fabcore.errors import FabricError

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PACKAGE = Path(fabcore.get_library()).parent
STRICT = ["-O2", "-Wall", "-Wextra", "-Werror", "-Wpedantic"]

EMBED_C = "10 records, 0 lost, vm 7 moved 50.0 GB up in 1.0 s"
EMBED_CPP = "1000000 samples through the index ring, mean 5e+10 B/s"


def tool(*names: str) -> str:
    """The first of these programs that is here; without any, skipped, but failed in CI."""
    for name in names:
        if found := shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"):
            return found
    why = f"needs {' or '.join(names)}"
    if os.environ.get("FABCORE_CI"):
        pytest.fail(why)
    pytest.skip(why)


def out_of(*command: object, env: dict[str, str] | None = None) -> str:
    """What a command prints; the test fails with what it complains about."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def shm() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def flags() -> list[str]:
    return out_of(sys.executable, "-m", "fabcore", "--cflags", "--libs").split()


def pkg_config(folder: Path) -> list[str]:
    env = {"PKG_CONFIG_PATH": str(folder)}
    return out_of(tool("pkg-config"), "--cflags", "--libs", "fabcore", env=env).split()


def build_and_run(
    compiler: list[str], source: Path, link: list[str], folder: Path, shm: Path
) -> str:
    program = folder / source.stem
    out_of(*compiler, *STRICT, source, *link, "-pthread", "-o", program)
    where = shm / "sub"
    where.mkdir()
    return out_of(program, where if source.stem == "wrapper" else where / "ring")


def run_cmake(prefix: Path, folder: Path, shm: Path) -> None:
    cmake = tool("cmake")
    out_of(
        cmake, "-S", ROOT / "tests" / "embed", "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DEXAMPLES={EXAMPLES}", f"-DCMAKE_CXX_COMPILER={tool('g++')}",
    )  # fmt: skip
    out_of(cmake, "--build", folder)
    assert EMBED_C in out_of(folder / "embed_c", shm / "c")
    assert EMBED_CPP in out_of(folder / "embed_cpp", shm / "cpp")


# ---- building against the Python package ---------------------------------------------------------


def test_c_embedder_by_the_flags_of_the_package(tmp_path: Path, shm: Path) -> None:
    out = build_and_run([tool("cc"), "-std=c11"], EXAMPLES / "embed.c", flags(), tmp_path, shm)
    assert out.splitlines()[1] == EMBED_C


def test_cpp_embedder_by_the_flags_of_the_package(tmp_path: Path, shm: Path) -> None:
    compiler = [tool("g++"), "-std=c++17"]
    out = build_and_run(compiler, EXAMPLES / "embed.cpp", flags(), tmp_path, shm)
    assert EMBED_CPP in out
    assert "refused: BAR emulated/0: read of 4 bytes at 0x400000: the offset lies outside" in out


def test_embedders_by_pkg_config_of_the_package(tmp_path: Path, shm: Path) -> None:
    link = pkg_config(PACKAGE / "pkgconfig")
    out = build_and_run([tool("g++"), "-std=c++17"], EXAMPLES / "embed.cpp", link, tmp_path, shm)
    assert EMBED_CPP in out


def test_embedders_by_cmake_of_the_package(tmp_path: Path, shm: Path) -> None:
    run_cmake(PACKAGE / "cmake", tmp_path, shm)


# ---- building against an installation without Python ---------------------------------------------


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    out_of(tool("cmake"), "-S", ROOT, "-B", folder)
    out_of(tool("cmake"), "--build", folder, "-j2")
    return folder


@pytest.mark.parametrize("libdir", ["lib", "lib/some-triplet"])
def test_installed_tree_serves_pkg_config_and_cmake_wherever_it_is_moved(
    tmp_path: Path, shm: Path, build: Path, libdir: str
) -> None:
    out_of(tool("cmake"), f"-DCMAKE_INSTALL_LIBDIR={libdir}", build)
    out_of(tool("cmake"), "--install", build, "--prefix", tmp_path / "made")
    prefix = (tmp_path / "made").rename(tmp_path / "moved")
    link = pkg_config(prefix / libdir / "pkgconfig")
    assert str(build) not in " ".join(link)
    out = build_and_run([tool("cc"), "-std=c11"], EXAMPLES / "embed.c", link, tmp_path, shm)
    assert EMBED_C in out
    folder = prefix / libdir / "cmake" / "fabcore"
    run_cmake(prefix if libdir == "lib" else folder, tmp_path / "cmake", shm)


# ---- the C++ wrapper -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("standard", "compiler"), [("c++17", ("g++",)), ("c++20", ("clang++", "clang++-14"))]
)
def test_wrapper_class_by_class(
    standard: str, compiler: tuple[str, ...], tmp_path: Path, shm: Path
) -> None:
    command = [tool(*compiler), f"-std={standard}"]
    source = ROOT / "tests" / "embed" / "wrapper.cpp"
    assert "all as expected" in build_and_run(command, source, flags(), tmp_path, shm)


def test_wrapper_leaves_nothing_behind_under_the_address_sanitizer(
    tmp_path: Path, shm: Path
) -> None:
    command = [tool("clang++", "clang++-14"), "-std=c++17", "-g", "-fsanitize=address,undefined",
               "-fno-sanitize-recover=all"]  # fmt: skip
    source = ROOT / "tests" / "embed" / "wrapper.cpp"
    assert "all as expected" in build_and_run(command, source, flags(), tmp_path, shm)


# ---- every name is there -------------------------------------------------------------------------


def headers() -> str:
    """All C headers without comments."""
    text = "".join(file.read_text() for file in Path(fabcore.get_include()).glob("*.h"))
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def declared(mark: str) -> set[str]:
    return set(re.findall(rf"^{mark}\s[^;{{(]*?\b(fab_\w+)\(", headers(), flags=re.M))


def test_every_inline_function_has_an_exported_body() -> None:
    inline = declared("FAB_INLINE")
    assert {"fab_index_push", "fab_ring_publish", "fab_reader_read"} <= inline
    library = ctypes.CDLL(fabcore.get_library())
    assert [name for name in sorted(inline) if not hasattr(library, name)] == []


def test_library_exports_what_the_headers_declare_and_nothing_else() -> None:
    table = out_of(tool("nm"), "-D", "--defined-only", fabcore.get_library())
    exported = {line.split()[2] for line in table.splitlines() if line.split()[1] in "TW"}
    assert exported - {"_init", "_fini"} == declared("FAB_API") | declared("FAB_INLINE")


def test_cffi_module_has_the_whole_c_api() -> None:
    constants = set(re.findall(r"\b(FAB_[A-Z0-9_]+) = [-\d]", headers()))  # enumerators
    assert "FAB_PRODUCER" in constants
    wanted = declared("FAB_API") | declared("FAB_INLINE") | constants
    assert sorted(wanted - set(dir(lib))) == []
    assert lib.fab_layout() == layout()


# ---- the examples in Python ----------------------------------------------------------------------


def test_two_processes_account_for_every_record() -> None:
    first, second = out_of(sys.executable, EXAMPLES / "two_processes.py").splitlines()
    assert first == "index ring: 100000 of 100000 received, their sum as sent"
    counts = re.fullmatch(r"followed ring: (\d+) read \+ (\d+) lost = (\d+) published", second)
    assert counts is not None
    read, lost, published = map(int, counts.groups())
    assert published == 100_000 == read + lost
    assert lost > 0 and read <= 1024


def test_numba_loop_comes_from_the_cache_in_the_second_process(tmp_path: Path) -> None:
    # A copy has a cache of its own beside it; the package's kernels stay where they are compiled.
    copy = shutil.copy(EXAMPLES / "numba_loop.py", tmp_path)
    first, second = (out_of(sys.executable, copy, env={"NUMBA_CACHE_DIR": ""}) for _ in range(2))
    expected = "100000 reads, 100000 records, register 0x00005200\nout of bounds: -34\n"
    assert first == expected + "from the cache: 0 of 2 kernels\n"
    assert second == expected + "from the cache: 2 of 2 kernels\n"


SUM_PYX = """
# cython: language_level=3
from fabcore_c cimport *

def total(size_t reader):
    \"\"\"The sum of aux over all that the reader has not read.\"\"\"
    cdef fab_record block[64]
    cdef int64_t n = 1, i
    cdef uint64_t sum = 0
    with nogil:
        while n > 0:
            n = fab_reader_read(<fab_reader *>reader, block, 64)
            for i in range(n):
                sum += block[i].aux
    return sum
"""


def test_cython_module_calls_the_core_without_python(tmp_path: Path, shm: Path) -> None:
    import importlib.util
    import sysconfig

    source = tmp_path / "summing.pyx"
    source.write_text(SUM_PYX)
    out_of(sys.executable, "-m", "cython", "-I", fabcore.get_include(), source)
    module = tmp_path / f"summing{sysconfig.get_config_var('EXT_SUFFIX')}"
    python = f"-I{sysconfig.get_path('include')}"
    out_of(
        tool("cc"),
        "-O2",
        "-shared",
        "-fPIC",
        python,
        source.with_suffix(".c"),
        *flags(),
        "-o",
        module,
    )
    spec = importlib.util.spec_from_file_location("summing", module)
    assert spec is not None and spec.loader is not None
    summing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(summing)
    with fabcore.Ring.create(shm / "ring", 1024) as ring:
        reader = ring.reader()
        records = np.zeros(500, fabcore.RECORD)
        records["aux"] = np.arange(500)
        ring.publish(records)
        assert summing.total(reader.address) == 499 * 500 // 2
        reader.close()


# ---- symbols for compiled kernels ----------------------------------------------------------------

# How a C type goes into a signature.
_NUMBA = {"int": "int32", "int64_t": "int64", "uint64_t": "uint64", "size_t": "uint64",
          "uint8_t": "uint8", "uint16_t": "uint16", "uint32_t": "uint32"}  # fmt: skip


@pytest.mark.parametrize("name", symbols.SIGNATURES)
def test_symbol_has_the_signature_of_its_c_function(name: str) -> None:
    def numba_of(kind: object) -> str:
        return "uint64" if kind.kind == "pointer" else _NUMBA[kind.cname]

    prototype = ffi.typeof(getattr(lib, name))
    arguments = ", ".join(numba_of(kind) for kind in prototype.args)
    assert symbols.SIGNATURES[name] == f"{numba_of(prototype.result)}({arguments})"
    assert getattr(symbols, name).symbol == name


def test_kernel_claims_and_releases_runs_of_an_index_ring(shm: Path) -> None:
    from numba import njit

    sides = [ffi.new("fab_index **") for _ in range(2)]
    for role, side in enumerate(sides):
        assert lib.fab_index_create(str(shm / "index").encode(), 64, 8, role, side) == 0
    producer, consumer = (symbols.address(side[0]) for side in sides)
    claim, publish, pop = symbols.fab_index_claim, symbols.fab_index_publish, symbols.fab_index_pop

    @njit(nogil=True)
    def through(producer, consumer, run, out):  # type: ignore[no-untyped-def]
        return (
            claim(producer, 40, run.ctypes.data),
            publish(producer, 41),
            publish(producer, 40),
            pop(consumer, out.ctypes.data, 64),
            pop(producer, out.ctypes.data, 64),
        )

    run, out = np.zeros(1, np.uint64), np.zeros(64, np.uint64)
    assert through(producer, consumer, run, out) == (40, -22, 40, 40, -1)
    assert run[0] % 128 == 0  # where the elements start
    for side in sides:
        lib.fab_index_close(side[0])


def test_address_refuses_what_is_no_handle() -> None:
    with pytest.raises(FabricError, match="has no address"):
        symbols.address("shm:demo")
    with pytest.raises(FabricError, match="NULL"):
        symbols.address(ffi.NULL)
    with pytest.raises(AttributeError, match="fab_nothing"):
        symbols.fab_nothing  # noqa: B018
