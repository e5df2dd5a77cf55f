# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=True
"""The C core as final classes: conversion only; what a call means stands in fabcore.h."""

import errno
import operator
import os
import threading
import time
import weakref

import numpy as np

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
# The macro of that name is not in the stable ABI.
from cpython.bytes cimport PyBytes_AsString as PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY
from libc.stdlib cimport calloc, free
from libc.string cimport memset, strncpy

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *bytes) except NULL

from fabcore_c cimport *

from fabcore.errors import BarError, FabricError, FirmwareError, OwnerError, TopologyError
from fabcore.observe import RECORD



cdef size_t _address(object array) except? 0:
    """Where a contiguous array's bytes are; they stay there while the caller holds the array.

    (Its __array_interface__ says the same and takes 7 us for a structured array.)
    """
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
    cdef size_t address = <size_t>view.buf
    PyBuffer_Release(&view)
    return address


include "errors.pxi"
include "arrow.pxi"
include "ring.pxi"
include "index.pxi"
include "request.pxi"
include "bar.pxi"
include "handle.pxi"
include "tables.pxi"
include "link.pxi"
include "bind.pxi"
include "switch.pxi"
include "change.pxi"
include "plan.pxi"
include "events.pxi"
include "counters.pxi"
include "gfms.pxi"
include "functions.pxi"
include "firmware.pxi"
include "emulator.pxi"
include "ethernet.pxi"
include "vfio_user.pxi"


def layout() -> int:
    """The layout number of everything that processes share; two builds that differ refuse to."""
    return fab_layout()


def version() -> str:
    """The version of libfabcore."""
    return fab_version().decode()
