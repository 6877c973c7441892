//! Interpreters, and what is run in them: a shim of ours loads the function, and serves events.

use super::find::{Bad, Function, Language};
use super::launch::Launch;
use super::unpack::{SLOT_COUNT, Slot, unpack};
use crate::bytes;
use crate::handler::Platform;
use crate::sys::fd::Errno;
use crate::sys::memory::Mapping;

/// A line for each language: the names of the interpreters, of which the first that is there is started, the option
/// that the shim follows, and what comes before the arguments of the shim.
const INTERPRETERS: &[u8] =
    b"bash sh -c fnboot\nphp php -r --\npython3 python -c\nnode nodejs -e --";

/// The shims, a text for each language, and behind them what `--help` prints.
static TEXTS: [u8; PACKED_BYTES] = *include_bytes!(concat!(env!("OUT_DIR"), "/texts"));

/// The number of the text that `--help` prints.
pub const USAGE: usize = Language::None as usize;

include!(concat!(env!("OUT_DIR"), "/texts.rs"));

const SLOTS_BYTES: usize = SLOT_COUNT * size_of::<Slot>();

/// Has `launch` be the interpreter of the function, the better one first, with its arguments: its options, the shim
/// and the function.
///
/// # Errors
/// There is none, or memory is out: `value` is its name.
pub fn interpreter(
    launch: &mut Launch,
    function: &Function<'_>,
    platform: Platform,
) -> Result<(), Bad<'static>> {
    let mut rest = bytes::line(INTERPRETERS, function.language as usize);
    let mut next = || bytes::take_part(&mut rest, b' ').unwrap_or_default();
    let (names, option) = ([next(), next()], next());
    let none = launch.arguments.mark();
    let is_there = names.iter().any(|name| {
        launch.arguments.truncate(none);
        launch.arguments.put(name);
        launch.find().is_ok()
    });
    let bad = |text| {
        Err(Bad {
            text,
            value: names[0],
        })
    };
    if !is_there {
        return bad("there is no program '$', which runs the function");
    }
    let Ok(texts) = texts() else {
        return bad("out of memory for '$'");
    };
    let arguments = &mut launch.arguments;
    arguments.put(option);
    arguments.put(bytes::part(&texts, 0, function.language as usize));
    if !rest.is_empty() {
        arguments.put(rest);
    }
    arguments.put(function.path.to_bytes());
    arguments.put(function.name);
    arguments.put(match platform {
        Platform::Fc => b"fc",
        Platform::Lambda => b"lambda",
        Platform::Scf => b"scf",
    });
    Ok(())
}

/// All texts, one behind the other, with a NUL behind each.
///
/// # Errors
/// Out of memory.
pub fn texts() -> Result<Mapping, Errno> {
    let (mut texts, mut slots) = (Mapping::new(TEXTS_BYTES)?, Mapping::new(SLOTS_BYTES)?);
    let slots = bytes::slice_mut(&mut slots, 0..SLOTS_BYTES)
        .as_chunks_mut()
        .0;
    unpack(&TEXTS, slots, bytes::slice_mut(&mut texts, 0..TEXTS_BYTES));
    Ok(texts)
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
            let texts = texts().expect("memory");
            let text = core::str::from_utf8(bytes::part(&texts, 0, number)).expect("UTF-8");
            assert!(text.contains(want), "{number}: {text}");
            assert!(text.ends_with('\n') && !text.contains('\0'));
        }
    }
}
