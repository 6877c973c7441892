//! Whether the platform can start the program: its machine, its linkage, a script's first line.

use crate::function::Platform;
use crate::terminal::say;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arch {
    X86_64,
    Arm64,
}

impl FromStr for Arch {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "x86_64" => Ok(Self::X86_64),
            "arm64" => Ok(Self::Arm64),
            _ => Err("x86_64 or arm64"),
        }
    }
}

impl Display for Arch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(["x86_64", "arm64"][*self as usize])
    }
}

/// What is packed as the program.
#[derive(Default)]
pub(super) struct Program {
    /// None: a script.
    pub(super) arch: Option<Arch>,
    /// The dynamic linker that starts it; none: it is static.
    linker: Option<String>,
    /// It is fnboot's own `bootstrap`, which serves other programs.
    pub(super) is_stock: bool,
}

/// What only the program says that serves other programs: of a variable that no other reads.
const STOCK: &[u8] = b"FNBOOT: '$' has a quote without its end";

impl Program {
    /// Refuses one that the platform cannot start on the machine that is asked for.
    pub(super) fn check(&self, platform: Platform, arch: Option<Arch>) -> Result<(), String> {
        if let (Some(is), Some(wanted)) = (self.arch, arch)
            && is != wanted
        {
            return Err(format!("a program for {is}, not for {wanted}"));
        }
        // FC and SCF list no other machine for custom runtimes.
        if self.arch.or(arch) == Some(Arch::Arm64) && platform != Platform::Lambda {
            return Err(format!("for arm64, but {platform} has x86_64 only"));
        }
        if let Some(linker) = &self.linker {
            say(format_args!(
                "fnboot: warning: the program is dynamically linked, so {platform} must have {linker} \
                 and the libraries that it needs; a static program starts everywhere"
            ));
        }
        Ok(())
    }
}

impl Display for Program {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.arch, &self.linker) {
            (None, _) => f.write_str("a script"),
            (Some(arch), None) => write!(f, "{arch}, static"),
            (Some(arch), Some(linker)) => write!(f, "{arch}, by {linker}"),
        }
    }
}

/// What the program is.
pub(super) fn inspect(content: &[u8]) -> Result<Program, &'static str> {
    match content {
        [0x7f, b'E', b'L', b'F', ..] => elf(content),
        [b'#', b'!', rest @ ..] => match rest.split(|byte| *byte == b'\n').next() {
            Some([.., b'\r']) => {
                Err("a script in CR LF: its interpreter is not found, so end lines in LF")
            }
            Some(line) if line.trim_ascii().is_empty() => Err("a script without an interpreter"),
            _ => Ok(Program::default()),
        },
        [] => Err("empty"),
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..]
        | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..]
        | [0xca, 0xfe, 0xba, 0xbe, ..] => Err("a Mach-O program, for macOS"),
        [b'M', b'Z', ..] => Err("a PE program, for Windows"),
        [0xef, 0xbb, 0xbf, b'#', b'!', ..] => {
            Err("a script after a byte order mark: remove the mark")
        }
        _ => Err("neither a Linux program nor a script, which begins with a line like `#!/bin/sh`"),
    }
}

const CUT_OFF: &str = "an ELF file that was cut off";

/// What elf(5) says of the program.
fn elf(file: &[u8]) -> Result<Program, &'static str> {
    const HEADER_BYTES: usize = 56;
    const INTERPRETER: usize = 3;
    let at = |place, bytes| number(file, place, bytes);
    let arch = match (at(4, 1)?, at(5, 1)?, at(18, 2)?) {
        (2, 1, 62) => Arch::X86_64,
        (2, 1, 183) => Arch::Arm64,
        (1, 1, 3) => return Err("a 32-bit program, for i386"),
        (1, ..) => return Err("a 32-bit program"),
        (_, 1, 243) => return Err("a program for riscv"),
        _ => return Err("a program for another machine than x86_64 or arm64"),
    };
    if !matches!(at(16, 2)?, 2 | 3) {
        return Err("an ELF file that is no program, but an object, perhaps, or a core");
    }
    let (table, size, count) = (at(32, 8)?, at(54, 2)?, at(56, 2)?);
    let mut linker = None;
    for index in 0..count {
        // A sum that is too large to be a place is beyond the end, too.
        let header = part(file, table.saturating_add(index * size), HEADER_BYTES)?;
        let segment = part(file, number(header, 8, 8)?, number(header, 32, 8)?)?;
        if number(header, 0, 4)? == INTERPRETER {
            let path = String::from_utf8_lossy(segment);
            linker = Some(path.trim_end_matches('\0').to_owned());
        }
    }
    Ok(Program {
        arch: Some(arch),
        linker,
        is_stock: file.windows(STOCK.len()).any(|part| part == STOCK),
    })
}

fn number(file: &[u8], at: usize, bytes: usize) -> Result<usize, &'static str> {
    let bytes = part(file, at, bytes)?.iter().rev();
    Ok(bytes.fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn part(file: &[u8], at: usize, bytes: usize) -> Result<&[u8], &'static str> {
    let part = file.get(at..).and_then(|rest| rest.get(..bytes));
    part.ok_or(CUT_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_elf_is_read_to_its_end() {
        let linker = b"/lib/ld.so\0";
        let mut file = vec![0; 64 + 56];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (file[16], file[18], file[32], file[54], file[56]) = (3, 183, 64, 56, 1);
        (file[64], file[64 + 8], file[64 + 32]) = (3, 120, u8::try_from(linker.len()).unwrap());
        file.extend(linker);
        let told = |file: &[u8]| inspect(file).map(|program| program.to_string());
        assert_eq!(told(&file), Ok("arm64, by /lib/ld.so".to_owned()));
        for end in 4..file.len() {
            assert_eq!(told(&file[..end]), Err(CUT_OFF), "{end}");
        }
        // No place is outside of what can be counted.
        for at in [39, 64 + 15, 64 + 39] {
            let mut file = file.clone();
            file[at] = 255;
            assert_eq!(told(&file), Err(CUT_OFF), "{at}");
        }
    }
}
