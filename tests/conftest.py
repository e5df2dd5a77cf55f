"""What all tests share: no example of a property test is timed, for a kernel's first call is slow."""

from hypothesis import settings

settings.register_profile("fabcore", deadline=None)
settings.load_profile("fabcore")
