# SPDX-License-Identifier: Apache-2.0
"""Calls Carat's operators on CUDA where there is no GPU: through the C API, on CPU tensors that pass for a device's.

    check(torch.ops.aten._softmax.default, x, -1, False)

compares with ATen on the CPU. Every storage ends at a page that can't be touched, so that a kernel which reads or writes beyond it
crashes; nothing else than results may be written; two calls, in which lanes run in opposite orders, must give the same bits."""

import contextlib
import ctypes
import mmap
import os
import pathlib

import torch
from carat import _adapter

# Where the fakes were built. The library is the one that PyTorch's operators reach: what `carat.pointwise` makes stands in no other's registry.
BUILD = pathlib.Path(os.environ.get("CARAT_LIBRARY_DIR") or pathlib.Path(__file__).parents[2] / "build")
TOLERANCE = {torch.float16: 2e-3, torch.bfloat16: 1.6e-2, torch.float32: 2e-5, torch.float64: 1e-12, torch.complex64: 2e-5, torch.complex128: 1e-12}
CPU, CUDA = 1, 2
OK, UNSUPPORTED = 0, 1

# ---- the C API (include/carat/carat.h)

# Carat's dtypes in their order, with DLPack's codes.
DTYPES = {torch.bool: 6, torch.uint8: 1, torch.int8: 0, torch.int16: 0, torch.int32: 0, torch.int64: 0, torch.float16: 2, torch.bfloat16: 4,
          torch.float32: 2, torch.float64: 2, torch.complex64: 5, torch.complex128: 5}
SCALAR_KINDS = {bool: 0, int: 1, float: 2, complex: 3}
NONE, TENSOR, SCALAR, INT, FLOAT, INTS, FLOATS, SCALARS, TENSORS, STRING, DTYPE = range(11)
WRAPPED_NUMBER = 1


class Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("index", ctypes.c_int32)]


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device", Device), ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
                ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


class Scalar(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("i", ctypes.c_int64), ("re", ctypes.c_double), ("im", ctypes.c_double)]


class Items(ctypes.Structure):
    _fields_ = [("items", ctypes.c_void_p), ("count", ctypes.c_int64)]


class Value(ctypes.Union):
    _fields_ = [("tensor", Tensor), ("scalar", Scalar), ("i", ctypes.c_int64), ("f", ctypes.c_double), ("list", Items), ("string", ctypes.c_char_p)]


class Arg(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("flags", ctypes.c_uint32), ("value", Value)]


MAKE_OUTPUT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, Device, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int64),
                               ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_void_p))
ALLOCATE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, Device, ctypes.c_size_t)
RELEASE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, Device, ctypes.c_void_p)


class Philox(ctypes.Structure):
    _fields_ = [("seed", ctypes.c_uint64), ("offset", ctypes.c_uint64)]


TAKE_PHILOX = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, Device, ctypes.c_uint64, ctypes.POINTER(Philox))
SEED, OFFSET = 0x123456789ABCDEF, 4 * 0x40000001  # where the generator stands before every call


class Context(ctypes.Structure):
    _fields_ = [("host", ctypes.c_void_p), ("device", Device), ("default_dtype", ctypes.c_int), ("deterministic", ctypes.c_int32), ("make_output", MAKE_OUTPUT), ("parallel_for", ctypes.c_void_p),
                ("thread_count", ctypes.c_void_p), ("stream", ctypes.c_void_p), ("with_generator", ctypes.c_void_p), ("allocate", ALLOCATE),
                ("release", RELEASE), ("take_philox", TAKE_PHILOX)]


def load():
    """The library, with the fake driver and compiler in place of NVIDIA's."""
    fakes, before = BUILD / "tests" / "cuda", os.environ.get("CARAT_NVRTC_DIR")
    ctypes.CDLL(str(fakes / "libcuda.so.1"))  # the one that the library then finds by its name
    library = ctypes.CDLL(str(_adapter.library_path()))
    os.environ["CARAT_NVRTC_DIR"] = str(fakes)
    for backend in range(2):  # looks for them now
        library.carat_backend_describe(backend, ctypes.byref(ctypes.c_char_p()), ctypes.byref(ctypes.c_char_p()))
    os.environ.pop("CARAT_NVRTC_DIR")
    if before is not None:
        os.environ["CARAT_NVRTC_DIR"] = before
    library.carat_op_find.restype = ctypes.c_void_p
    for name in ("carat_last_reason", "carat_last_error", "carat_status_name"):
        getattr(library, name).restype = ctypes.c_char_p
    return library


# ---- memory that ends at an untouchable page

PAGE = mmap.PAGESIZE
ALIGNMENT = 16
C = ctypes.CDLL(None, use_errno=True)
C.mmap.restype = ctypes.c_void_p
C.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
C.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
C.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


class Memory:
    """Bytes between pages that can't be touched, at a multiple of 16."""

    def __init__(self, size, filled=0xFF):
        self.size = size
        room = (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        inner = (room + PAGE - 1) // PAGE * PAGE
        self.length = inner + 2 * PAGE
        self.base = C.mmap(None, self.length, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        assert C.mprotect(self.base, PAGE, 0) == 0 and C.mprotect(self.base + PAGE + inner, PAGE, 0) == 0
        self.first, self.inner = self.base + PAGE, inner
        self.address = self.first + inner - room
        ctypes.memset(self.first, filled, inner)
        self.filled = filled

    def write(self, data):
        ctypes.memmove(self.address, data, len(data))

    def read(self):
        return ctypes.string_at(self.address, self.size)

    def assert_intact(self):
        """Nothing beside the bytes was written."""
        rest = ctypes.string_at(self.first, self.address - self.first) + ctypes.string_at(self.address + self.size, self.first + self.inner - self.address - self.size)
        assert rest == bytes([self.filled]) * len(rest), "written beside a tensor"

    def __del__(self):
        C.munmap(self.base, self.length)


def bytes_of(storage):
    return ctypes.string_at(storage.data_ptr(), storage.nbytes()) if storage.nbytes() else b""


# ---- a call

class StepsAside(Exception):
    """Carat leaves the call to ATen; says why."""


class Call:
    """One call: keeps alive what the C structures point to."""

    def __init__(self, device, filled):
        self.device, self.filled = device, filled
        self.kept, self.storages, self.results, self.blocks = [], {}, {}, {}
        self.context = Context(None, device, list(DTYPES).index(torch.get_default_dtype()), 0, MAKE_OUTPUT(self.make_output), None, None, None, None,
                               ALLOCATE(self.allocate), RELEASE(lambda host, device, block: self.blocks.pop(block).assert_intact()), TAKE_PHILOX(self.take_philox))

    def keep(self, thing):
        self.kept.append(thing)
        return thing

    def array(self, ctype, items):
        return self.keep((ctype * max(1, len(items)))(*items))

    def allocate(self, host, device, size):
        memory = Memory(size, self.filled)
        self.blocks[memory.address] = memory
        return memory.address

    def make_output(self, host, index, device, dtype, ndim, shape, strides, data):
        shape, strides, dtype = shape[:ndim], strides[:ndim], list(DTYPES)[dtype]
        reach = sum(step * (size - 1) for size, step in zip(shape, strides)) + 1 if 0 not in shape else 0
        memory = Memory(reach * dtype.itemsize, self.filled)
        self.results[index] = (memory, dtype, shape, strides)
        data[0] = memory.address
        return OK

    def take_philox(self, host, generator, device, count, taken):
        assert count > 0 and count % 4 == 0
        taken[0] = Philox(SEED, OFFSET)
        return OK

    def view(self, tensor, number=False):
        if tensor.dtype not in DTYPES:
            raise StepsAside("dtype")
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.storages:
            memory = Memory(storage.nbytes(), self.filled)
            memory.write(bytes_of(storage))
            self.storages[storage.data_ptr()] = (storage, memory)
        memory = self.storages[storage.data_ptr()][1]
        itemsize = tensor.dtype.itemsize
        return Tensor(memory.address + tensor.storage_offset() * itemsize, Device(CPU, 0) if number else self.device, tensor.dim(), DTYPES[tensor.dtype],
                      8 * itemsize, 1, self.array(ctypes.c_int64, tensor.shape), self.array(ctypes.c_int64, tensor.stride()), 0)

    def scalar(self, value):
        kind = SCALAR_KINDS[type(value)]
        return Scalar(kind, int(value) if kind < 2 else 0, value.real if kind > 1 else 0, value.imag if kind > 1 else 0)

    def list_arg(self, declared, values):
        if "Tensor" in declared:
            # An absent tensor has no bits.
            return Arg(TENSORS, 0, Value(list=self.items(Tensor, [Tensor() if v is None else self.view(v) for v in values])))
        if "number" in declared:
            return Arg(SCALARS, 0, Value(list=self.items(Scalar, [self.scalar(v) for v in values])))
        if "float" in declared:
            return Arg(FLOATS, 0, Value(list=self.items(ctypes.c_double, values)))
        return Arg(INTS, 0, Value(list=self.items(ctypes.c_int64, [int(v) for v in values])))

    def items(self, ctype, values):
        return Items(ctypes.addressof(self.array(ctype, values)), len(values))

    def arg(self, declared, value):
        """`declared`: the argument's type in the schema."""
        if value is None or isinstance(value, (torch.device, torch.layout)):
            return Arg(NONE)
        if isinstance(value, torch.Tensor):
            return Arg(TENSOR, 0, Value(tensor=self.view(value)))
        if isinstance(value, torch.dtype):
            return Arg(DTYPE, 0, Value(i=list(DTYPES).index(value) if value in DTYPES else 255))
        if isinstance(value, torch.memory_format):
            order = [torch.contiguous_format, torch.preserve_format, torch.channels_last, torch.channels_last_3d]
            return Arg(INT, 0, Value(i=order.index(value)))
        if isinstance(value, str):
            return Arg(STRING, 0, Value(string=self.keep(value.encode())))
        if isinstance(value, (list, tuple)) or "List" in declared:
            return self.list_arg(declared, value if isinstance(value, (list, tuple)) else [value])
        if "Tensor" in declared:  # a number of Python's where a tensor is asked for
            number = self.keep(torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None))
            return Arg(TENSOR, WRAPPED_NUMBER, Value(tensor=self.view(number, number=True)))
        if "number" in declared:
            return Arg(SCALAR, 0, Value(scalar=self.scalar(value)))
        return Arg(FLOAT, 0, Value(f=value)) if "float" in declared else Arg(INT, 0, Value(i=int(value)))

    def take_results(self):
        taken = []
        for index in sorted(self.results):
            memory, dtype, shape, strides = self.results[index]
            memory.assert_intact()
            storage = torch.frombuffer(bytearray(memory.read() or bytes(dtype.itemsize)), dtype=dtype)
            taken.append(torch.as_strided(storage, shape, strides))
        return taken

    def check_arguments(self, written):
        """Copies what may be written back; the rest must be as it was."""
        for storage, memory in self.storages.values():
            memory.assert_intact()
            if storage.data_ptr() in written:
                ctypes.memmove(storage.data_ptr(), memory.address, memory.size)
            else:
                assert memory.read() == bytes_of(storage), "an argument was written to"


@contextlib.contextmanager
def capture():
    """As while the device's stream is captured into a graph: no kernel can be loaded."""
    driver = ctypes.CDLL(str(BUILD / "tests" / "cuda" / "libcuda.so.1"))
    driver.fake_cuda_capture(1)
    try:
        yield
    finally:
        driver.fake_cuda_capture(0)


def overload_name(op):
    namespace, name = op._schema.name.split("::")  # an expression's forms have one name
    return name + ("." + op._overloadname if namespace == "aten" and op._overloadname != "default" else "")


def tensors_in(values):
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(value)


_library = None


def run(op, *args, on=0, filled=0xFF, **kwargs):
    """The results of a call of an OpOverload by Carat on the fake device, as a list; those of an out= or in-place form are the tensors
    that were given. Raises StepsAside with the reason where Carat leaves it to ATen."""
    global _library
    _library = _library or load()
    # Those of Carat's own that are rows of its table bring their namespace.
    handle = _library.carat_op_find(overload_name(op).encode()) or _library.carat_op_find(op._schema.name.encode())
    if not handle or not _library.carat_op_runs_on(ctypes.c_void_p(handle), CUDA):
        raise StepsAside("not served on CUDA")
    call = Call(Device(CUDA, on), filled)
    packed, outs, given, written = [], [], [], set()
    for place, declared in enumerate(op._schema.arguments):
        value = args[place] if place < len(args) else kwargs.get(declared.name, declared.default_value)
        if declared.is_out:
            outs += [call.view(t) for t in tensors_in([value])]
        else:
            packed.append(call.arg(str(declared.type), value))
        if declared.alias_info is not None and declared.alias_info.is_write:
            given += list(tensors_in([value]))
            written |= {t.untyped_storage().data_ptr() for t in tensors_in([value])}
    status = _library.carat_call(ctypes.byref(call.context), ctypes.c_void_p(handle), (Arg * max(1, len(packed)))(*packed), len(packed),
                                 (Tensor * max(1, len(outs)))(*outs), len(outs))
    if status == UNSUPPORTED:
        assert not call.results, "stepped aside after making an output"
        call.check_arguments(set())
        raise StepsAside(_library.carat_last_reason().decode())
    if status != OK:
        raise RuntimeError(f"{_library.carat_status_name(status).decode()}: {_library.carat_last_error().decode()}")
    assert not call.blocks, "device memory was not released"
    call.check_arguments(written)
    return given or call.take_results()


# ---- against ATen

def bits(tensor):
    return tensor.resolve_conj().contiguous().reshape(-1).view(torch.uint8) if tensor.numel() else tensor


def distance(mine, exact):
    """How far results are from the double-precision ones, where both are finite."""
    wide = torch.complex128 if mine.is_complex() else torch.float64
    off = (mine.to(wide) - exact.to(wide)).abs()
    return torch.where(off.isfinite(), off, torch.zeros_like(off))


def assert_close(mine, theirs, exact, what):
    assert mine.dtype == theirs.dtype and mine.shape == theirs.shape, (what, mine.dtype, theirs.dtype, mine.shape, theirs.shape)
    assert mine.stride() == theirs.stride(), (what, mine.stride(), theirs.stride())
    tolerance = TOLERANCE.get(theirs.dtype, 0)
    try:
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance, equal_nan=True, msg=lambda m: f"{what}: {m}")
    except AssertionError:
        if exact is None or not mine.dtype.is_floating_point or not torch.equal(mine.isfinite(), theirs.isfinite()):
            raise
        if not torch.all(distance(mine, exact) <= torch.maximum(distance(theirs, exact) * 1.01, 4 * torch.finfo(mine.dtype).eps * exact.abs().nan_to_num())):
            raise


def fresh(values):
    """Tensors that a call may write to, with memory as theirs; those that share memory share the copy."""
    copies = {}

    def copy(value):
        if isinstance(value, (list, tuple)):
            return type(value)(copy(v) for v in value)
        if not isinstance(value, torch.Tensor):
            return value
        storage = value.untyped_storage()
        if storage.data_ptr() not in copies:
            copies[storage.data_ptr()] = storage.clone()
        return torch.empty(0, dtype=value.dtype).set_(copies[storage.data_ptr()], value.storage_offset(), value.shape, value.stride())
    return [copy(v) for v in values]


def wide(value):
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.double()
    return [wide(v) for v in value] if isinstance(value, (list, tuple)) else value


def exact_results(op, args, kwargs):
    try:
        return list(tensors_in([op(*[wide(a) for a in args], **{k: wide(v) for k, v in kwargs.items() if k != "dtype"})]))
    except RuntimeError:
        return None


def check(op, *args, served=True, theirs=None, **kwargs):
    """Compares a call with ATen's on the CPU, or with `theirs` where a GPU's results differ from the CPU's. Returns Carat's results."""
    what = f"{overload_name(op)} {[(tuple(a.shape), a.stride(), a.dtype) if isinstance(a, torch.Tensor) else a for a in args]} {kwargs}"
    names = list(kwargs)

    def copies():
        *values, named = fresh([*args, list(kwargs.values())])
        return values, dict(zip(names, named))
    one_args, one_kwargs = copies()
    two_args, two_kwargs = copies()
    try:
        one = run(op, *one_args, filled=0xFF, **one_kwargs)
        two = run(op, *two_args, filled=0x7F, **two_kwargs)
    except StepsAside as aside:
        assert not served, f"{what}: steps aside: {aside}"
        return None
    assert served is not False, f"{what}: was served"
    for a, b in zip(one, two, strict=True):
        assert torch.equal(bits(a), bits(b)), f"{what}: differs with the order in which lanes run, or leaves elements unwritten"
    if theirs is None:
        their_args, their_kwargs = copies()
        theirs = list(tensors_in([op(*their_args, **their_kwargs)]))
    exact = exact_results(op, *copies())
    for i, (a, b) in enumerate(zip(one, theirs, strict=True)):
        assert_close(a, b, exact[i] if exact else None, what)
    return one
