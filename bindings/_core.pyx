# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=True
"""The C core as final classes: conversion only; what a call means stands in fabcore.h."""

import errno
import os

import numpy as np

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport INFINITY
from libc.stdlib cimport calloc, free
from libc.string cimport memset, strncpy

from fabcore_c cimport *

from fabcore.errors import BarError, FabricError, FirmwareError, TopologyError
from fabcore.observe import RECORD

include "errors.pxi"
include "ring.pxi"
include "bar.pxi"
include "switch.pxi"
include "functions.pxi"
include "emulator.pxi"


def layout() -> int:
    """The layout number of everything that processes share; two builds that differ refuse to."""
    return fab_layout()


def version() -> str:
    """The version of libfabcore."""
    return fab_version().decode()
