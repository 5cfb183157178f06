# SPDX-License-Identifier: Apache-2.0
"""Operators from expressions: carat.pointwise("x / (1 + exp(-x)) * y")."""

import ctypes
import functools
import threading

from . import _adapter

_DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")  # carat_dtype
_NONE = 255  # CARAT_DTYPE_NONE


class _Scalar(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("i", ctypes.c_int64), ("re", ctypes.c_double), ("im", ctypes.c_double)]


class _Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device", ctypes.c_int32 * 2), ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8),
                ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p),
                ("byte_offset", ctypes.c_uint64)]


class _Argument(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("flags", ctypes.c_uint32), ("tensor", _Tensor)]


class _NamedScalar(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("value", _Scalar)]


class _Expression(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char_p), ("scalars", ctypes.POINTER(_NamedScalar)), ("scalar_count", ctypes.c_size_t),
                ("dtypes", ctypes.POINTER(ctypes.c_int)), ("gradients", ctypes.c_char_p)]


def _text(text):
    """As C's string, which a NUL would end too early."""
    if "\0" in text:
        raise SyntaxError(f"a NUL character in {text!r}")
    return text.encode()


def _scalar(name, value):
    if isinstance(value, bool):
        return _NamedScalar(_text(name), _Scalar(0, value))
    if isinstance(value, int):
        if not -2**63 <= value < 2**63:
            raise OverflowError(f"the scalar {name} has a default of more than 64 bits")
        return _NamedScalar(_text(name), _Scalar(1, value))
    if isinstance(value, float):
        return _NamedScalar(_text(name), _Scalar(2, 0, value))
    raise TypeError(f"the scalar {name} has a default that is a bool, int or float, not {value!r}")


def _formulas(backward):
    if isinstance(backward, dict):
        return "; ".join(f"{name} = {formula}" for name, formula in backward.items())
    return backward


@functools.cache
def _carat_dtypes():
    import torch

    return {getattr(torch, name): number for number, name in enumerate(_DTYPES)}


def _dtype_list(dtype):
    """The outputs' dtypes as numbers, or NULL."""
    if dtype is None:
        return None
    dtypes = dtype if isinstance(dtype, (tuple, list)) else [dtype]
    unknown = [d for d in dtypes if d is not None and d not in _carat_dtypes()]
    if unknown:
        raise TypeError(f"an output can't be of {unknown[0]}")
    return [_NONE if d is None else _carat_dtypes()[d] for d in dtypes]


def _make(expression, scalars, backward, dtypes):
    """The handle of the operator; libcarat knows it by what it is made of."""
    lib = _adapter.library()
    named = (_NamedScalar * len(scalars))(*(_scalar(name, value) for name, value in scalars.items()))
    # Of dtypes that are fewer than the outputs the rest are left to promotion; a wrong number is found out afterwards.
    numbers = (ctypes.c_int * 16)(*(dtypes + [_NONE] * (16 - len(dtypes)))) if dtypes else None
    formulas = _formulas(backward)
    described = _Expression(_text(expression), named, len(named), numbers, _text(formulas) if formulas is not None else None)
    op = ctypes.c_void_p()
    if lib.carat_expression_op(ctypes.byref(described), ctypes.byref(op)) != 0:
        raise SyntaxError(lib.carat_last_error().decode(errors="replace"))
    return op


# ---- what PyTorch asks of an operator beside its kernels

def _argument(tensor):
    name, bits = _DTYPES[_carat_dtypes()[tensor.dtype]], tensor.element_size() * 8
    # DLPack's codes of types
    code = {"bool": 6, "uint8": 1, "bfloat16": 4}.get(name, 2 if tensor.dtype.is_floating_point else 0)
    return _Argument(1, 0, _Tensor(ndim=tensor.dim(), code=code, bits=bits, lanes=1))


def _result_dtypes(op, tensors):
    import torch

    lib, known = _adapter.library(), _carat_dtypes()
    for tensor in tensors:
        if tensor.dtype not in known:
            raise TypeError(f"expressions don't take {tensor.dtype}")
    arguments, dtypes = (_Argument * len(tensors))(*map(_argument, tensors)), (ctypes.c_int * 4)()
    if lib.carat_expression_dtypes(op, arguments, len(tensors), known[torch.get_default_dtype()], dtypes) != 0:
        raise TypeError(lib.carat_last_error().decode(errors="replace"))
    names = list(known)
    return [names[dtypes[k]] for k in range(lib.carat_expression_outputs(op))]


def _fake(op, inputs):
    """A fake kernel: the results' shape, strides, dtypes and device."""
    def fake(*args, **scalars):
        import torch
        from torch._prims_common import compute_elementwise_output_strides

        tensors = args[:inputs]
        expanded = torch.broadcast_tensors(*tensors)
        strides = compute_elementwise_output_strides(*expanded)
        device = next((t.device for t in tensors if t.dim() or t.device.type != "cpu"), tensors[0].device)
        results = [torch.empty_strided(expanded[0].shape, strides, dtype=dtype, device=device) for dtype in _result_dtypes(op, tensors)]
        return results[0] if len(results) == 1 else tuple(results)

    return fake


def _fake_out(*args, **kwargs):
    return None


def _batched(overload, inputs):
    """A rule for vmap: batch dimensions to the front, the others aligned behind them."""
    def rule(info, in_dims, *args, **scalars):
        import torch

        tensors, dims = args[:inputs], in_dims[:inputs]
        ranks = [t.dim() - (d is not None) for t, d in zip(tensors, dims)]
        rank = max(ranks)
        if any(r == 0 and d is not None for r, d in zip(ranks, dims)) and rank > 0:  # 0-d tensors are promoted otherwise than batches of them
            slices = [overload(*(t if d is None else t.select(d, i) for t, d in zip(tensors, dims)), **scalars) for i in range(info.batch_size)]
            if isinstance(slices[0], tuple):
                return tuple(map(torch.stack, zip(*slices))), (0,) * len(slices[0])
            return torch.stack(slices), 0
        aligned = []
        for tensor, dim, own in zip(tensors, dims, ranks):
            if dim is None and rank == 0:
                tensor = tensor.expand(info.batch_size)  # of the same rank in promotion as the batches
            elif dim is not None:
                tensor = tensor.movedim(dim, 0)
                tensor = tensor.reshape(tensor.shape[:1] + (1,) * (rank - own) + tensor.shape[1:])
            aligned.append(tensor)
        results = overload(*aligned, **scalars)
        return results, (0,) * len(results) if isinstance(results, tuple) else 0

    return rule


_known = set()  # names of operators that have their rules
_known_lock = threading.RLock()


@ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)
def _defined(op, name):
    """Called by the adapter for every operator that comes to be, by each thread that finds it without its rules."""
    import torch

    name = name.decode()
    inputs = _adapter.library().carat_expression_inputs(op)
    with _known_lock:
        if name in _known:
            return
        _known.add(name)
        overload = getattr(torch.ops.carat, name).default
        torch.library.register_fake(f"carat::{name}", _fake(op, inputs))
        torch.library.register_fake(f"carat::{name}.out", _fake_out)
        torch.library.register_vmap(f"carat::{name}", _batched(overload, inputs))


class Pointwise:
    """An operator made of an expression; called with tensors in the order of `inputs`, and scalars by name."""

    def __init__(self, op, name, expression):
        import torch

        lib = _adapter.library()
        self.expression = expression
        self.inputs = tuple(lib.carat_expression_input(op, j).decode() for j in range(lib.carat_expression_inputs(op)))
        self.outputs = lib.carat_expression_outputs(op)
        packet = getattr(torch.ops.carat, name)
        self.op = packet.default  # the torch.ops overload
        self._out = packet.out

    def __call__(self, *inputs, out=None, **scalars):
        if out is None:
            return self.op(*inputs, **scalars)
        outs = out if isinstance(out, (tuple, list)) else (out,)
        if len(outs) != self.outputs:
            raise TypeError(f"{self.outputs} outputs, but out= has {len(outs)}")
        self._out(*inputs, **scalars, **{f"out{k}": tensor for k, tensor in enumerate(outs)})
        return out

    def __repr__(self):
        return f"carat.pointwise({self.expression!r})"


def pointwise(expression, *, outputs=None, scalars=None, backward=None, dtype=None, autocast=None):
    """An operator from an expression in C's notation, for tensors of any shapes, layouts, dtypes and devices (docs/expressions.md).

        swiglu = carat.pointwise("x / (1 + exp(-x)) * y")
        leaky = carat.pointwise("x > 0 ? x : alpha * x", scalars={"alpha": 0.01})
        sincos = carat.pointwise("out0 = sin(x); out1 = cos(x)", outputs=2)

    Inputs are the names in the order in which they first appear; `scalars` names those that are numbers, with their defaults.
    `backward`: formulas for the gradients, of grad (grad0, grad1 ... of several outputs): a string for one input, else a dict by
    input; by differentiation if there is none. `dtype`: of the outputs, one or a list, None where promotion decides. `autocast`: a
    dtype that floating inputs become under torch.autocast. `outputs`: how many there are, checked.
    """
    adapter = _adapter.adapter()
    dtypes = _dtype_list(dtype)
    op = _make(expression, dict(scalars or {}), backward, dtypes)
    count = _adapter.library().carat_expression_outputs(op)
    if outputs is not None and outputs != count:
        raise ValueError(f"the expression has {count} output{'s' * (count != 1)}, not {outputs}")
    if dtypes is not None and len(dtypes) != count:
        raise ValueError(f"the expression has {count} output{'s' * (count != 1)}, but {len(dtypes)} dtypes were given")
    name = adapter.carat_torch_expression(op, _NONE if autocast is None else _carat_dtypes()[autocast], _defined)
    if name is None:
        raise RuntimeError(f"carat: {adapter.carat_torch_failure().decode(errors='replace')}")
    return Pointwise(op, name.decode(), expression)
