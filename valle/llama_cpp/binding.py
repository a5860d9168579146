"""The C interface of llama.cpp, out of the wheel of `xllamacpp`.

The Python classes of that package are a server for text. Its shared object exports the whole C interface, which takes
vectors with four positions each and returns hidden states. The layouts of two structures are those of one version.
"""

import ctypes
from ctypes import POINTER, Structure, c_bool, c_char_p, c_float, c_int32, c_size_t, c_uint32, c_void_p
from functools import cache as memoized
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

from warehouse.errors import ConfigurationError

VERSION = "2026.10.11549"
_INSTALL = "pip install 'valle[llama]'"
DECODE = 1
"""Kind of pass that fills the memory of rows."""
FLOAT32 = 0
"""Number type of stored keys and values."""


class ModelParameters(Structure):
    """`llama_model_params`."""

    _fields_ = (
        ("devices", c_void_p),
        ("buffer_types", c_void_p),
        ("gpu_layers", c_int32),
        ("rest", ctypes.c_uint8 * 84),
    )


class ContextParameters(Structure):
    """`llama_context_params`."""

    _fields_ = (
        ("cells", c_uint32),
        ("batch", c_uint32),
        ("micro_batch", c_uint32),
        ("rows", c_uint32),
        ("unused_sizes", c_uint32 * 3),
        ("threads", c_int32),
        ("batch_threads", c_int32),
        ("context_type", c_int32),
        ("rope_scaling", c_int32),
        ("pooling", c_int32),
        ("attention", c_int32),
        ("flash_attention", c_int32),
        ("rope_numbers", c_float * 6),
        ("original_length", c_uint32),
        ("defragmentation", c_float),
        ("callback", c_void_p * 2),
        ("key_type", c_int32),
        ("value_type", c_int32),
        ("abort", c_void_p * 3),
        ("embeddings", c_bool),
        ("offloads_memory", c_bool),
        ("no_timings", c_bool),
        ("offloads_operations", c_bool),
        ("full_window", c_bool),
        ("is_unified", c_bool),
        ("samplers", c_void_p),
        ("num_samplers", c_size_t),
        ("other", c_void_p),
    )


class Vectors(Structure):
    """`llama_embd`: rows of floats."""

    _fields_ = (("data", c_void_p), ("rows", c_size_t), ("width", c_size_t))


# Result and arguments of each function that is called.
_SIGNATURES = MappingProxyType(
    {
        "llama_log_set": (None, (c_void_p, c_void_p)),
        "llama_model_default_params": (ModelParameters, ()),
        "llama_context_default_params": (ContextParameters, ()),
        "llama_model_load_from_file": (c_void_p, (c_char_p, ModelParameters)),
        "llama_model_free": (None, (c_void_p,)),
        "llama_init_from_model": (c_void_p, (c_void_p, ContextParameters)),
        "llama_free": (None, (c_void_p,)),
        "llama_set_causal_attn": (None, (c_void_p, c_bool)),
        "llama_batch_ext_init": (c_void_p, (c_void_p,)),
        "llama_batch_ext_free": (None, (c_void_p,)),
        "llama_batch_ext_clear": (None, (c_void_p,)),
        "llama_batch_ext_add_embd": (c_int32, (c_void_p, c_int32, Vectors)),
        "llama_batch_ext_set_pos": (c_bool, (c_void_p, c_int32, c_void_p)),
        "llama_batch_ext_set_output_embd": (c_bool, (c_void_p, c_int32, c_bool)),
        "llama_process": (c_int32, (c_void_p, c_int32, c_void_p)),
        "llama_get_embeddings": (POINTER(c_float), (c_void_p,)),
        "llama_get_memory": (c_void_p, (c_void_p,)),
        "llama_memory_clear": (None, (c_void_p, c_bool)),
        "llama_memory_seq_rm": (c_bool, (c_void_p, c_int32, c_int32, c_int32)),
        "llama_memory_seq_cp": (None, (c_void_p, c_int32, c_int32, c_int32, c_int32)),
        "llama_state_seq_get_size": (c_size_t, (c_void_p, c_int32)),
        "llama_state_seq_get_data": (c_size_t, (c_void_p, c_char_p, c_size_t, c_int32)),
        "llama_state_seq_set_data": (c_size_t, (c_void_p, c_char_p, c_size_t, c_int32)),
    }
)
_LogCallback = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)


@memoized
def open_library() -> ctypes.CDLL:
    """Open llama.cpp, without its log. Raises ConfigurationError when the package is missing or of another version."""
    try:
        installed = version("xllamacpp")
    except PackageNotFoundError as error:
        raise ConfigurationError(f"The runtime llama.cpp needs the package xllamacpp: {_INSTALL}.") from error
    # Another version may have other structures, and a wrong one reads wrong memory.
    if installed != VERSION:
        raise ConfigurationError(f"xllamacpp {installed} is installed, and {VERSION} is needed: {_INSTALL}.")
    from xllamacpp import xllamacpp

    library = ctypes.CDLL(str(xllamacpp.__file__))
    try:
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except AttributeError as error:
        raise ConfigurationError(f"xllamacpp exports no C interface on this system ({error}).") from error
    library.llama_log_set(_silence(), None)
    return library


@memoized
def _silence() -> Any:
    """Return a callback that drops a line of the log; it must live as long as the library that calls it."""
    return _LogCallback(lambda level, text, data: None)
