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


def symmetric(x):
    return (x + x.mT) / 2


def solve(a, b):
    """NumPy's, of version 2: only one axis makes b a vector."""
    if b.dim() == 1:
        return torch.linalg.solve(a, b.unsqueeze(1)).squeeze(-1)
    return torch.linalg.solve(a, b)


def triangular(upper, unit):
    def call(a, b):
        wide = b.unsqueeze(1) if b.dim() == 1 else b
        y = torch.linalg.solve_triangular(a, wide, upper=upper, unitriangular=unit)
        return y.squeeze(-1) if b.dim() == 1 else y
    return call


def lu(i):
    return lambda x: torch.linalg.lu(x)[i]


def qr(i):
    return lambda x: torch.linalg.qr(x)[i]


def eigh(i):
    return lambda x: torch.linalg.eigh(symmetric(x))[i] ** (1 + i)


def svd(i, power):
    return lambda x: torch.linalg.svd(x, full_matrices=False)[i] ** power


def svd_uv(x):
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    return u @ v


def lstsq(a, b):
    wide = b.unsqueeze(1) if b.dim() == 1 else b
    y = torch.linalg.pinv(a) @ wide
    return y.squeeze(-1) if b.dim() == 1 else y


def norm(kind, keepdim=False):
    return lambda x: torch.linalg.matrix_norm(x, kind, keepdim=keepdim)


def pairs(call):
    """A function of complex numbers as one of pairs."""
    return lambda x: torch.view_as_real(call(torch.view_as_complex(x.contiguous())))


def to_pairs(call):
    return lambda x: torch.view_as_real(call(x))


def from_pairs(call):
    return lambda x: call(torch.view_as_complex(x.contiguous()))


def complex_mul(a, b):
    re, im = a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1], a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]
    return torch.stack([re, im], -1)


CALLS = {
    "qr q": qr(0),
    "qr r": qr(1),
    "qr q tall": qr(0),
    "qr r tall": qr(1),
    "qr nothing": qr(1),
    "eigh w": eigh(0),
    "eigh v": eigh(1),
    "eigh nothing": eigh(0),
    "eigvalsh": eigh(0),
    "svd u": svd(0, 2),
    "svd s": svd(1, 1),
    "svd v": svd(2, 2),
    "svd u tall": svd(0, 2),
    "svd uv tall": svd_uv,
    "svd v wide": svd(2, 2),
    "svd uv wide": svd_uv,
    "svdvals": torch.linalg.svdvals,
    "svdvals nothing": torch.linalg.svdvals,
    "pinv": torch.linalg.pinv,
    "pinv wide": torch.linalg.pinv,
    "pinv nothing": torch.linalg.pinv,
    "lstsq": lstsq,
    "lstsq wide": lstsq,
    "lstsq vector": lstsq,
    "matrix_rank": torch.linalg.matrix_rank,
    "matrix_rank nothing": torch.linalg.matrix_rank,
    "matrix_norm fro": norm("fro"),
    "matrix_norm fro kept": norm("fro", True),
    "matrix_norm fro nothing": lambda x: (x * x).sum((-2, -1)),
    "matrix_norm nuc": norm("nuc"),
    "matrix_norm 1": norm(1),
    "matrix_norm -1": norm(-1),
    "matrix_norm 2": norm(2),
    "matrix_norm -2": norm(-2),
    "matrix_norm inf": norm(float("inf")),
    "matrix_norm -inf": norm(-float("inf")),
    "fft": pairs(lambda x: torch.fft.fft(x)),
    "fft 0": pairs(lambda x: torch.fft.fft(x, dim=0)),
    "fft one": pairs(lambda x: torch.fft.fft(x, dim=0)),
    "fft nothing": lambda x: x * 1,
    "ifft": pairs(lambda x: torch.fft.ifft(x)),
    "fft -2,-1 ortho": pairs(lambda x: torch.fft.fft2(x, norm="ortho")),
    "fft all": pairs(torch.fft.fft2),
    "ifft 0,1 forward": pairs(lambda x: torch.fft.ifft2(x, norm="forward")),
    "fft 1 forward": pairs(lambda x: torch.fft.fft(x, norm="forward")),
    "rfft": to_pairs(torch.fft.rfft),
    "rfft odd": to_pairs(torch.fft.rfft),
    "rfft one": to_pairs(torch.fft.rfft),
    "rfft 0": to_pairs(lambda x: torch.fft.rfft(x, dim=0)),
    "rfft -2,-1 ortho": to_pairs(lambda x: torch.fft.rfft2(x, norm="ortho")),
    "irfft": from_pairs(torch.fft.irfft),
    "irfft odd": from_pairs(lambda x: torch.fft.irfft(x, 5)),
    "irfft 0": from_pairs(lambda x: torch.fft.irfft(x, dim=0)),
    "irfft cut": from_pairs(lambda x: torch.fft.irfft(x, 3)),
    "irfft padded": from_pairs(lambda x: torch.fft.irfft(x, 9)),
    "irfft -2,-1": from_pairs(lambda x: torch.fft.irfft2(x, (3, 6))),
    "complex": lambda a, b: torch.stack(torch.broadcast_tensors(a, b), -1),
    "complex_mul": complex_mul,
    "complex_conj": lambda x: x * torch.tensor([1, -1], dtype=x.dtype),
    "complex_abs": lambda x: torch.linalg.vector_norm(x, dim=-1),
    "solve": solve,
    "solve batch": solve,
    "solve vector": solve,
    "solve one": solve,
    "solve nothing": solve,
    "solve for nothing": solve,
    "solve_triangular upper": triangular(True, False),
    "solve_triangular unit": triangular(False, True),
    "solve_triangular vector": triangular(True, False),
    "inverse": torch.linalg.inv,
    "inverse nothing": torch.linalg.inv,
    "det": torch.linalg.det,
    "det two axes": torch.linalg.det,
    "det nothing": torch.linalg.det,
    "cofactor": lambda x: torch.linalg.det(x)[..., None, None] * torch.linalg.inv(x).mT,
    "slogdet sign": lambda x: torch.linalg.slogdet(x)[0],
    "slogdet log": lambda x: torch.linalg.slogdet(x)[1],
    "slogdet log two axes": lambda x: torch.linalg.slogdet(x)[1],
    "cholesky": lambda x: torch.linalg.cholesky(symmetric(x)),
    "cholesky nothing": lambda x: torch.linalg.cholesky(symmetric(x)),
    "lu p": lu(0),
    "lu l": lu(1),
    "lu u": lu(2),
    "lu l tall": lu(1),
    "lu u tall": lu(2),
    "lu l wide": lu(1),
    "lu u wide": lu(2),
    "lu exchanged": lu(2),
    "matrix_power 3": lambda x: torch.linalg.matrix_power(x, 3),
    "matrix_power 0": lambda x: torch.linalg.matrix_power(x, 0) + 0 * x,
    "matrix_power 1": lambda x: torch.linalg.matrix_power(x, 1),
    "matrix_power -2": lambda x: torch.linalg.matrix_power(x, -2),
    "matrix_exp": torch.matrix_exp,
    "matrix_exp small": torch.matrix_exp,
    "matrix_exp two axes": torch.matrix_exp,
    "matrix_exp nothing": torch.matrix_exp,
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
    "einsum bi,bj->bij": einsum("bi,bj->bij"),
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
