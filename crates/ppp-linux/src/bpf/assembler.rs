//! Programs with jumps.

use std::fmt;

use super::Instruction;

/// Instructions, and jumps to places behind them, which do not know yet how far they go.
#[derive(Debug)]
pub(crate) struct Assembler<L> {
    instructions: Vec<Instruction>,
    jumps: Vec<(usize, L)>,
}

impl<L> Default for Assembler<L> {
    fn default() -> Self {
        Self { instructions: Vec::new(), jumps: Vec::new() }
    }
}

impl<L: PartialEq + fmt::Debug> Assembler<L> {
    pub(crate) fn push(&mut self, instruction: Instruction) {
        self.instructions.push(instruction);
    }

    /// A jump forward, which is told later how many instructions it skips.
    pub(crate) fn jump(&mut self, label: L, instruction: Instruction) {
        self.jumps.push((self.instructions.len(), label));
        self.push(instruction);
    }

    /// What is jumped to by this label is what is pushed next.
    pub(crate) fn place(&mut self, label: L) {
        let here = self.instructions.len();
        for (at, _) in self.jumps.extract_if(.., |(_, to)| *to == label) {
            if let Some(instruction) = self.instructions.get_mut(at) {
                *instruction = instruction.skipping(i16::try_from(here - at - 1).unwrap_or(i16::MAX));
            }
        }
    }

    /// All labels have been placed.
    pub(crate) fn finish(self) -> Vec<Instruction> {
        debug_assert_eq!(self.jumps, []);
        self.instructions
    }
}
