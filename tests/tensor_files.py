"""Readers of .npz and safetensors files that share nothing with the library: each gives {name: (dtype, shape, bytes)}."""

import ast
import json
import struct
import zipfile


def read_safetensors(path):
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body, found, end = data[8 + length :], {}, 0
    for name, entry in header.items():
        begin, after = entry["data_offsets"]
        assert begin == end, f"{name} begins at {begin}, not at {end}"
        found[name], end = (entry["dtype"], tuple(entry["shape"]), body[begin:after]), after
    assert end == len(body), f"{len(body) - end} bytes are no tensor's"
    return found


def read_metadata(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length)).get("__metadata__", {})


def write_safetensors(path, tensors):
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def read_npy(data):
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    (length,) = struct.unpack("<H", data[8:10])
    assert (10 + length) % 64 == 0 and data[9 + length : 10 + length] == b"\n"
    header = ast.literal_eval(data[10 : 10 + length].decode("ascii"))
    assert sorted(header) == ["descr", "fortran_order", "shape"] and header["fortran_order"] is False
    return header["descr"], header["shape"], data[10 + length :]


def read_npz(path):
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        assert all(name.endswith(".npy") for name in file.namelist())
        return {name[: -len(".npy")]: read_npy(file.read(name)) for name in file.namelist()}
