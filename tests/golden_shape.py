"""golden_shape -- rearranging, padding, indexing, constructors: the calls of NumPy, SciPy and PyTorch that cases of this family are compared with

See golden.py. A call takes PyTorch's tensors, gives one, and goes through autograd where the case has a gradient."""
import torch

CALLS = {}
