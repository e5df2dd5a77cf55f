"""The weights that every row starts from: one set ships, learned from real traffic."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fabcore.errors import FabricError
from fabcore.predict import layout as at

Floats = NDArray[np.float64]
SHIPPED = Path(__file__).with_name("weights.npz")
VERSION = 1
_MAGIC = b"FABPRED\x01"


@dataclass(frozen=True, slots=True)
class Weights:
    """base (FEATURES,): the quantile regression; under, over (FEATURES, ACTIONS): bytes short and
    bytes idle that each action is expected to cost. Costs are linear in them, so one set serves
    every ratio of the two: theta = tau * under + (1 - tau) * over. credit: where they come from."""

    base: Floats
    under: Floats
    over: Floats
    credit: str

    def theta(self, tau: float) -> Floats:
        """(FEATURES, ACTIONS): expected cost of each action, costs per byte summing to 1."""
        return tau * self.under + (1.0 - tau) * self.over

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a .npz, atomically."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            version=np.int64(VERSION),
            base=self.base.astype(np.float32),
            under=self.under.astype(np.float32),
            over=self.over.astype(np.float32),
            credit=np.array(self.credit),
        )
        replace(path, buffer.getvalue())
        os.chmod(path, 0o644)  # it ships: every user of an installation reads it


def cold() -> Weights:
    """Nothing learned yet: the base forecast is the last value."""
    base = np.zeros(at.FEATURES)
    base[1] = 1.0
    zeros = np.zeros((at.FEATURES, at.ACTIONS))
    return Weights(base, zeros, zeros, "")


def load_weights(path: str | os.PathLike[str]) -> Weights:
    """Read what Weights.save wrote; anything else raises FabricError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            version = int(file["version"])
            base, under, over = (file[k].astype(np.float64) for k in ("base", "under", "over"))
            credit = str(file["credit"])
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise FabricError(f"{path}: no predictor weights ({error}); train them anew") from None
    shape = (at.FEATURES, at.ACTIONS)
    fits = base.shape == shape[:1] and under.shape == over.shape == shape
    if version != VERSION or not fits:
        raise FabricError(
            f"{path}: predictor weights of another version, this build needs version {VERSION} "
            f"with {at.FEATURES} features and {at.ACTIONS} actions; train them anew"
        )
    if not all(np.isfinite(a).all() for a in (base, under, over)):
        raise FabricError(f"{path}: predictor weights that are not finite; train them anew")
    return Weights(base, under, over, credit)


def replace(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that `path` holds either the old or the new content, whatever happens."""
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise FabricError(f"{path}: cannot write here: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        raise FabricError(f"{path}: cannot write: {error.strerror}") from None
    finally:
        Path(name).unlink(missing_ok=True)


def seal(data: bytes) -> bytes:
    """Bytes with a header by which `unseal` knows them and sees any damage."""
    return _MAGIC + zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(8, "little") + data


def unseal(path: str | os.PathLike[str]) -> bytes:
    """The bytes that `seal` wrapped; a file that is not whole raises FabricError."""
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise FabricError(f"{path}: cannot read: {error.strerror}") from None
    if raw[:7] != _MAGIC[:7]:
        raise FabricError(f"{path}: not a saved predictor")
    if raw[:8] != _MAGIC:
        raise FabricError(f"{path}: saved by another version; start a new predictor")
    data = raw[20:]
    if len(raw) < 20 or len(data) != int.from_bytes(raw[12:20], "little"):
        raise FabricError(f"{path}: the file is cut short; use an older copy")
    if zlib.crc32(data) != int.from_bytes(raw[8:12], "little"):
        raise FabricError(f"{path}: the file is damaged (checksum); use an older copy")
    return data
