// test_hpp -- the C++ header: its own example, operators, lists, errors and exceptions, scopes
#include "autograd/autograd.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

static int failures;

static void expect_at(int line, bool good, const char *what) {
    if (good) return;
    std::printf("test_hpp.cpp:%d: %s\n", line, what);
    failures++;
}
#define EXPECT(...) expect_at(__LINE__, (__VA_ARGS__), #__VA_ARGS__)

static bool has(const ag::tensor &x, std::initializer_list<double> wanted) {
    if (x.size() != static_cast<int64_t>(wanted.size())) return false;
    int64_t i = 0;
    for (double w : wanted)
        if (std::abs(x.element(i++) - w) > 1e-12) return false;
    return true;
}

static void fits_a_line() {
    ag::tape tape(ag::throwing);
    auto x = tape.constant({1, 2, 3, 4}), y = tape.constant({3, 5, 7, 9}), w = tape.parameter(0), b = tape.parameter(0);
    for (double error = 1; error > 1e-20;) {
        ag::step step(tape); // what is recorded from here on is released at the end of the block
        auto loss = mean(square(w * x + b - y));
        auto d = grad(loss, {w, b});
        w.assign(w - 0.1 * d[0]), b.assign(b - 0.1 * d[1]), error = loss.item();
    }
    EXPECT(std::abs(w.item() - 2) < 1e-9 && std::abs(b.item() - 1) < 1e-9);
}

static void makes_tensors() {
    ag::tape tape(ag::throwing);
    EXPECT(has(tape.constant({{1, 2}, {3, 4}, {5, 6}}), {1, 2, 3, 4, 5, 6}));
    EXPECT(tape.constant({{1, 2}, {3, 4}, {5, 6}}).shape() == ag::shape{3, 2});
    EXPECT(tape.constant({1.f, 2.f}).dtype() == ag::f32 && tape.constant({1, 2}).dtype() == ag::f64);
    EXPECT(tape.constant<int64_t>({1, 2}).dtype() == ag::i64 && tape.constant({true, false}).dtype() == ag::boolean);
    EXPECT(has(tape.constant({true, false, true}), {1, 0, 1}));
    EXPECT(has(tape.constant({2, 2}, std::vector<float>{1, 2, 3, 4}), {1, 2, 3, 4}));
    EXPECT(has(tape.constant({3}, std::vector<bool>{true, false, true}), {1, 0, 1}));
    EXPECT(tape.zeros({2, 0, 3}).size() == 0 && has(tape.ones({2}, ag::f32), {1, 1}) && has(tape.arange(3), {0, 1, 2}));
    EXPECT(tape.normal({100, 3}).shape()[-1] == 3 && tape.uniform({5}, 2, 3).element(4) >= 2);
    EXPECT(has(tape.parameter(tape.ones({2}) * 3), {3, 3}) && has(tape.variable({1., 2.}), {1, 2}));
    ag::tensor named = tape.ones({1}).label("named");
    EXPECT(named.label() == "named");
}

/* What a C function has made, such as an initialiser's tensor. */
static void takes_pointers() {
    ag::tape tape(ag::throwing);
    EXPECT(has(tape.parameter(ag_ones(tape, ag::f64, ag::shape{2})), {1, 1}));
    EXPECT(has(tape.variable(ag_init_constant(tape, ag::f32, ag::shape{2}, 3)), {3, 3}));
}

/* A rank that is too large is kept for the C function's error, and no extent is read beyond the last. */
static void compares_shapes() {
    struct {
        ag::shape shape;
        int64_t after;
    } a{{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1}, b{{1, 2, 3, 4, 5, 6, 7, 8, 9}, 2};
    EXPECT(a.shape == b.shape && a.after != b.after);
    EXPECT(ag::shape{2, 3} == ag::shape{2, 3} && ag::shape{2, 3} != ag::shape{3, 2} && ag::shape{2} != ag::shape{2, 1});
}

static void has_operators() {
    ag::tape tape(ag::throwing);
    auto x = tape.constant({1., 2.}), y = tape.constant({4., 8.});
    EXPECT(has(x + y, {5, 10}) && has(x - y, {-3, -6}) && has(x * y, {4, 16}) && has(y / x, {4, 4}) &&
           has(-x, {-1, -2}));
    EXPECT(has(x + 1, {2, 3}) && has(1 + x, {2, 3}) && has(x - 1, {0, 1}) && has(1 - x, {0, -1}));
    EXPECT(has(x * 2, {2, 4}) && has(2.f * x, {2, 4}) && has(x / 2, {.5, 1}) && has(2 / x, {2, 1}));
    EXPECT(has(x < y, {1, 1}) && has(x > y, {0, 0}) && has(x <= x, {1, 1}) && has(x >= y, {0, 0}));
    EXPECT(has(x < 2, {1, 0}) && has(x > 0, {1, 1}) && has(x <= 1.f, {1, 0}) && has(x >= 2., {0, 1}));
    EXPECT(has(2 < x, {0, 0}) && has(0 > x, {0, 0}) && has(1 <= x, {1, 1}) && has(1 >= x, {1, 0}));
    EXPECT(has(where(x > tape.constant(1.), x, y), {4, 2}) && has(where(x > 1, x, y), {4, 2}));
    EXPECT(has(ag::concat({x, y}, 0), {1, 2, 4, 8}) && has(sum_over(tape.ones({2, 3}), {0}), {2, 2, 2}));
    EXPECT(sum_over(tape.ones({2, 3}), {0, 1}, true).shape() == ag::shape{1, 1});
    EXPECT(has(reshape(tape.arange(4), {2, 2}), {0, 1, 2, 3}) &&
           has(matmul(tape.ones({1, 2}), tape.ones({2, 1})), {2}));
    EXPECT(std::abs(exp(x).element(0) - std::exp(1)) < 1e-15 && has(max(y), {8}));
}

static void has_elements() {
    ag::tape tape(ag::throwing);
    double total = 0;
    for (float v : transpose(tape.constant({{1.f, 2.f}, {3.f, 4.f}}), 0, 1).values<float>()) total = 10 * total + v;
    EXPECT(total == 1324);
    EXPECT(tape.constant<int64_t>({7}).values<int64_t>()[0] == 7 && tape.zeros({0}).values().empty());
    try {
        tape.ones({2}).values<float>();
        expect_at(__LINE__, false, "values of another dtype");
    } catch (const ag::error &e) {
        EXPECT(e.status() == AG_ERR_DTYPE && std::strstr(e.what(), "test_hpp.cpp"));
    }
}

static void differentiates() {
    ag::tape tape(ag::throwing);
    auto x = tape.parameter({1., 2.});
    auto y = sum(x * x * x);
    EXPECT(has(grad(y, {x})[0], {3, 12}) && has(hessian(y, x), {6, 0, 0, 12}));
    EXPECT(has(ag::vjp({x * x}, {tape.ones({2})}, {x})[0], {2, 4}) &&
           has(ag::jvp({x * x}, {x}, {tape.ones({2})})[0], {2, 4}));
    y.backward();
    EXPECT(has(x.gradient(), {3, 12}));
    ag_gradcheck_report report =
        ag::gradcheck([](const std::vector<ag::tensor> &in) { return sum(sin(in[0]) * in[0]); }, {x});
    EXPECT(report.passed && report.checked == 2);
    struct mine {};
    try {
        ag::gradcheck([](const std::vector<ag::tensor> &) -> ag::tensor { throw mine(); }, {x});
        expect_at(__LINE__, false, "an exception of the function");
    } catch (const mine &) {
        ag_clear_error(tape);
    }
    ag::unrecorded off(tape);
    EXPECT(!ag_requires_grad(x * x));
}

static_assert(!std::is_constructible<ag::operand, int>::value, "a number is no tensor, 0 neither");
static_assert(std::is_constructible<ag::operand, std::nullptr_t>::value, "an input may be left out");

static void calls_c() {
    ag::tape tape;
    ag_linear layer;
    EXPECT(ag_linear_init(&layer, tape, AG_F64, 2, 3) == AG_OK);
    ag::tensor x = tape.ones({4, 2});
    ag::tensor y = ag_relu(ag_linear_apply(&layer, x));
    EXPECT(y.shape() == ag::shape{4, 3} && ag_size(y) == 12);
    const ag_tensor *p = x;
    EXPECT(ag_rank(p) == 2);
}

static void reports_errors() {
    ag::tape quiet;
    auto bad = quiet.ones({2}) + quiet.ones({3});
    EXPECT(bad.is_nil() && quiet.status() == AG_ERR_SHAPE && quiet.error().find("test_hpp.cpp:") != std::string::npos);
    EXPECT(ag::detail::is_nan(bad.item()) && !ag::detail::is_nan(std::numeric_limits<double>::max()));
    try {
        quiet.check();
        expect_at(__LINE__, false, "check");
    } catch (const ag::error &e) {
        EXPECT(e.status() == AG_ERR_SHAPE);
    }
    quiet.clear_error();
    EXPECT(quiet.status() == AG_OK);

    ag::tape loud(ag::throwing);
    int line = 0;
    try {
        auto a = loud.ones({2}), b = loud.ones({3});
        line = __LINE__ + 1;
        (void)(exp(a) * b);
        expect_at(__LINE__, false, "an exception");
    } catch (const ag::error &e) {
        char at[40];
        std::snprintf(at, sizeof at, "test_hpp.cpp:%d", line);
        EXPECT(e.status() == AG_ERR_SHAPE && std::strstr(e.what(), "mul: ") && std::strstr(e.what(), at));
    }
    loud.clear_error();
    bool thrown = false;
    try {
        loud.ones({2}).item();
    } catch (const ag::error &e) {
        thrown = e.status() == AG_ERR_SHAPE;
    }
    EXPECT(thrown);
    loud.clear_error();
    thrown = false;
    try {
        loud.constant({{1, 2}, {3}});
    } catch (const std::invalid_argument &) {
        thrown = true;
    }
    EXPECT(thrown);
    thrown = false;
    try {
        loud.zeros({1, 1, 1, 1, 1, 1, 1, 1, 1});
    } catch (const ag::error &e) {
        thrown = e.status() == AG_ERR_SHAPE;
    }
    EXPECT(thrown);
}

static void moves_tapes() {
    ag::tape a(ag::throwing);
    auto x = a.ones({2});
    ag::tape b(std::move(a));
    EXPECT(has(x + 1, {2, 2}) && !a.get());
    a = std::move(b);
    EXPECT(a.get() && !b.get());
    {
        ag::step step(a);
        a.ones({1000});
    }
    EXPECT(has(x, {1, 1}));
    b = ag::tape();
    EXPECT(has(b.ones({1}), {1}));
}

/* A global tape still throws when the program ends, after what main has made is destroyed. */
static struct at_exit {
    ag::tape tape;
    ~at_exit() {
        try {
            tape.ones({2}).item();
        } catch (const ag::error &) {
            return;
        }
        std::puts("test_hpp.cpp: a global tape does not throw at the end");
        std::fflush(stdout);
        std::_Exit(1);
    }
} global;

int main() {
    global.tape = ag::tape(ag::throwing);
    fits_a_line();
    makes_tensors();
    takes_pointers();
    compares_shapes();
    has_operators();
    has_elements();
    differentiates();
    calls_c();
    reports_errors();
    moves_tapes();
    if (!failures) std::puts("ok");
    return failures != 0;
}
