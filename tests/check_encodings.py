"""Machine code against the assembler: check_encodings.py PROGRAM AS INSTRUCTION_SET...

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
    """An ag__machine; a subclass has its code as text."""

    def __init__(self, unit, lanes, slots, pool, loop, before=(), ahead=(), join=(), after=(), ways=1, folds=(), frame=0):
        self.unit, self.lanes, self.slots, self.pool, self.ways, self.folds = unit, lanes, slots, pool, ways, list(folds)
        self.before, self.ahead, self.loop, self.after = list(before), list(ahead), list(loop), list(after)
        self.join = list(join)
        self.parts = [self.before, self.ahead, self.loop, self.join, self.after]
        self.frame = frame
        self.base = {}
        for i in self.ahead + self.loop:
            of_slot = i.code == "AG__STORE" or (i.b < 0 and i.place == "AG__IN_SLOT")
            if of_slot and i.at not in self.base and len(self.base) < len(self.bases):
                self.base[i.at] = self.bases[len(self.base)]

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

    def label(self):
        self.labels += 1
        return f"label_{self.number}_{self.labels}"

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

    def after_pool(self, first_index):
        """All that is behind the pool. The instruction that makes the index 0; None: there is no index."""
        if any(i.code == "AG__RARELY" for i in self.before + self.ahead + self.loop):
            self.stub()
        self.enter()
        self.run(self.before)
        if first_index:
            self.emit(first_index)
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


class X86(Machine):
    """The text of what is the same for all vectors of x86-64."""

    bases = ["r8", "r9", "r10", "r11", "rbx", "r12", "r13", "r14", "r15"]
    head, listed = ".intel_syntax noprefix", ["-m", "i386:x86-64", "-M", "intel"]

    def write(self, number):
        self.number, self.out, self.labels = number, [], 0
        self.vector, self.tail, self.known = 0, False, None
        self.emit(".balign 64", f"machine_{number}:", f"pool_{number}:")
        self.unit.pool(self)
        return self.after_pool("xor edx, edx")

    def emit(self, *lines):
        self.out += lines
        if any(line.startswith(("mov rax,", "lea rax,")) for line in lines):
            self.known = None

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


def no_more(unit, forms):
    """The machines of one instruction set alone: none."""
    return []


class Avx2:
    machine, slot_rounds, frames = X86, 3, (4032, 4096, 8064)
    name, bits, registers, scratch = "avx2", 256, 15, 15
    whole, all_masks = "vmovups", ()
    classes = [0, 5, 8, 14]
    own_frame = 96
    more = no_more
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
    machine, slot_rounds, frames = X86, 3, (4032, 4096, 8064)
    name, bits, registers, scratch = "avx512", 512, 31, 31
    whole, all_masks = "{evex} vmovupd", range(1, 8)
    classes = [1, 12, 17, 30]
    own_frame = 0
    more = no_more
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


class A64(Machine):
    """The text of what surrounds vectors of A64."""

    bases = [f"x{reg}" for reg in [*range(4, 16), *range(19, 29)]]
    head, listed = ".arch armv8-a", ["-m", "aarch64"]

    def write(self, number):
        self.number, self.out, self.labels = number, [], 0
        self.vector, self.tail = 0, False
        shared = [i for i in self.ahead + self.loop if i.code == "AG__STORE" or (i.b < 0 and i.place == "AG__IN_SLOT")]
        self.indexed = any(i.at not in self.base or self.slots[i.at][1] for i in shared)
        self.saves = bool(self.folds) or any(i.y >= 8 for i in self.before + self.ahead + self.loop + self.join)
        self.emit(".balign 64", f"machine_{number}:", f"pool_{number}:")
        for bits, wide in self.pool:
            self.emit(f".quad {bits}, {bits}" if wide else f".long {bits}, {bits}, {bits}, {bits}")
        return self.after_pool("mov x2, #0" if self.indexed else None)

    def emit(self, *lines):
        self.out += lines

    def far(self, base, offset, log, near):
        """The place of an access of 2^log bytes; `near` becomes a base that has it in reach."""
        if offset >> log >= 4096:
            self.emit(f"add {near}, {base}, #{offset >> 12}, lsl #12")
            base, offset = near, offset % 4096
        return f"[{base}, #{offset}]"

    def load_general(self, reg, base, offset):
        self.emit(f"ldr {reg}, {self.far(base, offset, 3, reg)}")

    def number_in(self, reg):
        self.emit(f"movz {reg}, #0", *[f"movk {reg}, #0, lsl #{16 * i}" for i in (1, 2, 3)])

    def stub(self):
        """The subroutine that saves all registers for a call."""
        kept = [("stp", "ldp", f"x{r}, x{r + 1}", 8 * r) for r in range(0, 16, 2)]
        kept += [("stp", "ldp", f"q{r}, q{r + 1}", 144 + 16 * r) for r in range(0, 32, 2)]
        kept.append(("str", "ldr", "x30", 128))
        self.emit(f"stub_{self.number}:", "sub sp, sp, #656", *[f"{store} {what}, [sp, #{at}]" for store, _, what, at in kept])
        self.emit("add x0, sp, #144", "mov w1, w17", "mov x2, x16", "mov w3, #16")
        self.number_in("x16")
        self.emit("blr x16", *[f"{load} {what}, [sp, #{at}]" for _, load, what, at in kept], "add sp, sp, #656", "ret")

    def saved(self):
        pairs = [(f"d{r}, d{r + 1}", 8 * r - 48) for r in range(8, 16, 2)] if self.saves else []
        return pairs + ([(f"x{r}, x{r + 1}", 8 * r - 72) for r in range(19, 29, 2)] if len(self.base) > 12 else [])

    def enter(self):
        after = self.label()
        self.emit(f"entry_{self.number}:", "cmp x0, #0", f"b.gt {after}", "ret", f"{after}:")
        self.emit("stp x29, x30, [sp, #-160]!", "mov x29, sp", *[f"stp {what}, [sp, #{at}]" for what, at in self.saved()])
        if self.frame:
            self.emit(f"sub sp, sp, #{self.frame}")
        self.emit(f"adr x3, pool_{self.number}")
        for slot in range(len(self.slots)):
            if slot in self.base:
                self.load_general(self.base[slot], "x1", 8 * slot)

    def leave(self):
        if self.frame:
            self.emit(f"add sp, sp, #{self.frame}")
        self.emit(*[f"ldp {what}, [sp, #{at}]" for what, at in self.saved()], "ldp x29, x30, [sp], #160", "ret")

    def run(self, instructions):
        self.unit.begin()
        for i in instructions:
            self.unit.write(self, self.actual(i))

    def unless(self, condition, label):
        """A branch that reaches anything."""
        over = self.label()
        self.emit(f"b.{condition} {over}", f"b {label}", f"{over}:")

    def rounds(self, instructions, vectors, at_once, folds):
        step, skip, top = vectors * self.lanes, self.label(), self.label()
        self.emit(f"subs x0, x0, #{step}")
        self.unless("ge", skip)
        if folds:
            self.move_lanes(True)
        self.emit(".balignl 16, 0xd503201f", f"{top}:")
        begin = len(self.out)
        for self.vector in range(0, vectors, at_once):
            self.run(instructions)
        self.vector = 0
        for slot, (dtype, lanes, _) in enumerate(self.slots):
            if slot in self.base and not lanes:
                self.emit(f"add {self.base[slot]}, {self.base[slot]}, #{step * BYTES[dtype]}")
        if self.indexed:
            self.emit(f"add x2, x2, #{step}")
        self.emit(f"subs x0, x0, #{step}")
        if sum(not line.endswith(":") for line in self.out[begin:]) < 1 << 18:
            self.emit(f"b.ge {top}")
        else:
            self.unless("lt", top)
        if folds:
            self.move_lanes(False)
        self.emit(f"{skip}:", f"add x0, x0, #{step}")

    def rest(self):
        skip = self.label()
        self.emit("cmp x0, #0")
        self.unless("gt", skip)
        self.tail = True
        self.run(self.loop)
        self.tail = False
        self.emit(f"{skip}:")

    def store_single(self, i):
        if i.place == "AG__IN_POOL":
            self.load_general("x17", "x3", 16 * i.at)
        else:
            self.load_general("x17", "sp", i.at)
        self.load_general("x16", "x1", 8 * i.k)
        if i.truth:
            self.emit("and w17, w17, #1", "strb w17, [x16]")
        else:
            self.emit(f"str {'x' if i.wide else 'w'}17, [x16]")

    def address(self, slot):
        if slot in self.base:
            return self.base[slot]
        self.load_general("x16", "x1", 8 * slot)
        return "x16"

    def element(self, i):
        """Base and offset of the vector's elements of a slot."""
        dtype, lanes, _ = self.slots[i.at]
        size, at, base = BYTES[dtype], (self.vector + i.copy) * self.lanes, self.address(i.at)
        if lanes:
            self.emit(f"and w17, w2, #{LANES - 1}", f"add x17, {base}, x17, lsl #{size.bit_length() - 1}")
            return "x17", at % LANES * size
        if base == "x16":
            self.emit(f"add x16, x16, x2, lsl #{size.bit_length() - 1}")
        return base, at * size

    def lanes_of(self, slot, number):
        return self.address(slot), number * self.lanes * BYTES[self.slots[slot][0]]

    def move(self, load, size, reg, base, offset):
        log = size.bit_length() - 1
        self.emit(f"{'ldr' if load else 'str'} {'bhsdq'[log]}{reg}, {self.far(base, offset, log, 'x16')}")

    def move_outside(self, i):
        load = i.code == "AG__LOAD"
        self.move(load, self.bits(i.wide) // 8, i.y if load else i.a, *self.lanes_of(i.at, i.k))

    def move_lanes(self, load):
        for fold, slot in enumerate(self.folds):
            size = self.lanes * BYTES[self.slots[slot][0]]
            for number in range(LANES // self.lanes):
                self.move(load, size, self.lane_register(fold, number), *self.lanes_of(slot, number))

    def move_elements(self, load, i, reg):
        """A whole vector, or as many elements as are left: one, or up to three of four."""
        size = BYTES[self.slots[i.at][0]]
        base, offset = self.element(i)
        if not self.tail:
            self.move(load, self.lanes * size, reg, base, offset)
            return
        end = self.label()
        self.move(load, size, reg, base, offset)
        if self.lanes == 4:
            self.emit(f"tbz w0, #1, {end}")
            self.move(load, 2 * size, reg, base, offset)
            self.emit(f"tbz w0, #0, {end}", f"add x16, {base}, #{offset + 2 * size}")
            self.emit(f"{'ld1' if load else 'st1'} {{v{reg}.{'b' if size == 1 else 's'}}}[2], [x16]", f"{end}:")


class Neon:
    machine, slot_rounds, frames = A64, 8, (16, 1008, 2016)
    name, bits, registers = "neon", 128, 30
    classes = [0, 7, 12, 29]
    own_frame = 0
    without = ["AG__SCALE", "AG__LOW_MUL"]

    def more(self, forms):
        """What is far: constants, slots and attributes behind many others, and the end of a long loop. And constants that are
        used twice, with each instruction between the two."""
        wide = forms.widths[-1]
        add = [Instruction("AG_TRACE_ADD", wide, y=0, a=1, place="AG__IN_POOL", at=wide)]
        for code, (one, *_) in forms.by_code.items():
            between = [i for i in forms.by_code[code] if i.truth][:1] + [i for i in forms.by_code[code] if i.b >= 0][:1]
            yield forms.machine(add * 2 + [one, *add] + sum(([i, *add] for i in between), []))
        many = [(bits, True) for bits in range(9000)]
        ones = [Instruction("AG__LOAD", wide, y=1, place="AG__IN_POOL", at=at) for at in (0, 4095, 4096, 4097, 8999)]
        yield forms.machine(ones, pool=many, after=[Instruction("AG__STORE", 1, place="AG__IN_POOL", at=8999, k=0)])
        slots = forms.slots * (9000 // len(forms.slots))
        places = [at for at, (dtype, _, _) in enumerate(slots) if BYTES[dtype] == (8 if wide else 4)]
        loop = [Instruction("AG__LOAD", wide, y=1, place="AG__IN_SLOT", at=at) for at in places[:30] + places[-30:]]
        loop += [Instruction("AG__STORE", wide, a=1, at=at) for at in places[-30:]]
        single = {"y": 3, "place": "AG__IN_SINGLE"}
        before = [Instruction("AG__LOAD", wide, at=at, **single) for at in (places[0], places[-1])]
        before += [Instruction("AG__LOAD", wide, y=4, place="AG__IN_ATTRIBUTES", at=at, k=at) for at in (4095, 4096, 8000)]
        yield forms.machine(loop, slots=slots, before=before)
        yield forms.machine([Instruction("AG__RARELY", wide, y=1, a=2, b=3)] * (8300 if forms.lanes == 4 else 11000))

    def begin(self):
        self.known = None

    def vector(self, m, wide):
        return "2d" if wide else "4s" if m.lanes == 4 else "2s"

    def load(self, m, i, y):
        if i.place == "AG__IN_FRAME":
            m.move(True, 16, y, "sp", i.at)
        elif i.place == "AG__IN_POOL":
            m.move(True, 16, y, "x3", 16 * i.at)
        elif i.place == "AG__IN_LANES":
            m.move_outside(i)
        elif i.place == "AG__IN_SINGLE":
            m.load_general("x16", "x1", 8 * i.at)
            m.emit(f"ld1r {{v{y}.{'16b' if i.truth else '2d' if i.wide else '4s'}}}, [x16]")
            if i.truth:
                m.emit(f"cmtst v{y}.16b, v{y}.16b, v{y}.16b")
        elif i.place in ("AG__IN_ATTRIBUTES", "AG__IN_ATTRIBUTES_WHOLE"):
            m.load_general("x16", "x2", 8 * i.at)
            m.move(True, 8, y, "x16", 8 * i.k)
            if i.place == "AG__IN_ATTRIBUTES_WHOLE":
                m.emit(f"fcvtzs x16, d{y}", f"dup v{y}.2d, x16")
            elif i.wide:
                m.emit(f"dup v{y}.2d, v{y}.d[0]")
            else:
                m.emit(f"fcvt s{y}, d{y}", f"dup v{y}.4s, v{y}.s[0]")
        else:
            m.move_elements(True, i, y)
            if i.truth:
                m.emit(f"cmtst v{y}.8b, v{y}.8b, v{y}.8b", f"sxtl v{y}.8h, v{y}.8b", f"sxtl v{y}.4s, v{y}.4h")
                m.emit(*[f"sxtl v{y}.2d, v{y}.2s"] * i.wide)

    def store(self, m, i):
        if i.truth:
            self.known = None
            m.emit(*[f"xtn v31.2s, v{i.a}.2d"] * i.wide, f"xtn v31.4h, v{31 if i.wide else i.a}.4s")
            m.emit("xtn v31.8b, v31.8h", "ushr v31.8b, v31.8b, #7")
        m.move_elements(False, i, 31 if i.truth else i.a)

    def last(self, m, i):
        """The register of the last operand: 31 if it was in memory, where a constant may be from before."""
        if i.b >= 0:
            return i.b
        constant = i.at if i.place == "AG__IN_POOL" else None
        if constant is None or constant != self.known:
            self.load(m, i, 31)
        self.known = constant
        return 31

    def choose(self, m, y, truth, a, b):
        """a where there is truth, b elsewhere."""
        if y == truth:
            m.emit(f"bsl v{y}.16b, v{a}.16b, v{b}.16b")
        elif y == a:
            m.emit(f"bif v{y}.16b, v{b}.16b, v{truth}.16b")
        elif y == b:
            m.emit(f"bit v{y}.16b, v{a}.16b, v{truth}.16b")
        else:
            m.emit(f"mov v{y}.16b, v{truth}.16b", f"bsl v{y}.16b, v{a}.16b, v{b}.16b")

    def write(self, m, i):
        v = self.vector(m, i.wide)
        if i.code == "AG__LOAD":
            self.load(m, i, i.y)
        elif i.code == "AG__SPILL":
            m.move(False, 16, i.a, "sp", i.at)
        elif i.code == "AG__STORE":
            self.store(m, i)
        elif i.code == "AG__START":
            m.move_outside(i)
        elif i.code == "AG__FINISH":
            m.move(False, 8 if i.wide else 4, i.a, m.address(i.at), 0)
        elif i.code == "AG__TURN":
            m.emit(f"ext v{i.y}.16b, v{i.b}.16b, v{i.b}.16b, #{i.k * (8 if i.wide else 4)}")
        elif i.code == "AG__COPY":
            if i.b < 0:
                self.load(m, i, i.y)
            else:
                m.emit(f"mov v{i.y}.16b, v{i.b}.16b")
        elif i.code == "AG__RARELY":
            self.rarely(m, i)
        elif i.code in SHIFTS:
            m.emit(f"{'shl' if i.code == 'AG__SHIFT_LEFT' else 'ushr'} v{i.y}.{v}, v{i.b}.{v}, #{i.k}")
        elif not self.of_sign(m, i, v):
            self.compute(m, i, v, self.last(m, i))
            if i.code in (*STRONG, "AG__WHOLE_MUL", "AG__NARROW_WHOLE"):
                self.known = None

    def of_sign(self, m, i, v):
        """Bits by a constant that an instruction stands for."""
        ones = (1 << 64) - 1 if i.wide else (1 << 32) - 1
        names = {("AG_TRACE_XOR", ones ^ ones >> 1): ("fneg", v), ("AG_TRACE_AND", ones >> 1): ("fabs", v), ("AG_TRACE_XOR", ones): ("mvn", "16b")}
        name, of = names.get((i.code, m.pool[i.at][0]), ("", "")) if i.b < 0 and i.place == "AG__IN_POOL" else ("", "")
        if name:
            m.emit(f"{name} v{i.y}.{of}, v{i.a}.{of}")
        return bool(name)

    def compute(self, m, i, v, last):
        y, a, b = f"v{i.y}.{v}", f"v{i.a}.{v}", f"v{last}.{v}"
        bitwise = {"AG_TRACE_AND": ("and", i.a, last), "AG_TRACE_OR": ("orr", i.a, last), "AG_TRACE_XOR": ("eor", i.a, last),
                   "AG__AND_NOT": ("bic", last, i.a)}
        if i.code in bitwise:
            name, first, second = bitwise[i.code]
            m.emit(f"{name} v{i.y}.16b, v{first}.16b, v{second}.16b")
        elif i.code in ("AG_TRACE_MAX", "AG_TRACE_MIN"):
            truth = 30 if i.y in (i.a, last) else i.y
            more, less = (a, b) if i.code == "AG_TRACE_MAX" else (b, a)
            m.emit(f"fcmgt v{truth}.{v}, {more}, {less}")
            self.choose(m, i.y, truth, i.a, last)
        elif i.code == "AG__SELECT":
            self.choose(m, i.y, i.k, last, i.a)
        elif i.code in COMPARISONS:
            name, first, second = {"AG_TRACE_LESS": ("fcmgt", b, a), "AG_TRACE_LESS_EQUAL": ("fcmge", b, a)}.get(i.code, ("fcmeq", a, b))
            m.emit(f"{name} {y}, {first}, {second}")
            if i.code == "AG_TRACE_NOT_EQUAL":
                m.emit(f"mvn v{i.y}.16b, v{i.y}.16b")
        elif i.code in STRONG:
            m.emit(f"{'fmul' if i.code == 'AG_TRACE_STRONG_MUL' else 'fdiv'} v30.{v}, {a}, {b}", f"fcmeq v31.{v}, {a}, #0.0")
            m.emit(f"bic v{i.y}.16b, v30.16b, v31.16b")
        elif i.code == "AG_TRACE_FMA":
            self.fused(m, i, v, last)
        elif i.code == "AG__WHOLE_MUL":
            m.emit(f"rev64 v30.4s, v{last}.4s", f"mul v30.4s, v30.4s, v{i.a}.4s", "uaddlp v30.2d, v30.4s", "shl v30.2d, v30.2d, #32")
            m.emit(f"xtn v31.2s, v{last}.2d", f"xtn v{i.y}.2s, v{i.a}.2d", f"umlal v30.2d, v{i.y}.2s, v31.2s")
            m.emit(f"mov v{i.y}.16b, v30.16b")
        elif i.code == "AG__NARROW_WHOLE":
            m.emit(f"fmov x16, d{last}", f"umov x17, v{last}.d[1]", "scvtf s30, x16", "scvtf s31, x17")
            m.emit(f"zip1 v{i.y}.2s, v30.2s, v31.2s")
        elif i.code in self.binary:
            m.emit(f"{self.binary[i.code]} {y}, {a}, {b}")
        else:
            name, to, of = self.unary[i.code]
            m.emit(f"{name} v{i.y}.{to or v}, v{last}.{of or v}")

    binary = {"AG_TRACE_ADD": "fadd", "AG_TRACE_SUB": "fsub", "AG_TRACE_MUL": "fmul", "AG_TRACE_DIV": "fdiv",
              "AG_TRACE_BITS_ADD": "add", "AG_TRACE_BITS_SUB": "sub", "AG__WHOLE_EQUAL": "cmeq", "AG__WHOLE_GREATER": "cmgt"}
    unary = {"AG_TRACE_SQRT": ("fsqrt", "", ""), "AG_TRACE_ROUND": ("frintn", "", ""), "AG_TRACE_INTEGER": ("scvtf", "", ""),
             "AG__WIDEN": ("fcvtl", "2d", "2s"), "AG__NARROW": ("fcvtn", "2s", "2d"), "AG__WIDEN_TRUTH": ("sxtl", "2d", "2s"),
             "AG__NARROW_TRUTH": ("xtn", "2s", "2d"), "AG__FROM_WHOLE": ("scvtf", "2d", "2d"), "AG__TO_WHOLE": ("fcvtzs", "2d", "2d")}

    def fused(self, m, i, v, last):
        """Onto the sum in y, or by way of register 30: y·b + a, a·y + b."""
        order = FMA[i.k][-3:]
        to = i.y if order == "231" else 30
        sum_, one, other = {"132": (i.a, i.y, last), "213": (last, i.y, i.a), "231": (i.y, i.a, last)}[order]
        if "sub" in FMA[i.k]:
            m.emit(f"fneg v{to}.{v}, v{sum_}.{v}")
        elif to != i.y:
            m.emit(f"mov v{to}.16b, v{sum_}.16b")
        m.emit(f"{'fmls' if 'nm' in FMA[i.k] else 'fmla'} v{to}.{v}, v{one}.{v}, v{other}.{v}")
        if to != i.y:
            m.emit(f"mov v{i.y}.16b, v30.16b")

    def rarely(self, m, i):
        end, bits = m.label(), 31 if i.wide or m.lanes == 4 else i.b
        self.known = None
        if bits == 31:
            m.emit(f"xtn v31.2s, v{i.b}.2d" if i.wide else f"xtn v31.4h, v{i.b}.4s")
        m.emit(f"fmov x16, d{bits}", f"cbz x16, {end}", f"movz w17, #{i.y | i.a << 5 | i.wide << 10 | i.k << 11}, lsl #16")
        m.emit("bfi w17, w16, #0, #1")
        for k in range(1, m.lanes):
            m.emit(f"lsr x16, x16, #{64 // m.lanes}", f"bfi w17, w16, #{k}, #1")
        m.number_in("x16")
        m.emit(f"bl stub_{m.number}", f"{end}:")


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


def slot_list(lanes, rounds):
    """Slots of each dtype, with lanes if a vector has no more, some stored past the caches. There are more of them than
    registers for their addresses."""
    dtypes = [DTYPE[name] for name in ("AG_F32", "AG_F64", "AG_BOOL")]
    kinds = [(dtype, of_lanes) for of_lanes in (False, lanes <= LANES) for dtype in dtypes]
    return [(*kind, past) for k in range(rounds) for past in [k == 1] for kind in kinds]


class Forms:
    """Lists of instructions: each code with registers of each class, and its last operand in each place."""

    def __init__(self, unit, lanes, widths, chance):
        self.unit, self.lanes, self.widths, self.chance = unit, lanes, widths, chance
        self.slots = slot_list(lanes, unit.slot_rounds)
        ones = [(0xFFFFFFFF, False), (0xFFFFFFFFFFFFFFFF, True)]
        signs = [(0x80000000, False), (1 << 63, True), (0x7FFFFFFF, False), ((1 << 63) - 1, True)]
        self.pool = [(0x3F800000, False), (0x3FF0000000000000, True)] + ones + signs
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
            for at in (0, 2, 4, 6) if code in ("AG_TRACE_AND", "AG_TRACE_XOR") else (0, 2):
                yield {"place": "AG__IN_POOL", "at": at + int(wide)}
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
        slots, pool, frame = more.pop("slots", self.slots), more.pop("pool", self.pool), more.pop("frame", self.frame)
        return self.unit.machine(self.unit, self.lanes, slots, pool, loop, frame=frame, **more)

    def machines(self):
        for first in range(0, len(self.forms), 100):
            yield self.machine(self.forms[first : first + 100])
        yield self.machine([], before=self.uniform(), after=self.after())
        few = [Instruction("AG__STORE", self.widths[-1], a=1, at=self.slots_of(self.widths[-1])[0])]
        for frame in (self.unit.own_frame, *self.unit.frames):
            yield self.machine(few, frame=frame // 64 * 64)
        yield from self.folding()
        yield self.machine([], before=self.start(), join=self.join())
        yield from self.unit.more(self)
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


UNITS = {"avx2": Avx2(), "avx512": Avx512(), "neon": Neon()}
LAYOUTS = {"avx2": [(8, [0]), (4, [0, 1])], "avx512": [(16, [0]), (8, [0, 1]), (8, [0])], "neon": [(4, [0]), (2, [0, 1])]}


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


def by_assembler(assembler, objcopy, head, texts, folder):
    """The bytes of all machines, which begin at multiples of 64."""
    source, made, flat = folder / "machines.s", folder / "machines.o", folder / "machines.bin"
    source.write_text(f"{head}\n.data\n" + "\n".join("\n".join(lines) for lines in texts) + "\n")
    result = subprocess.run([assembler, "-o", made, source], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{assembler}: {result.stderr[:2000]}")
    subprocess.run([objcopy, "-O", "binary", "-j", ".data", made, flat], check=True)
    return flat.read_bytes()


def places_of(texts, nm, folder):
    result = subprocess.run([nm, folder / "machines.o"], capture_output=True, text=True, check=True)
    symbols = {name: int(at, 16) for at, _, name in (line.split() for line in result.stdout.splitlines())}
    return [(symbols[f"machine_{k}"], symbols[f"entry_{k}"]) for k in range(len(texts))]


def listing(objdump, options, code, folder):
    """The instructions of some bytes, as objdump reads them."""
    (folder / "some.bin").write_bytes(code)
    command = [objdump, "-D", "-b", "binary", *options, folder / "some.bin"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in result.stdout.splitlines() if "\t" in line]


def report(m, entry, code, want, tools, folder):
    ours, theirs = (listing(tools["objdump"], m.listed, part[entry:], folder) for part in (code, want))
    for at, (a, b) in enumerate(zip(ours, theirs)):
        if a != b and not re.search(r"\t(jg|jle|b) ", a):
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
    flat = by_assembler(tools["as"], tools["objcopy"], machines[0].head, texts, folder)
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
    program, assembler, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    LANES = int(subprocess.run([program, "lanes"], capture_output=True, text=True, check=True).stdout)
    tools = {tool: re.sub(r"as$", tool, assembler) for tool in ("as", "objcopy", "objdump", "nm")}
    with tempfile.TemporaryDirectory() as folder:
        good = [check(program, tools, name, pathlib.Path(folder)) for name in names]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
