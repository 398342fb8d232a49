//! Instructions of eBPF programs (`Documentation/bpf/standardization/instruction-set.rst` of the kernel).

use std::os::fd::{AsFd, AsRawFd};

// Of linux/bpf.h.
const PSEUDO_MAP_FD: u8 = 1;
const MAP_LOOKUP_ELEM: i32 = 1;
const SKB_LOAD_BYTES: i32 = 26;

/// A register. `R0` takes results and is what a program returns, `R1` to `R5` are arguments and lost in a call,
/// `R6` to `R9` are kept, `R10` points past the end of the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Register {
    R0 = 0,
    R1,
    R2,
    R3,
    R4,
    R6 = 6,
    R7,
    R8,
    R10 = 10,
}

/// `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// Classes, sizes and modes that make a code, as in linux/bpf.h and linux/bpf_common.h.
mod code {
    pub(super) const LD_IMM_DW: u8 = 0x18;
    pub(super) const LD_ABS_W: u8 = 0x20;
    pub(super) const LD_ABS_H: u8 = 0x28;
    pub(super) const LDX_MEM_W: u8 = 0x61;
    pub(super) const LDX_MEM_H: u8 = 0x69;
    pub(super) const LDX_MEM_DW: u8 = 0x79;
    pub(super) const ST_MEM_W: u8 = 0x62;
    pub(super) const STX_MEM_W: u8 = 0x63;
    pub(super) const STX_XADD_DW: u8 = 0xdb;
    pub(super) const ALU64_MOV_X: u8 = 0xbf;
    pub(super) const ALU64_MOV_K: u8 = 0xb7;
    pub(super) const ALU32_MOV_X: u8 = 0xbc;
    pub(super) const ALU64_ADD_K: u8 = 0x07;
    pub(super) const ALU64_AND_K: u8 = 0x57;
    pub(super) const ALU64_RSH_K: u8 = 0x77;
    pub(super) const JA: u8 = 0x05;
    pub(super) const JEQ_K: u8 = 0x15;
    pub(super) const JEQ_X: u8 = 0x1d;
    pub(super) const JNE_K: u8 = 0x55;
    pub(super) const JNE_X: u8 = 0x5d;
    pub(super) const CALL: u8 = 0x85;
    pub(super) const EXIT: u8 = 0x95;
}

impl Instruction {
    fn new(code: u8, destination: Register, source: Register, offset: i16, immediate: i32) -> Self {
        Self::raw(code, destination as u8, source as u8, offset, immediate)
    }

    fn raw(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Self {
        // Two bit fields of four bits, the first one in the lower half on little-endian machines.
        let registers = match cfg!(target_endian = "little") {
            true => source << 4 | destination,
            false => destination << 4 | source,
        };
        Self { code, registers, offset, immediate }
    }

    /// `destination = source`
    pub(crate) fn copy(destination: Register, source: Register) -> Self {
        Self::new(code::ALU64_MOV_X, destination, source, 0, 0)
    }

    /// `destination = lower half of source`
    pub(crate) fn copy_lower_half(destination: Register, source: Register) -> Self {
        Self::new(code::ALU32_MOV_X, destination, source, 0, 0)
    }

    /// `destination = number`
    pub(crate) fn set(destination: Register, number: i32) -> Self {
        Self::raw(code::ALU64_MOV_K, destination as u8, 0, 0, number)
    }

    /// `destination += number`
    pub(crate) fn add(destination: Register, number: i32) -> Self {
        Self::raw(code::ALU64_ADD_K, destination as u8, 0, 0, number)
    }

    /// `destination >>= bits`
    pub(crate) fn shift_right(destination: Register, bits: i32) -> Self {
        Self::raw(code::ALU64_RSH_K, destination as u8, 0, 0, bits)
    }

    /// `R0 = 16 bits of the packet`, big-endian, at a byte offset. The program returns 0 if they are not there.
    /// Needs its context in `R6`.
    pub(crate) fn load_packet_half(offset: i32) -> Self {
        Self::raw(code::LD_ABS_H, 0, 0, 0, offset)
    }

    /// As [`load_packet_half`](Self::load_packet_half), 32 bits.
    pub(crate) fn load_packet_word(offset: i32) -> Self {
        Self::raw(code::LD_ABS_W, 0, 0, 0, offset)
    }

    /// `destination = 64 bits at source`
    pub(crate) fn load(destination: Register, source: Register) -> Self {
        Self::new(code::LDX_MEM_DW, destination, source, 0, 0)
    }

    /// `32 bits at base + offset = source`
    pub(crate) fn store_word(base: Register, offset: i16, source: Register) -> Self {
        Self::new(code::STX_MEM_W, base, source, offset, 0)
    }

    /// `destination = 32 bits at source + offset`
    pub(crate) fn load_word(destination: Register, source: Register, offset: i16) -> Self {
        Self::new(code::LDX_MEM_W, destination, source, offset, 0)
    }

    /// `destination = 16 bits at source + offset`
    pub(crate) fn load_half(destination: Register, source: Register, offset: i16) -> Self {
        Self::new(code::LDX_MEM_H, destination, source, offset, 0)
    }

    /// `destination = 64 bits at source + offset`
    pub(crate) fn load_at(destination: Register, source: Register, offset: i16) -> Self {
        Self::new(code::LDX_MEM_DW, destination, source, offset, 0)
    }

    /// `32 bits at base + offset = number`
    pub(crate) fn store_number(base: Register, offset: i16, number: i32) -> Self {
        Self::raw(code::ST_MEM_W, base as u8, 0, offset, number)
    }

    /// `64 bits at base + offset += source`, in one piece.
    pub(crate) fn atomic_add(base: Register, offset: i16, source: Register) -> Self {
        Self::new(code::STX_XADD_DW, base, source, offset, 0)
    }

    /// `destination &= mask`
    pub(crate) fn and(destination: Register, mask: i32) -> Self {
        Self::raw(code::ALU64_AND_K, destination as u8, 0, 0, mask)
    }

    /// `destination = map`, two instructions. The program keeps the map.
    pub(crate) fn load_map(destination: Register, map: &impl AsFd) -> [Self; 2] {
        let map = map.as_fd().as_raw_fd();
        let first = Self::raw(code::LD_IMM_DW, destination as u8, PSEUDO_MAP_FD, 0, map);
        [first, Self::raw(0, 0, 0, 0, 0)]
    }

    /// `R0 = address of the value in the map R1 under the key that R2 points to, or 0`
    pub(crate) fn look_up() -> Self {
        Self::raw(code::CALL, 0, 0, 0, MAP_LOOKUP_ELEM)
    }

    /// `R0 = 0` and `R4` bytes of the packet from byte `R2` on at `R3`; or another `R0` if they are not there. `R1` is
    /// the context.
    pub(crate) fn load_bytes() -> Self {
        Self::raw(code::CALL, 0, 0, 0, SKB_LOAD_BYTES)
    }

    /// The same jump, over `count` instructions.
    pub(crate) fn skipping(self, count: i16) -> Self {
        Self { offset: count, ..self }
    }

    /// Skips `count` instructions.
    pub(crate) fn skip(count: i16) -> Self {
        Self::raw(code::JA, 0, 0, count, 0)
    }

    /// Skips `count` instructions if the register is not this number.
    pub(crate) fn skip_unless(register: Register, number: i32, count: i16) -> Self {
        Self::raw(code::JNE_K, register as u8, 0, count, number)
    }

    /// Skips `count` instructions if the registers are equal.
    pub(crate) fn skip_if_equal(one: Register, other: Register, count: i16) -> Self {
        Self::new(code::JEQ_X, one, other, count, 0)
    }

    /// Skips `count` instructions if the register is 0.
    pub(crate) fn skip_if_zero(register: Register, count: i16) -> Self {
        Self::raw(code::JEQ_K, register as u8, 0, count, 0)
    }

    /// Skips `count` instructions if the registers are not equal.
    pub(crate) fn skip_unless_equal(one: Register, other: Register, count: i16) -> Self {
        Self::new(code::JNE_X, one, other, count, 0)
    }

    /// Returns `R0`.
    pub(crate) fn exit() -> Self {
        Self::raw(code::EXIT, 0, 0, 0, 0)
    }
}
