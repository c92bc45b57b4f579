/* autograd.hpp -- the library in C++17: values instead of pointers, operators, a tape that ends with its scope
 *
 * Read autograd.h first: this header adds nothing to it but a form. A tensor is a handle, as in C; its tape owns it.
 *
 *     #include <autograd/autograd.hpp>
 *     #include <cstdio>
 *     int main() {
 *         ag::tape tape(ag::throwing);
 *         auto x = tape.constant({1, 2, 3, 4}), y = tape.constant({3, 5, 7, 9}), w = tape.parameter(0), b = tape.parameter(0);
 *         for (double error = 1; error > 1e-20;) {
 *             ag::step step(tape); // what is recorded from here on is released at the end of the block
 *             auto loss = mean(square(w * x + b - y));
 *             auto d = grad(loss, {w, b});
 *             w.assign(w - 0.1 * d[0]), b.assign(b - 0.1 * d[1]), error = loss.item();
 *         }
 *         std::printf("y = %g x + %g\n", w.item(), b.item());
 *     }
 *
 * Every C function can be called with these types: a tensor or a tape converts to its pointer, and a pointer to a tensor.
 * Errors stick to the tape, as in C. On a tape made with ag::throwing they are thrown as well, as ag::error, by the
 * functions of this header. Errors name the caller's line in both forms. */
#ifndef AG_AUTOGRAD_HPP
#define AG_AUTOGRAD_HPP

#include "autograd/autograd.h"
#include "io/io.h"
#include "nn/nn.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <limits>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>
#if __cplusplus >= 202002L && defined __has_include
#if __has_include(<span>)
#include <span>
#endif
#endif

#if defined __GNUC__ || (defined _MSC_VER && _MSC_VER >= 1926)
#define AG_HPP_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()
#else
#define AG_HPP_HERE const char *file = "", int line = 0
#endif

namespace ag {

using dtype = ag_dtype;
constexpr dtype boolean = AG_BOOL, i64 = AG_I64, f32 = AG_F32, f64 = AG_F64;

/* ---- Errors ---- */

/* error -- the first error of a tape, thrown if the tape was made with ag::throwing */
class error : public std::runtime_error {
public:
    error(ag_status status, const char *text) : std::runtime_error(text), status_(status) {}
    ag_status status() const noexcept { return status_; }

private:
    ag_status status_;
};

struct throwing_t {};
constexpr throwing_t throwing{};

/* check -- throw the error of a tape, whether it was made with ag::throwing or not; NULL: the thread's without a tape */
inline void check(const ag_tape *tape) {
    if (ag_tape_status(tape) != AG_OK) throw error(ag_tape_status(tape), ag_tape_error(tape));
}

namespace detail {

/* The tapes whose errors are thrown. They are looked up after an error only. */
class throwers {
public:
    static void add(const ag_tape *tape) {
        std::lock_guard<std::mutex> lock(self().mutex_);
        self().tapes_.insert(tape);
    }
    static void remove(const ag_tape *tape) noexcept {
        std::lock_guard<std::mutex> lock(self().mutex_);
        self().tapes_.erase(tape);
    }
    static bool has(const ag_tape *tape) {
        std::lock_guard<std::mutex> lock(self().mutex_);
        return self().tapes_.count(tape) != 0;
    }

private:
    /* It is never destroyed: a program's global tapes are used and freed later than what main has made. */
    static throwers &self() {
        static throwers &all = *new throwers;
        return all;
    }
    std::mutex mutex_;
    std::unordered_set<const ag_tape *> tapes_;
};

inline void failed(const ag_tape *tape) {
    if (tape && throwers::has(tape)) check(tape);
}

} // namespace detail

/* ---- Shapes and axes: {2, 3} ---- */

struct shape : ag_shape {
    shape() : ag_shape{0, {}} {}
    shape(const ag_shape &s) : ag_shape(s) {}
    shape(std::initializer_list<int64_t> extents) : shape(extents.begin(), extents.end()) {}
    template <class Iterator> shape(Iterator first, Iterator last) : shape() {
        for (; first != last; ++first, ++rank)
            if (rank < AG_MAX_RANK) extent[rank] = *first; /* a rank that is too large is an error of the C function */
    }
    int64_t operator[](int axis) const { return extent[axis < 0 ? axis + rank : axis]; }
    bool operator==(const shape &other) const {
        if (rank != other.rank) return false;
        for (int i = 0; i < rank && i < AG_MAX_RANK; i++)
            if (extent[i] != other.extent[i]) return false;
        return true;
    }
    bool operator!=(const shape &other) const { return !(*this == other); }
};

struct axes : ag_axes {
    axes(const ag_axes &a) : ag_axes(a) {}
    axes(std::initializer_list<int> list) : ag_axes{0, {}} {
        for (int a : list) {
            if (count < AG_MAX_RANK) axis[count] = a;
            count++;
        }
    }
};

inline const axes all_axes{AG_ALL_AXES};

/* ---- Elements ---- */

namespace detail {

template <class T> constexpr bool is_element =
    std::is_same<T, bool>::value || std::is_same<T, int64_t>::value || std::is_same<T, float>::value ||
    std::is_same<T, double>::value;

template <class T> constexpr dtype dtype_of() {
    static_assert(is_element<T>, "elements are bool, int64_t, float or double");
    return std::is_same<T, bool>::value ? AG_BOOL
           : std::is_same<T, int64_t>::value ? AG_I64
           : std::is_same<T, float>::value   ? AG_F32
                                             : AG_F64;
}

/* What is written without a fraction is meant as a number: {1, 2, 3} is f64, as in NumPy's arrays of Python's floats. */
template <class T> using element = std::conditional_t<std::is_same<T, int>::value, double, T>;

} // namespace detail

#ifdef __cpp_lib_span
template <class T> using view = std::span<const T>;
#else
/* view -- elements in memory that the tape owns; std::span where there is C++20 */
template <class T> class view {
public:
    view(const T *data, std::size_t size) : data_(data), size_(size) {}
    const T *data() const { return data_; }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    const T *begin() const { return data_; }
    const T *end() const { return data_ + size_; }
    const T &operator[](std::size_t i) const { return data_[i]; }

private:
    const T *data_;
    std::size_t size_;
};
#endif

/* ---- Tensors ---- */

class tensor;

namespace detail {
inline tensor made(ag_tensor *t, const char *file, int line);

/* By its bits: a program that is compiled with -ffast-math finds nothing unequal to itself. */
inline bool is_nan(double x) {
    static_assert(std::numeric_limits<double>::is_iec559 && sizeof x == sizeof(uint64_t), "double must be IEEE-754's");
    uint64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits << 1 > UINT64_C(0x7ff) << 53;
}
} // namespace detail

/* tensor -- a handle; copying it copies no elements */
class tensor {
public:
    tensor() : t_(nullptr) {}
    tensor(ag_tensor *t) : t_(t) {}
    ag_tensor *get() const { return t_; }
    /* A template, so that w + 1 is never arithmetic on pointers. */
    template <class T, class = std::enable_if_t<std::is_same<T, ag_tensor *>::value ||
                                                std::is_same<T, const ag_tensor *>::value>>
    operator T() const {
        return t_;
    }

    bool is_nil() const { return ag_is_nil(t_); }
    ag::shape shape() const { return ag_shape_of(t_); }
    int rank() const { return ag_rank(t_); }
    int64_t size() const { return ag_size(t_); }
    ag::dtype dtype() const { return ag_dtype_of(t_); }
    std::string label() const { return ag_label_of(t_); }
    ag_tape *tape() const { return ag_tape_of(t_); }

    tensor label(const std::string &text, AG_HPP_HERE) const { return detail::made((ag_label)(t_, text.c_str()), file, line); }
    tensor keep(AG_HPP_HERE) const { return detail::made((ag_keep)(t_), file, line); }

    /* item -- the only element; element -- one by its row-major number */
    double item(AG_HPP_HERE) const {
        (ag_here)(file, line);
        return number((ag_item)(t_));
    }
    double element(int64_t at, AG_HPP_HERE) const {
        (ag_here)(file, line);
        return number((ag_element)(t_, at));
    }

    /* values -- all elements, row-major: values<float>() of an f32. Empty after an error; another dtype than the tensor's
     * own is always thrown as one, as it is in the program and not in its data */
    template <class T = double> view<T> values(AG_HPP_HERE) const {
        if (!is_nil() && dtype() != detail::dtype_of<T>()) {
            const std::string text = std::string("values: ") + ag_dtype_name(detail::dtype_of<T>()) + " of a tensor of dtype " +
                                     ag_dtype_name(dtype()) + " [" + file + ":" + std::to_string(line) + "]";
            throw ag::error(AG_ERR_DTYPE, text.c_str());
        }
        (ag_here)(file, line);
        const void *data = (ag_data)(t_);
        if (!data) detail::failed(tape());
        return view<T>(static_cast<const T *>(data), data ? static_cast<std::size_t>(size()) : 0);
    }

    /* For variables and parameters. */
    void assign(const tensor &value, AG_HPP_HERE) const {
        (ag_here)(file, line);
        if ((ag_assign)(t_, value.t_) != AG_OK) detail::failed(tape());
    }

    /* backward -- as ag_backward; gradient -- what it found */
    void backward(AG_HPP_HERE) const {
        (ag_here)(file, line);
        if ((ag_backward)(t_) != AG_OK) detail::failed(tape());
    }
    tensor gradient(AG_HPP_HERE) const { return detail::made((ag_gradient)(t_), file, line); }

private:
    double number(double x) const {
        if (detail::is_nan(x) && ag_tape_status(tape()) != AG_OK) detail::failed(tape());
        return x;
    }
    ag_tensor *t_;
};

/* operand -- a tensor as an argument, and where the call is: an operator has no other room for that */
class operand {
public:
    operand(const tensor &t, AG_HPP_HERE) : t_(t.get()), file_(file), line_(line) {}
    operand(ag_tensor *t, AG_HPP_HERE) : t_(t), file_(file), line_(line) {}
    /* The number 0 is no NULL: maximum(x, 0) is an error of the program, as maximum(x, 1) is. */
    template <class T, class = std::enable_if_t<std::is_same<T, int>::value>> operand(T, AG_HPP_HERE) = delete;
    ag_tensor *get() const { return t_; }
    const char *file() const { return file_; }
    int line() const { return line_; }

private:
    ag_tensor *t_;
    const char *file_;
    int line_;
};

namespace detail {

inline tensor made(ag_tensor *t, const char *file, int line) {
    (ag_located)(t, file, line);
    if (ag_is_nil(t)) failed(ag_tape_of(t));
    return t;
}

inline tensor made(ag_tensor *t, const operand &at) { return made(t, at.file(), at.line()); }

inline std::vector<ag_tensor *> pointers(const std::vector<tensor> &list) {
    std::vector<ag_tensor *> p;
    p.reserve(list.size());
    for (const tensor &t : list) p.push_back(t.get());
    return p;
}

inline std::vector<tensor> made(const std::vector<ag_tensor *> &list, ag_status status, const ag_tape *tape) {
    if (status != AG_OK) failed(tape);
    return std::vector<tensor>(list.begin(), list.end());
}

template <class S> using number = std::enable_if_t<std::is_arithmetic<S>::value, tensor>;

} // namespace detail

// ---- Made by autograd/hpp.py from the C headers ----

inline tensor jacobian(const operand &y, const operand &x) { return detail::made((ag_jacobian)(y.get(), x.get()), y); }
inline tensor hessian(const operand &y, const operand &x) { return detail::made((ag_hessian)(y.get(), x.get()), y); }
inline tensor hvp(const operand &y, const operand &x, const operand &v) {
    return detail::made((ag_hvp)(y.get(), x.get(), v.get()), y);
}
inline tensor max_unpool(const operand &x, const operand &index, const shape &extents) {
    return detail::made((ag_max_unpool)(x.get(), index.get(), extents), x);
}
inline tensor adaptive_max_pool(const operand &x, const shape &extents) {
    return detail::made((ag_adaptive_max_pool)(x.get(), extents), x);
}
inline tensor adaptive_avg_pool(const operand &x, const shape &extents) {
    return detail::made((ag_adaptive_avg_pool)(x.get(), extents), x);
}
inline tensor global_max_pool(const operand &x) { return detail::made((ag_global_max_pool)(x.get()), x); }
inline tensor global_avg_pool(const operand &x) { return detail::made((ag_global_avg_pool)(x.get()), x); }
inline tensor pixel_shuffle(const operand &x, int64_t r) { return detail::made((ag_pixel_shuffle)(x.get(), r), x); }
inline tensor pixel_unshuffle(const operand &x, int64_t r) {
    return detail::made((ag_pixel_unshuffle)(x.get(), r), x);
}
inline tensor dropout(const operand &x, double p, bool training) {
    return detail::made((ag_dropout)(x.get(), p, training), x);
}
inline tensor max_pool2d(const operand &x, int64_t size, int64_t stride) {
    return detail::made((ag_max_pool2d)(x.get(), size, stride), x);
}
inline tensor avg_pool2d(const operand &x, int64_t size, int64_t stride) {
    return detail::made((ag_avg_pool2d)(x.get(), size, stride), x);
}
inline tensor cross_entropy(const operand &scores, const operand &labels) {
    return detail::made((ag_cross_entropy)(scores.get(), labels.get()), scores);
}
inline tensor nll(const operand &log_p, const operand &labels) {
    return detail::made((ag_nll)(log_p.get(), labels.get()), log_p);
}
inline tensor hinge(const operand &scores, const operand &labels) {
    return detail::made((ag_hinge)(scores.get(), labels.get()), scores);
}
inline tensor binary_cross_entropy(const operand &scores, const operand &targets) {
    return detail::made((ag_binary_cross_entropy)(scores.get(), targets.get()), scores);
}
inline tensor binary_nll(const operand &p, const operand &targets) {
    return detail::made((ag_binary_nll)(p.get(), targets.get()), p);
}
inline tensor focal(const operand &scores, const operand &targets, double alpha, double gamma) {
    return detail::made((ag_focal)(scores.get(), targets.get(), alpha, gamma), scores);
}
inline tensor binary_hinge(const operand &scores, const operand &signs, double margin) {
    return detail::made((ag_binary_hinge)(scores.get(), signs.get(), margin), scores);
}
inline tensor soft_margin(const operand &scores, const operand &signs) {
    return detail::made((ag_soft_margin)(scores.get(), signs.get()), scores);
}
inline tensor mse(const operand &x, const operand &target) { return detail::made((ag_mse)(x.get(), target.get()), x); }
inline tensor l1(const operand &x, const operand &target) { return detail::made((ag_l1)(x.get(), target.get()), x); }
inline tensor huber(const operand &x, const operand &target, double delta) {
    return detail::made((ag_huber)(x.get(), target.get(), delta), x);
}
inline tensor smooth_l1(const operand &x, const operand &target, double beta) {
    return detail::made((ag_smooth_l1)(x.get(), target.get(), beta), x);
}
inline tensor kl_divergence(const operand &log_q, const operand &p) {
    return detail::made((ag_kl_divergence)(log_q.get(), p.get()), log_q);
}
inline tensor poisson_nll(const operand &x, const operand &target) {
    return detail::made((ag_poisson_nll)(x.get(), target.get()), x);
}
inline tensor gaussian_nll(const operand &x, const operand &target, const operand &variance) {
    return detail::made((ag_gaussian_nll)(x.get(), target.get(), variance.get()), x);
}
inline tensor cosine_similarity(const operand &a, const operand &b, int axis) {
    return detail::made((ag_cosine_similarity)(a.get(), b.get(), axis), a);
}
inline tensor pairwise_distance(const operand &a, const operand &b, double p) {
    return detail::made((ag_pairwise_distance)(a.get(), b.get(), p), a);
}
inline tensor cosine_embedding(const operand &a, const operand &b, const operand &signs, double margin) {
    return detail::made((ag_cosine_embedding)(a.get(), b.get(), signs.get(), margin), a);
}
inline tensor hinge_embedding(const operand &x, const operand &signs, double margin) {
    return detail::made((ag_hinge_embedding)(x.get(), signs.get(), margin), x);
}
inline tensor triplet_margin(const operand &anchor, const operand &positive, const operand &negative, double margin) {
    return detail::made((ag_triplet_margin)(anchor.get(), positive.get(), negative.get(), margin), anchor);
}
inline tensor margin_ranking(const operand &a, const operand &b, const operand &signs, double margin) {
    return detail::made((ag_margin_ranking)(a.get(), b.get(), signs.get(), margin), a);
}
inline tensor ctc(const operand &log_p, const operand &labels, const operand &steps, const operand &counts, int64_t blank) {
    return detail::made((ag_ctc)(log_p.get(), labels.get(), steps.get(), counts.get(), blank), log_p);
}
inline tensor accuracy(const operand &scores, const operand &labels) {
    return detail::made((ag_accuracy)(scores.get(), labels.get()), scores);
}
inline tensor normalise(const operand &x, const axes &over, double epsilon) {
    return detail::made((ag_normalise)(x.get(), over, epsilon), x);
}
inline tensor weight_norm(const operand &v, const operand &g, int axis) {
    return detail::made((ag_weight_norm)(v.get(), g.get(), axis), v);
}
inline tensor rotary(const operand &x, const operand &positions, double base, bool halves) {
    return detail::made((ag_rotary)(x.get(), positions.get(), base, halves), x);
}
inline tensor softplus(const operand &x) { return detail::made((ag_softplus)(x.get()), x); }
inline tensor logsigmoid(const operand &x) { return detail::made((ag_logsigmoid)(x.get()), x); }
inline tensor silu(const operand &x) { return detail::made((ag_silu)(x.get()), x); }
inline tensor gelu(const operand &x) { return detail::made((ag_gelu)(x.get()), x); }
inline tensor gelu_tanh(const operand &x) { return detail::made((ag_gelu_tanh)(x.get()), x); }
inline tensor mish(const operand &x) { return detail::made((ag_mish)(x.get()), x); }
inline tensor softsign(const operand &x) { return detail::made((ag_softsign)(x.get()), x); }
inline tensor logit(const operand &x) { return detail::made((ag_logit)(x.get()), x); }
inline tensor leaky_relu(const operand &x, double slope) { return detail::made((ag_leaky_relu)(x.get(), slope), x); }
inline tensor prelu(const operand &x, const operand &slope) {
    return detail::made((ag_prelu)(x.get(), slope.get()), x);
}
inline tensor elu(const operand &x, double alpha) { return detail::made((ag_elu)(x.get(), alpha), x); }
inline tensor selu(const operand &x) { return detail::made((ag_selu)(x.get()), x); }
inline tensor celu(const operand &x, double alpha) { return detail::made((ag_celu)(x.get(), alpha), x); }
inline tensor hardtanh(const operand &x, double low, double high) {
    return detail::made((ag_hardtanh)(x.get(), low, high), x);
}
inline tensor hardsigmoid(const operand &x) { return detail::made((ag_hardsigmoid)(x.get()), x); }
inline tensor hardswish(const operand &x) { return detail::made((ag_hardswish)(x.get()), x); }
inline tensor softshrink(const operand &x, double threshold) {
    return detail::made((ag_softshrink)(x.get(), threshold), x);
}
inline tensor expand_as(const operand &x, const operand &like) {
    return detail::made((ag_expand_as)(x.get(), like.get()), x);
}
inline tensor movedim(const operand &x, const axes &source, const axes &destination) {
    return detail::made((ag_movedim)(x.get(), source, destination), x);
}
inline tensor swapaxes(const operand &x, int axis0, int axis1) {
    return detail::made((ag_swapaxes)(x.get(), axis0, axis1), x);
}
inline tensor flatten(const operand &x, int first, int last) {
    return detail::made((ag_flatten)(x.get(), first, last), x);
}
inline tensor unflatten(const operand &x, int axis, const shape &extents) {
    return detail::made((ag_unflatten)(x.get(), axis, extents), x);
}
inline tensor rot90(const operand &x, int64_t times, const axes &over) {
    return detail::made((ag_rot90)(x.get(), times, over), x);
}
inline tensor roll(const operand &x, int64_t shift, int axis) {
    return detail::made((ag_roll)(x.get(), shift, axis), x);
}
inline tensor roll_over(const operand &x, const shape &shifts, const axes &over) {
    return detail::made((ag_roll_over)(x.get(), shifts, over), x);
}
inline tensor tile(const operand &x, const shape &times) { return detail::made((ag_tile)(x.get(), times), x); }
inline tensor repeat(const operand &x, const shape &times) { return detail::made((ag_repeat)(x.get(), times), x); }
inline tensor repeat_interleave(const operand &x, int64_t times, int axis) {
    return detail::made((ag_repeat_interleave)(x.get(), times, axis), x);
}
inline tensor repeat_interleave_by(const operand &x, const operand &counts, int axis) {
    return detail::made((ag_repeat_interleave_by)(x.get(), counts.get(), axis), x);
}
inline tensor pad(const operand &x, const axes &over, const shape &before, const shape &after) {
    return detail::made((ag_pad)(x.get(), over, before, after), x);
}
inline tensor diagonal(const operand &x, int64_t offset, int axis0, int axis1) {
    return detail::made((ag_diagonal)(x.get(), offset, axis0, axis1), x);
}
inline tensor diag_embed(const operand &x, int64_t offset, int axis0, int axis1) {
    return detail::made((ag_diag_embed)(x.get(), offset, axis0, axis1), x);
}
inline tensor diag(const operand &x, int64_t offset) { return detail::made((ag_diag)(x.get(), offset), x); }
inline tensor tril(const operand &x, int64_t offset) { return detail::made((ag_tril)(x.get(), offset), x); }
inline tensor triu(const operand &x, int64_t offset) { return detail::made((ag_triu)(x.get(), offset), x); }
inline tensor logsumexp(const operand &x, int axis, bool keepdims = false) {
    return detail::made((ag_logsumexp)(x.get(), axis, keepdims), x);
}
inline tensor softmax(const operand &x, int axis) { return detail::made((ag_softmax)(x.get(), axis), x); }
inline tensor log_softmax(const operand &x, int axis) { return detail::made((ag_log_softmax)(x.get(), axis), x); }
inline tensor logsumexp_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_logsumexp_over)(x.get(), over, keepdims), x);
}
inline tensor softmax_over(const operand &x, const axes &over) {
    return detail::made((ag_softmax_over)(x.get(), over), x);
}
inline tensor log_softmax_over(const operand &x, const axes &over) {
    return detail::made((ag_log_softmax_over)(x.get(), over), x);
}
inline tensor surprisal(const operand &x, const operand &index, int axis) {
    return detail::made((ag_surprisal)(x.get(), index.get(), axis), x);
}
inline tensor correlation(const operand &x, const operand &w, int64_t groups, const shape &places, const shape &stride, const shape &dilation, const shape &before) {
    return detail::made((ag_correlation)(x.get(), w.get(), groups, places, stride, dilation, before), x);
}
inline tensor correlation_transposed(const operand &x, const operand &w, int64_t groups, const shape &extents, const shape &stride, const shape &dilation, const shape &before) {
    return detail::made((ag_correlation_transposed)(x.get(), w.get(), groups, extents, stride, dilation, before), x);
}
inline tensor histogram(const operand &x, int64_t bins, double low, double high) {
    return detail::made((ag_histogram)(x.get(), bins, low, high), x);
}
inline tensor histogram_between(const operand &x, const operand &edges, const operand &weights) {
    return detail::made((ag_histogram_between)(x.get(), edges.get(), weights.get()), x);
}
inline tensor bincount(const operand &x, const operand &weights, int64_t n) {
    return detail::made((ag_bincount)(x.get(), weights.get(), n), x);
}
inline tensor depthwise(const operand &x, const operand &w, const shape &places, const shape &stride, const shape &dilation, const shape &before) {
    return detail::made((ag_depthwise)(x.get(), w.get(), places, stride, dilation, before), x);
}
inline tensor depthwise_transposed(const operand &x, const operand &w, const shape &extents, const shape &stride, const shape &dilation, const shape &before) {
    return detail::made((ag_depthwise_transposed)(x.get(), w.get(), extents, stride, dilation, before), x);
}
inline tensor add(const operand &a, const operand &b) { return detail::made((ag_add)(a.get(), b.get()), a); }
inline tensor sub(const operand &a, const operand &b) { return detail::made((ag_sub)(a.get(), b.get()), a); }
inline tensor mul(const operand &a, const operand &b) { return detail::made((ag_mul)(a.get(), b.get()), a); }
inline tensor div(const operand &a, const operand &b) { return detail::made((ag_div)(a.get(), b.get()), a); }
inline tensor pow(const operand &a, const operand &b) { return detail::made((ag_pow)(a.get(), b.get()), a); }
inline tensor maximum(const operand &a, const operand &b) { return detail::made((ag_maximum)(a.get(), b.get()), a); }
inline tensor minimum(const operand &a, const operand &b) { return detail::made((ag_minimum)(a.get(), b.get()), a); }
inline tensor neg(const operand &x) { return detail::made((ag_neg)(x.get()), x); }
inline tensor add_scalar(const operand &x, double s) { return detail::made((ag_add_scalar)(x.get(), s), x); }
inline tensor rsub_scalar(double s, const operand &x) { return detail::made((ag_rsub_scalar)(s, x.get()), x); }
inline tensor scale(const operand &x, double s) { return detail::made((ag_scale)(x.get(), s), x); }
inline tensor div_scalar(const operand &x, double s) { return detail::made((ag_div_scalar)(x.get(), s), x); }
inline tensor rdiv_scalar(double s, const operand &x) { return detail::made((ag_rdiv_scalar)(s, x.get()), x); }
inline tensor pow_scalar(const operand &x, double s) { return detail::made((ag_pow_scalar)(x.get(), s), x); }
inline tensor maximum_scalar(const operand &x, double s) { return detail::made((ag_maximum_scalar)(x.get(), s), x); }
inline tensor minimum_scalar(const operand &x, double s) { return detail::made((ag_minimum_scalar)(x.get(), s), x); }
inline tensor clamp(const operand &x, double low, double high) {
    return detail::made((ag_clamp)(x.get(), low, high), x);
}
inline tensor equal(const operand &a, const operand &b) { return detail::made((ag_equal)(a.get(), b.get()), a); }
inline tensor not_equal(const operand &a, const operand &b) {
    return detail::made((ag_not_equal)(a.get(), b.get()), a);
}
inline tensor less(const operand &a, const operand &b) { return detail::made((ag_less)(a.get(), b.get()), a); }
inline tensor less_equal(const operand &a, const operand &b) {
    return detail::made((ag_less_equal)(a.get(), b.get()), a);
}
inline tensor greater(const operand &a, const operand &b) { return detail::made((ag_greater)(a.get(), b.get()), a); }
inline tensor greater_equal(const operand &a, const operand &b) {
    return detail::made((ag_greater_equal)(a.get(), b.get()), a);
}
inline tensor where(const operand &condition, const operand &a, const operand &b) {
    return detail::made((ag_where)(condition.get(), a.get(), b.get()), condition);
}
inline tensor cast(const operand &x, dtype to) { return detail::made((ag_cast)(x.get(), to), x); }
inline tensor exp(const operand &x) { return detail::made((ag_exp)(x.get()), x); }
inline tensor log(const operand &x) { return detail::made((ag_log)(x.get()), x); }
inline tensor expm1(const operand &x) { return detail::made((ag_expm1)(x.get()), x); }
inline tensor log1p(const operand &x) { return detail::made((ag_log1p)(x.get()), x); }
inline tensor sqrt(const operand &x) { return detail::made((ag_sqrt)(x.get()), x); }
inline tensor rsqrt(const operand &x) { return detail::made((ag_rsqrt)(x.get()), x); }
inline tensor square(const operand &x) { return detail::made((ag_square)(x.get()), x); }
inline tensor abs(const operand &x) { return detail::made((ag_abs)(x.get()), x); }
inline tensor sign(const operand &x) { return detail::made((ag_sign)(x.get()), x); }
inline tensor sin(const operand &x) { return detail::made((ag_sin)(x.get()), x); }
inline tensor cos(const operand &x) { return detail::made((ag_cos)(x.get()), x); }
inline tensor tanh(const operand &x) { return detail::made((ag_tanh)(x.get()), x); }
inline tensor sigmoid(const operand &x) { return detail::made((ag_sigmoid)(x.get()), x); }
inline tensor relu(const operand &x) { return detail::made((ag_relu)(x.get()), x); }
inline tensor strong_mul(const operand &g, const operand &s) {
    return detail::made((ag_strong_mul)(g.get(), s.get()), g);
}
inline tensor strong_div(const operand &g, const operand &b) {
    return detail::made((ag_strong_div)(g.get(), b.get()), g);
}
inline tensor fft(const operand &x, int axis) { return detail::made((ag_fft)(x.get(), axis), x); }
inline tensor ifft(const operand &x, int axis) { return detail::made((ag_ifft)(x.get(), axis), x); }
inline tensor rfft(const operand &x, int axis) { return detail::made((ag_rfft)(x.get(), axis), x); }
inline tensor irfft(const operand &x, int64_t n, int axis) { return detail::made((ag_irfft)(x.get(), n, axis), x); }
inline tensor complex(const operand &re, const operand &im) {
    return detail::made((ag_complex)(re.get(), im.get()), re);
}
inline tensor complex_mul(const operand &a, const operand &b) {
    return detail::made((ag_complex_mul)(a.get(), b.get()), a);
}
inline tensor complex_conj(const operand &x) { return detail::made((ag_complex_conj)(x.get()), x); }
inline tensor complex_abs(const operand &x) { return detail::made((ag_complex_abs)(x.get()), x); }
inline tensor gather(const operand &x, const operand &index, int axis) {
    return detail::made((ag_gather)(x.get(), index.get(), axis), x);
}
inline tensor scatter_add(const operand &x, const operand &index, const operand &source, int axis) {
    return detail::made((ag_scatter_add)(x.get(), index.get(), source.get(), axis), x);
}
inline tensor index_select(const operand &x, const operand &index, int axis) {
    return detail::made((ag_index_select)(x.get(), index.get(), axis), x);
}
inline tensor index_add(const operand &x, const operand &index, const operand &source, int axis) {
    return detail::made((ag_index_add)(x.get(), index.get(), source.get(), axis), x);
}
inline tensor take_along_axis(const operand &x, const operand &index, int axis) {
    return detail::made((ag_take_along_axis)(x.get(), index.get(), axis), x);
}
inline tensor scatter(const operand &x, const operand &index, const operand &source, int axis) {
    return detail::made((ag_scatter)(x.get(), index.get(), source.get(), axis), x);
}
inline tensor scatter_max(const operand &x, const operand &index, const operand &source, int axis) {
    return detail::made((ag_scatter_max)(x.get(), index.get(), source.get(), axis), x);
}
inline tensor scatter_min(const operand &x, const operand &index, const operand &source, int axis) {
    return detail::made((ag_scatter_min)(x.get(), index.get(), source.get(), axis), x);
}
inline tensor nonzero(const operand &x) { return detail::made((ag_nonzero)(x.get()), x); }
inline tensor masked_fill(const operand &x, const operand &mask, double value) {
    return detail::made((ag_masked_fill)(x.get(), mask.get(), value), x);
}
inline tensor masked_select(const operand &x, const operand &mask) {
    return detail::made((ag_masked_select)(x.get(), mask.get()), x);
}
inline tensor masked_scatter(const operand &x, const operand &mask, const operand &source) {
    return detail::made((ag_masked_scatter)(x.get(), mask.get(), source.get()), x);
}
inline tensor one_hot(const operand &index, int64_t n, dtype to) {
    return detail::made((ag_one_hot)(index.get(), n, to), index);
}
inline tensor solve(const operand &a, const operand &b) { return detail::made((ag_solve)(a.get(), b.get()), a); }
inline tensor solve_triangular(const operand &a, const operand &b, bool upper, bool unit) {
    return detail::made((ag_solve_triangular)(a.get(), b.get(), upper, unit), a);
}
inline tensor inverse(const operand &a) { return detail::made((ag_inverse)(a.get()), a); }
inline tensor det(const operand &a) { return detail::made((ag_det)(a.get()), a); }
inline tensor cholesky(const operand &a) { return detail::made((ag_cholesky)(a.get()), a); }
inline tensor matrix_power(const operand &a, int64_t n) { return detail::made((ag_matrix_power)(a.get(), n), a); }
inline tensor matrix_exp(const operand &a) { return detail::made((ag_matrix_exp)(a.get()), a); }
inline tensor eigvalsh(const operand &a) { return detail::made((ag_eigvalsh)(a.get()), a); }
inline tensor svdvals(const operand &a) { return detail::made((ag_svdvals)(a.get()), a); }
inline tensor lstsq(const operand &a, const operand &b, double rcond) {
    return detail::made((ag_lstsq)(a.get(), b.get(), rcond), a);
}
inline tensor pinv(const operand &a, double rcond) { return detail::made((ag_pinv)(a.get(), rcond), a); }
inline tensor matrix_rank(const operand &a, double rcond) { return detail::made((ag_matrix_rank)(a.get(), rcond), a); }
inline tensor logical_and(const operand &a, const operand &b) {
    return detail::made((ag_logical_and)(a.get(), b.get()), a);
}
inline tensor logical_or(const operand &a, const operand &b) {
    return detail::made((ag_logical_or)(a.get(), b.get()), a);
}
inline tensor logical_xor(const operand &a, const operand &b) {
    return detail::made((ag_logical_xor)(a.get(), b.get()), a);
}
inline tensor logical_not(const operand &x) { return detail::made((ag_logical_not)(x.get()), x); }
inline tensor isnan(const operand &x) { return detail::made((ag_isnan)(x.get()), x); }
inline tensor isinf(const operand &x) { return detail::made((ag_isinf)(x.get()), x); }
inline tensor isfinite(const operand &x) { return detail::made((ag_isfinite)(x.get()), x); }
inline tensor nan_to_num(const operand &x) { return detail::made((ag_nan_to_num)(x.get()), x); }
inline tensor nan_to_num_as(const operand &x, double nan, double high, double low) {
    return detail::made((ag_nan_to_num_as)(x.get(), nan, high, low), x);
}
inline tensor equal_scalar(const operand &x, double s) { return detail::made((ag_equal_scalar)(x.get(), s), x); }
inline tensor not_equal_scalar(const operand &x, double s) {
    return detail::made((ag_not_equal_scalar)(x.get(), s), x);
}
inline tensor less_scalar(const operand &x, double s) { return detail::made((ag_less_scalar)(x.get(), s), x); }
inline tensor less_equal_scalar(const operand &x, double s) {
    return detail::made((ag_less_equal_scalar)(x.get(), s), x);
}
inline tensor greater_scalar(const operand &x, double s) { return detail::made((ag_greater_scalar)(x.get(), s), x); }
inline tensor greater_equal_scalar(const operand &x, double s) {
    return detail::made((ag_greater_equal_scalar)(x.get(), s), x);
}
inline tensor clamp_min(const operand &x, double low) { return detail::made((ag_clamp_min)(x.get(), low), x); }
inline tensor clamp_max(const operand &x, double high) { return detail::made((ag_clamp_max)(x.get(), high), x); }
inline tensor clamp_low(const operand &x, const operand &low) {
    return detail::made((ag_clamp_low)(x.get(), low.get()), x);
}
inline tensor clamp_high(const operand &x, const operand &high) {
    return detail::made((ag_clamp_high)(x.get(), high.get()), x);
}
inline tensor clamp_between(const operand &x, const operand &low, const operand &high) {
    return detail::made((ag_clamp_between)(x.get(), low.get(), high.get()), x);
}
inline tensor bitwise_and(const operand &a, const operand &b) {
    return detail::made((ag_bitwise_and)(a.get(), b.get()), a);
}
inline tensor bitwise_or(const operand &a, const operand &b) {
    return detail::made((ag_bitwise_or)(a.get(), b.get()), a);
}
inline tensor bitwise_xor(const operand &a, const operand &b) {
    return detail::made((ag_bitwise_xor)(a.get(), b.get()), a);
}
inline tensor bitwise_not(const operand &x) { return detail::made((ag_bitwise_not)(x.get()), x); }
inline tensor left_shift(const operand &a, const operand &b) {
    return detail::made((ag_left_shift)(a.get(), b.get()), a);
}
inline tensor right_shift(const operand &a, const operand &b) {
    return detail::made((ag_right_shift)(a.get(), b.get()), a);
}
inline tensor matmul(const operand &a, const operand &b) { return detail::made((ag_matmul)(a.get(), b.get()), a); }
inline tensor strong_matmul(const operand &a, const operand &b) {
    return detail::made((ag_strong_matmul)(a.get(), b.get()), a);
}
inline tensor tensordot(const operand &a, const operand &b, int over) {
    return detail::made((ag_tensordot)(a.get(), b.get(), over), a);
}
inline tensor tensordot_over(const operand &a, const operand &b, const axes &axes_a, const axes &axes_b) {
    return detail::made((ag_tensordot_over)(a.get(), b.get(), axes_a, axes_b), a);
}
inline tensor dot(const operand &a, const operand &b) { return detail::made((ag_dot)(a.get(), b.get()), a); }
inline tensor vdot(const operand &a, const operand &b) { return detail::made((ag_vdot)(a.get(), b.get()), a); }
inline tensor inner(const operand &a, const operand &b) { return detail::made((ag_inner)(a.get(), b.get()), a); }
inline tensor outer(const operand &a, const operand &b) { return detail::made((ag_outer)(a.get(), b.get()), a); }
inline tensor kron(const operand &a, const operand &b) { return detail::made((ag_kron)(a.get(), b.get()), a); }
inline tensor cross(const operand &a, const operand &b, int axis) {
    return detail::made((ag_cross)(a.get(), b.get(), axis), a);
}
inline tensor matrix_trace(const operand &x) { return detail::made((ag_matrix_trace)(x.get()), x); }
inline tensor matrix_trace_over(const operand &x, int64_t offset, int axis0, int axis1) {
    return detail::made((ag_matrix_trace_over)(x.get(), offset, axis0, axis1), x);
}
inline tensor floor(const operand &x) { return detail::made((ag_floor)(x.get()), x); }
inline tensor ceil(const operand &x) { return detail::made((ag_ceil)(x.get()), x); }
inline tensor round(const operand &x) { return detail::made((ag_round)(x.get()), x); }
inline tensor trunc(const operand &x) { return detail::made((ag_trunc)(x.get()), x); }
inline tensor frac(const operand &x) { return detail::made((ag_frac)(x.get()), x); }
inline tensor reciprocal(const operand &x) { return detail::made((ag_reciprocal)(x.get()), x); }
inline tensor fmod(const operand &a, const operand &b) { return detail::made((ag_fmod)(a.get(), b.get()), a); }
inline tensor remainder(const operand &a, const operand &b) {
    return detail::made((ag_remainder)(a.get(), b.get()), a);
}
inline tensor floor_divide(const operand &a, const operand &b) {
    return detail::made((ag_floor_divide)(a.get(), b.get()), a);
}
inline tensor hypot(const operand &a, const operand &b) { return detail::made((ag_hypot)(a.get(), b.get()), a); }
inline tensor copysign(const operand &a, const operand &b) { return detail::made((ag_copysign)(a.get(), b.get()), a); }
inline tensor lerp(const operand &a, const operand &b, const operand &w) {
    return detail::made((ag_lerp)(a.get(), b.get(), w.get()), a);
}
inline tensor xlogy(const operand &a, const operand &b) { return detail::made((ag_xlogy)(a.get(), b.get()), a); }
inline tensor xlog1py(const operand &a, const operand &b) { return detail::made((ag_xlog1py)(a.get(), b.get()), a); }
inline tensor logaddexp(const operand &a, const operand &b) {
    return detail::made((ag_logaddexp)(a.get(), b.get()), a);
}
inline tensor sinc(const operand &x) { return detail::made((ag_sinc)(x.get()), x); }
inline tensor shuffle(const operand &x, int axis) { return detail::made((ag_shuffle)(x.get(), axis), x); }
inline tensor multinomial(const operand &weights, int64_t count, bool replacement) {
    return detail::made((ag_multinomial)(weights.get(), count, replacement), weights);
}
inline tensor draw_bernoulli(const operand &p) { return detail::made((ag_draw_bernoulli)(p.get()), p); }
inline tensor draw_binomial(const operand &n, const operand &p) {
    return detail::made((ag_draw_binomial)(n.get(), p.get()), n);
}
inline tensor draw_poisson(const operand &rate) { return detail::made((ag_draw_poisson)(rate.get()), rate); }
inline tensor draw_normal(const operand &mean, const operand &std) {
    return detail::made((ag_draw_normal)(mean.get(), std.get()), mean);
}
inline tensor draw_truncated_normal(const operand &mean, const operand &std, const operand &low, const operand &high) {
    return detail::made((ag_draw_truncated_normal)(mean.get(), std.get(), low.get(), high.get()), mean);
}
inline tensor draw_uniform(const operand &low, const operand &high) {
    return detail::made((ag_draw_uniform)(low.get(), high.get()), low);
}
inline tensor draw_exponential(const operand &rate) { return detail::made((ag_draw_exponential)(rate.get()), rate); }
inline tensor draw_laplace(const operand &location, const operand &scale) {
    return detail::made((ag_draw_laplace)(location.get(), scale.get()), location);
}
inline tensor draw_cauchy(const operand &location, const operand &scale) {
    return detail::made((ag_draw_cauchy)(location.get(), scale.get()), location);
}
inline tensor draw_gumbel(const operand &location, const operand &scale) {
    return detail::made((ag_draw_gumbel)(location.get(), scale.get()), location);
}
inline tensor draw_gamma(const operand &a, const operand &rate) {
    return detail::made((ag_draw_gamma)(a.get(), rate.get()), a);
}
inline tensor draw_beta(const operand &a, const operand &b) {
    return detail::made((ag_draw_beta)(a.get(), b.get()), a);
}
inline tensor draw_dirichlet(const operand &a) { return detail::made((ag_draw_dirichlet)(a.get()), a); }
inline tensor draw_student(const operand &freedom) { return detail::made((ag_draw_student)(freedom.get()), freedom); }
inline tensor sum(const operand &x) { return detail::made((ag_sum)(x.get()), x); }
inline tensor sum_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_sum_over)(x.get(), over, keepdims), x);
}
inline tensor mean(const operand &x) { return detail::made((ag_mean)(x.get()), x); }
inline tensor mean_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_mean_over)(x.get(), over, keepdims), x);
}
inline tensor prod(const operand &x) { return detail::made((ag_prod)(x.get()), x); }
inline tensor prod_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_prod_over)(x.get(), over, keepdims), x);
}
inline tensor var(const operand &x, double correction) { return detail::made((ag_var)(x.get(), correction), x); }
inline tensor var_over(const operand &x, const axes &over, double correction, bool keepdims = false) {
    return detail::made((ag_var_over)(x.get(), over, correction, keepdims), x);
}
inline tensor max(const operand &x) { return detail::made((ag_max)(x.get()), x); }
inline tensor max_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_max_over)(x.get(), over, keepdims), x);
}
inline tensor min(const operand &x) { return detail::made((ag_min)(x.get()), x); }
inline tensor min_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_min_over)(x.get(), over, keepdims), x);
}
inline tensor argmax(const operand &x, int axis, bool keepdims = false) {
    return detail::made((ag_argmax)(x.get(), axis, keepdims), x);
}
inline tensor argmax_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_argmax_over)(x.get(), over, keepdims), x);
}
inline tensor argmin(const operand &x, int axis, bool keepdims = false) {
    return detail::made((ag_argmin)(x.get(), axis, keepdims), x);
}
inline tensor argmin_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_argmin_over)(x.get(), over, keepdims), x);
}
inline tensor all(const operand &x) { return detail::made((ag_all)(x.get()), x); }
inline tensor all_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_all_over)(x.get(), over, keepdims), x);
}
inline tensor any(const operand &x) { return detail::made((ag_any)(x.get()), x); }
inline tensor any_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_any_over)(x.get(), over, keepdims), x);
}
inline tensor cumsum(const operand &x, int axis) { return detail::made((ag_cumsum)(x.get(), axis), x); }
inline tensor cumprod(const operand &x, int axis) { return detail::made((ag_cumprod)(x.get(), axis), x); }
inline tensor cummax(const operand &x, int axis) { return detail::made((ag_cummax)(x.get(), axis), x); }
inline tensor cummin(const operand &x, int axis) { return detail::made((ag_cummin)(x.get(), axis), x); }
inline tensor logcumsumexp(const operand &x, int axis) { return detail::made((ag_logcumsumexp)(x.get(), axis), x); }
inline tensor diff(const operand &x, int64_t n, int axis) { return detail::made((ag_diff)(x.get(), n, axis), x); }
inline tensor reshape(const operand &x, const shape &extents) {
    return detail::made((ag_reshape)(x.get(), extents), x);
}
inline tensor transpose(const operand &x, int axis0, int axis1) {
    return detail::made((ag_transpose)(x.get(), axis0, axis1), x);
}
inline tensor permute(const operand &x, const axes &order) { return detail::made((ag_permute)(x.get(), order), x); }
inline tensor broadcast_to(const operand &x, const shape &extents) {
    return detail::made((ag_broadcast_to)(x.get(), extents), x);
}
inline tensor slice(const operand &x, int axis, int64_t start, int64_t stop, int64_t step) {
    return detail::made((ag_slice)(x.get(), axis, start, stop, step), x);
}
inline tensor flip(const operand &x, int axis) { return detail::made((ag_flip)(x.get(), axis), x); }
inline tensor embed(const operand &x, int axis, int64_t n, int64_t start, int64_t step) {
    return detail::made((ag_embed)(x.get(), axis, n, start, step), x);
}
inline tensor windows(const operand &x, const axes &over, const shape &size, const shape &step) {
    return detail::made((ag_windows)(x.get(), over, size, step), x);
}
inline tensor fold(const operand &x, const axes &over, const shape &extent, const shape &step) {
    return detail::made((ag_fold)(x.get(), over, extent, step), x);
}
inline tensor squeeze(const operand &x, const axes &over) { return detail::made((ag_squeeze)(x.get(), over), x); }
inline tensor unsqueeze(const operand &x, int axis) { return detail::made((ag_unsqueeze)(x.get(), axis), x); }
inline tensor contiguous(const operand &x) { return detail::made((ag_contiguous)(x.get()), x); }
inline tensor stop_gradient(const operand &x) { return detail::made((ag_stop_gradient)(x.get()), x); }
inline tensor sort(const operand &x, int axis, bool descending) {
    return detail::made((ag_sort)(x.get(), axis, descending), x);
}
inline tensor argsort(const operand &x, int axis, bool descending) {
    return detail::made((ag_argsort)(x.get(), axis, descending), x);
}
inline tensor searchsorted(const operand &sorted, const operand &x, bool right) {
    return detail::made((ag_searchsorted)(sorted.get(), x.get(), right), sorted);
}
inline tensor zeros_like(const operand &x) { return detail::made((ag_zeros_like)(x.get()), x); }
inline tensor ones_like(const operand &x) { return detail::made((ag_ones_like)(x.get()), x); }
inline tensor full_like(const operand &x, double value) { return detail::made((ag_full_like)(x.get(), value), x); }
inline tensor exp2(const operand &x) { return detail::made((ag_exp2)(x.get()), x); }
inline tensor log2(const operand &x) { return detail::made((ag_log2)(x.get()), x); }
inline tensor log10(const operand &x) { return detail::made((ag_log10)(x.get()), x); }
inline tensor cbrt(const operand &x) { return detail::made((ag_cbrt)(x.get()), x); }
inline tensor tan(const operand &x) { return detail::made((ag_tan)(x.get()), x); }
inline tensor asin(const operand &x) { return detail::made((ag_asin)(x.get()), x); }
inline tensor acos(const operand &x) { return detail::made((ag_acos)(x.get()), x); }
inline tensor atan(const operand &x) { return detail::made((ag_atan)(x.get()), x); }
inline tensor atan2(const operand &a, const operand &b) { return detail::made((ag_atan2)(a.get(), b.get()), a); }
inline tensor sinh(const operand &x) { return detail::made((ag_sinh)(x.get()), x); }
inline tensor cosh(const operand &x) { return detail::made((ag_cosh)(x.get()), x); }
inline tensor asinh(const operand &x) { return detail::made((ag_asinh)(x.get()), x); }
inline tensor acosh(const operand &x) { return detail::made((ag_acosh)(x.get()), x); }
inline tensor atanh(const operand &x) { return detail::made((ag_atanh)(x.get()), x); }
inline tensor erf(const operand &x) { return detail::made((ag_erf)(x.get()), x); }
inline tensor erfc(const operand &x) { return detail::made((ag_erfc)(x.get()), x); }
inline tensor erfcx(const operand &x) { return detail::made((ag_erfcx)(x.get()), x); }
inline tensor erfinv(const operand &x) { return detail::made((ag_erfinv)(x.get()), x); }
inline tensor ndtr(const operand &x) { return detail::made((ag_ndtr)(x.get()), x); }
inline tensor log_ndtr(const operand &x) { return detail::made((ag_log_ndtr)(x.get()), x); }
inline tensor ndtri(const operand &x) { return detail::made((ag_ndtri)(x.get()), x); }
inline tensor lgamma(const operand &x) { return detail::made((ag_lgamma)(x.get()), x); }
inline tensor digamma(const operand &x) { return detail::made((ag_digamma)(x.get()), x); }
inline tensor polygamma(int n, const operand &x) { return detail::made((ag_polygamma)(n, x.get()), x); }
inline tensor lbeta(const operand &a, const operand &b) { return detail::made((ag_lbeta)(a.get(), b.get()), a); }
inline tensor gammainc(const operand &a, const operand &x) { return detail::made((ag_gammainc)(a.get(), x.get()), a); }
inline tensor gammaincc(const operand &a, const operand &x) {
    return detail::made((ag_gammaincc)(a.get(), x.get()), a);
}
inline tensor betainc(const operand &a, const operand &b, const operand &x) {
    return detail::made((ag_betainc)(a.get(), b.get(), x.get()), a);
}
inline tensor norm(const operand &x, double p) { return detail::made((ag_norm)(x.get(), p), x); }
inline tensor norm_over(const operand &x, const axes &over, double p, bool keepdims = false) {
    return detail::made((ag_norm_over)(x.get(), over, p, keepdims), x);
}
inline tensor std(const operand &x, double correction) { return detail::made((ag_std)(x.get(), correction), x); }
inline tensor std_over(const operand &x, const axes &over, double correction, bool keepdims = false) {
    return detail::made((ag_std_over)(x.get(), over, correction, keepdims), x);
}
inline tensor ptp(const operand &x) { return detail::made((ag_ptp)(x.get()), x); }
inline tensor ptp_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_ptp_over)(x.get(), over, keepdims), x);
}
inline tensor count_nonzero(const operand &x) { return detail::made((ag_count_nonzero)(x.get()), x); }
inline tensor count_nonzero_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_count_nonzero_over)(x.get(), over, keepdims), x);
}
inline tensor median(const operand &x) { return detail::made((ag_median)(x.get()), x); }
inline tensor median_over(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_median_over)(x.get(), over, keepdims), x);
}
inline tensor quantile(const operand &x, double q) { return detail::made((ag_quantile)(x.get(), q), x); }
inline tensor quantile_over(const operand &x, const axes &over, double q, bool keepdims = false) {
    return detail::made((ag_quantile_over)(x.get(), over, q, keepdims), x);
}
inline tensor average_over(const operand &x, const operand &weights, const axes &over, bool keepdims = false) {
    return detail::made((ag_average_over)(x.get(), weights.get(), over, keepdims), x);
}
inline tensor sum_where(const operand &x, const operand &mask, const axes &over, bool keepdims = false) {
    return detail::made((ag_sum_where)(x.get(), mask.get(), over, keepdims), x);
}
inline tensor prod_where(const operand &x, const operand &mask, const axes &over, bool keepdims = false) {
    return detail::made((ag_prod_where)(x.get(), mask.get(), over, keepdims), x);
}
inline tensor mean_where(const operand &x, const operand &mask, const axes &over, bool keepdims = false) {
    return detail::made((ag_mean_where)(x.get(), mask.get(), over, keepdims), x);
}
inline tensor var_where(const operand &x, const operand &mask, const axes &over, double correction, bool keepdims = false) {
    return detail::made((ag_var_where)(x.get(), mask.get(), over, correction, keepdims), x);
}
inline tensor std_where(const operand &x, const operand &mask, const axes &over, double correction, bool keepdims = false) {
    return detail::made((ag_std_where)(x.get(), mask.get(), over, correction, keepdims), x);
}
inline tensor max_where(const operand &x, const operand &mask, const axes &over, double initial, bool keepdims = false) {
    return detail::made((ag_max_where)(x.get(), mask.get(), over, initial, keepdims), x);
}
inline tensor min_where(const operand &x, const operand &mask, const axes &over, double initial, bool keepdims = false) {
    return detail::made((ag_min_where)(x.get(), mask.get(), over, initial, keepdims), x);
}
inline tensor nansum(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_nansum)(x.get(), over, keepdims), x);
}
inline tensor nanprod(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_nanprod)(x.get(), over, keepdims), x);
}
inline tensor nanmean(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_nanmean)(x.get(), over, keepdims), x);
}
inline tensor nanvar(const operand &x, const axes &over, double correction, bool keepdims = false) {
    return detail::made((ag_nanvar)(x.get(), over, correction, keepdims), x);
}
inline tensor nanstd(const operand &x, const axes &over, double correction, bool keepdims = false) {
    return detail::made((ag_nanstd)(x.get(), over, correction, keepdims), x);
}
inline tensor nanmax(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_nanmax)(x.get(), over, keepdims), x);
}
inline tensor nanmin(const operand &x, const axes &over, bool keepdims = false) {
    return detail::made((ag_nanmin)(x.get(), over, keepdims), x);
}

// ---- End of what is made ----

/* ---- Operators ---- */

inline tensor operator-(const operand &x) { return neg(x); }
inline tensor operator+(const operand &a, const operand &b) { return add(a, b); }
inline tensor operator-(const operand &a, const operand &b) { return sub(a, b); }
inline tensor operator*(const operand &a, const operand &b) { return mul(a, b); }
inline tensor operator/(const operand &a, const operand &b) { return div(a, b); }
inline tensor operator<(const operand &a, const operand &b) { return less(a, b); }
inline tensor operator<=(const operand &a, const operand &b) { return less_equal(a, b); }
inline tensor operator>(const operand &a, const operand &b) { return greater(a, b); }
inline tensor operator>=(const operand &a, const operand &b) { return greater_equal(a, b); }

template <class S> detail::number<S> operator+(const operand &x, S s) { return add_scalar(x, static_cast<double>(s)); }
template <class S> detail::number<S> operator+(S s, const operand &x) { return add_scalar(x, static_cast<double>(s)); }
template <class S> detail::number<S> operator-(const operand &x, S s) { return add_scalar(x, -static_cast<double>(s)); }
template <class S> detail::number<S> operator-(S s, const operand &x) { return rsub_scalar(static_cast<double>(s), x); }
template <class S> detail::number<S> operator*(const operand &x, S s) { return scale(x, static_cast<double>(s)); }
template <class S> detail::number<S> operator*(S s, const operand &x) { return scale(x, static_cast<double>(s)); }
template <class S> detail::number<S> operator/(const operand &x, S s) { return div_scalar(x, static_cast<double>(s)); }
template <class S> detail::number<S> operator/(S s, const operand &x) { return rdiv_scalar(static_cast<double>(s), x); }
template <class S> detail::number<S> operator<(const operand &x, S s) { return less_scalar(x, static_cast<double>(s)); }
template <class S> detail::number<S> operator<(S s, const operand &x) { return greater_scalar(x, static_cast<double>(s)); }
template <class S> detail::number<S> operator<=(const operand &x, S s) { return less_equal_scalar(x, static_cast<double>(s)); }
template <class S> detail::number<S> operator<=(S s, const operand &x) { return greater_equal_scalar(x, static_cast<double>(s)); }
template <class S> detail::number<S> operator>(const operand &x, S s) { return greater_scalar(x, static_cast<double>(s)); }
template <class S> detail::number<S> operator>(S s, const operand &x) { return less_scalar(x, static_cast<double>(s)); }
template <class S> detail::number<S> operator>=(const operand &x, S s) { return greater_equal_scalar(x, static_cast<double>(s)); }
template <class S> detail::number<S> operator>=(S s, const operand &x) { return less_equal_scalar(x, static_cast<double>(s)); }

/* ---- Functions of lists ---- */

inline tensor concat(const std::vector<tensor> &list, int axis, AG_HPP_HERE) {
    auto p = detail::pointers(list);
    return detail::made((ag_concat)(static_cast<int>(p.size()), p.data(), axis), file, line);
}

/* grad -- dy/dx for each x, as ag_grad */
inline std::vector<tensor> grad(const tensor &y, const std::vector<tensor> &x, AG_HPP_HERE) {
    auto p = detail::pointers(x);
    std::vector<ag_tensor *> dx(p.size());
    (ag_here)(file, line);
    ag_status status = (ag_grad)(y, static_cast<int>(p.size()), p.data(), dx.data());
    return detail::made(dx, status, y.tape());
}

/* vjp -- ybar·∂y/∂x for each x, as ag_vjp */
inline std::vector<tensor> vjp(const std::vector<tensor> &y, const std::vector<tensor> &ybar, const std::vector<tensor> &x,
                               unsigned flags = 0, AG_HPP_HERE) {
    auto py = detail::pointers(y), pybar = detail::pointers(ybar), px = detail::pointers(x);
    if (py.size() != pybar.size()) throw std::invalid_argument("vjp: as many cotangents as outputs are wanted");
    std::vector<ag_tensor *> dx(px.size());
    (ag_here)(file, line);
    ag_status status = (ag_vjp)(static_cast<int>(py.size()), py.data(), pybar.data(), static_cast<int>(px.size()), px.data(),
                                dx.data(), flags);
    return detail::made(dx, status, y.empty() ? nullptr : y[0].tape());
}

/* jvp -- ∂y/∂x·xdot for each y, as ag_jvp */
inline std::vector<tensor> jvp(const std::vector<tensor> &y, const std::vector<tensor> &x, const std::vector<tensor> &xdot,
                               AG_HPP_HERE) {
    auto py = detail::pointers(y), px = detail::pointers(x), pxdot = detail::pointers(xdot);
    if (px.size() != pxdot.size()) throw std::invalid_argument("jvp: as many tangents as inputs are wanted");
    std::vector<ag_tensor *> dy(py.size());
    (ag_here)(file, line);
    ag_status status = (ag_jvp)(static_cast<int>(py.size()), py.data(), static_cast<int>(px.size()), px.data(), pxdot.data(),
                                dy.data());
    return detail::made(dy, status, y.empty() ? nullptr : y[0].tape());
}

/* gradcheck -- as ag_gradcheck, of a function from std::vector<tensor> to a tensor. What it throws passes through */
template <class F>
ag_gradcheck_report gradcheck(F f, const std::vector<tensor> &x, const ag_gradcheck_options &options = {}, AG_HPP_HERE) {
    struct call {
        F &f;
        std::exception_ptr thrown;
        static ag_tensor *run(void *context, int n, ag_tensor *const x[]) {
            call *c = static_cast<call *>(context);
            try { /* nothing can be thrown through the library */
                return c->f(std::vector<tensor>(x, x + n)).get();
            } catch (...) {
                if (!c->thrown) c->thrown = std::current_exception();
                return nullptr;
            }
        }
    } c{f, nullptr};
    auto p = detail::pointers(x);
    ag_gradcheck_report report{};
    (ag_here)(file, line);
    (ag_gradcheck)(call::run, &c, static_cast<int>(p.size()), p.data(), &options, &report);
    if (c.thrown) std::rethrow_exception(c.thrown);
    if (!x.empty()) detail::failed(x[0].tape());
    return report;
}

/* ---- Tapes ---- */

/* tape -- owns what is recorded on it; a tape can be moved, not copied */
class tape {
public:
    tape() : t_(ag_tape_new()) {
        if (!t_) throw std::bad_alloc();
    }
    explicit tape(throwing_t) : tape() { detail::throwers::add(t_); }
    tape(tape &&other) noexcept : t_(std::exchange(other.t_, nullptr)) {}
    tape &operator=(tape &&other) noexcept {
        std::swap(t_, other.t_);
        return *this;
    }
    tape(const tape &) = delete;
    tape &operator=(const tape &) = delete;
    ~tape() {
        if (!t_) return;
        detail::throwers::remove(t_);
        ag_tape_free(t_);
    }
    ag_tape *get() const { return t_; }
    operator ag_tape *() const { return t_; }

    ag_status status() const { return ag_tape_status(t_); }
    std::string error() const { return ag_tape_error(t_); }
    void check() const { ag::check(t_); }
    void clear_error() { ag_clear_error(t_); }
    void seed(uint64_t seed) { ag_tape_seed(t_, seed); }

    /* A number; a list; a list of rows; elements from memory, or from a std::vector, with a shape. */
    template <class T> tensor constant(T value, AG_HPP_HERE) { return scalar(ag_from_, value, file, line); }
    template <class T> tensor constant(std::initializer_list<T> list, AG_HPP_HERE) { return row(ag_from_, list, file, line); }
    template <class T> tensor constant(std::initializer_list<std::initializer_list<T>> rows, AG_HPP_HERE) {
        return matrix(ag_from_, rows, file, line);
    }
    template <class T> tensor constant(const shape &s, const std::vector<T> &data, AG_HPP_HERE) {
        return shaped(ag_from_, s, data, file, line);
    }
    template <class T> tensor parameter(T value, AG_HPP_HERE) { return scalar(ag_parameter_, value, file, line); }
    template <class T> tensor parameter(std::initializer_list<T> list, AG_HPP_HERE) {
        return row(ag_parameter_, list, file, line);
    }
    template <class T> tensor parameter(std::initializer_list<std::initializer_list<T>> rows, AG_HPP_HERE) {
        return matrix(ag_parameter_, rows, file, line);
    }
    template <class T> tensor parameter(const shape &s, const std::vector<T> &data, AG_HPP_HERE) {
        return shaped(ag_parameter_, s, data, file, line);
    }
    tensor parameter(const tensor &value, AG_HPP_HERE) { return detail::made((ag_parameter_from)(value), file, line); }
    tensor parameter(ag_tensor *value, AG_HPP_HERE) { return parameter(tensor(value), file, line); }
    template <class T> tensor variable(T value, AG_HPP_HERE) { return scalar(ag_variable_, value, file, line); }
    template <class T> tensor variable(std::initializer_list<T> list, AG_HPP_HERE) {
        return row(ag_variable_, list, file, line);
    }
    template <class T> tensor variable(const shape &s, const std::vector<T> &data, AG_HPP_HERE) {
        return shaped(ag_variable_, s, data, file, line);
    }
    tensor variable(const tensor &value, AG_HPP_HERE) { return detail::made((ag_variable_from)(value), file, line); }
    tensor variable(ag_tensor *value, AG_HPP_HERE) { return variable(tensor(value), file, line); }

    tensor full(const shape &s, double value, dtype d = f64, AG_HPP_HERE) {
        return detail::made((ag_full)(t_, d, s, value), file, line);
    }
    tensor zeros(const shape &s, dtype d = f64, AG_HPP_HERE) { return full(s, 0, d, file, line); }
    tensor ones(const shape &s, dtype d = f64, AG_HPP_HERE) { return full(s, 1, d, file, line); }
    tensor arange(int64_t n, dtype d = f64, AG_HPP_HERE) { return detail::made((ag_arange)(t_, d, n), file, line); }
    tensor uniform(const shape &s, double low = 0, double high = 1, dtype d = f64, AG_HPP_HERE) {
        return detail::made((ag_uniform)(t_, d, s, low, high), file, line);
    }
    tensor normal(const shape &s, double mean = 0, double deviation = 1, dtype d = f64, AG_HPP_HERE) {
        return detail::made((ag_normal)(t_, d, s, mean, deviation), file, line);
    }

private:
    using maker = ag_tensor *(*)(ag_tape *, dtype, ag_shape, const void *);
    static constexpr maker ag_from_ = (ag_from), ag_parameter_ = (ag_parameter), ag_variable_ = (ag_variable);

    template <class T> tensor scalar(maker make, T value, const char *file, int line) {
        const detail::element<T> v = value;
        return detail::made(make(t_, detail::dtype_of<detail::element<T>>(), shape(), &v), file, line);
    }
    /* Element by element: a std::vector<bool> has no memory of bools. */
    template <class T, class Elements>
    tensor filled(maker make, const shape &s, const Elements &list, std::size_t n, const char *file, int line) {
        std::vector<std::conditional_t<std::is_same<T, bool>::value, unsigned char, T>> data;
        data.reserve(n);
        for (const auto &v : list) data.push_back(static_cast<typename decltype(data)::value_type>(v));
        return detail::made(make(t_, detail::dtype_of<T>(), s, data.data()), file, line);
    }
    template <class T> tensor row(maker make, std::initializer_list<T> list, const char *file, int line) {
        return filled<detail::element<T>>(make, {static_cast<int64_t>(list.size())}, list, list.size(), file, line);
    }
    template <class T>
    tensor matrix(maker make, std::initializer_list<std::initializer_list<T>> rows, const char *file, int line) {
        const std::size_t columns = rows.size() ? rows.begin()->size() : 0;
        std::vector<T> all;
        for (const auto &r : rows) {
            if (r.size() != columns) throw std::invalid_argument("the rows of a matrix differ in length");
            all.insert(all.end(), r.begin(), r.end());
        }
        const shape s{static_cast<int64_t>(rows.size()), static_cast<int64_t>(columns)};
        return filled<detail::element<T>>(make, s, all, all.size(), file, line);
    }
    template <class T>
    tensor shaped(maker make, const shape &s, const std::vector<T> &data, const char *file, int line) {
        std::size_t n = 1;
        for (int i = 0; i < s.rank && i < AG_MAX_RANK; i++) n *= static_cast<std::size_t>(s.extent[i]);
        if (n != data.size()) throw std::invalid_argument("the shape and the data differ in the number of elements");
        return filled<detail::element<T>>(make, s, data, n, file, line);
    }
    ag_tape *t_;
};

/* step -- what is recorded while it lives is released with it, as by ag_tape_mark and ag_tape_rewind */
class step {
public:
    explicit step(const tape &t, AG_HPP_HERE) : tape_(t.get()) {
        (ag_here)(file, line);
        mark_ = (ag_tape_mark)(tape_);
    }
    ~step() { (ag_tape_rewind)(tape_, mark_); }
    step(const step &) = delete;
    step &operator=(const step &) = delete;

private:
    ag_tape *tape_;
    ag_mark mark_;
};

/* unrecorded -- while it lives, what is recorded requires no gradients, as by ag_tape_set_recording */
class unrecorded {
public:
    explicit unrecorded(const tape &t) : tape_(t.get()), former_(ag_tape_set_recording(tape_, false)) {}
    ~unrecorded() { ag_tape_set_recording(tape_, former_); }
    unrecorded(const unrecorded &) = delete;
    unrecorded &operator=(const unrecorded &) = delete;

private:
    ag_tape *tape_;
    bool former_;
};

} // namespace ag

#undef AG_HPP_HERE
#endif
