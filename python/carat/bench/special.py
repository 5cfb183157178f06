# SPDX-License-Identifier: Apache-2.0
"""What the schema can't tell: arguments with a meaning, the work of an overload, and the bytes it moves.

Each function below is called `_<operator>` after the operators it serves and returns the arguments, by schema name,
that differ from the plain ones of inputs.py. The table at the end says which operator uses which.
"""
import torch

COMPLEX_OUT = {torch.float16: torch.complex32, torch.float32: torch.complex64, torch.float64: torch.complex128}
BOOL_OUT = ("eq", "ne", "lt", "le", "gt", "ge", "logical", "is", "any", "all", "signbit")


def arguments(name, overload, maker):
    """The special arguments of an overload; an empty dict for most."""
    base = name.removesuffix("_")
    rule = RULES.get(overload) or RULES.get(name) or RULES.get(base)
    return rule(maker) if rule else {}


def out_dtype(name, argument, dtype):
    """The dtype of an empty out tensor: ATen sizes it, but doesn't change its dtype."""
    if name.startswith(BOOL_OUT):
        return torch.bool
    if argument in ("indices", "argmax") or name.startswith("arg") or name in ("nonzero", "randperm"):
        return torch.int64
    if name in ("polar", "complex"):
        return COMPLEX_OUT.get(dtype, dtype)
    return dtype


def _pair(inner_a, inner_b):
    """Names the two factors of a matrix product."""

    def rule(m):
        return {"self": m.dense(m.rows, m.cols), inner_a: m.matrix(), inner_b: m.matrix(m.cols, m.rows)}

    return rule


def _addmm(m):
    return {"self": m.dense(m.rows), "mat1": m.matrix(), "mat2": m.matrix(m.cols, m.rows)}


def _batched(m, a="self", b="mat2"):
    """Eight products of a quarter of the size each way: the shape of attention scores."""
    n, k = max(1, m.rows // 4), max(1, m.cols // 4)
    left, right = m.dense(8, n, k), m.dense(8, k, n)
    if m.layout == "transposed":
        left, right = m.dense(8, k, n).mT, m.dense(8, n, k).mT
    return {a: left, b: right}


def _baddbmm(m):
    n = max(1, m.rows // 4)
    return {"self": m.dense(8, n, n), **_batched(m, "batch1", "batch2")}


def _mv(m):
    return {"self": m.matrix(), "vec": m.dense(m.cols)}


def _addmv(m):
    return {"self": m.dense(m.rows), "mat": m.matrix(), "vec": m.dense(m.cols)}


def _addr(m):
    return {"self": m.matrix(), "vec1": m.dense(m.rows), "vec2": m.dense(m.cols)}


def _vectors(m):
    return {"self": m.dense(m.rows * m.cols), "other": m.dense(m.rows * m.cols), "tensor": m.dense(m.rows * m.cols)}


def _embedding(m):
    return {"weight": m.dense(m.rows * 4, m.cols), "indices": m.index(m.rows, below=m.rows * 4)}


def _embedding_backward(m):
    return {
        "grad_output": m.dense(m.rows, m.cols),
        "indices": m.index(m.rows, below=m.rows),
        "num_weights": m.rows,
        "padding_idx": -1,
    }


def _along_rows(m):
    """Whole rows chosen by a vector of indices: index_select and its kin."""
    return {"self": m.matrix(), "dim": 0, "index": m.index(m.rows, below=m.rows), "source": m.matrix(), "value": 0.5}


def _elementwise_index(m):
    """One index an element along the last dimension: gather, scatter."""
    index = m.index(m.rows, m.cols, below=m.cols)
    return {"self": m.matrix(), "dim": 1, "index": index, "src": m.dense(m.rows, m.cols), "reduce": "sum"}


def _scatter_reduce_name(m):
    return {**_elementwise_index(m), "reduce": "add"}


def _index(m):
    return {"self": m.matrix(), "indices": [m.index(m.rows, below=m.rows)], "values": m.dense(m.rows, m.cols)}


def _take(m):
    return {"self": m.matrix(), "index": m.index(m.rows, m.cols, below=m.rows * m.cols), "source": m.dense(m.rows, m.cols)}


def _masked(m):
    return {"mask": m.mask(m.rows, m.cols)}


def _masked_fill(m):
    return {**_masked(m), "value": 0.5}


def _masked_fill_tensor(m):
    return {**_masked(m), **_zero_dim_value(m)}


def _where(m):
    return {"condition": m.mask(m.rows, m.cols)}


def _slice_backward(m):
    return {"grad_output": m.matrix(m.rows, m.cols // 2), "input_sizes": [m.rows, m.cols // 2 * 2], "dim": 1, "start": 0, "end": m.cols // 2, "step": 1}


def _select_backward(m):
    return {"grad_output": m.dense(m.rows), "input_sizes": [m.rows, m.cols], "dim": 1, "index": 1}


def _layer_norm(m):
    return {"input": m.matrix(), "normalized_shape": [m.cols], "weight": m.dense(m.cols), "bias": m.dense(m.cols), "eps": 1e-5}


def _layer_norm_backward(m):
    statistic = torch.float32 if m.dtype in (torch.bfloat16, torch.float16) else m.dtype
    one_per_row = {n: m.dense(m.rows, 1, dtype=statistic) for n in ("mean", "rstd")}
    if m.dtype != statistic:  # ATen keeps them in the dtype of the input unless the weight is wider
        one_per_row = {n: t.to(m.dtype) for n, t in one_per_row.items()}
    return {**_layer_norm(m), **one_per_row, "grad_out": m.matrix(), "output_mask": [True, True, True]}


def _group_norm(m):
    return {"input": m.dense(8, 8, m.rows * m.cols // 64), "weight": m.dense(8), "bias": m.dense(8), "N": 8, "C": 8, "HxW": m.rows * m.cols // 64, "group": 2, "eps": 1e-5}


def _group_norm_backward(m):
    moments = {n: m.dense(8, 2) for n in ("mean", "rstd")}
    given = _group_norm(m)
    return {**given, **moments, "grad_out": torch.rand_like(given["input"]), "output_mask": [True, True, True]}


def _glu_backward(m):
    return {"grad_output": m.dense(m.rows, m.cols // 2), "self": m.matrix(m.rows, m.cols // 2 * 2), "dim": 1}


def _batch_norm(m):
    one_per_channel = {n: m.dense(8) for n in ("weight", "bias", "running_mean", "running_var")}
    return {"input": m.dense(8, 8, m.rows * m.cols // 64), **one_per_channel, "training": True, "momentum": 0.1, "eps": 1e-5}


def _batch_norm_backward(m):
    statistics = {n: m.dense(8) for n in ("save_mean", "save_invstd", "save_var")}
    planes = {n: m.dense(8, 8, m.rows * m.cols // 64) for n in ("input", "grad_out")}
    return {**_batch_norm(m), **planes, **statistics, "train": True, "update": True, "output_mask": [True, True, True],
            "reserve": torch.empty(0, dtype=torch.uint8)}


def _softmax_backward(m):
    return {"output": torch.softmax(m.matrix().float(), -1).to(m.dtype), "input_dtype": m.dtype, "dim": -1}


def _nll_loss(m):
    return {"self": m.matrix(), "target": m.index(m.rows, below=m.cols), "reduction": 1, "ignore_index": -100}


def _nll_loss_backward(m):
    return {**_nll_loss(m), "grad_output": m.dense(), "total_weight": torch.tensor(float(m.rows)).to(m.dtype)}


def _attention_tensors(m, dtype=None):
    """[batch, heads, length, 64]; transposed means what models give: heads and length swapped in memory."""
    batch, heads, length = (1, 1, 1) if m.rows < 64 else (2, 8, m.rows // 2)
    shape = (batch, heads, length, 64)
    if m.layout == "transposed":
        return m.dense(batch, length, heads, 64).transpose(1, 2)
    return m.dense(*shape)


def _attention(m):
    return {n: _attention_tensors(m) for n in ("query", "key", "value")}


def _attention_backward(m):
    given = {n: _attention_tensors(m) for n in ("grad_out", "query", "key", "value")}
    out, logsumexp = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(given["query"], given["key"], given["value"])
    return {**given, "out": out, "logsumexp": logsumexp, "dropout_p": 0.0, "is_causal": False}


def _zero_dim_other(m):
    return {"other": m.dense()}


def _zero_dim_value(m):
    return {"value": m.dense()}


def _fused_adam(m):
    steps = [torch.ones((), dtype=torch.float32) for _ in m.list()]
    settings = {"lr": 1e-4, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.01, "eps": 1e-8, "amsgrad": False, "maximize": False}
    return {"max_exp_avg_sqs": [], "state_steps": steps, **settings}


def _fused_adagrad(m):
    steps = [torch.ones((), dtype=torch.float32) for _ in m.list()]
    return {"state_steps": steps, "lr": 1e-4, "lr_decay": 0.0, "weight_decay": 0.01, "eps": 1e-10, "maximize": False}


def _fused_sgd(m):
    return {"lr": 1e-4, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.01, "nesterov": False, "maximize": False, "is_first_step": False}


def _with_tensor_lr(rule):
    return lambda m: {**rule(m), "lr": torch.tensor(1e-4)}


def _unscale(m):
    return {"found_inf": torch.zeros(()), "inv_scale": torch.full((), 0.5)}


def _update_scale(m):
    return {"self": torch.full((), 8.0), "growth_tracker": torch.zeros((), dtype=torch.int32), "found_inf": torch.zeros(()), "scale_growth_factor": 2.0,
            "scale_backoff_factor": 0.5, "growth_interval": 2000}


def _cat(m):
    return {"tensors": [m.matrix() for _ in range(2)], "dim": -1}


def _topk(m):
    return {"k": min(8, m.cols)}


def _kthvalue(m):
    return {"k": (m.cols + 1) // 2}


def _weight_norm(m):
    v, norms = m.matrix(), m.dense(m.rows, 1)
    wide = norms.float() if m.dtype in (torch.bfloat16, torch.float16) else norms
    return {"v": v, "g": norms, "dim": 0, "grad_w": m.dense(m.rows, m.cols), "saved_v": v, "saved_g": norms, "saved_norms": wide}


def _convert(m):
    """Half types widen, everything else narrows: the two directions of mixed precision."""
    return {"dtype": torch.float32 if m.dtype in (torch.bfloat16, torch.float16) else torch.bfloat16}


def _clone(m):
    return {"memory_format": torch.contiguous_format}


def _sizes(m):
    return {"size": [m.rows, m.cols], "dtype": m.dtype, "n": m.rows, "m": m.cols, "fill_value": 0.5}


def _range(m):
    return {"start": 0, "end": m.rows * m.cols, "step": 1, "steps": m.rows * m.cols, "n": m.rows * m.cols, "dtype": m.dtype}


def _permutation(m):
    """The form with a generator doesn't let it be left out."""
    return {"n": m.rows * m.cols, "generator": torch.Generator().manual_seed(1)}


def _random_below(m):
    return {"from": 0, "to": 97}


def _repeats(m):
    return {"repeats": m.index(m.rows * m.cols, below=4)}


def _range_out(m):
    return {k: v for k, v in _range(m).items() if k != "dtype"}


def _pad(m):
    return {"pad": [1, 1]}


def _repeat(m):
    return {"repeats": [2, 1]}


def _flip(m):
    return {"dims": [-1]}


def _roll(m):
    return {"shifts": [1], "dims": [-1]}


def _range_of_values(m):
    return {"min": 0.2, "max": 0.8, "min_val": 0.2, "max_val": 0.8, "from": 0.0, "to": 1.0}


def _clamp_tensors(m):
    return {"min": m.matrix(), "max": m.matrix()}


def _rounding(m):
    return {"rounding_mode": "floor"}


def _running_extreme(m):
    """ATen believes all that it is told here: other indices than int64, or a negative dim, and it writes out of bounds."""
    return {"self": m.matrix(), "values": m.dense(m.rows, m.cols), "indices": m.index(m.rows, m.cols, below=m.cols), "dim": 1}


def _select_scatter(m):
    return {"self": m.matrix(), "src": m.dense(m.rows), "dim": 1, "index": 1}


def _nll_loss2d(m):
    """Eight classes at each place of an image."""
    rows = max(1, m.rows // 8)
    logits, target = m.dense(1, 8, rows, m.cols), m.index(1, rows, m.cols, below=8)
    return {"self": logits, "target": target, "reduction": 1, "ignore_index": -100, "grad_output": m.dense(), "total_weight": m.dense()}


def _multinomial(m):
    return {"self": m.matrix(), "num_samples": 1}


def _buckets(m):
    ends = torch.linspace(0, 1, 1024).to(m.dtype)
    return {"boundaries": ends, "sorted_sequence": ends}


def _members(m):
    return {"test_elements": m.dense(min(64, m.cols)), "elements": m.matrix(), "test_element": 0.5, "element": 0.5}


def _all_dims(m):
    return {"dim": None, "dims": None}


def _last_two(m):
    return {"dim": [0, 1]}


def _domain_above_one(m):
    return {"self": 1 + m.matrix()}


RULES = {
    "mm": _pair("self", "mat2"), "addmm": _addmm, "bmm": _batched, "baddbmm": _baddbmm,
    "mv": _mv, "addmv": _addmv, "addr": _addr, "dot": _vectors, "vdot": _vectors,
    "embedding": _embedding, "embedding_dense_backward": _embedding_backward,
    "index_select": _along_rows, "index_add": _along_rows, "index_copy": _along_rows, "index_fill": _along_rows,
    "gather": _elementwise_index, "scatter": _elementwise_index, "scatter_add": _elementwise_index,
    "scatter_reduce": _elementwise_index,
    **{f"scatter{form}": _scatter_reduce_name for form in (".reduce", "_.reduce", ".reduce_out", ".value_reduce", "_.value_reduce", ".value_reduce_out")},
    "index": _index, "index_put": _index, "_unsafe_index": _index, "_index_put_impl_": _index, "take": _take, "put": _take,
    "masked_fill": _masked_fill, "masked_fill.Tensor": _masked_fill_tensor, "masked_fill_.Tensor": _masked_fill_tensor,
    "fill.Tensor": _zero_dim_value, "fill_.Tensor": _zero_dim_value,
    "masked_select": _masked, "masked_scatter": _masked, "where": _where,
    "_cummax_helper": _running_extreme, "_cummin_helper": _running_extreme, "select_scatter": _select_scatter,
    "slice_backward": _slice_backward, "select_backward": _select_backward,
    "native_layer_norm": _layer_norm, "native_layer_norm_backward": _layer_norm_backward, "native_group_norm": _group_norm,
    "native_group_norm_backward": _group_norm_backward, "glu_backward": _glu_backward,
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit", "_batch_norm_with_update", "_native_batch_norm_legit_no_training", "_batch_norm_no_update"), _batch_norm),
    **dict.fromkeys(("native_batch_norm_backward", "batch_norm_backward"), _batch_norm_backward),
    "_fused_rms_norm": _layer_norm,
    "_softmax_backward_data": _softmax_backward, "_log_softmax_backward_data": _softmax_backward,
    "nll_loss_forward": _nll_loss, "nll_loss_backward": _nll_loss_backward, "nll_loss2d_forward": _nll_loss2d, "nll_loss2d_backward": _nll_loss2d,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
    "_fused_adamw": _fused_adam, "_fused_adam": _fused_adam, "_fused_adagrad": _fused_adagrad, "_fused_sgd": _fused_sgd,
    **{f"_fused_{n}_.tensor_lr": _with_tensor_lr(rule) for n, rule in (("adamw", _fused_adam), ("adam", _fused_adam), ("adagrad", _fused_adagrad), ("sgd", _fused_sgd))},
    "_amp_foreach_non_finite_check_and_unscale": _unscale, "_amp_update_scale": _update_scale,
    **{f"_foreach_{n}{i}.Tensor": _zero_dim_other for n in ("add", "mul", "div", "sub") for i in ("", "_")},
    "cat": _cat, "stack": _cat, "topk": _topk, "kthvalue": _kthvalue, "_weight_norm_interface": _weight_norm, "_weight_norm_interface_backward": _weight_norm, "_to_copy": _convert, "clone": _clone,
    **dict.fromkeys(("zeros", "ones", "full", "eye", "rand", "randn", "new_full"), _sizes),
    **dict.fromkeys(("arange", "linspace", "logspace", "randperm"), _range),
    **dict.fromkeys(("arange.start_out", "arange.out", "linspace.out", "logspace.out", "randperm.out"), _range_out),
    "constant_pad_nd": _pad, "repeat": _repeat, "flip": _flip, "roll": _roll,
    **dict.fromkeys(("clamp", "hardtanh", "uniform", "clamp_min", "clamp_max"), _range_of_values),
    **{f"clamp{n}{i}.Tensor": _clamp_tensors for n in ("", "_min", "_max") for i in ("", "_")},
    **{f"{n}{i}.{v}_mode": _rounding for n in ("div", "divide") for i in ("", "_") for v in ("Tensor", "Scalar")},
    "div.out_mode": _rounding, "randperm.generator_out": _permutation, "random_.from": _random_below, "repeat_interleave.Tensor": _repeats,
    "multinomial": _multinomial, "bucketize": _buckets, "searchsorted": _buckets, "isin": _members,
    "linalg_vector_norm": _all_dims, "logsumexp": _last_two, "acosh": _domain_above_one,
}  # fmt: skip


def flops(name, args):
    """Floating-point operations of the matmul-like; 0 where the time is that of moving bytes."""
    tensors = [a for a in args if isinstance(a, torch.Tensor)]
    if name in ("mm", "addmm", "addmm_"):
        a, b = tensors[-2:]
        return 2.0 * a.shape[0] * a.shape[1] * b.shape[1]
    if name in ("bmm", "baddbmm", "baddbmm_"):
        a, b = tensors[-2:]
        return 2.0 * a.shape[0] * a.shape[1] * a.shape[2] * b.shape[2]
    if name.startswith("_scaled_dot_product"):
        query, key = tensors[-3:-1] if not name.endswith("backward") else tensors[1:3]
        products = 5 if name.endswith("backward") else 2
        return 2.0 * products * query.numel() * key.shape[-2]
    return 0.0


# Operators that write their first argument without reading it.
WRITE_ONLY = ("copy_", "zero_", "fill_", "uniform_", "normal_", "random_", "exponential_", "bernoulli_", "geometric_", "cauchy_", "log_normal_")
# Operators that read only the chosen rows or elements of their first tensor.
SPARSE_READ = ("embedding", "index_select", "gather", "index", "take", "_unsafe_index")


def _size(value):
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, (list, tuple)):
        return sum(_size(v) for v in value)
    return 0


def bytes_moved(name, args, kwargs, result):
    """Bytes that an ideal kernel reads and writes: each input and each result once."""
    written = _size(result)
    inputs = list(args) + [v for k, v in kwargs.items() if "out" not in k]
    if name in WRITE_ONLY or name in SPARSE_READ:
        inputs = inputs[1:]
    read = _size(inputs) + (written if name in SPARSE_READ else 0)
    if result is None:  # the foreach and fused operators overwrite their first list and return nothing
        written = _size(args[0])
    return read + written
