// SPDX-License-Identifier: Apache-2.0
// Autograd of users' expressions. A gradient is an expression too, so it is an operator of its own, called through the dispatcher:
// tracers see it, and it has a gradient in turn. The engine sums a gradient up to its input's shape.
#include "expression.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <algorithm>
#include <cstring>

namespace carat {

// How the gradients of some inputs are computed: by operators of at most CARAT_MAX_OUTPUTS results.
struct Gradients {
    struct Part {
        c10::OperatorHandle handle;
        std::vector<int> sources; // of each operand: input i of the forward operator, or ~k for the gradient of its output k
        std::vector<int> inputs;  // whose gradients the results are
    };
    std::vector<Part> parts;
    std::vector<int> needed; // inputs of the forward operator that are saved
    std::string failure;     // why there are none: too many inputs, say; backward raises it
};

Expression::Expression() = default;
Expression::~Expression() = default;

namespace {

namespace autograd = torch::autograd;

int input_named(const carat_op* op, const char* name)
{
    for (int j = 0; j < carat_expression_inputs(op); j++)
        if (std::strcmp(carat_expression_input(op, j), name) == 0) return j;
    return -1;
}

void add_part(const Expression& expression, const std::vector<int>& inputs, const std::vector<carat_dtype>& dtypes, Gradients& made)
{
    const carat_op* op;
    const carat_status status = carat_expression_gradient(expression.op, inputs.data(), dtypes.data(), static_cast<int>(inputs.size()), &op);
    TORCH_CHECK(status == CARAT_OK || status == CARAT_INVALID_ARGUMENT, carat_last_error());
    if (status != CARAT_OK) {
        made.failure = carat_last_error();
        return;
    }
    Gradients::Part part{*define_expression(op, CARAT_DTYPE_NONE, nullptr).functional, {}, inputs};
    const int count = carat_expression_inputs(op), first_gradient = count - expression.outputs;
    for (int j = 0; j < count; j++)
        part.sources.push_back(j < first_gradient ? input_named(expression.op, carat_expression_input(op, j)) : ~(j - first_gradient));
    made.parts.push_back(std::move(part));
}

std::unique_ptr<Gradients> make_gradients(const Expression& expression, const std::string& wanted)
{
    auto made = std::make_unique<Gradients>();
    std::vector<int> inputs;
    std::vector<carat_dtype> dtypes;
    std::vector<bool> needed(wanted.size());
    for (size_t j = 0; j <= wanted.size(); j++) {
        if (inputs.size() == CARAT_MAX_OUTPUTS || (j == wanted.size() && !inputs.empty())) {
            add_part(expression, inputs, dtypes, *made);
            inputs.clear();
            dtypes.clear();
        }
        if (j == wanted.size() || wanted[j] == 0) continue;
        inputs.push_back(static_cast<int>(j));
        dtypes.push_back(static_cast<carat_dtype>(wanted[j] - 1));
    }
    if (!made->failure.empty()) return made;
    for (const Gradients::Part& part : made->parts)
        for (const int source : part.sources)
            if (source >= 0) needed[source] = true;
    for (size_t j = 0; j < needed.size(); j++)
        if (needed[j]) made->needed.push_back(static_cast<int>(j));
    return made;
}

// `wanted`: of each input one more than the dtype of its gradient, 0 for none.
const Gradients& gradients_of(Expression& expression, const std::string& wanted)
{
    {
        const std::lock_guard<std::mutex> lock(expression.mutex);
        for (const auto& known : expression.gradients)
            if (known.first == wanted) return *known.second;
    }
    auto made = make_gradients(expression, wanted);
    const std::lock_guard<std::mutex> lock(expression.mutex);
    expression.gradients.emplace_back(wanted, std::move(made));
    return *expression.gradients.back().second;
}

// ---- the node of the graph

struct Backward final : autograd::Node {
    std::string name() const override { return "CaratPointwiseBackward"; }

    void release_variables() override
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        saved.clear();
        released = !gradients->needed.empty();
    }

    autograd::variable_list apply(autograd::variable_list&& grads) override
    {
        TORCH_CHECK(gradients->failure.empty(), gradients->failure);
        const std::vector<at::Tensor> inputs = unpack();
        autograd::variable_list results(count);
        if (std::none_of(grads.begin(), grads.end(), [](const at::Tensor& grad) { return grad.defined(); })) return results;
        for (const Gradients::Part& part : gradients->parts) {
            bool wanted = false;
            for (const int j : part.inputs) wanted = wanted || task_should_compute_output(j);
            if (!wanted) continue;
            torch::jit::Stack stack;
            for (const int source : part.sources) stack.emplace_back(source >= 0 ? inputs[source] : gradient_of(~source, grads));
            for (const c10::IValue& scalar : scalars) stack.push_back(scalar);
            part.handle.callBoxed(stack);
            for (size_t k = 0; k < part.inputs.size(); k++) results[part.inputs[k]] = std::move(stack[k]).toTensor();
        }
        return results;
    }

    // The saved inputs in their places. Another thread's backward pass may be releasing them.
    std::vector<at::Tensor> unpack()
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        TORCH_CHECK(!released, autograd::ERR_BACKWARD_TWICE);
        std::vector<at::Tensor> inputs(count);
        for (size_t i = 0; i < saved.size(); i++) inputs[gradients->needed[i]] = saved[i].unpack();
        return inputs;
    }

    // Of output k, a zero if it has none: outputs that aren't floating take no part in autograd.
    at::Tensor gradient_of(int output, const autograd::variable_list& grads) const
    {
        const int place = places[output];
        if (place >= 0 && grads[place].defined()) return grads[place];
        return at::zeros({}, like);
    }

    const Gradients* gradients = nullptr;
    size_t count = 0;        // of the forward operator's inputs
    std::vector<autograd::SavedVariable> saved;
    std::vector<c10::IValue> scalars;
    std::vector<int> places; // of each output: which of the node's gradients is its own, -1 for none
    at::TensorOptions like;
    bool released = false;
};

// A pointer to nodes has become intrusive in later versions.
using NodePointer = decltype(autograd::Edge::function);

template <class Made, class Pointer>
Pointer make_node(Made** node)
{
    if constexpr (std::is_same_v<Pointer, std::shared_ptr<autograd::Node>>) {
        *node = new Made;
        return Pointer(*node, [](Made* made) { deleteNode(made); });
    } else {
        auto made = c10::make_intrusive<Made>();
        *node = made.get();
        return Pointer(std::move(made));
    }
}

// ---- functors

bool wants_gradient(const at::Tensor& tensor)
{
    return tensor.requires_grad() && at::isFloatingType(tensor.scalar_type());
}

struct Autograd final : c10::OperatorKernel {
    explicit Autograd(Expression& expression) : expression(expression) {}

    void operator()(const c10::OperatorHandle& handle, c10::DispatchKeySet keys, torch::jit::Stack* stack)
    {
        const size_t first = stack->size() - expression.inputs - expression.scalars;
        bool any = false;
        for (size_t j = first; j < first + expression.inputs; j++) {
            const at::Tensor& input = (*stack)[j].toTensor();
            any = any || wants_gradient(input);
            TORCH_CHECK_NOT_IMPLEMENTED(!autograd::isFwGradDefined(input), "Carat's expressions have no forward-mode derivatives");
        }
        if (!any || !at::GradMode::is_enabled()) {
            at::AutoDispatchBelowADInplaceOrView guard;
            handle.redispatchBoxed(keys & c10::after_ADInplaceOrView_keyset, stack);
            return;
        }
        Backward* node;
        const NodePointer pointer = make_node<Backward, NodePointer>(&node);
        Inputs inputs; // the results take their place on the stack
        for (int j = 0; j < expression.inputs; j++) inputs.push_back((*stack)[first + j].toTensor());
        for (size_t s = first + expression.inputs; s < stack->size(); s++) node->scalars.push_back((*stack)[s]);
        {
            at::AutoDispatchBelowADInplaceOrView guard;
            handle.redispatchBoxed(keys & c10::after_ADInplaceOrView_keyset, stack);
        }
        record(inputs, *stack, *node);
        attach(*stack, pointer, *node);
    }

    using Inputs = c10::SmallVector<at::Tensor, 4>;

    // What backward needs of the arguments. The engine sums up the gradient of an input that was broadcast and rounds it to the input's
    // dtype afterwards: until then it has the dtype that the expression computes in.
    void record(const Inputs& inputs, const torch::jit::Stack& stack, Backward& node) const
    {
        const at::Tensor& result = torch::jit::peek(stack, 0, expression.outputs).toTensor();
        const at::ScalarType widest = widest_dtype(inputs, stack);
        autograd::edge_list edges;
        std::string wanted(expression.inputs, 0);
        for (int j = 0; j < expression.inputs; j++) {
            const bool wants = wants_gradient(inputs[j]);
            edges.push_back(wants ? autograd::impl::gradient_edge(inputs[j]) : autograd::Edge());
            if (!wants) continue;
            at::ScalarType dtype = inputs[j].scalar_type();
            if (dtype != widest && inputs[j].sym_sizes() != result.sym_sizes()) dtype = c10::promoteTypes(dtype, widest);
            wanted[j] = static_cast<char>(carat_dtype_of(dtype) + 1);
        }
        node.set_next_edges(std::move(edges));
        node.count = expression.inputs;
        node.gradients = &gradients_of(expression, wanted);
        for (const int j : node.gradients->needed) node.saved.emplace_back(inputs[j], false);
    }

    // Of the floating results and inputs; 0-d inputs don't decide in what an expression computes.
    at::ScalarType widest_dtype(const Inputs& inputs, const torch::jit::Stack& stack) const
    {
        at::ScalarType widest = at::kBool;
        const auto join = [&](const at::Tensor& tensor) {
            if (at::isFloatingType(tensor.scalar_type())) widest = c10::promoteTypes(widest, tensor.scalar_type());
        };
        for (const at::Tensor& input : inputs)
            if (input.dim() > 0) join(input);
        for (int k = 0; k < expression.outputs; k++) join(torch::jit::peek(stack, k, expression.outputs).toTensor());
        return widest;
    }

    // The results, which are the stack's last values, become the node's.
    void attach(const torch::jit::Stack& stack, const NodePointer& pointer, Backward& node) const
    {
        int place = 0;
        for (int k = 0; k < expression.outputs; k++) {
            const at::Tensor& result = torch::jit::peek(stack, k, expression.outputs).toTensor();
            const bool differentiable = at::isFloatingType(result.scalar_type());
            if (k == 0) node.like = result.options().dtype(differentiable ? result.scalar_type() : at::kFloat);
            node.places.push_back(differentiable ? place++ : -1);
            if (differentiable) autograd::set_history(result, pointer);
        }
    }

    static carat_dtype carat_dtype_of(at::ScalarType dtype)
    {
        switch (dtype) {
        case at::kHalf: return CARAT_f16;
        case at::kBFloat16: return CARAT_bf16;
        case at::kFloat: return CARAT_f32;
        case at::kDouble: return CARAT_f64;
        default: TORCH_CHECK_TYPE(false, "expressions don't take ", dtype);
        }
    }

    Expression& expression;
};

struct AutogradOut final : c10::OperatorKernel {
    void operator()(const c10::OperatorHandle& handle, c10::DispatchKeySet keys, torch::jit::Stack* stack)
    {
        const size_t count = handle.schema().arguments().size();
        for (size_t i = stack->size() - count; i < stack->size(); i++)
            TORCH_CHECK(!(*stack)[i].isTensor() || !(*stack)[i].toTensor().requires_grad() || !at::GradMode::is_enabled(),
                        "functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.");
        at::AutoDispatchBelowAutograd guard;
        handle.redispatchBoxed(keys & c10::after_autograd_keyset, stack);
    }
};

}  // namespace

c10::KernelFunction make_autograd(Expression& expression)
{
    return c10::KernelFunction::makeFromBoxedFunctor(std::make_unique<Autograd>(expression));
}

c10::KernelFunction make_autograd_out(Expression&)
{
    return c10::KernelFunction::makeFromBoxedFunctor(std::make_unique<AutogradOut>());
}

}  // namespace carat
