"""Machine code against the assembler: check_encodings.py PROGRAM AS [INSTRUCTION_SET...]

Each form of instruction that an encoder can emit is put into a loop, with registers of each class and operands in each
place, and assembled by the encoder (PROGRAM is encodings.c). The same loop is written here as text, from the
descriptions in encode.h and of the encoders, not from their tables, and assembled by AS, the one of GNU binutils. Both
must be the same bytes. No code runs, so the processor need not have the instructions. Random sequences of instructions
follow, for what an encoder knows from those before."""

import pathlib
import random
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def enumerators(path, opening):
    """The names of an enumeration, in their order."""
    text = (ROOT / path).read_text()
    start = text.index(opening)
    body = re.sub(r"/\*.*?\*/", "", text[start : text.index("}", start)].split("{", 1)[1], flags=re.S)
    return [part.split("=")[0].strip() for part in body.split(",") if part.strip()]


TRACE = enumerators("autograd/trace.h", "typedef enum ag_trace_code {")
OWN = enumerators("autograd/eval/encode.h", "enum {\n    AG__SELECT")
CODE = {name: i for i, name in enumerate(TRACE[:-1])} | {name: len(TRACE) - 1 + i for i, name in enumerate(OWN)}
PLACE = {name: i for i, name in enumerate(enumerators("autograd/eval/encode.h", "enum {\n    AG__NO_PLACE"))}
DTYPE = {name: i for i, name in enumerate(enumerators("autograd/types.h", "typedef enum ag_dtype {"))}
BYTES = {DTYPE["AG_BOOL"]: 1, DTYPE["AG_F32"]: 4, DTYPE["AG_F64"]: 8}
LANES = 32  # of folds; in builds with tiny limits fewer

BASES = ["r8", "r9", "r10", "r11", "rbx", "r12", "r13", "r14", "r15"]
ARITHMETIC = {
    "AG_TRACE_ADD": "vadd", "AG_TRACE_SUB": "vsub", "AG_TRACE_MUL": "vmul", "AG_TRACE_DIV": "vdiv", "AG_TRACE_MAX": "vmax",
    "AG_TRACE_MIN": "vmin", "AG_TRACE_AND": "vand", "AG_TRACE_OR": "vor", "AG_TRACE_XOR": "vxor", "AG__AND_NOT": "vandn",
    "AG__SCALE": "vscalef",
}
BITWISE = {"AG_TRACE_AND": "kandw", "AG_TRACE_OR": "korw", "AG_TRACE_XOR": "kxorw"}
STRONG = {"AG_TRACE_STRONG_MUL": "vmul", "AG_TRACE_STRONG_DIV": "vdiv"}
COMPARISONS = {"AG_TRACE_LESS": 0x11, "AG_TRACE_LESS_EQUAL": 0x12, "AG_TRACE_EQUAL": 0, "AG_TRACE_NOT_EQUAL": 4}
OF_BITS = {"AG_TRACE_BITS_ADD": "vpadd", "AG_TRACE_BITS_SUB": "vpsub"}
WHOLE = {"AG__LOW_MUL": "vpmuludq", "AG__WHOLE_MUL": "vpmullq"}
WHOLE_COMPARISONS = {"AG__WHOLE_EQUAL": "vpcmpeqq", "AG__WHOLE_GREATER": "vpcmpgtq"}
WHOLE_CONVERSIONS = {"AG__FROM_WHOLE": "vcvtqq2pd", "AG__NARROW_WHOLE": "vcvtqq2ps", "AG__TO_WHOLE": "vcvttpd2qq"}
SHIFTS = {"AG__SHIFT_LEFT": "vpsll", "AG__SHIFT_RIGHT": "vpsrl"}
FMA = {form + i: f"v{name}{order}" for form, order in ((0x98, 132), (0xA8, 213), (0xB8, 231))
       for i, name in ((0, "fmadd"), (2, "fmsub"), (4, "fnmadd"), (6, "fnmsub"))}
PS, DQ, PART = "sd", "dq", {128: "XMMWORD", 256: "YMMWORD", 512: "ZMMWORD", 64: "QWORD", 32: "DWORD"}


def vector(number, bits):
    return {128: "xmm", 256: "ymm", 512: "zmm"}[max(bits, 128)] + str(number)


class Instruction:
    """An ag__asm."""

    def __init__(self, code, wide=0, truth=0, copy=0, y=0, a=0, b=-1, place="AG__NO_PLACE", k=0, at=0):
        self.code, self.wide, self.truth, self.copy = code, int(wide), int(truth), copy
        self.y, self.a, self.b, self.place, self.k, self.at = y, a, b, place, k, at

    def numbers(self):
        place = PLACE[self.place]
        return [CODE[self.code], self.wide, self.truth, self.copy, self.y, self.a, self.b, place, self.k, self.at]


def copied(i, **changes):
    other = Instruction(i.code)
    other.__dict__.update(i.__dict__, **changes)
    return other


class Machine:
    """An ag__machine, and its code as text."""

    def __init__(self, unit, lanes, slots, pool, loop, before=(), ahead=(), join=(), after=(), ways=1, folds=(), frame=0):
        self.unit, self.lanes, self.slots, self.pool, self.ways, self.folds = unit, lanes, slots, pool, ways, list(folds)
        self.before, self.ahead, self.loop, self.after = list(before), list(ahead), list(loop), list(after)
        self.join = list(join)
        self.parts = [self.before, self.ahead, self.loop, self.join, self.after]
        self.frame = frame
        self.base = {}
        for i in self.ahead + self.loop:
            of_slot = i.code == "AG__STORE" or (i.b < 0 and i.place == "AG__IN_SLOT")
            if of_slot and i.at not in self.base and len(self.base) < len(BASES):
                self.base[i.at] = BASES[len(self.base)]

    def line(self):
        words = [self.unit.name, self.lanes, self.ways, len(self.folds), self.frame, len(self.slots)]
        for dtype, lanes, past in self.slots:
            words += [dtype, int(lanes), int(past)]
        words.append(len(self.pool))
        for bits, wide in self.pool:
            words += [bits, int(wide)]
        words += self.folds + [len(part) for part in self.parts]
        for i in sum(self.parts, []):
            words += i.numbers()
        return " ".join(map(str, words))

    def bits(self, wide):
        return self.lanes * (64 if wide else 32)

    # The text of what is the same for all vectors of x86-64.

    def write(self, number):
        self.number, self.out, self.labels = number, [], 0
        self.vector, self.tail, self.known = 0, False, None
        self.emit(".balign 64", f"machine_{number}:", f"pool_{number}:")
        self.unit.pool(self)
        if any(i.code == "AG__RARELY" for i in self.before + self.ahead + self.loop):
            self.stub()
        self.enter()
        self.run(self.before)
        self.emit("xor edx, edx")
        if self.folds:
            self.rounds(self.ahead, LANES // self.lanes, self.ways, True)
        elif self.ahead:
            self.rounds(self.ahead, self.ways, self.ways, False)
        else:
            self.rounds(self.loop, 4 if len(self.loop) <= 6 else 2, 1, False)
        self.rounds(self.loop, 1, 1, False)
        self.rest()
        self.run(self.join)
        for i in self.after:
            self.store_single(i)
        self.leave()
        return self.out

    def emit(self, *lines):
        self.out += lines
        if any(line.startswith(("mov rax,", "lea rax,")) for line in lines):
            self.known = None

    def label(self):
        self.labels += 1
        return f"label_{self.number}_{self.labels}"

    def enter(self):
        saved = len(self.base) >= 5
        after = self.label()
        self.emit(f"entry_{self.number}:", "endbr64", "test rdi, rdi", f"jg {after}", "ret", f"{after}:")
        self.emit("push rbp", "mov rbp, rsp")
        if saved:
            self.emit("push rbx", "push r12", "push r13", "push r14", "push r15")
        self.emit(f"and rsp, {-self.unit.bits // 8}")
        left = self.frame
        while left > 0:
            part = min(left, 4096 - 64)
            left -= part
            self.emit(".byte 0x48, 0x81, 0xec", f".long {part}")
            if self.frame > 4096 - 64:
                self.emit("test [rsp], rsp")
        for slot in range(len(self.slots)):
            if slot in self.base:
                self.emit(f"mov {self.base[slot]}, [rsi + {8 * slot}]")

    def leave(self):
        self.emit("vzeroupper")
        if len(self.base) >= 5:
            self.emit("lea rsp, [rbp - 40]", "pop r15", "pop r14", "pop r13", "pop r12", "pop rbx")
        else:
            self.emit("mov rsp, rbp")
        self.emit("pop rbp", "ret")

    def run(self, instructions):
        self.unit.begin()
        self.known = None
        for i in instructions:
            self.unit.write(self, self.actual(i))

    def actual(self, i):
        """With the registers of folds' lanes."""
        real = copied(i)
        for name in ("y", "a", "b"):
            if getattr(i, name) >= 64:
                copy, fold = divmod(getattr(i, name) - 64, 3)
                setattr(real, name, self.lane_register(fold, self.vector + copy))
        return real

    def lane_register(self, fold, number):
        return self.unit.registers - (len(self.folds) - fold) * (LANES // self.lanes) + number

    def move_lanes(self, load):
        self.known = None
        for fold, slot in enumerate(self.folds):
            dtype = self.slots[slot][0]
            for number in range(LANES // self.lanes):
                where = self.lanes_of(slot, number)
                self.unit.move(self, load, dtype == DTYPE["AG_F64"], self.lane_register(fold, number), where)

    def lanes_of(self, slot, number):
        return f"[{self.address(slot)} + {number * self.lanes * BYTES[self.slots[slot][0]]}]"

    def move_outside(self, i):
        """A vector of lanes, in or out, or a single element out."""
        self.unit.move(self, i.code == "AG__LOAD", i.wide, i.y if i.code == "AG__LOAD" else i.a, self.lanes_of(i.at, i.k))

    def stub(self):
        """The subroutine that saves all registers for a call."""
        size, count = self.unit.bits // 8, self.unit.registers + 1
        saved, masks = ["rdi", "rsi", "rdx", "r8", "r9", "r10", "r11"], size * count
        self.emit(f"stub_{self.number}:", *[f"push {reg}" for reg in saved])
        self.emit("mov r11, rsp", f"sub rsp, {masks + 128}", "and rsp, -64", "mov esi, eax", "mov rdx, rcx")
        self.emit(f"mov [rsp + {masks + 64}], r11")
        self.emit(*[f"{self.unit.whole} [rsp + {size * r}], {vector(r, self.unit.bits)}" for r in range(count)])
        for k in self.unit.all_masks:
            self.emit(f"kmovw eax, k{k}", f"mov [rsp + {masks + 8 * k}], rax")
        self.emit("mov rdi, rsp", f"mov ecx, {size}", "movabs rax, 0", "vzeroupper", "call rax")
        for k in self.unit.all_masks:
            self.emit(f"mov rax, [rsp + {masks + 8 * k}]", f"kmovw k{k}, eax")
        self.emit(*[f"{self.unit.whole} {vector(r, self.unit.bits)}, [rsp + {size * r}]" for r in range(count)])
        self.emit(f"mov r11, [rsp + {masks + 64}]", "mov rsp, r11", *[f"pop {reg}" for reg in reversed(saved)], "ret")

    def rarely(self, i):
        after = self.label()
        self.known = None
        self.emit("test eax, eax", f"jz {after}")
        self.emit(".byte 0x0d", f".long {i.y << 16 | i.a << 21 | i.wide << 26 | i.k << 27}")
        self.emit("movabs rcx, 0", f"call stub_{self.number}", f"{after}:")

    def rounds(self, instructions, vectors, at_once, folds):
        step, skip, top = vectors * self.lanes, self.label(), self.label()
        self.emit(f"sub rdi, {step}", "cmp rdx, rdi", f"{{disp32}} jg {skip}")
        if folds:
            self.move_lanes(True)
        self.emit(".balign 16, 0x90", f"{top}:")
        for self.vector in range(0, vectors, at_once):
            self.run(instructions)
        self.vector = 0
        self.emit(f"add rdx, {step}", "cmp rdx, rdi", f"{{disp32}} jle {top}")
        if folds:
            self.move_lanes(False)
        self.emit(f"{skip}:", f"add rdi, {step}")

    def rest(self):
        skip = self.label()
        self.emit("sub rdi, rdx", f"{{disp32}} jle {skip}")
        self.unit.begin_tail(self)
        self.tail = True
        self.run(self.loop)
        self.tail = False
        self.emit(f"{skip}:")

    def store_single(self, i):
        if i.place == "AG__IN_POOL":
            self.emit(f"movabs rcx, {self.pool[i.at][0]}")
        else:
            self.emit(f"mov rcx, [rsp + {i.at}]")
        self.emit(f"mov rax, [rsi + {8 * i.k}]")
        if i.truth:
            self.emit("and ecx, 1", "mov [rax], cl")
        else:
            self.emit(f"mov [rax], {'rcx' if i.wide else 'ecx'}")

    def address(self, slot):
        if slot in self.base:
            return self.base[slot]
        if self.known != slot:
            self.emit(f"mov rax, [rsi + {8 * slot}]")
        self.known = slot
        return "rax"

    def element(self, i):
        """Where the vector's elements of a slot are."""
        dtype, lanes, _ = self.slots[i.at]
        index, at = "rdx", (self.vector + i.copy) * self.lanes
        if lanes:
            self.emit("mov ecx, edx", f"and ecx, {LANES - 1}")
            index, at = "rcx", at % LANES
        base = self.address(i.at)
        return f"[{base} + {index}*{BYTES[dtype]} + {at * BYTES[dtype]}]"

    def in_pool(self, at):
        return f"[rip + pool_{self.number} + {at}]"


class Avx2:
    name, bits, registers, scratch = "avx2", 256, 15, 15
    whole, all_masks = "vmovups", ()
    classes = [0, 5, 8, 14]
    own_frame = 96
    without = ["AG__SCALE", "AG__WHOLE_MUL", *WHOLE_CONVERSIONS]

    def begin(self):
        pass

    def pool(self, m):
        m.emit(".fill 32, 1, 0xff", ".fill 32, 1, 0")
        for bits, wide in m.pool:
            m.emit(f".quad {bits}, {bits}, {bits}, {bits}" if wide else ".long " + ", ".join([str(bits & 0xFFFFFFFF)] * 8))

    def constant(self, m, number):
        return m.in_pool(64 + 32 * number)

    def move(self, m, load, wide, reg, where):
        bits = m.bits(wide)
        place = f"{PART[bits]} PTR {where}"
        m.emit(f"vmovups {vector(reg, bits)}, {place}" if load else f"vmovups {place}, {vector(reg, bits)}")

    def begin_tail(self, m):
        m.emit(f"lea rax, {m.in_pool(32)}", "mov rcx, rdi", "neg rcx")
        m.emit("vmovups ymm15, [rax + rcx*4]", "vmovups [rsp], ymm15")
        if m.lanes == 4:
            m.emit("vmovups ymm15, [rax + rcx*8]", "vmovups [rsp + 32], ymm15")

    def mask(self, i):
        return f"YMMWORD PTR [rsp + {32 if i.wide else 0}]"

    def copy_bools(self, m, i, load):
        where = m.element(i)
        m.emit("push rdi", "push rsi")
        if load:
            m.emit(f"lea rsi, {where}", "mov ecx, edi", "lea rdi, [rsp + 80]")
        else:
            m.emit(f"lea rdi, {where}", "mov rcx, [rsp + 8]", "lea rsi, [rsp + 80]")
        m.emit("rep movsb", "pop rsi", "pop rdi")

    def load(self, m, i, y):
        bits = m.bits(i.wide)
        reg, full = vector(y, bits), vector(y, 256)
        positive = f"vpcmpgt{'q' if i.wide else 'd'}"
        if i.place == "AG__IN_FRAME":
            m.emit(f"vmovups {full}, [rsp + {i.at}]")
        elif i.place == "AG__IN_LANES":
            m.move_outside(i)
        elif i.place == "AG__IN_POOL":
            m.emit(f"vmovups {full}, {self.constant(m, i.at)}")
        elif i.place == "AG__IN_SINGLE":
            m.emit(f"mov rax, [rsi + {8 * i.at}]")
            if i.truth:
                m.emit(f"vpbroadcastb {full}, [rax]", f"{positive} {full}, {full}, {m.in_pool(32)}")
            else:
                m.emit(f"vbroadcasts{PS[i.wide]} {full}, [rax]")
        elif i.place == "AG__IN_ATTRIBUTES_WHOLE":
            m.emit(f"mov rax, [rdx + {8 * i.at}]", f"cvttsd2si rcx, QWORD PTR [rax + {8 * i.k}]")
            m.emit("vmovq xmm15, rcx", f"vpbroadcastq {full}, xmm15")
        elif i.place == "AG__IN_ATTRIBUTES":
            m.emit(f"mov rax, [rdx + {8 * i.at}]")
            if i.wide:
                m.emit(f"vbroadcastsd {full}, [rax + {8 * i.k}]")
            else:
                m.emit(f"vcvtsd2ss xmm15, xmm15, QWORD PTR [rax + {8 * i.k}]", f"vbroadcastss {full}, xmm15")
        elif i.truth:
            if m.tail:
                self.copy_bools(m, i, True)
            where = "[rsp + 64]" if m.tail else m.element(i)
            size = PART[32] if m.lanes == 4 else PART[64]
            m.emit(f"vpmovzxb{'q' if i.wide else 'd'} {reg}, {size if bits == 256 else 'DWORD'} PTR {where}")
            m.emit(f"{positive} {reg}, {reg}, {PART[bits]} PTR {m.in_pool(32)}")
        elif m.tail:
            m.emit(f"vmovups {full}, {self.mask(i)}")
            m.emit(f"vmaskmovp{PS[i.wide]} {reg}, {reg}, {m.element(i)}")
        else:
            m.emit(f"vmovups {reg}, {m.element(i)}")

    def store(self, m, i):
        bits = m.bits(i.wide)
        reg = vector(i.a, bits)
        if not i.truth:
            if m.tail:
                m.emit(f"vmovups ymm15, {self.mask(i)}")
                m.emit(f"vmaskmovp{PS[i.wide]} {m.element(i)}, {vector(15, bits)}, {reg}")
            else:
                m.emit(f"{'vmovntps' if m.slots[i.at][2] else 'vmovups'} {m.element(i)}, {reg}")
            return
        if bits == 256:
            m.emit(f"vextracti128 xmm15, {reg}, 1")
        m.emit(f"vpackssdw xmm15, xmm{i.a}, xmm{15 if bits == 256 else i.a}")
        m.emit(*["vpacksswb xmm15, xmm15, xmm15"] * (1 + i.wide), "vpabsb xmm15, xmm15")
        where = "[rsp + 64]" if m.tail else m.element(i)
        m.emit(f"vmovq QWORD PTR {where}, xmm15" if m.lanes == 8 else f"vmovd DWORD PTR {where}, xmm15")
        if m.tail:
            self.copy_bools(m, i, False)

    def last(self, m, i, bits):
        if i.b >= 0:
            return vector(i.b, bits)
        if i.place == "AG__IN_FRAME":
            where = f"[rsp + {i.at}]"
        elif i.place == "AG__IN_POOL":
            where = self.constant(m, i.at)
        elif m.tail:
            self.load(m, i, 15)
            return vector(15, bits)
        else:
            where = m.element(i)
        return f"{PART[max(bits, 64)]} PTR {where}"

    def write(self, m, i):
        bits, suffix = m.bits(i.wide), "p" + PS[i.wide]
        y, a = vector(i.y, bits), vector(i.a, bits)
        zeros = f"{PART[bits]} PTR {m.in_pool(32)}"
        if i.code == "AG__LOAD":
            self.load(m, i, i.y)
        elif i.code == "AG__SPILL":
            m.emit(f"vmovups [rsp + {i.at}], {vector(i.a, 256)}")
        elif i.code == "AG__STORE":
            self.store(m, i)
        elif i.code == "AG__START":
            m.move_outside(i)
        elif i.code == "AG__FINISH":
            m.emit(f"vmovs{PS[i.wide]} [{m.address(i.at)}], xmm{i.a}")
        elif i.code == "AG__TURN":
            b, size = vector(i.b, bits), i.k * (8 if i.wide else 4)
            m.emit(f"vperm2f128 {y}, {b}, {b}, 1" if size == 16 else f"vpermilps {y}, {b}, {0x4E if size == 8 else 0xB1}")
        elif i.code in ARITHMETIC:
            m.emit(f"{ARITHMETIC[i.code]}{suffix} {y}, {a}, {self.last(m, i, bits)}")
        elif i.code in COMPARISONS:
            m.emit(f"vcmp{suffix} {y}, {a}, {self.last(m, i, bits)}, {COMPARISONS[i.code]}")
        elif i.code in STRONG:
            scratch = vector(15, bits)
            m.emit(f"{STRONG[i.code]}{suffix} {scratch}, {a}, {self.last(m, i, bits)}")
            m.emit(f"vcmp{suffix} {y}, {a}, {zeros}, 4", f"vand{suffix} {y}, {y}, {scratch}")
        elif i.code == "AG__SELECT":
            m.emit(f"vblendv{suffix} {y}, {a}, {self.last(m, i, bits)}, {vector(i.k, bits)}")
        elif i.code in OF_BITS:
            m.emit(f"{OF_BITS[i.code]}{DQ[i.wide]} {y}, {a}, {self.last(m, i, bits)}")
        elif i.code in WHOLE or i.code in WHOLE_COMPARISONS:
            m.emit(f"{(WHOLE | WHOLE_COMPARISONS)[i.code]} {y}, {a}, {self.last(m, i, bits)}")
        elif i.code in SHIFTS:
            m.emit(f"{SHIFTS[i.code]}{DQ[i.wide]} {y}, {vector(i.b, bits)}, {i.k}")
        elif i.code == "AG_TRACE_FMA":
            m.emit(f"{FMA[i.k]}{suffix} {y}, {a}, {self.last(m, i, bits)}")
        elif i.code == "AG__RARELY":
            m.emit(f"vmovmsk{suffix} eax, {vector(i.b, bits)}")
            m.rarely(i)
        elif i.code == "AG__WIDEN_TRUTH":
            m.emit(f"vpmovsxdq {vector(i.y, 256)}, {self.last(m, i, 128)}")
        elif i.code == "AG__NARROW_TRUTH":
            m.emit(f"vextracti128 xmm15, ymm{i.b}, 1", f"vshufps xmm{i.y}, xmm{i.b}, xmm15, 0x88")
        elif i.code == "AG__WIDEN":
            m.emit(f"vcvtps2pd ymm{i.y}, {self.last(m, i, 128)}")
        elif i.code == "AG__NARROW":
            m.emit(f"vcvtpd2ps xmm{i.y}, {self.last(m, i, 256)}")
        else:
            m.emit(self.unary(i, suffix).format(y, self.last(m, i, bits)))

    def unary(self, i, suffix):
        return {
            "AG_TRACE_SQRT": f"vsqrt{suffix} {{}}, {{}}",
            "AG_TRACE_ROUND": f"vround{suffix} {{}}, {{}}, 8",
            "AG_TRACE_INTEGER": "vcvtdq2ps {}, {}",
            "AG__COPY": f"{{{{load}}}} vmovu{suffix} {{}}, {{}}",
        }[i.code]


class Avx512:
    name, bits, registers, scratch = "avx512", 512, 31, 31
    whole, all_masks = "{evex} vmovupd", range(1, 8)
    classes = [1, 12, 17, 30]
    own_frame = 0
    without = []
    masks = 6

    def begin(self):
        self.mask = {}  # vector register: (mask register, of 64 bits, it has no bits of its own)
        self.next = 1

    def pool(self, m):
        m.emit(".fill 16, 1, 1", ".quad 0")
        m.emit(*[f".quad {bits}" for bits, _ in m.pool])

    def move(self, m, load, wide, reg, where):
        bits = m.bits(wide)
        name, place = f"{{evex}} vmovup{PS[wide]}", f"{PART[bits]} PTR {where}"
        m.emit(f"{name} {vector(reg, bits)}, {place}" if load else f"{name} {place}, {vector(reg, bits)}")

    def begin_tail(self, m):
        m.emit("mov ecx, edi", "mov eax, -1", "shl eax, cl", "not eax", "kmovw k7, eax")

    # Masks.

    def need_vector(self, m, reg):
        if reg in self.mask and self.mask[reg][2]:
            k, wide, _ = self.mask[reg]
            self.mask[reg] = (k, wide, False)
            m.emit(f"vpmovm2{DQ[wide]} {vector(reg, m.bits(wide))}, k{k}")

    def take(self, m, reg, wide, only):
        used = {k: r for r, (k, _, _) in self.mask.items()}
        free = [k for k in range(1, self.masks + 1) if k not in used]
        if free:
            k = free[0]
        else:
            k = self.next
            self.next = k % self.masks + 1
            self.need_vector(m, used[k])
            del self.mask[used[k]]
        self.mask[reg] = (k, wide, only)
        return k

    def result(self, m, reg, wide):
        self.mask.pop(reg, None)
        return self.take(m, reg, wide, True)

    def mask_of(self, m, reg, wide):
        if reg in self.mask:
            return self.mask[reg][0]
        k = self.take(m, reg, wide, False)
        m.emit(f"vcmpp{PS[wide]} k{k}, {vector(reg, m.bits(wide))}, {self.one(m, m.in_pool(16), wide)}, 4")
        return k

    def is_mask(self, reg):
        return reg in self.mask and self.mask[reg][2]

    # Operands.

    def one(self, m, where, wide):
        return f"{PART[64 if wide else 32]} PTR {where}{{1to{m.lanes}}}"

    def constant(self, m, number):
        return m.in_pool(24 + 8 * number)

    def last(self, m, i, bits, waits=False):
        """The last operand; of constants, one element. Under a mask it is loaded before, so that it does not wait for that."""
        if i.b >= 0:
            self.need_vector(m, i.b)
            return vector(i.b, bits)
        if i.place == "AG__IN_POOL":
            return self.one(m, self.constant(m, i.at), i.wide)
        if i.place == "AG__IN_FRAME":
            return f"{PART[bits]} PTR [rsp + {i.at}]"
        if m.tail or waits:
            self.load(m, i, 31)
            return vector(31, bits)
        return f"{PART[bits]} PTR {m.element(i)}"

    def truth_of_bytes(self, m, y, wide):
        m.emit(f"vptestmb k{self.result(m, y, wide)}, xmm{y}, xmm{y}")

    def load(self, m, i, y):
        self.mask.pop(y, None)
        bits, tail = m.bits(i.wide), "{k7}{z}" if m.tail else ""
        if i.place == "AG__IN_FRAME":
            m.emit(f"{{evex}} vmovups zmm{y}, [rsp + {i.at}]")
        elif i.place == "AG__IN_LANES":
            m.move_outside(i)
        elif i.place == "AG__IN_POOL":
            m.emit(f"vbroadcasts{PS[i.wide]} zmm{y}, {self.constant(m, i.at)}")
        elif i.place == "AG__IN_SINGLE":
            m.emit(f"mov rax, [rsi + {8 * i.at}]")
            if i.truth:
                m.emit(f"{{evex}} vpbroadcastb xmm{y}, [rax]")
                self.truth_of_bytes(m, y, i.wide)
                self.need_vector(m, y)
            else:
                m.emit(f"vbroadcasts{PS[i.wide]} zmm{y}, [rax]")
        elif i.place == "AG__IN_ATTRIBUTES_WHOLE":
            m.emit(f"mov rax, [rdx + {8 * i.at}]", f"cvttsd2si rcx, QWORD PTR [rax + {8 * i.k}]")
            m.emit(f"vpbroadcastq zmm{y}, rcx")
        elif i.place == "AG__IN_ATTRIBUTES":
            m.emit(f"mov rax, [rdx + {8 * i.at}]")
            if i.wide:
                m.emit(f"vbroadcastsd zmm{y}, [rax + {8 * i.k}]")
            else:
                m.emit(f"vcvtsd2ss xmm31, xmm31, QWORD PTR [rax + {8 * i.k}]", f"vbroadcastss zmm{y}, xmm31")
        elif i.truth:
            where = m.element(i)
            if m.tail or m.lanes == 16:
                m.emit(f"{{evex}} vmovdqu8 xmm{y}{tail}, [{where[1:-1]}]")
            else:
                m.emit(f"{{evex}} vmovq xmm{y}, QWORD PTR {where}")
            self.truth_of_bytes(m, y, i.wide)
        else:
            m.emit(f"{{evex}} vmovup{PS[i.wide]} {vector(y, bits)}{tail}, {m.element(i)}")

    def store(self, m, i):
        tail = "{k7}" if m.tail else ""
        if not i.truth:
            if m.tail and m.slots[i.at][1]:
                move, full = f"{{evex}} vmovup{PS[i.wide]}", vector(31, m.bits(i.wide))
                where = m.element(i)
                m.emit(f"{move} {full}, {where}", f"{{load}} {move} {full}{{k7}}, {vector(i.a, m.bits(i.wide))}")
                m.emit(f"{move} {where}, {full}")
                return
            name = "vmovntp" if m.slots[i.at][2] and not m.tail else "vmovup"
            m.emit(f"{{evex}} {name}{PS[i.wide]} {m.element(i)}{tail}, {vector(i.a, m.bits(i.wide))}")
            return
        m.emit(f"{{evex}} vmovdqu8 xmm31{{k{self.mask_of(m, i.a, i.wide)}}}{{z}}, {m.in_pool(0)}")
        where = m.element(i)
        if m.tail or m.lanes == 16:
            m.emit(f"{{evex}} vmovdqu8 {where}{tail}, xmm31")
        else:
            m.emit(f"{{evex}} vmovq QWORD PTR {where}, xmm31")

    def blend(self, m, i, k, a, b):
        self.mask.pop(i.y, None)
        bits = m.bits(i.wide)
        m.emit(f"vblendmp{PS[i.wide]} {vector(i.y, bits)}{{k{k}}}, {vector(a, bits)}, {b}")

    def keep_where(self, m, i, truth, other):
        """Elements of `other` where the truth value has them, else 0."""
        bits = m.bits(i.wide)
        operand, name = self.last(m, copied(i, b=other), bits, True), f"{{load}} {{evex}} vmovup{PS[i.wide]}"
        if other < 0 and i.place == "AG__IN_POOL":
            operand, name = self.constant(m, i.at), f"{{evex}} vbroadcasts{PS[i.wide]}"
        k = self.mask_of(m, truth, i.wide)
        self.mask.pop(i.y, None)
        m.emit(f"{name} {vector(i.y, bits)}{{k{k}}}{{z}}, {operand}")

    def drop_where(self, m, i):
        bits = m.bits(i.wide)
        if i.b >= 0:
            self.need_vector(m, i.b)
            other = i.b
        else:
            self.load(m, i, 31)
            other = 31
        self.blend(m, i, self.mask_of(m, i.a, i.wide), other, self.one(m, m.in_pool(16), i.wide))

    def bitwise(self, m, i, suffix):
        bits = m.bits(i.wide)
        masked = self.is_mask(i.a)
        ones = (1 << 64) - 1 if i.wide else (1 << 32) - 1
        if masked and i.code in BITWISE and i.b >= 0 and self.is_mask(i.b):
            a, b = self.mask[i.a][0], self.mask[i.b][0]
            m.emit(f"{BITWISE[i.code]} k{self.result_of(m, i)}, k{a}, k{b}")
        elif masked and i.code == "AG_TRACE_XOR" and i.b < 0 and i.place == "AG__IN_POOL" and m.pool[i.at][0] == ones:
            a = self.mask[i.a][0]
            m.emit(f"knotw k{self.result_of(m, i)}, k{a}")
        elif masked and i.code == "AG_TRACE_AND":
            self.keep_where(m, i, i.a, i.b)
        elif i.code == "AG_TRACE_AND" and i.b >= 0 and self.is_mask(i.b):
            self.keep_where(m, i, i.b, i.a)
        elif masked and i.code == "AG__AND_NOT":
            self.drop_where(m, i)
        else:
            self.need_vector(m, i.a)
            last = self.last(m, i, bits)
            self.mask.pop(i.y, None)
            m.emit(f"{{evex}} {ARITHMETIC[i.code]}{suffix} {vector(i.y, bits)}, {vector(i.a, bits)}, {last}")

    def result_of(self, m, i):
        return self.result(m, i.y, i.wide)

    def write(self, m, i):
        bits, suffix = m.bits(i.wide), "p" + PS[i.wide]
        y, a = vector(i.y, bits), vector(i.a, bits)
        if i.code == "AG__LOAD":
            self.load(m, i, i.y)
        elif i.code == "AG__SPILL":
            self.need_vector(m, i.a)
            m.emit(f"{{evex}} vmovups [rsp + {i.at}], zmm{i.a}")
        elif i.code == "AG__STORE":
            self.store(m, i)
        elif i.code == "AG__START":
            m.move_outside(i)
        elif i.code == "AG__FINISH":
            self.need_vector(m, i.a)
            m.emit(f"{{evex}} vmovs{PS[i.wide]} [{m.address(i.at)}], xmm{i.a}")
        elif i.code == "AG__TURN":
            self.need_vector(m, i.b)
            self.mask.pop(i.y, None)
            b = vector(i.b, bits)
            m.emit(f"{{evex}} valign{DQ[i.wide]} {y}, {b}, {b}, {i.k}")
        elif i.code in BITWISE or i.code == "AG__AND_NOT":
            self.bitwise(m, i, suffix)
        elif i.code in COMPARISONS:
            last = self.last(m, i, bits)
            m.emit(f"vcmp{suffix} k{self.result_of(m, i)}, {a}, {last}, {COMPARISONS[i.code]}")
        elif i.code in WHOLE_COMPARISONS:
            last = self.last(m, i, bits)
            m.emit(f"{WHOLE_COMPARISONS[i.code]} k{self.result_of(m, i)}, {a}, {last}")
        elif i.code in STRONG:
            last = self.last(m, i, bits, True)
            k = self.mask_of(m, i.a, i.wide)
            self.mask.pop(i.y, None)
            m.emit(f"{{evex}} {STRONG[i.code]}{suffix} {y}{{k{k}}}{{z}}, {a}, {last}")
        elif i.code == "AG__SELECT":
            self.need_vector(m, i.a)
            last = self.last(m, i, bits, True)
            self.blend(m, i, self.mask_of(m, i.k, i.wide), i.a, last)
        elif i.code in ("AG__WIDEN_TRUTH", "AG__NARROW_TRUTH"):
            source = i.b
            if source < 0:
                self.load(m, i, i.y)
                source = i.y
            k = self.mask_of(m, source, i.wide)
            m.emit(f"kmovw k{self.result(m, i.y, 1 - i.wide)}, k{k}")
        elif i.code == "AG__RARELY":
            k = self.mask_of(m, i.b, i.wide)
            self.need_vector(m, i.a)
            m.emit(f"kmov{'b' if i.wide else 'w'} eax, k{k}")
            self.mask.pop(i.y, None)
            m.rarely(i)
        else:
            self.plain(m, i, suffix)

    def plain(self, m, i, suffix):
        bits = m.bits(i.wide)
        y, a = vector(i.y, bits), vector(i.a, bits)
        if i.code in ARITHMETIC or i.code in OF_BITS or i.code in WHOLE:
            self.need_vector(m, i.a)
        last = self.last(m, i, bits)
        self.mask.pop(i.y, None)
        if i.code in ARITHMETIC:
            m.emit(f"{{evex}} {ARITHMETIC[i.code]}{suffix} {y}, {a}, {last}")
        elif i.code in OF_BITS:
            m.emit(f"{{evex}} {OF_BITS[i.code]}{DQ[i.wide]} {y}, {a}, {last}")
        elif i.code in WHOLE:
            m.emit(f"{{evex}} {WHOLE[i.code]} {y}, {a}, {last}")
        elif i.code in WHOLE_CONVERSIONS:
            m.emit(f"{{evex}} {WHOLE_CONVERSIONS[i.code]} {vector(i.y, m.bits(i.code != 'AG__NARROW_WHOLE'))}, {last}")
        elif i.code in SHIFTS:
            m.emit(f"{{evex}} {SHIFTS[i.code]}{DQ[i.wide]} {y}, {last}, {i.k}")
        elif i.code == "AG_TRACE_FMA":
            m.emit(f"{{evex}} {FMA[i.k]}{suffix} {y}, {a}, {last}")
        elif i.code == "AG__WIDEN":
            m.emit(f"{{evex}} vcvtps2pd {vector(i.y, m.bits(1))}, {last}")
        elif i.code == "AG__NARROW":
            m.emit(f"{{evex}} vcvtpd2ps {vector(i.y, m.bits(0))}, {last}")
        else:
            form = {
                "AG_TRACE_SQRT": f"vsqrt{suffix} {{}}, {{}}",
                "AG_TRACE_ROUND": f"vrndscale{suffix} {{}}, {{}}, 8",
                "AG_TRACE_INTEGER": "vcvtdq2ps {}, {}",
                "AG__COPY": f"vmovu{suffix} {{}}, {{}}",
            }[i.code]
            m.emit("{load} {evex} " + form.format(y, last))


# ---- The machines ----

ONE_WIDTH = dict.fromkeys([*WHOLE, *WHOLE_COMPARISONS, *WHOLE_CONVERSIONS], 1) | {
    "AG_TRACE_INTEGER": 0, "AG__WIDEN": 0, "AG__NARROW": 1, "AG__WIDEN_TRUTH": 0, "AG__NARROW_TRUTH": 1,
}
UNARY = ["AG_TRACE_SQRT", "AG_TRACE_ROUND", "AG_TRACE_INTEGER", "AG__COPY", "AG__WIDEN", "AG__NARROW", "AG__WIDEN_TRUTH"]
UNARY += list(WHOLE_CONVERSIONS)
BINARY = list(ARITHMETIC) + list(STRONG) + list(COMPARISONS) + list(OF_BITS) + ["AG_TRACE_FMA", "AG__SELECT"]
BINARY += list(WHOLE) + list(WHOLE_COMPARISONS)
CONVERSIONS = ("AG__WIDEN", "AG__NARROW", "AG__WIDEN_TRUTH", "AG__NARROW_TRUTH")
NO_TRUTH = ("AG__WIDEN_TRUTH", "AG__NARROW_TRUTH")  # their operands are in registers or in the frame
NO_CONSTANT = NO_TRUTH + ("AG__COPY",)


def slot_list(lanes):
    """Slots of each dtype, with lanes if a vector has no more, each third one stored past the caches. All but the first
    nine read have no register."""
    dtypes = [DTYPE[name] for name in ("AG_F32", "AG_F64", "AG_BOOL")]
    kinds = [(dtype, of_lanes) for of_lanes in (False, lanes <= LANES) for dtype in dtypes]
    return [(*kind, past) for past in (False, True, False) for kind in kinds]


class Forms:
    """Lists of instructions: each code with registers of each class, and its last operand in each place."""

    def __init__(self, unit, lanes, widths, chance):
        self.unit, self.lanes, self.widths, self.chance = unit, lanes, widths, chance
        self.slots = slot_list(lanes)
        ones = [(0xFFFFFFFF, False), (0xFFFFFFFFFFFFFFFF, True)]
        self.pool = [(0x3F800000, False), (0x3FF0000000000000, True)] + ones
        self.frame = 126 * unit.bits // 8
        self.forms = list(self.each()) + list(self.moves())
        self.by_code = {None: self.forms}
        for i in self.forms:
            self.by_code.setdefault(i.code, []).append(i)

    def slots_of(self, wide, truth=False):
        dtype = DTYPE["AG_BOOL"] if truth else DTYPE["AG_F64" if wide else "AG_F32"]
        return [i for i, (d, _, _) in enumerate(self.slots) if d == dtype]

    def frame_places(self):
        size = self.unit.bits // 8
        first = self.unit.own_frame
        return [first, first + size, first + 3 * size, self.frame - size]

    def places(self, code, wide):
        """Keywords for the last operand."""
        for b in self.unit.classes:
            yield {"b": b}
        for at in self.frame_places():
            yield {"place": "AG__IN_FRAME", "at": at}
        if code not in NO_CONSTANT:
            yield {"place": "AG__IN_POOL", "at": int(wide)}
            yield {"place": "AG__IN_POOL", "at": 2 + int(wide)}
        if code not in NO_TRUTH:
            for slot in self.slots_of(wide):
                yield {"place": "AG__IN_SLOT", "at": slot, "copy": self.chance.randrange(4)}

    def k_of(self, code, wide):
        if code == "AG_TRACE_FMA":
            return self.chance.choice(list(FMA))
        if code == "AG__SELECT":
            return self.chance.choice(self.unit.classes)
        if code == "AG__RARELY":
            return self.chance.randrange(32)
        return self.chance.randrange(1, 64 if wide else 32) if code in SHIFTS else 0

    def widths_of(self, code):
        if (code in CONVERSIONS or ONE_WIDTH.get(code) == 1) and len(self.widths) == 1 or code in self.unit.without:
            return []
        return [ONE_WIDTH[code]] if code in ONE_WIDTH else self.widths

    def each(self):
        classes = self.unit.classes
        for code in UNARY + BINARY:
            for wide in self.widths_of(code):
                for y in classes:
                    for a in classes if code in BINARY else [0]:
                        for place in self.places(code, wide):
                            yield Instruction(code, wide, y=y, a=a, k=self.k_of(code, wide), **place)
        for code in list(SHIFTS) + ["AG__NARROW_TRUTH"]:
            for wide in self.widths_of(code):
                for y in classes:
                    for b in classes:
                        yield Instruction(code, wide, y=y, b=b, k=self.k_of(code, wide))

        for wide in self.widths:
            for y in classes:
                for b in classes:
                    yield Instruction("AG__RARELY", wide, y=y, a=self.chance.choice(classes), b=b, k=self.k_of("AG__RARELY", wide))

    def moves(self):
        for wide in self.widths:
            for reg in self.unit.classes:
                for at in self.frame_places():
                    yield Instruction("AG__SPILL", a=reg, place="AG__IN_FRAME", at=at)
                    yield Instruction("AG__LOAD", wide, y=reg, place="AG__IN_FRAME", at=at)
                yield Instruction("AG__LOAD", wide, y=reg, place="AG__IN_POOL", at=int(wide))
                for truth in (False, True):
                    for slot in self.slots_of(wide, truth):
                        copy = self.chance.randrange(4)
                        yield Instruction("AG__LOAD", wide, truth, copy, y=reg, place="AG__IN_SLOT", at=slot)
                        if not (truth and self.slots[slot][1]):
                            yield Instruction("AG__STORE", wide, truth, copy, a=reg, at=slot)

    def uniform(self):
        """Loads before the loop."""
        for wide in self.widths:
            for reg in self.unit.classes:
                for truth in (False, True):
                    for slot in self.slots_of(wide, truth):
                        yield Instruction("AG__LOAD", wide, truth, y=reg, place="AG__IN_SINGLE", at=slot)
                for at in (0, 1, 20):
                    for k in (0, 1, 3, 15, 16, 40):
                        yield Instruction("AG__LOAD", wide, y=reg, place="AG__IN_ATTRIBUTES", at=at, k=k)
                        if wide:
                            yield Instruction("AG__LOAD", wide, y=reg, place="AG__IN_ATTRIBUTES_WHOLE", at=at, k=k)

    def after(self):
        for wide in self.widths:
            for truth in (False, True):
                for slot in self.slots_of(wide, truth):
                    yield Instruction("AG__STORE", wide, truth, place="AG__IN_POOL", at=int(wide), k=slot)
                    yield Instruction("AG__STORE", wide, truth, place="AG__IN_FRAME", at=self.frame_places()[-1], k=slot)

    def machine(self, loop, **more):
        return Machine(self.unit, self.lanes, self.slots, self.pool, loop, frame=more.pop("frame", self.frame), **more)

    def machines(self):
        for first in range(0, len(self.forms), 100):
            yield self.machine(self.forms[first : first + 100])
        yield self.machine([], before=self.uniform(), after=self.after())
        few = [Instruction("AG__STORE", self.widths[-1], a=1, at=self.slots_of(self.widths[-1])[0])]
        for frame in (self.unit.own_frame, 4032, 4096, 8064):
            yield self.machine(few, frame=frame // 64 * 64)
        yield from self.folding()
        yield self.machine([], before=self.start(), join=self.join())
        for length in range(1, 12):
            for _ in range(8):
                yield self.machine([self.any() for _ in range(length)], ahead=[self.any() for _ in range(length)], ways=2)
        for _ in range(20):
            yield self.machine([self.any(4) for _ in range(150)])

    def folding(self):
        """Folds whose lanes are in registers ahead."""
        wide = self.widths[-1]
        slots = [i for i in self.slots_of(wide) if self.slots[i][1]]
        if not slots:
            return
        for count, ways in [(count, ways) for count in range(1, 4) for ways in (1, LANES // self.lanes)]:
            if count * (LANES // self.lanes) > self.unit.registers - 3:
                continue
            ahead, loop = [], []
            for fold in range(count):
                add = {"code": "AG_TRACE_ADD", "wide": wide}
                for copy in range(ways):
                    lanes = 64 + fold + 3 * copy
                    ahead.append(Instruction(y=lanes, a=lanes, b=fold, **add))
                loop.append(Instruction(y=0, a=1, place="AG__IN_SLOT", at=slots[fold], **add))
                loop.append(Instruction("AG__STORE", wide, a=0, at=slots[fold]))
            yield self.machine(loop, ahead=ahead, folds=slots[:count], ways=ways)

    def outside(self):
        """Slots of lanes, and which vectors they have."""
        for wide in self.widths:
            for slot in self.slots_of(wide):
                if self.slots[slot][1]:
                    yield wide, slot, range(LANES // self.lanes)

    def start(self):
        for wide, slot, vectors in self.outside():
            for reg in self.unit.classes:
                for k in vectors:
                    yield Instruction("AG__START", wide, a=reg, at=slot, k=k)

    def join(self):
        for wide, slot, vectors in self.outside():
            for reg in self.unit.classes:
                for k in vectors:
                    yield Instruction("AG__LOAD", wide, y=reg, place="AG__IN_LANES", at=slot, k=k)
                for b in self.unit.classes:
                    for k in (1, 2, 4, 8):
                        if 2 * k <= self.lanes:
                            yield Instruction("AG_TRACE_LESS", wide, y=b, a=reg, b=reg)
                            yield Instruction("AG__TURN", wide, y=reg, b=b, k=k)
                yield Instruction("AG_TRACE_LESS", wide, y=reg, a=reg, b=reg)
                yield Instruction("AG__FINISH", wide, a=reg, at=slot)

    def any(self, registers=31):
        """A random instruction; few registers meet what is known of them."""
        chance, top = self.chance, min(registers, self.unit.registers)
        code = chance.choice([None, None, *COMPARISONS, *BITWISE, "AG__AND_NOT", "AG__SELECT", *STRONG])
        i = copied(chance.choice(self.by_code[code]), y=chance.randrange(top), a=chance.randrange(top))
        i.b = chance.randrange(top) if i.b >= 0 else i.b
        i.k = chance.randrange(top) if i.code == "AG__SELECT" else i.k
        return i


UNITS = {"avx2": Avx2(), "avx512": Avx512()}
LAYOUTS = {"avx2": [(8, [0]), (4, [0, 1])], "avx512": [(16, [0]), (8, [0, 1]), (8, [0])]}


def assembled(program, machines):
    """Each machine's bytes by the encoder, and the offset of its entry."""
    result = subprocess.run([program], input="\n".join(m.line() for m in machines), capture_output=True, text=True, check=False)
    if result.returncode == 77:
        print("this build has no encoder for these instructions")
        sys.exit(77)
    lines = result.stdout.splitlines()
    if result.returncode or len(lines) != len(machines):
        sys.exit(f"{program} ended with {result.returncode} after {len(lines)} of {len(machines)} machines")
    return [(int(line.split()[0]), bytes.fromhex(line.split()[1]), len(line.split()) == 2) for line in lines]


def by_assembler(assembler, objcopy, texts, folder):
    """The bytes of all machines, which begin at multiples of 64."""
    source, made, flat = folder / "machines.s", folder / "machines.o", folder / "machines.bin"
    source.write_text(".intel_syntax noprefix\n.data\n" + "\n".join("\n".join(lines) for lines in texts) + "\n")
    result = subprocess.run([assembler, "-o", made, source], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{assembler}: {result.stderr[:2000]}")
    subprocess.run([objcopy, "-O", "binary", "-j", ".data", made, flat], check=True)
    return flat.read_bytes()


def places_of(texts, nm, folder):
    result = subprocess.run([nm, folder / "machines.o"], capture_output=True, text=True, check=True)
    symbols = {name: int(at, 16) for at, _, name in (line.split() for line in result.stdout.splitlines())}
    return [(symbols[f"machine_{k}"], symbols[f"entry_{k}"]) for k in range(len(texts))]


def listing(objdump, code, folder):
    """The instructions of some bytes, as objdump reads them."""
    (folder / "some.bin").write_bytes(code)
    command = [objdump, "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", folder / "some.bin"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in result.stdout.splitlines() if "\t" in line]


def report(m, entry, code, want, tools, folder):
    ours, theirs = (listing(tools["objdump"], part[entry:], folder) for part in (code, want))
    for at, (a, b) in enumerate(zip(ours, theirs)):
        if a != b and re.sub(r"^.*\t", "", a).split()[0] not in ("jg", "jle"):
            print(f"{m.unit.name}, {m.lanes} lanes: the encoder makes\n{a}\nand the assembler\n{b}\nafter")
            print("\n".join(ours[max(0, at - 4) : at]))
            return
    print(f"{m.unit.name}, {m.lanes} lanes: {len(code)} bytes, not {len(want)}")


def check(program, tools, name, folder):
    chance = random.Random(1)
    machines = []
    for lanes, widths in LAYOUTS[name]:
        machines += list(Forms(UNITS[name], lanes, widths, chance).machines())
    texts = [m.write(k) for k, m in enumerate(machines)]
    flat = by_assembler(tools["as"], tools["objcopy"], texts, folder)
    starts = places_of(texts, tools["nm"], folder)
    wrong = 0
    for m, (entry, code, whole), (start, at_entry) in zip(machines, assembled(program, machines), starts):
        want = flat[start : start + len(code)]
        end = min([s for s, _ in starts if s > start], default=len(flat))
        padding = flat[start + len(code) : end]
        if whole and code == want and entry == at_entry - start and len(padding) < 64:
            continue
        wrong += 1
        if wrong <= 3:
            report(m, entry, code, flat[start:end], tools, folder)
    count = sum(len(part) for m in machines for part in m.parts)
    print(f"{name}: {count} instructions in {len(machines)} loops, {len(flat)} bytes, {wrong} loops differ")
    return wrong == 0


def main():
    global LANES
    program, assembler, names = sys.argv[1], sys.argv[2], sys.argv[3:] or list(UNITS)
    LANES = int(subprocess.run([program, "lanes"], capture_output=True, text=True, check=True).stdout)
    tools = {tool: re.sub(r"as$", tool, assembler) for tool in ("as", "objcopy", "objdump", "nm")}
    with tempfile.TemporaryDirectory() as folder:
        good = [check(program, tools, name, pathlib.Path(folder)) for name in names]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
