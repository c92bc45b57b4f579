"""golden_linalg -- linear algebra, einsum, Fourier transforms: the calls of NumPy, SciPy and PyTorch that cases of this family are compared with

See golden.py. A call takes PyTorch's tensors, gives one, and goes through autograd where the case has a gradient."""
import torch


def einsum(text):
    return lambda *x: torch.einsum(text, *x)


def numpy_dot(a, b):
    """NumPy's: the last axis of a, and the one before the last of b."""
    return torch.tensordot(a, b, ([a.dim() - 1], [max(b.dim() - 2, 0)]))


def outer(a, b):
    return a.flatten().unsqueeze(1) * b.flatten()


def trace(x, offset=0, axis0=-2, axis1=-1):
    return x.diagonal(offset, axis0, axis1).sum(-1)


CALLS = {
    "matmul vectors": torch.matmul,
    "matmul vector by matrix": torch.matmul,
    "matmul matrix by vector": torch.matmul,
    "matmul vector by batch": torch.matmul,
    "matmul batch by vector": torch.matmul,
    "matmul empty vectors": torch.matmul,
    "dot vectors": numpy_dot,
    "dot matrices": numpy_dot,
    "dot of many axes": numpy_dot,
    "dot by vector": numpy_dot,
    "dot by number": torch.mul,
    "vdot": lambda a, b: (a.flatten() * b.flatten()).sum(),
    "inner": torch.inner,
    "inner by number": torch.mul,
    "outer": outer,
    "outer nothing": outer,
    "kron": torch.kron,
    "kron of other ranks": torch.kron,
    "kron of numbers": torch.kron,
    "kron of many axes": torch.kron,
    "kron nothing": torch.kron,
    "cross": lambda a, b: torch.linalg.cross(a, b),
    "cross broadcast": lambda a, b: torch.linalg.cross(a.expand(b.shape), b),
    "cross 0": lambda a, b: torch.linalg.cross(a, b, dim=0),
    "tensordot_over": lambda a, b: torch.tensordot(a, b, ([0, -1], [2, 1])),
    "tensordot_over none": lambda a, b: torch.tensordot(a, b, 0),
    "matrix_trace": trace,
    "matrix_trace nothing": trace,
    "matrix_trace offset": lambda x: trace(x, 1, 0, 2),
    "matrix_trace below": lambda x: trace(x, -2, -1, 0),
    "matrix_trace beyond": lambda x: x[0].sum(0) * 0,
    "einsum ij,jk->ik": einsum("ij,jk->ik"),
    "einsum bij,bjk->bik": einsum("bij,bjk->bik"),
    "einsum bij,kjb->bki": einsum("bij,kjb->bki"),
    "einsum ba,cb": einsum("ba,cb"),
    "einsum i,i": einsum("i,i"),
    "einsum ij,ij->i": einsum("ij,ij->i"),
    "einsum ij,i->ji": einsum("ij,i->ji"),
    "einsum i,jk->jik": einsum("i,jk->jik"),
    "einsum ii": einsum("ii"),
    "einsum iji->ji": einsum("iji->ji"),
    "einsum ijk->j": einsum("ijk->j"),
    "einsum ijk->kij": einsum("ijk->kij"),
    "einsum ...ij,...jk->...ik": einsum("...ij,...jk->...ik"),
    "einsum i...,ij...": einsum("i...,ij..."),
    "einsum i...->...": einsum("i...->..."),
    "einsum ij,jk,kl->il": einsum("ij,jk,kl->il"),
    "einsum bi,oij,bj->bo": einsum("bi,oij,bj->bo"),
    "einsum ij,ij->ij": einsum("ij,ij->ij"),
    "einsum ij": einsum("ij"),
}
