// SPDX-License-Identifier: Apache-2.0
// The C API under arbitrary arguments: fuzz_test [seconds [seed [cuda]]].
//
// Random calls of every operator, with tensors whose memory ends (or begins) at a page that can't be touched, so that one
// element too far crashes even in a kernel without a sanitizer. A call that was accepted is kept as its operator's pattern,
// and later calls are mutations of it: that way the fuzz gets past the first checks. What must hold of every call:
//  - a status of the list, with a message or reason if it is not CARAT_OK;
//  - CARAT_UNSUPPORTED and bad arguments leave every byte as it was and have made no output;
//  - CARAT_OK leaves alone what it may not write: all tensors but the out= ones and an in-place operator's arguments.
#include "cases.h"

#include "core/op.h"
#include "core/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { MAX_ARGS = 10, MAX_ITEMS = 3, PAGE = 4096, ROOM = 16 * PAGE, MAX_PATTERNS = 4096 };

static uint64_t state = 1, first_seed;
static long calls;

static uint64_t draw(void) { return random_bits(&state); }
static int below(int n) { return (int)(draw() % (uint64_t)n); }
static bool chance(int percent) { return below(100) < percent; }

// ---- what a call is made of, as plain data that can be mutated

typedef struct tensor_plan {
    carat_dtype dtype;
    int ndim;
    int64_t shape[CARAT_MAX_DIMS];
    int layout;   // 0 contiguous, 1 transposed, 2 sliced, 3 first dimension reversed, 4 last dimension expanded
    int fill;     // 0 random bits, 1 small non-negative numbers, 2 zeros
    int damage;   // 0 none; otherwise a lie that must be found out
    bool at_end;  // the memory ends where the page does, else begins there
} tensor_plan;

typedef struct arg_plan {
    carat_arg_kind kind;
    int count;
    int64_t integer;
    double number;
    tensor_plan tensor[MAX_ITEMS];
} arg_plan;

typedef struct call_plan {
    int nargs, nouts;
    arg_plan args[MAX_ARGS];
    tensor_plan outs[CARAT_MAX_OUTPUTS];
    bool no_outputs;   // the context can't make results
    int failing;       // number of the result whose allocation fails, -1 for none
} call_plan;

static int64_t some_size(void)
{
    static const int64_t sizes[] = { 0, 1, 1, 2, 2, 3, 4, 4, 5, 8, 16, 17, 33, 64, 130 };
    return sizes[below(sizeof sizes / sizeof *sizes)];
}

static int64_t some_integer(void)
{
    static const int64_t odd[] = { INT64_MIN, INT64_MAX, INT64_MIN + 1, 1ll << 32, -(1ll << 31), 1000000007, -1000 };
    return chance(10) ? odd[below(sizeof odd / sizeof *odd)] : below(8) - 3;
}

static double some_number(void)
{
    static const double odd[] = { 0.0, -0.0, 1e300, -1e300, 0x1p-1074, 1.0 / 0.0, 0.0 / 0.0 };
    return chance(15) ? odd[below(sizeof odd / sizeof *odd)] : (below(200) - 60) / 32.0;
}

static tensor_plan some_tensor(const tensor_plan *like)
{
    static const carat_dtype usual[] = { CARAT_f32, CARAT_f32, CARAT_f32, CARAT_bf16, CARAT_i64, CARAT_b8, CARAT_f64 };
    tensor_plan plan = { .dtype = chance(75) ? usual[below(7)] : (carat_dtype)below(CARAT_DTYPE_COUNT) };
    plan.ndim = chance(3) ? below(CARAT_MAX_DIMS + 1) : below(4);
    int64_t count = 1;
    for (int d = 0; d < plan.ndim; ++d) {
        plan.shape[d] = some_size();
        if (plan.shape[d] * count > 4096 / 16) plan.shape[d] = 1;
        count *= plan.shape[d] ? plan.shape[d] : 1;
    }
    if (like && chance(70)) {
        plan = *like;
        if (chance(25)) plan.dtype = usual[below(7)];
        if (plan.ndim && chance(20)) plan.shape[below(plan.ndim)] = 1;
        if (plan.ndim && chance(10)) plan.ndim--;
    }
    plan.layout = chance(50) ? 0 : below(5);
    plan.fill = below(3);
    plan.damage = chance(2) ? 1 + below(7) : 0;
    plan.at_end = chance(70);
    return plan;
}

static arg_plan some_argument(const tensor_plan *like)
{
    static const carat_arg_kind usual[] = { CARAT_ARG_TENSOR, CARAT_ARG_TENSOR, CARAT_ARG_TENSOR, CARAT_ARG_INT, CARAT_ARG_INT,
                                            CARAT_ARG_SCALAR, CARAT_ARG_FLOAT, CARAT_ARG_INTS, CARAT_ARG_NONE, CARAT_ARG_TENSORS };
    arg_plan plan = { .kind = chance(85) ? usual[below(10)] : (carat_arg_kind)below(CARAT_ARG_OPAQUE), .count = below(MAX_ITEMS + 1),
                      .integer = some_integer(), .number = some_number() };
    for (int i = 0; i < MAX_ITEMS; ++i) plan.tensor[i] = some_tensor(like);
    return plan;
}

static call_plan some_call(void)
{
    call_plan plan = { .nargs = 1 + below(chance(20) ? MAX_ARGS : 4), .nouts = chance(30) ? 1 + below(2) : 0, .failing = -1 };
    plan.args[0] = some_argument(NULL);
    if (chance(85)) plan.args[0].kind = CARAT_ARG_TENSOR;
    for (int i = 1; i < plan.nargs; ++i) plan.args[i] = some_argument(&plan.args[0].tensor[0]);
    for (int i = 0; i < plan.nouts; ++i) plan.outs[i] = some_tensor(&plan.args[0].tensor[0]);
    return plan;
}

static void mutate(call_plan *plan)
{
    const tensor_plan like = plan->args[0].tensor[0];
    do {
        switch (below(6)) {
        case 0: plan->args[below(plan->nargs)] = some_argument(&like); break;
        case 1: plan->args[below(plan->nargs)].tensor[below(MAX_ITEMS)] = some_tensor(&like); break;
        case 2: plan->args[below(plan->nargs)].integer = some_integer(); break;
        case 3: plan->args[below(plan->nargs)].number = some_number(); break;
        case 4: if (plan->nargs < MAX_ARGS) plan->args[plan->nargs++] = some_argument(&like); break;
        case 5: if (plan->nouts) plan->outs[below(plan->nouts)] = some_tensor(&like); break;
        }
    } while (chance(40));
    plan->no_outputs = chance(3);
    plan->failing = chance(5) ? below(2) : -1;
}

// ---- tensors in guarded memory

typedef struct guarded {
    carat_tensor view;
    int64_t shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS];
    uint64_t sum; // of all bytes before the call
} guarded;

enum { MAX_TENSORS = MAX_ARGS * MAX_ITEMS + CARAT_MAX_OUTPUTS };
static guarded tensors[MAX_TENSORS];
static unsigned char *rooms; // MAX_TENSORS rooms with an untouchable page before and after each
static int used;

static unsigned char *room(int index) { return rooms + PAGE + (size_t)index * (ROOM + PAGE); }

static void make_rooms(void)
{
    rooms = mmap(NULL, PAGE + MAX_TENSORS * (ROOM + PAGE), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (rooms == MAP_FAILED) exit(77);
    for (int i = 0; i < MAX_TENSORS; ++i)
        if (mprotect(room(i), ROOM, PROT_READ | PROT_WRITE)) exit(77);
}

static uint64_t checksum(int index)
{
    const uint64_t *words = (const uint64_t *)room(index);
    uint64_t sum = 0;
    for (size_t i = 0; i < ROOM / sizeof *words; ++i) sum = (sum ^ words[i]) * 0x100000001b3;
    return sum;
}

static void fill(int index, carat_dtype dtype, int how)
{
    unsigned char *bytes = room(index);
    const size_t size = carat_dtype_size(dtype);
    memset(bytes, 0, ROOM);
    for (size_t i = 0; how == 0 && i < ROOM; i += 8) memcpy(bytes + i, &(uint64_t){ draw() }, 8);
    for (size_t i = 0; how == 1 && size && i + size <= ROOM; i += size)
        carat_scalar_store((carat_scalar){ .kind = CARAT_SCALAR_INT, .i = below(4) }, dtype, bytes + i);
    for (size_t i = 0; dtype == CARAT_b8 && i < ROOM; ++i) bytes[i] &= 1;
}

static void lay_out(guarded *t, const tensor_plan *plan)
{
    const int ndim = t->view.ndim;
    memcpy(t->shape, plan->shape, sizeof t->shape);
    carat_contiguous_strides(ndim, t->shape, t->strides);
    if (plan->layout == 1 && ndim > 1) {
        const int64_t rows = t->shape[0] > 1 ? t->shape[0] : 1;
        for (int d = 1; d < ndim; ++d) t->strides[d] *= rows;
        t->strides[0] = 1;
    }
    for (int d = 0; plan->layout == 2 && d < ndim; ++d) t->strides[d] *= 2;
    if (plan->layout == 3 && ndim) t->strides[0] = -t->strides[0];
    if (plan->layout == 4 && ndim) t->strides[ndim - 1] = 0;
}

// A lie about the tensor that can be seen without touching its memory.
static void damage(guarded *t, int how)
{
    switch (how) {
    case 1: t->view.ndim = -1; break;
    case 2: t->view.ndim = CARAT_MAX_DIMS + 1; break;
    case 3: t->view.shape = t->view.ndim ? NULL : t->shape; break;
    case 4: t->view.strides = t->view.ndim ? NULL : t->strides; break;
    case 5: if (t->view.ndim) t->shape[t->view.ndim - 1] = -1; break;
    case 6: t->view.dl_dtype = (carat_dl_dtype){ (uint8_t)below(256), (uint8_t)(1 + below(255)), (uint16_t)below(3) };
            if (carat_dtype_from_dl(t->view.dl_dtype) == CARAT_DTYPE_NONE) break; // else it may be larger than what there is
            t->view.dl_dtype.lanes = 7; break;
    case 7: if (t->view.ndim) t->shape[0] = INT64_MAX / 3, t->strides[0] = 5; break;
    }
}

static carat_tensor make_tensor(const tensor_plan *plan)
{
    const int index = used++;
    guarded *t = &tensors[index];
    t->view = (carat_tensor){ .device = case_device, .ndim = plan->ndim, .dl_dtype = carat_dtype_to_dl(plan->dtype),
                              .shape = t->shape, .strides = t->strides };
    lay_out(t, plan);
    int64_t low = 0, high = 1;
    for (int d = 0; d < plan->ndim; ++d) {
        const int64_t reach = t->shape[d] ? t->strides[d] * (t->shape[d] - 1) : 0;
        if (reach < 0) low += reach;
        else high += reach;
    }
    const int64_t size = (int64_t)carat_dtype_size(plan->dtype);
    if ((high - low) * size > ROOM) { // a plan too large for a room: one element
        t->view.ndim = 0;
        low = 0, high = 1;
    }
    fill(index, plan->dtype, plan->fill);
    unsigned char *first = room(index) - low * size, *last = room(index) + ROOM - high * size;
    t->view.data = plan->at_end ? last : first;
    if (plan->damage) damage(t, plan->damage);
    t->sum = checksum(index);
    return t->view;
}

// ---- a call

static carat_tensor list_tensors[MAX_ARGS][MAX_ITEMS];
static int64_t list_ints[MAX_ARGS][MAX_ITEMS];
static double list_floats[MAX_ARGS][MAX_ITEMS];
static carat_scalar list_scalars[MAX_ARGS][MAX_ITEMS];

static carat_scalar make_scalar(const arg_plan *plan)
{
    return (carat_scalar){ .kind = (carat_scalar_kind)(plan->integer & 3), .i = (plan->integer & 3) ? plan->integer : plan->count & 1,
                           .re = plan->number, .im = -plan->number };
}

static carat_arg make_argument(const arg_plan *plan, int place)
{
    carat_arg arg = { .kind = plan->kind, .flags = plan->count == 3 };
    switch (plan->kind) {
    case CARAT_ARG_TENSOR: arg.tensor = make_tensor(&plan->tensor[0]); break;
    case CARAT_ARG_SCALAR: arg.scalar = make_scalar(plan); break;
    case CARAT_ARG_INT: case CARAT_ARG_DTYPE: arg.i = plan->integer; break;
    case CARAT_ARG_FLOAT: arg.f = plan->number; break;
    case CARAT_ARG_STRING: arg.string = plan->count == 3 ? NULL : plan->count ? "sum" : "none"; break;
    case CARAT_ARG_INTS:
        for (int i = 0; i < plan->count; ++i) list_ints[place][i] = i ? some_integer() : plan->integer;
        arg.ints.items = list_ints[place], arg.ints.count = plan->count;
        break;
    case CARAT_ARG_FLOATS:
        for (int i = 0; i < plan->count; ++i) list_floats[place][i] = plan->number;
        arg.floats.items = list_floats[place], arg.floats.count = plan->count;
        break;
    case CARAT_ARG_SCALARS:
        for (int i = 0; i < plan->count; ++i) list_scalars[place][i] = make_scalar(plan);
        arg.scalars.items = list_scalars[place], arg.scalars.count = plan->count;
        break;
    case CARAT_ARG_TENSORS:
        for (int i = 0; i < plan->count; ++i) list_tensors[place][i] = make_tensor(&plan->tensor[i]);
        arg.tensors.items = list_tensors[place], arg.tensors.count = plan->count;
        break;
    default: break;
    }
    if (plan->kind >= CARAT_ARG_INTS && plan->kind <= CARAT_ARG_TENSORS && plan->integer == INT64_MIN) arg.ints.items = NULL;
    if (plan->kind >= CARAT_ARG_INTS && plan->kind <= CARAT_ARG_TENSORS && plan->integer == INT64_MIN + 1) arg.ints.count = -5;
    return arg;
}

typedef struct host {
    case_host host;
    carat_context results;
    int failing, made;
} host;

static carat_status make_output(void *self, int index, carat_device device, carat_dtype dtype, int ndim, const int64_t *shape,
                                const int64_t *strides, void **data)
{
    host *const h = self;
    if (index == h->failing) return CARAT_OUT_OF_MEMORY;
    int64_t count = 1;
    for (int d = 0; d < ndim; ++d)
        if (__builtin_mul_overflow(count, shape[d], &count) || count > 1 << 20) return CARAT_OUT_OF_MEMORY;
    h->made++;
    return h->results.make_output(h->results.host, index, device, dtype, ndim, shape, strides, data);
}

// Pieces of a single group, last first: no kernel may lean on order or size.
static void backwards(void *self, int64_t count, int64_t grain, void (*task)(void *, int64_t, int64_t), void *arg)
{
    (void)self, (void)grain;
    const int64_t piece = count > 16 ? count / 16 : 1;
    for (int64_t end = count; end > 0; end -= piece) task(arg, end > piece ? end - piece : 0, end);
}
static int three(void *self) { return (void)self, 3; }

static _Noreturn void broken(const carat_op *op, carat_status status, const char *what)
{
    fprintf(stderr, "%s: %s (%s, \"%s\"); call %ld of: fuzz_test 600 %llu\n", carat_op_name(op), what, carat_status_name(status),
            status == CARAT_UNSUPPORTED ? carat_last_reason() : carat_last_error(), calls, (unsigned long long)first_seed);
    exit(1);
}

static void check(const carat_op *op, const call_plan *plan, carat_status status, const host *h, int first_out)
{
    if (strcmp(carat_status_name(status), "?") == 0 || (int)status < 0 || status > CARAT_INTERNAL_ERROR) broken(op, status, "a status that is none");
    if (status == CARAT_INTERNAL_ERROR) broken(op, status, "an internal error");
    if (status != CARAT_OK && !*(status == CARAT_UNSUPPORTED ? carat_last_reason() : carat_last_error())) broken(op, status, "no message");
    const bool untouched = status == CARAT_UNSUPPORTED;
    if (untouched && h->made) broken(op, status, "stepped aside after making an output");
    const bool list_first = plan->args[0].kind == CARAT_ARG_TENSORS || op->family == &carat_family_optimizer;
    for (int i = 0; i < used; ++i) {
        const bool may_write = i >= first_out || (op->in_place && (i == 0 || list_first));
        if ((untouched || !may_write) && checksum(i) != tensors[i].sum) broken(op, status, "wrote to a tensor that is not its own");
    }
}

static carat_status run(const carat_op *op, const call_plan *plan, uint64_t seed)
{
    carat_arg args[MAX_ARGS];
    carat_tensor outs[CARAT_MAX_OUTPUTS];
    used = 0;
    for (int i = 0; i < plan->nargs; ++i) args[i] = make_argument(&plan->args[i], i);
    const int first_out = used;
    for (int i = 0; i < plan->nouts; ++i) outs[i] = make_tensor(&plan->outs[i]);
    carat_results results = { 0 };
    host h = { .failing = plan->failing };
    h.results = case_context(&h.host, &results);
    carat_context context = h.results;
    context.host = &h;
    context.make_output = plan->no_outputs ? NULL : make_output;
    context.parallel_for = seed & 1 ? backwards : NULL;
    context.thread_count = seed & 1 ? three : NULL;
    const carat_status status = carat_call(&context, op, args, plan->nargs, outs, plan->nouts);
    check(op, plan, status, &h, first_out);
    carat_results_free(&results);
    return status;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static call_plan patterns[MAX_PATTERNS];
static bool has_pattern[MAX_PATTERNS];

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? atof(argv[1]) : 5;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL) << 20;
    const int count = (int)carat_op_count();
    if (argc > 3) case_device.type = CARAT_CUDA;
    if (count > MAX_PATTERNS) return fprintf(stderr, "%d operators: enlarge MAX_PATTERNS\n", count), 1;
    make_rooms();
    long served = 0;
    first_seed = seed;
    for (const double end = now() + seconds; now() < end; ++calls, ++seed) {
        state = seed * 2654435761u + 1;
        const int which = below(count);
        if (!carat_op_runs_on(carat_op_at((size_t)which), case_device.type)) continue;
        call_plan plan = has_pattern[which] && chance(80) ? patterns[which] : some_call();
        if (has_pattern[which]) mutate(&plan);
        const carat_status status = run(carat_op_at((size_t)which), &plan, seed);
        if (status != CARAT_OK) continue;
        patterns[which] = plan;
        has_pattern[which] = true;
        served++;
    }
    int reached = 0;
    for (int i = 0; i < count; ++i) reached += has_pattern[i];
    printf("%ld calls, %ld served, %d of %d operators served at least once\n", calls, served, reached, count);
    if (getenv("FUZZ_LIST"))
        for (int i = 0; i < count; ++i)
            if (!has_pattern[i]) printf("  never served: %s\n", carat_op_name(carat_op_at((size_t)i)));
    return case_device.type == CARAT_CPU ? reached * 4 < count : !reached; // a fuzz that is always refused tests nothing
}
