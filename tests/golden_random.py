"""golden_random -- random numbers: the calls of NumPy, SciPy and PyTorch that cases of this family are compared with

See golden.py. A call takes PyTorch's tensors, gives one, and goes through autograd where the case has a gradient."""

CALLS = {}
