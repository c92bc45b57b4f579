/* peer_adolc -- programs of scalars by ADOL-C */
#include "peer_adolc.h"

#include <adolc/adolc.h>

#include <vector>

namespace {

typedef std::vector<adouble> numbers;

/* Record f, and take its gradient from that one recording. */
template <class Function> double differentiated(int n, const double *x, double *dx, const Function &f) {
    const short tag = 1;
    double y = 0, one = 1;
    trace_on(tag, 1); /* 1: the values of this run are kept for the reverse sweep */
    {
        numbers in(static_cast<size_t>(n));
        for (size_t i = 0; i < in.size(); i++) in[i] <<= x[i];
        f(in) >>= y;
    }
    trace_off();
    fos_reverse(tag, 1, n, &one, dx);
    return y;
}

/* Along row `row`; bit j of `columns` says that column j is left. */
adouble minor_of(const numbers &a, unsigned n, unsigned row, unsigned columns) {
    adouble sum;
    bool any = false, negative = false;
    for (unsigned j = 0; j < n; j++) {
        if (!(columns & 1u << j)) continue;
        const adouble &element = a[row * n + j];
        if (row + 1 == n) return element;
        if (!any) sum = element * minor_of(a, n, row + 1, columns & ~(1u << j));
        else if (negative) sum -= element * minor_of(a, n, row + 1, columns & ~(1u << j));
        else sum += element * minor_of(a, n, row + 1, columns & ~(1u << j));
        any = true, negative = !negative;
    }
    return sum;
}

/* y'ᵢ = xᵢ·yᵢ₋₁, and y'₀ = x₀ */
numbers slope(const numbers &x, const numbers &y) {
    numbers dy(x.size());
    dy[0] = x[0];
    for (size_t i = 1; i < x.size(); i++) dy[i] = x[i] * y[i - 1];
    return dy;
}

numbers moved(const numbers &y, const numbers &dy, double h) {
    numbers z(y.size());
    for (size_t i = 0; i < y.size(); i++) z[i] = y[i] + dy[i] * h;
    return z;
}

numbers runge_kutta(const numbers &x, const numbers &y, double h) {
    numbers a = slope(x, y), b = slope(x, moved(y, a, h / 2)), c = slope(x, moved(y, b, h / 2)),
            d = slope(x, moved(y, c, h)), sum(x.size());
    for (size_t i = 0; i < x.size(); i++) sum[i] = (a[i] + d[i]) + (b[i] + c[i]) * 2.0;
    return moved(y, sum, h / 6);
}

} // namespace

double adolc_determinant(int n, const double *x, double *dx) {
    const unsigned side = static_cast<unsigned>(n);
    return differentiated(n * n, x, dx, [=](const numbers &a) { return minor_of(a, side, 0, (1u << side) - 1); });
}

double adolc_ode(int n, int steps, double h, const double *x, double *dx) {
    return differentiated(n, x, dx, [=](const numbers &p) {
        numbers y(p.size());
        for (adouble &component : y) component = 0.0;
        for (int k = 0; k < steps; k++) y = runge_kutta(p, y, h);
        adouble sum = y[0];
        for (size_t i = 1; i < y.size(); i++) sum = sum + y[i];
        return sum;
    });
}

double adolc_chain(int n, int length, const double *x, double *dx) {
    return differentiated(n, x, dx, [=](const numbers &p) {
        adouble y = p[0];
        for (int i = 0; i < length; i++) { /* no conditional operator: results of adub cannot be copied before C++17 */
            if (i % 4 == 0) y = y * y;
            else if (i % 4 == 1) y = y + p[2];
            else if (i % 4 == 2) y = sqrt(y);
            else y = y * p[1];
        }
        return y;
    });
}
