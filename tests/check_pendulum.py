"""Fits the pendulum's data by SciPy as well: check_pendulum.py PROGRAM

The data are those that the program simulates, and a file with times at uneven distances, of which it knows no truth. Parameters
agree within a thousandth of their error bars, and error bars within a thousandth of themselves: SciPy integrates with shorter
steps, and has its derivatives from differences. Skipped without SciPy."""

import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from scipy.optimize import curve_fit
except ImportError:
    print("there is no SciPy: install python3-scipy")
    sys.exit(77)


def angles(times, omega, gamma, theta, velocity):
    """By Runge and Kutta's method, with 16 steps from each time to the next."""
    def slope(state):
        return np.array([state[1], -omega**2 * np.sin(state[0]) - gamma * state[1]])

    state, found = np.array([theta, velocity]), [theta]
    for h in np.diff(times) / 16:
        for _ in range(16):
            k1 = slope(state)
            k2 = slope(state + h / 2 * k1)
            k3 = slope(state + h / 2 * k2)
            state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(state + h * k3))
        found.append(state[0])
    return np.array(found)


def agrees(folder, times, measured):
    fit = np.loadtxt(folder / "pendulum-fit.csv", delimiter=",", skiprows=1)
    best, covariance = curve_fit(angles, times, measured, fit[:, 0] * 1.01, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    error = np.sqrt(np.diag(covariance))
    apart, wrong = np.abs(fit[:, 0] - best) / error, np.abs(fit[:, 1] / error - 1)
    print("parameters apart, in error bars:", apart, " error bars apart:", wrong)
    return apart.max() < 1e-3 and wrong.max() < 1e-3


def main():
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([sys.argv[1], folder], check=True, stdout=subprocess.DEVNULL)
        good &= agrees(folder, *np.loadtxt(folder / "pendulum.csv", delimiter=",", skiprows=1).T)
        draw = np.random.default_rng(3)
        times = np.cumsum(draw.uniform(0.02, 0.2, 150))
        measured = angles(times, 3.1, 0.2, -2.0, 1.0) + draw.normal(size=150) * 0.05
        path = folder / "measured.csv"
        path.write_text("theta,note,t\n" + "".join(f"{y!r},x,{t!r}\n" for t, y in zip(times.tolist(), measured.tolist())))
        subprocess.run([sys.argv[1], folder, path], check=True, stdout=subprocess.DEVNULL)
        good &= agrees(folder, times, measured)
    return not good


if __name__ == "__main__":
    sys.exit(main())
