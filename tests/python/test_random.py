# SPDX-License-Identifier: Apache-2.0
"""Random numbers: the very bits of ATen's, and its generator left in the very state."""

import ctypes
import threading

import pytest
import torch

import carat

SIZES = [128, 129, 143, 144, 311, 312, 313, 623, 624, 625, 1000, 1248, 5000, 20001]
FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
SINGLES = [torch.float32, torch.float16, torch.bfloat16]
NUMBERS = FLOATS + [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]

CALLS = [
    ("bernoulli_.float", lambda x, g: x.bernoulli_(0.3, generator=g), NUMBERS),
    ("uniform_", lambda x, g: x.uniform_(generator=g), FLOATS),
    ("uniform_", lambda x, g: x.uniform_(-0.37, 1.91, generator=g), FLOATS),
    ("normal_", lambda x, g: x.normal_(generator=g), SINGLES),
    ("normal_", lambda x, g: x.normal_(-3.3, 0.02, generator=g), SINGLES),
    ("exponential_", lambda x, g: x.exponential_(generator=g), SINGLES),
    ("exponential_", lambda x, g: x.exponential_(0.3, generator=g), SINGLES),
    ("random_", lambda x, g: x.random_(generator=g), NUMBERS),
    ("random_.to", lambda x, g: x.random_(2, generator=g), NUMBERS),
    ("random_.to", lambda x, g: x.random_(97, generator=g), [d for d in NUMBERS if d != torch.bool]),
    ("random_.from", lambda x, g: x.random_(-100, 28, generator=g), [d for d in NUMBERS if d not in (torch.bool, torch.uint8)]),
    ("random_.from", lambda x, g: x.random_(-(2**20) + 1, 2**21, generator=g), [torch.float32, torch.float64, torch.int32, torch.int64]),
    ("random_.from", lambda x, g: x.random_(-5, 2**28 - 6, generator=g), [torch.float64, torch.int32, torch.int64]),
]


def generator(seed, used=0):
    """A generator that has given `used` words, so that it stands within its block."""
    made = torch.Generator().manual_seed(seed)
    if used:
        torch.empty(used).uniform_(generator=made)
    return made


def alike(name, call, make, seed=1, used=0, served=True, default=False):
    """Values, the generator's state after it (a cached normal number in it), and what is drawn next. `make` gives the tensor to
    fill, or a list for results; `default`: the default generator is drawn from."""
    mine, theirs = make(), make()
    expected_from, got_from = generator(seed, used), generator(seed, used)
    if default:
        expected_from = got_from = torch.default_generator
        torch.manual_seed(seed)
    call(theirs, expected_from)
    expected_state = expected_from.get_state()
    if default:
        torch.manual_seed(seed)
    carat.stats(reset=True)
    with carat.use(only=["random"]):
        call(mine, got_from)
    stat = carat.stats().get(name)
    skip_others(stat)
    assert (stat is not None and stat.calls == 1) == served, (name, stat)
    for got, expected in zip(*((mine, theirs) if isinstance(mine, list) else ([mine], [theirs]))):
        as_bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[got.element_size()]
        assert torch.equal(got.contiguous().view(as_bits), expected.contiguous().view(as_bits)), name
        assert got.stride() == expected.stride() and got.dtype == expected.dtype
    assert torch.equal(expected_state, got_from.get_state()), name


def skip_others(stat):
    if stat is not None and any("other random numbers" in reason for reason in stat.reasons):
        pytest.skip("this ATen draws other numbers")


@pytest.mark.parametrize("index", range(len(CALLS)))
def test_stream(index):
    name, call, dtypes = CALLS[index]
    for dtype in dtypes:
        for n, size in enumerate(SIZES):
            alike(name, call, lambda: torch.zeros(size, dtype=dtype), seed=n, used=[0, 1, 17, 600, 623, 624, 625][n % 7])


@pytest.mark.parametrize("name, call, dtype", [(CALLS[0][0], CALLS[0][1], torch.float32), (CALLS[2][0], CALLS[2][1], torch.float64),
                                               (CALLS[3][0], CALLS[3][1], torch.float32), (CALLS[5][0], CALLS[5][1], torch.float32),
                                               (CALLS[9][0], CALLS[9][1], torch.int64)])
def test_large(name, call, dtype):
    alike(name, call, lambda: torch.zeros(1_000_003, dtype=dtype), used=5)


EACH = [
    ("bernoulli_.Tensor", lambda x, y, g: torch.empty_like(y).bernoulli_(y, generator=g), FLOATS),
    ("bernoulli_.Tensor", lambda x, y, g: torch.empty(3, *y.shape, dtype=y.dtype).bernoulli_(y, generator=g), FLOATS),
    ("bernoulli.out", lambda x, y, g: torch.bernoulli(y, generator=g, out=torch.empty(y.shape, dtype=y.dtype)), FLOATS),
    ("normal.Tensor_float", lambda x, y, g: torch.normal(x, 1.7, generator=g), SINGLES),
    ("normal.float_Tensor", lambda x, y, g: torch.normal(-0.3, y, generator=g), SINGLES),
    ("normal.Tensor_Tensor", lambda x, y, g: torch.normal(x, y, generator=g), SINGLES),
    ("normal.Tensor_Tensor", lambda x, y, g: torch.normal(x[..., None], y[:5], generator=g), SINGLES),
    ("normal.Tensor_float_out", lambda x, y, g: torch.normal(x, 0.2, generator=g, out=torch.empty_like(x)), SINGLES),
    ("normal.float_Tensor_out", lambda x, y, g: torch.normal(4.0, y, generator=g, out=torch.empty_like(x)), SINGLES),
    ("normal.Tensor_Tensor_out", lambda x, y, g: torch.normal(x, y, generator=g, out=torch.empty_like(x)), SINGLES),
]


@pytest.mark.parametrize("index", range(len(EACH)))
def test_parameters_of_each_element(index):
    name, call, dtypes = EACH[index]
    for dtype, size in ((dtype, size) for dtype in dtypes for size in SIZES):
        x, y = torch.randn(size).to(dtype), torch.rand(size).to(dtype)
        alike(name, lambda results, g: results.append(call(x, y, g)), list, used=size % 625)


def test_dropout():
    for dtype, size, p in ((dtype, size, p) for dtype in FLOATS for size in (16, 5000) for p in (0.0, 0.1, 0.5, 1.0)):
        for x in (torch.randn(size).to(dtype), torch.randn(size // 4, 8).to(dtype).t(), torch.randn(8, size // 2)[:, ::2].to(dtype)):
            alike("native_dropout", lambda results, g: results.extend(torch.native_dropout(x, p, True)), list, default=True)
    x = torch.randn(300)
    with carat.use():
        out, mask = torch.native_dropout(x, 0.5, False)
    assert torch.equal(out, x) and mask.all()


def test_bad_parameters_are_left_to_aten():
    ones = torch.ones(500)
    for call in (lambda: torch.bernoulli(2 * ones), lambda: torch.bernoulli(-ones), lambda: torch.normal(ones, -ones),
                 lambda: torch.normal(ones, torch.nan * ones), lambda: torch.normal(ones, -1.0), lambda: torch.native_dropout(ones, 1.5, True)):
        state = torch.get_rng_state()
        with carat.use(only=["random"]), pytest.raises(RuntimeError):
            call()
        assert torch.equal(torch.get_rng_state(), state)


def test_results_do_not_depend_on_threads():
    before = torch.get_num_threads()
    drawn = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(3)
            with carat.use(only=["random"]):
                drawn.append((torch.empty(300_001).uniform_(), torch.empty(300_001).normal_(), torch.get_rng_state()))
    finally:
        torch.set_num_threads(before)
    for other in drawn[1:]:
        assert all(torch.equal(a, b) for a, b in zip(drawn[0], other))


LAYOUTS = {
    "transposed": lambda dtype: torch.zeros(40, 30, dtype=dtype).t(),
    "permuted": lambda dtype: torch.zeros(7, 8, 9, dtype=dtype).permute(1, 2, 0),
    "columns": lambda dtype: torch.zeros(50, 60, dtype=dtype)[:, ::2],
    "gaps, transposed": lambda dtype: torch.zeros(50, 60, dtype=dtype)[3:40, 5:31].t(),
    "offset": lambda dtype: torch.zeros(1000, dtype=dtype)[13:],
    "channels last": lambda dtype: torch.zeros(2, 8, 5, 5, dtype=dtype).to(memory_format=torch.channels_last),
    "size one": lambda dtype: torch.zeros(30, 1, 40, dtype=dtype)[:, :, ::3],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    for name, call, _ in (CALLS[0], CALLS[1], CALLS[5], CALLS[7]):
        alike(name, call, lambda: LAYOUTS[layout](torch.float32), used=3)


def test_normal_with_gaps_draws_doubles():
    alike("normal_", CALLS[3][1], lambda: torch.zeros(40, 30).t(), served=False)


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 40, 127])
def test_small(size):
    """Few elements are ATen's, whose cached normal number stays where it is."""
    for name, call, dtypes in CALLS:
        mine, theirs = torch.zeros(size, dtype=dtypes[0]), torch.zeros(size, dtype=dtypes[0])
        a, b = generator(5, 3), generator(5, 3)
        for drawn in (a, b):
            torch.empty(3).normal_(generator=drawn)  # leaves a cached number
        call(theirs, b)
        with carat.use(only=["random"]):
            call(mine, a)
        assert torch.equal(mine, theirs) and torch.equal(a.get_state(), b.get_state()), name


def test_cached_normal_survives():
    a, b = generator(5), generator(5)
    for drawn in (a, b):
        torch.empty(3).normal_(generator=drawn)
    with carat.use(only=["random"]):
        torch.empty(200).uniform_(generator=a)
    torch.empty(200).uniform_(generator=b)
    assert torch.equal(a.get_state(), b.get_state())
    assert torch.equal(torch.empty(5).normal_(generator=a), torch.empty(5).normal_(generator=b))


@pytest.mark.parametrize("p", [0.0, 1.0, 0.5, 1e-300, 5e-324, 1 - 2**-53, 2**-53, 0.1])
def test_probabilities(p):
    alike("bernoulli_.float", lambda x, g: x.bernoulli_(p, generator=g), lambda: torch.zeros(3000))


@pytest.mark.parametrize("low, high", [(0, 1), (-1, 1), (-0.01, 0.01), (1e6, 1e6 + 0.7), (-3e38, 0), (1, 1), (5.0, 5.0000005), (0, 1e-40)])
def test_bounds(low, high):
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        alike_or_aside("uniform_", lambda x, g: x.uniform_(low, high, generator=g), lambda: torch.zeros(3000, dtype=dtype))


def alike_or_aside(name, call, make):
    mine, theirs = make(), make()
    a, b = generator(9), generator(9)
    call(theirs, b)
    with carat.use(only=["random"]):
        call(mine, a)
    assert torch.equal(mine, theirs) and torch.equal(a.get_state(), b.get_state()), name


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
@pytest.mark.parametrize("n", [16, 100, 1024, 1025, 1026, 5000, 70_001])
def test_randperm(n, dtype):
    a, b = generator(4, 11), generator(4, 11)
    expected = torch.randperm(n, generator=b, dtype=dtype)
    carat.stats(reset=True)
    with carat.use(only=["random"]):
        got = torch.randperm(n, generator=a, dtype=dtype)
    assert carat.stats()["randperm.generator_out"].calls == 1
    assert torch.equal(expected, got) and torch.equal(a.get_state(), b.get_state())


def test_default_generator_and_dropout():
    x = torch.randn(64, 1000)
    drawn = []
    for use in (False, True):
        torch.manual_seed(12)
        carat.stats(reset=True)
        with carat.use() if use else carat.use(only=[]):
            drawn.append((torch.nn.functional.dropout(x, 0.2), torch.rand(1000), torch.get_rng_state()))
    skip_others(carat.stats().get("bernoulli_.float"))
    assert carat.stats()["bernoulli_.float"].calls == 1 and carat.stats()["uniform_"].calls == 1
    assert torch.equal(drawn[0][1], drawn[1][1]) and torch.equal(drawn[0][2], drawn[1][2])
    torch.testing.assert_close(drawn[0][0], drawn[1][0])


@pytest.mark.parametrize("call", [lambda x: x.bernoulli_(1.5), lambda x: x.bernoulli_(float("nan")), lambda x: x.uniform_(2, 1),
                                  lambda x: x.normal_(0, -1), lambda x: x.exponential_(-1), lambda x: x.random_(5, 5),
                                  lambda x: x.random_(-1), lambda x: x.half().random_(0, 70000)])
def test_bad_input_is_atens(call):
    messages = []
    for use in (False, True):
        state = torch.get_rng_state()
        with carat.use() if use else carat.use(only=[]), pytest.raises(Exception) as caught:
            call(torch.zeros(100))
        messages.append((caught.type, str(caught.value)))
        assert torch.equal(state, torch.get_rng_state())
    assert messages[0] == messages[1]


def test_threads_share_a_generator():
    """Each call draws a stretch of its own: together they are the stretches of the stream."""
    shared, drawn = generator(8), []

    def work():
        with carat.use(only=["random"]):
            for _ in range(20):
                drawn.append(torch.empty(1000).uniform_(generator=shared))

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    expected = torch.empty(80, 1000).uniform_(generator=generator(8))
    key = lambda row: tuple(row[:4].tolist())
    assert sorted(map(key, drawn)) == sorted(map(key, expected))


def test_foreign_state_is_atens():
    """A state that no sequence of calls leads to: block and position don't fit."""
    state = generator(1, 10).get_state()
    left = ctypes.c_uint32.from_address(state.data_ptr() + 8)
    left.value -= 1
    drawn = []
    for use in (False, True):
        g = torch.Generator()
        g.set_state(state)
        with carat.use(only=["random"]) if use else carat.use(only=[]):
            drawn.append((torch.empty(200).uniform_(generator=g), g.get_state()))
    assert all(torch.equal(a, b) for a, b in zip(*drawn))
