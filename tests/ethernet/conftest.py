"""What the tests of the TCP endpoint share: their client, and a node of each identity."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from served import IDENTITIES, Identity, Served


@pytest.fixture
def identity(request: pytest.FixtureRequest) -> Identity:
    """PAX Gen5, unless a test asks for others by parametrizing it with names of IDENTITIES."""
    return IDENTITIES[getattr(request, "param", "PAX")]


@pytest.fixture
def served(identity: Identity) -> Iterator[Served]:
    made = Served(identity)
    yield made
    made.close()
