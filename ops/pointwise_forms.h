// SPDX-License-Identifier: Apache-2.0
// The shapes of a pointwise row, all in terms of POINTWISE(id, overloads, inputs, rule, dtypes, body, ...), which the
// includer defines. Extra columns are designated initialisers of carat_pointwise_row (SCALARS, KINDS, PARAMS, RUN).
#define UNARY(id, ...)   POINTWISE(id, #id " " #id "_ " #id ".out", 1, __VA_ARGS__)
#define BINARY(id, ...)  POINTWISE(id, #id ".Tensor " #id "_.Tensor " #id ".out", 2, __VA_ARGS__)
// With a Scalar overload of its own.
#define BINARY_SCALAR(id, ...) \
    POINTWISE(id, #id ".Tensor " #id "_.Tensor " #id ".out " #id ".Scalar " #id "_.Scalar " #id ".Scalar_out", 2, __VA_ARGS__)
#define COMPARE(id, ...) \
    POINTWISE(id, #id ".Tensor " #id "_.Tensor " #id ".Tensor_out " #id ".Scalar " #id "_.Scalar " #id ".Scalar_out", 2, TEST, __VA_ARGS__)
// No Tensor in the overload's name: maximum, logical_and.
#define PLAIN_BINARY(id, ...) POINTWISE(id, #id " " #id "_ " #id ".out", 2, __VA_ARGS__)
// A gradient: grad_input = body(x = grad_output, y = self or result).
#define GRADIENT(id, ...) POINTWISE(id, #id " " #id ".grad_input", 2, __VA_ARGS__)
#define BITWISE(id, ...)                                                                                                   \
    POINTWISE(bitwise_##id, "bitwise_" #id ".Tensor bitwise_" #id "_.Tensor bitwise_" #id ".Tensor_out bitwise_" #id       \
              ".Scalar bitwise_" #id "_.Scalar bitwise_" #id ".Scalar_out bitwise_" #id ".Scalar_Tensor", 2, SAME, __VA_ARGS__)
// What another row does, on the bits of halves.
#define BITS_OF_HALVES(id, ...) POINTWISE(bits_of_##id, "", 1, SAME, CARAT_BIT(i16), __VA_ARGS__)
#define SHIFT(id, ...)                                                                                                     \
    POINTWISE(bitwise_##id##_shift, "bitwise_" #id "_shift.Tensor bitwise_" #id "_shift_.Tensor bitwise_" #id              \
              "_shift.Tensor_out bitwise_" #id "_shift.Tensor_Scalar bitwise_" #id "_shift_.Tensor_Scalar", 2, SAME, __VA_ARGS__)
