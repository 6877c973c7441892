//! Interpreters, and what is run in them: a shim of ours loads the function, and serves events.

use super::find::Language;
use super::packed;
use crate::bytes;
use crate::handler::Platform;
use crate::sys::fd::Errno;
use crate::sys::memory::Mapping;
use crate::sys::strings::Strings;

/// Room for the arguments of an interpreter: its shim, and three short ones.
const ARGUMENTS_BYTES: usize = 64 * 1024;

/// A line for each language: the names of the interpreters, of which the first that is there is started, the option
/// that the shim follows, and what comes before the arguments of the shim.
const INTERPRETERS: &[u8] =
    b"bash sh -c fnboot\nphp php -r --\npython3 python -c\nnode nodejs -e --";

/// The shims, a text for each language, and behind them what `--help` prints.
const TEXTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/texts"));

/// The number of the text that `--help` prints.
pub const USAGE: usize = Language::None as usize;

/// Room for any of the texts.
const TEXT_BYTES_MAX: usize = 32 * 1024;

impl Language {
    fn words(self) -> impl Iterator<Item = &'static [u8]> {
        bytes::split(bytes::line(INTERPRETERS, self as usize), b' ')
    }

    /// The programs that can run it, the better one first; an empty name for what runs by itself.
    pub fn programs(self) -> [&'static [u8]; 2] {
        let mut words = self.words();
        [(); 2].map(|()| words.next().unwrap_or_default())
    }
}

/// The text of that number, and how long it is.
///
/// # Errors
/// Out of memory.
pub fn text(number: usize) -> Result<(Mapping, usize), Errno> {
    let (mut place, mut counts) = (
        Mapping::new(TEXT_BYTES_MAX)?,
        Mapping::new(packed::MODEL_BYTES)?,
    );
    let len = packed::unpack(TEXTS, &mut counts, number, &mut place);
    Ok((place, len))
}

/// The arguments of an interpreter: the program, its shim, and the function.
///
/// # Errors
/// Out of memory.
pub fn arguments(
    language: Language,
    program: &[u8],
    file: &[u8],
    name: &[u8],
    platform: Platform,
) -> Result<Strings, Errno> {
    let platform: &[u8] = match platform {
        Platform::Fc => b"fc",
        Platform::Lambda => b"lambda",
        Platform::Scf => b"scf",
    };
    let (shim, len) = text(language as usize)?;
    let shim = bytes::slice(&shim, 0..len);
    let mut words = language.words();
    let [_, _, option, before] = [(); 4].map(|()| words.next());
    let mut arguments = Strings::new(ARGUMENTS_BYTES)?;
    let others = [Some(shim), before, Some(file), Some(name), Some(platform)];
    for word in [Some(program), option].into_iter().chain(others).flatten() {
        arguments.put(&[word])?;
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_in_their_order() {
        for (number, want) in [
            (Language::Shell as usize, "$1 _f_name=$2\n"),
            (Language::Python as usize, "import "),
            (Language::Node as usize, "require("),
            (USAGE, "usage: bootstrap [--help | --version]\n"),
        ] {
            let (text, len) = text(number).expect("a text");
            let text = core::str::from_utf8(&text[..len]).expect("UTF-8");
            assert!(text.contains(want), "{number}: {text}");
            assert!(text.ends_with('\n') && !text.contains('\0'));
        }
    }
}
